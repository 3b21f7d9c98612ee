"""The update: passes over the completions, the loss against fixed denominators, one optimizer step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo_engine.batching import TokenBatch
from grpo_engine.logprobs import Scored, Scorer
from grpo_engine.objective import (
    Objective,
    importance_ratio,
    rollout_correction,
    token_kl,
    token_losses,
    top_entropy_threshold,
)
from grpo_engine.optim import MasterAdamW
from grpo_engine.processes import Processes


@dataclass(frozen=True)
class Totals:
    """The denominators, fixed over all processes before anything is split or left out."""

    completions: int
    tokens: int


@dataclass
class _Pass:
    """One forward and backward pass, with what is kept of it between the epochs."""

    batch: TokenBatch
    advantage: Tensor  # (n,)
    weights: Tensor  # (n,)
    old: Tensor | None = None
    reference: Tensor | None = None


class Update:
    """One batch of rollouts, used for one or several optimizer steps (epochs).

    With one epoch the sampler's log-probabilities are the old policy's. With several, those of the first epoch
    are, since no weight has changed before it: neither needs a forward pass of its own.

    Args:
        scorer: the policy.
        reference: the reference policy, where beta is not 0.
        batches: the passes of this process, without the completions that have no gradient.
        advantages: (B,) per completion of this process.
        totals: denominators over all processes.
        objective: the loss.
        old_from_sampler: see :attr:`GRPOConfig.old_from_sampler`.
        entropy_quantile: the share of tokens, those of highest entropy, that have a policy gradient.
        processes: this one among the others.
    """

    def __init__(
        self,
        scorer: Scorer,
        reference: Scorer | None,
        *,
        batches: Sequence[TokenBatch],
        advantages: Tensor,
        totals: Totals,
        objective: Objective,
        old_from_sampler: bool,
        entropy_quantile: float,
        processes: Processes,
    ) -> None:
        self._scorer, self._reference, self._objective = scorer, reference, objective
        self._old_from_sampler, self._quantile, self._processes = old_from_sampler, entropy_quantile, processes
        self._totals = totals
        self._first = True
        self._passes = []
        for batch in batches:
            weights = objective.loss.weights(
                batch.sequence,
                batch.lengths,
                completions=totals.completions,
                tokens=totals.tokens,
                max_length=objective.max_length,
            )
            old = batch.sampled if old_from_sampler else None
            self._passes.append(_Pass(batch, advantages[batch.rows][batch.sequence], weights, old))

    def epoch(self, optimizer: MasterAdamW, max_grad_norm: float) -> dict[str, float | None]:
        """Forward and backward over all passes, then one optimizer step.

        Returns:
            The loss; clip ratios over all trained tokens of all processes; means over those that went through the
            policy: kl, entropy and, in the first epoch, the difference between sampler and trainer; the gradient
            norm before clipping.
        """
        masks = self._entropy_masks() if self._quantile < 1 else [None] * len(self._passes)
        device = self._processes.device
        sums, loss = torch.zeros(4, dtype=torch.float64, device=device), torch.zeros((), device=device)
        differences = [torch.zeros(0, device=device)]
        for one, mask in zip(self._passes, masks, strict=True):
            scored, part = self._backward(one, mask, optimizer)
            sums += self._token_sums(one, scored)
            loss += part
            # of one type everywhere, also where a process has no pass
            differences.append((scored.logprobs - one.batch.sampled).abs().float())
        self._processes.sum_in_place(optimizer.gradients(fill=True))
        grad_norm = optimizer.clip(max_grad_norm)
        optimizer.step()
        metrics = self._means(sums, loss, torch.cat(differences))
        metrics["grad_norm"] = float(grad_norm)
        self._first = False
        return metrics

    def _backward(self, one: _Pass, mask: Tensor | None, optimizer: MasterAdamW) -> tuple[Scored, Tensor]:
        batch, objective = one.batch, self._objective
        if self._reference is not None and one.reference is None:
            one.reference = self._reference.score(batch).logprobs
        old = one.old

        def loss(logprobs: Tensor, tokens: slice) -> Tensor:
            before = logprobs.detach() if old is None else old[tokens]
            losses = token_losses(
                objective,
                logprobs,
                old=before,
                advantage=one.advantage[tokens],
                reference=None if one.reference is None else one.reference[tokens],
                sequence=batch.sequence[tokens],
                lengths=batch.lengths,
                entropy_mask=None if mask is None else mask[tokens],
                correction=self._correction(before, batch.sampled[tokens]),
            )
            return losses * one.weights[tokens]

        whole = objective.couples_tokens
        scored, total = self._scorer.backward(batch, loss, whole=whole, sums=optimizer.gradient_sum)
        if one.old is None:
            one.old = scored.logprobs
        return scored, total

    def _correction(self, old: Tensor, sampled: Tensor) -> Tensor | None:
        """(m,) weights against the sampler, where it is not the old policy itself."""
        return None if self._old_from_sampler else rollout_correction(old, sampled, self._objective.rollout_is_cap)

    def _entropy_masks(self) -> list[Tensor]:
        """(n,) True for the tokens of highest entropy in the batches of all processes, from a pass of its own."""
        entropies = [self._scorer.score(one.batch).entropies for one in self._passes]
        everywhere = self._processes.gather_uneven(torch.cat([torch.zeros(0), *[e.cpu() for e in entropies]]))
        threshold = top_entropy_threshold(everywhere, self._quantile)
        return [e >= threshold.to(e.device) for e in entropies]

    def _token_sums(self, one: _Pass, scored: Scored) -> Tensor:
        """(4,) KL, entropy, tokens clipped from below and from above, summed over the pass's tokens."""
        objective, batch = self._objective, one.batch
        old = scored.logprobs if one.old is None else one.old
        ratio = importance_ratio(
            objective,
            scored.logprobs,
            old=old,
            sequence=batch.sequence,
            lengths=batch.lengths,
            correction=self._correction(old, batch.sampled),
        )
        low, high = objective.loss.clips(ratio, one.advantage, objective)
        kl = torch.zeros_like(scored.logprobs)
        if one.reference is not None:
            kl = token_kl(objective, scored.logprobs, one.reference, ratio)
        return torch.stack([v.double().sum() for v in (kl, scored.entropies, low, high)])

    def _means(self, sums: Tensor, loss: Tensor, differences: Tensor) -> dict[str, float | None]:
        tokens = torch.tensor([float(len(differences))], dtype=torch.float64, device=sums.device)
        *totals, total_loss, count = self._processes.sum(torch.cat([sums, loss[None].double(), tokens])).tolist()
        kl, entropy, low, high = totals
        metrics: dict[str, float | None] = {"loss": total_loss}
        metrics |= {name: value / count if count else None for name, value in (("kl", kl), ("entropy", entropy))}
        if self._first:
            metrics |= self._sampler_metrics(differences)
        # Tokens that were left out are clipped nowhere, so the shares are known for the whole batch.
        low, high = (value / max(self._totals.tokens, 1) for value in (low, high))
        metrics |= {"clip_ratio/low_mean": low, "clip_ratio/high_mean": high}
        metrics["clip_ratio"] = metrics["clip_ratio/region_mean"] = low + high
        if self._objective.loss.absolute_cap:
            metrics["cispo_clip_ratio"] = high
        if self._reference is None:  # without a reference there is no KL to report
            del metrics["kl"]
        return metrics

    def _sampler_metrics(self, differences: Tensor) -> dict[str, float | None]:
        """How far the trainer's log-probabilities are from the sampler's, before a weight has changed."""
        name = "sampling/sampling_logp_difference"
        everywhere = self._processes.gather_uneven(differences.cpu())
        if not len(everywhere):
            return dict.fromkeys((f"{name}/mean", f"{name}/p99.9", f"{name}/max"))
        ranked = everywhere.sort().values
        high, top = ranked[[int(0.999 * (len(ranked) - 1)), -1]].tolist()
        return {f"{name}/mean": everywhere.double().mean().item(), f"{name}/p99.9": high, f"{name}/max": top}
