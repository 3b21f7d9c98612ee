"""Rollouts through transformers' `generate`: the plain way, for every model, and the oracle for faster ones.

The draw itself is ours: one uniform number per completion and position, inverted through the cumulative
distribution. So a completion depends on the seed and on its own logits alone, not on the batch it shares, on
the number of processes or on the global random state; and the log-probability is recorded as it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from grpo_engine.rollouts import Rollouts, rollouts_of
from grpo_engine.sampling import Sampling, draw
from grpo_engine.trunk import dropout_off


@dataclass(frozen=True)
class GenerateSampler:
    """A sampler (see :class:`grpo_engine.rollout.Sampler`) for every causal language model of transformers.

    Args:
        model: the policy.
        sampling: the distribution and the end tokens.
        pad_id: fills the batch; it may equal an end token, since masks come from lengths.
    """

    model: Any
    sampling: Sampling
    pad_id: int

    @torch.no_grad()
    def __call__(self, prompt_ids: Sequence[list[int]], *, group: int, chance: Tensor) -> Rollouts:
        """Sample; all completions stay in the batch until the last one ends."""
        device = self.model.device
        longest = max(map(len, prompt_ids))
        ids = torch.full((len(prompt_ids), longest), self.pad_id)
        mask = torch.zeros_like(ids)
        for row, prompt in enumerate(prompt_ids):
            ids[row, longest - len(prompt) :] = torch.tensor(prompt)
            mask[row, longest - len(prompt) :] = 1
        drawing = _Draw(self.sampling, chance.to(device))
        config = GenerationConfig(
            max_new_tokens=chance.shape[1],
            do_sample=False,
            eos_token_id=list(self.sampling.eos_ids),
            pad_token_id=self.pad_id,
        )
        with generating(self.model, config):
            out = self.model.generate(
                input_ids=ids.repeat_interleave(group, 0).to(device),
                attention_mask=mask.repeat_interleave(group, 0).to(device),
                generation_config=config,
                logits_processor=LogitsProcessorList([drawing]),
            )
        tokens = out[:, longest:].cpu()
        lengths, finished = _lengths(tokens, self.sampling.eos_ids)
        return rollouts_of(prompt_ids, tokens, torch.stack(drawing.logprobs, dim=1), lengths, finished)


def _lengths(tokens: Tensor, eos_ids: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(B,) tokens up to and with the first end token, and whether there was one."""
    is_end = torch.isin(tokens, torch.tensor(eos_ids))
    finished = is_end.any(dim=1)
    first = is_end.int().argmax(dim=1) + 1
    return torch.where(finished, first, torch.full_like(first, tokens.shape[1])), finished


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token and leaves it as the only possible one."""

    def __init__(self, sampling: Sampling, chance: Tensor) -> None:
        self._sampling = sampling
        self._chance = chance
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        token, logprobs = draw(scores, self._chance[:, len(self.logprobs)], self._sampling)
        self.logprobs.append(logprobs)
        return torch.full_like(scores, -torch.inf).scatter_(1, token[:, None], 0.0)


@contextmanager
def generating(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Dropout off, and none of the model's own generation defaults (penalties, top-k) added to ours."""
    own = model.generation_config
    model.generation_config = config
    try:
        with dropout_off(model):
            yield
    finally:
        model.generation_config = own
