"""The update: micro-batches through the policy, the loss against fixed denominators, one optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grpo_engine.batching import MicroBatch
from grpo_engine.logprobs import TokenScorer
from grpo_engine.objective import TokenWeights, clipped_objective, clipped_tokens, kl_k3
from grpo_engine.optim import MasterAdamW

_SUMS = ("loss", "kl", "entropy", "clip_ratio/low_mean", "clip_ratio/high_mean", "difference")
"""What is summed over the tokens of a batch, in the order of the columns of the sums."""


@dataclass(frozen=True)
class Objective:
    """The loss of a run: :func:`clipped_objective` plus beta times :func:`kl_k3`, weighted per token."""

    epsilon_low: float
    epsilon_high: float
    beta: float
    token_weights: TokenWeights
    max_length: int


@dataclass(frozen=True)
class Totals:
    """The denominators, fixed over all processes before a batch is split."""

    completions: int
    tokens: int


class Update:
    """One batch of rollouts, used for one or several optimizer steps (epochs).

    The first epoch's log-probabilities are those of the policy that sampled, since no weight has changed yet:
    they are kept as the old policy for the epochs that follow, without a forward pass of their own.

    Args:
        scorer: the policy as accelerate wrapped it.
        reference: the reference policy, where beta is not 0.
        micros: the micro-batches of this process.
        advantages: (B,) per completion of this process.
        trained: (B,) False for completions that are left out of the loss.
        totals: denominators over all processes.
    """

    def __init__(
        self,
        scorer: Any,
        reference: TokenScorer | None,
        *,
        micros: Sequence[MicroBatch],
        advantages: Tensor,
        trained: Tensor,
        totals: Totals,
    ) -> None:
        self._scorer, self._reference = scorer, reference
        self._micros, self._advantages, self._trained, self._totals = micros, advantages, trained, totals
        self._old: list[Tensor] = []
        self._ref: list[Tensor] = []

    def epoch(
        self, objective: Objective, optimizer: MasterAdamW, accelerator: Any, max_grad_norm: float
    ) -> dict[str, float]:
        """Forward and backward over all micro-batches, then one optimizer step.

        Returns:
            Means over the trained tokens of all processes: loss, kl, entropy, clip ratios, the difference
            between sampler and trainer (first epoch), and the gradient norm before clipping.
        """
        first = not self._old
        sums = torch.zeros(len(_SUMS), dtype=torch.float64, device=accelerator.device)
        largest = torch.zeros((), device=accelerator.device)
        for i, micro in enumerate(self._micros):
            logprobs, entropy = self._scorer(micro.input_ids, micro.attention_mask, micro.completion_mask)
            if first:
                self._remember(micro, logprobs)
            loss, parts, difference = self._loss(objective, i, logprobs, entropy)
            # The wrapper averages gradients over processes; our denominators are already those of all.
            accelerator.backward(loss * accelerator.num_processes)
            optimizer.accumulate()
            sums += parts
            largest = torch.maximum(largest, difference)
        grad_norm = optimizer.clip(max_grad_norm)
        optimizer.step()
        metrics = self._means(accelerator.reduce(sums, "sum"), beta=objective.beta)
        metrics["grad_norm"] = float(grad_norm)
        if first:
            metrics["sampling/sampling_logp_difference/max"] = float(accelerator.gather(largest).max())
        else:
            del metrics["sampling/sampling_logp_difference/mean"]
        return metrics

    @torch.no_grad()
    def _remember(self, micro: MicroBatch, logprobs: Tensor) -> None:
        self._old.append(logprobs.detach())
        if self._reference is not None:
            self._ref.append(self._reference(micro.input_ids, micro.attention_mask, micro.completion_mask)[0])

    def _loss(self, objective: Objective, i: int, logprobs: Tensor, entropy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The micro-batch's share of the loss, its sums for the log, its largest sampler difference."""
        micro, old = self._micros[i], self._old[i]
        advantage = self._advantages[micro.rows][:, None].to(logprobs.dtype)
        mask = micro.completion_mask * self._trained[micro.rows][:, None].to(logprobs.dtype)
        ratio = torch.exp(logprobs - old)
        per_token = clipped_objective(ratio, advantage, objective.epsilon_low, objective.epsilon_high)
        kl = torch.zeros_like(per_token)
        if self._ref:
            kl = kl_k3(logprobs, self._ref[i])
            per_token = per_token + objective.beta * kl
        weights = objective.token_weights(
            mask,
            completions=self._totals.completions,
            tokens=self._totals.tokens,
            max_length=objective.max_length,
        )
        loss = (per_token * weights).sum()
        low, high = clipped_tokens(ratio, advantage, objective.epsilon_low, objective.epsilon_high)
        difference = (old - micro.sampled).abs() * mask
        per_token_sums = [(v.detach() * mask).sum() for v in (kl, entropy, low, high, difference)]
        return loss, torch.stack([loss.detach(), *per_token_sums]).double(), difference.max()

    def _means(self, sums: Tensor, *, beta: float) -> dict[str, float]:
        loss, *others = sums.tolist()
        metrics = {"loss": loss}
        metrics |= {name: v / max(self._totals.tokens, 1) for name, v in zip(_SUMS[1:], others, strict=True)}
        metrics["sampling/sampling_logp_difference/mean"] = metrics.pop("difference")
        metrics["clip_ratio"] = metrics["clip_ratio/low_mean"] + metrics["clip_ratio/high_mean"]
        metrics["clip_ratio/region_mean"] = metrics["clip_ratio"]
        if not beta:  # without a reference there is no KL to report
            del metrics["kl"]
        return metrics
