"""Rollouts with their rewards: what one process samples and scores of a list of prompts that all share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grpo_engine.data import PROMPT, PromptData, is_conversational, repeated_columns
from grpo_engine.processes import Processes
from grpo_engine.rollouts import Rollouts, Sampler
from grpo_engine.sampling import uniforms
from grpo_engine.scoring import RewardSet, Scores
from grpo_engine.seeds import derived_seed


@dataclass(frozen=True)
class Collected:
    """P prompts of one process with G completions each, scored.

    Attributes:
        prompts: P*G prompts as the data set has them.
        texts: P*G completions, special tokens removed.
    """

    rollouts: Rollouts
    prompts: list[Any]
    texts: list[str]
    scores: Scores


class Collector:
    """Samples and scores for this process.

    Args:
        sampler: draws completions from the policy.
        tokenizer: the policy's.
        rewards: the reward functions.
        max_length: tokens of the longest completion.
        processes: this one among the others.
    """

    def __init__(
        self,
        sampler: Sampler,
        tokenizer: Any,
        *,
        rewards: RewardSet,
        max_length: int,
        processes: Processes,
    ) -> None:
        self._sampler, self._tokenizer = sampler, tokenizer
        self._rewards, self._max_length = rewards, max_length
        self._processes = processes

    def rollouts(self, data: PromptData, indices: Sequence[int], *, group: int, seed: int) -> Rollouts:
        """Sample for this process's share of the prompts `indices`.

        The chance is drawn for all of them and cut, so the completions do not depend on the number of
        processes.
        """
        return self._sample(data, indices, group, uniforms(seed, len(indices) * group, self._max_length))

    def _sample(self, data: PromptData, indices: Sequence[int], group: int, chance: Tensor) -> Rollouts:
        rows = self._processes.share([*range(len(indices))])
        mine = chance[rows[0] * group : (rows[-1] + 1) * group]
        return self._sampler([data.ids(indices[i]) for i in rows], group=group, chance=mine)

    def score(self, data: PromptData, indices: Sequence[int], rollouts: Rollouts, state: Any) -> Collected:
        """Score the rollouts of this process's share, with every column of the data set."""
        mine = [data.row(i) for i in self._processes.share(indices)]
        group = len(rollouts.completion_ids) // len(mine)
        prompts = [row[PROMPT] for row in mine for _ in range(group)]
        texts = self._tokenizer.batch_decode(rollouts.completion_ids, skip_special_tokens=True)
        completions = [_as_completion(p, t) for p, t in zip(prompts, texts, strict=True)]
        columns: dict[str, Any] = repeated_columns(mine, data.columns, group)
        columns["completion_ids"] = rollouts.completion_ids
        columns["truncated"] = [not done for done in rollouts.finished.tolist()]
        columns["num_generations"] = group
        return Collected(rollouts, prompts, texts, self._rewards(prompts, completions, columns, state))

    def over(
        self,
        data: PromptData,
        *,
        prompts_at_once: int,
        group: int,
        seed: int,
        state: Any,
        announce: Callable[[str], None],
    ) -> list[Collected]:
        """Sample and score the whole data set, `prompts_at_once` prompts of all processes at a time.

        Each prompt has its own seed, so neither their number nor the processes change a completion.
        """
        collected = []
        for start in range(0, len(data), prompts_at_once):
            announce(f"evaluate {start}/{len(data)}")
            chunk = range(start, min(start + prompts_at_once, len(data)))
            if self._processes.share(chunk):  # the last chunk may leave nothing for this process
                chance = torch.cat([uniforms(derived_seed(seed, i), group, self._max_length) for i in chunk])
                rollouts = self._sample(data, chunk, group, chance)
                collected.append(self.score(data, chunk, rollouts, state))
        return collected


def _as_completion(prompt: Any, text: str) -> Any:
    return [{"role": "assistant", "content": text}] if is_conversational(prompt) else text
