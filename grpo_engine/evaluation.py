"""The figures of an evaluation, over processes whose parts may differ in size."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from grpo_engine.advantages import total_rewards
from grpo_engine.collect import Collected
from grpo_engine.processes import Processes
from grpo_engine.scoring import RewardSet
from grpo_engine.summary import Metrics


def evaluation_metrics(collected: Sequence[Collected], rewards: RewardSet, processes: Processes) -> Metrics:
    """Means over every completion that was scored.

    Returns:
        `eval_reward`, `eval_rewards/{name}/mean` and `eval_completions/mean_length` in tokens; None where
        nothing was scored.
    """
    names = [f"eval_rewards/{name}/mean" for name in rewards.names]
    names = ["eval_reward", *names, "eval_completions/mean_length"]
    sums = torch.zeros(2, len(names), dtype=torch.float64)  # sums, and of how many values
    for part in collected:
        lengths = torch.tensor([[float(len(c)) for c in part.rollouts.completion_ids]], dtype=torch.float64)
        values = torch.cat([totals(part, rewards)[None], part.scores.values, lengths])
        sums += torch.stack([values.nansum(1), (~values.isnan()).sum(1)])
    means = [total / count if count else None for total, count in processes.sum(sums).T.tolist()]
    return dict(zip(names, means, strict=True))


def totals(collected: Collected, rewards: RewardSet) -> torch.Tensor:
    """(B,) weighted sums of the completions; NaN where nothing was scored."""
    components = collected.scores.values[:, None]  # (K, 1, B): the pure function wants groups
    return total_rewards(components, rewards.weights.to(components.dtype))[0]
