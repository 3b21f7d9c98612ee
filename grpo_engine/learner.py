"""From rollouts and advantages to an update: what is trained on, in which passes, against which denominators."""

from __future__ import annotations

import torch
from torch import Tensor

from grpo_engine.batching import TokenBatch, micro_batches
from grpo_engine.config import GRPOConfig
from grpo_engine.objective import Objective
from grpo_engine.packing import bins, groups_of, pack
from grpo_engine.policy import Policy
from grpo_engine.processes import Processes
from grpo_engine.rollouts import Rollouts
from grpo_engine.update import Totals, Update


class Learner:
    """Makes the updates of a run.

    Args:
        policy: what is trained.
        config: the settings of the run.
        processes: this one among the others.
    """

    def __init__(self, policy: Policy, config: GRPOConfig, processes: Processes) -> None:
        self._policy, self._config, self._processes = policy, config, processes
        self._objective = Objective.of(config)

    def update(self, rollouts: Rollouts, advantage: Tensor, *, token_budget: int) -> Update:
        """The update on this process's part of the batch, its denominators fixed over all processes.

        Args:
            rollouts: of this process.
            advantage: (P, G) of all processes.
            token_budget: tokens of a packed pass.
        """
        config = self._config
        trained = rollouts.finished if config.mask_truncated_completions else torch.ones_like(rollouts.finished)
        lengths = torch.tensor([len(c) for c in rollouts.completion_ids])
        tokens = self._processes.sum((lengths * trained).sum())
        mine = self._processes.share_rows(advantage)
        if not config.beta and config.top_entropy_quantile == 1:
            trained = trained & (mine != 0)  # nothing else moves the policy, and the denominators are fixed
        self._policy.model.train()
        return Update(
            self._policy.scorer,
            self._policy.reference,
            batches=self._batches(rollouts, trained.tolist(), token_budget),
            advantages=mine.to(self._processes.device),
            totals=Totals(completions=advantage.numel(), tokens=int(tokens)),
            objective=self._objective,
            old_from_sampler=config.old_from_sampler,
            entropy_quantile=config.top_entropy_quantile,
            processes=self._processes,
        )

    def _batches(self, rollouts: Rollouts, kept: list[bool], token_budget: int) -> list[TokenBatch]:
        """The passes over the completions that are kept."""
        if self._policy.packed:
            groups = groups_of(rollouts.prompt_ids, rollouts.completion_ids, kept)
            return [pack(part, sampled=rollouts.logprobs) for part in bins(groups, token_budget)]
        size, group = self._config.per_device_train_batch_size, self._config.num_generations
        pad_id = self._policy.tokenizer.pad_token_id
        return [*micro_batches(rollouts, size, group=group, pad_id=pad_id, kept=kept)]
