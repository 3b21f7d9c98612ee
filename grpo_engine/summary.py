"""The numbers of a batch as they are logged, and its completions as they are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from grpo_engine.advantages import no_variance
from grpo_engine.collect import Collected
from grpo_engine.data import is_conversational
from grpo_engine.display import Sample

Metrics = dict[str, float | None]
SAMPLER_ALARM = 0.05
"""Mean |log-prob difference| per token between sampler and trainer; below 0.02 is healthy, also in bf16."""


def length_metrics(lengths: Tensor, finished: Tensor) -> Metrics:
    """Lengths of completions in tokens.

    Args:
        lengths: (B,) of all processes.
        finished: (B,) False where the length limit cut the completion.
    """
    lengths = lengths.double()
    return {
        **_spread("length", lengths),
        **_spread("terminated_length", lengths[finished]),
        "completions/clipped_ratio": 1.0 - finished.double().mean().item(),
    }


def _spread(name: str, values: Tensor) -> Metrics:
    if not len(values):
        return {f"completions/{kind}_{name}": None for kind in ("mean", "min", "max")}
    return {
        f"completions/mean_{name}": values.mean().item(),
        f"completions/min_{name}": values.min().item(),
        f"completions/max_{name}": values.max().item(),
    }


def reward_metrics(names: Sequence[str], components: Tensor, rewards: Tensor) -> Metrics:
    """Mean and sample standard deviation of the total and of each reward function.

    Args:
        names: of the K functions.
        components: (K, P, G); NaN means "not scored", and is left out.
        rewards: (P, G) weighted sums.
    """
    metrics: Metrics = {}
    metrics["reward"], metrics["reward_std"] = _mean_std(rewards)
    metrics["frac_reward_zero_std"] = no_variance(rewards).double().mean().item()
    for name, values in zip(names, components, strict=True):
        metrics[f"rewards/{name}/mean"], metrics[f"rewards/{name}/std"] = _mean_std(values)
    return metrics


def _mean_std(values: Tensor) -> tuple[float | None, float | None]:
    scored = values[~values.isnan()]
    if not len(scored):
        return None, None
    return scored.mean().item(), (scored.std().item() if len(scored) > 1 else 0.0)


def completion_rows(
    collected: Collected,
    names: Sequence[str],
    *,
    rewards: Sequence[float],
    step: int,
    split: str,
    advantages: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """The completions of one process as they are written to the log, one dictionary each."""
    components = collected.scores.values.tolist()
    finished = collected.rollouts.finished.tolist()
    return [
        {
            "step": step,
            "split": split,
            "prompt": shown(prompt),
            "completion": text,
            "truncated": not finished[i],
            "reward": _or_none(rewards[i]),
            "rewards": {name: _or_none(values[i]) for name, values in zip(names, components, strict=True)},
            "advantage": None if advantages is None else advantages[i],
            "extra": {name: values[i] for name, values in collected.scores.extra.items()},
        }
        for i, (prompt, text) in enumerate(zip(collected.prompts, collected.texts, strict=True))
    ]


def warnings_of(metrics: Metrics) -> list[str]:
    """What is wrong with a step, and what it may mean."""
    found = []
    difference = metrics.get("sampling/sampling_logp_difference/mean") or 0.0
    if difference > SAMPLER_ALARM:
        found.append(
            f"sampler and trainer differ by {difference:.3f} per token on average (alarm at {SAMPLER_ALARM}): "
            "the model scores other tokens than it samples, or dropout is on while training (disable_dropout=True)"
        )
    if metrics.get("reward") is None:
        found.append("no completion was scored by any reward (all None); nothing was learned from it")
    return found


def sample(rows: Sequence[dict[str, Any]], step: int) -> Sample:
    """One completion to look at: each step another place in the batch."""
    row = rows[step % len(rows)]
    return Sample(row["prompt"], row["completion"], row["reward"], row["rewards"])


def shown(prompt: Any) -> str:
    """A prompt as text: the last message of a conversation."""
    if not is_conversational(prompt):
        return str(prompt)
    content = prompt[-1].get("content")
    return content if isinstance(content, str) else str(content)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
