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

from grpo_engine.logprobs import Sampling, sampling_logits

_BELOW_ONE = 1 - 2**-20  # a product with a total that was rounded must stay below the total


@dataclass(frozen=True)
class Rollouts:
    """P prompts with G completions each; completion i belongs to prompt i // G.

    Attributes:
        prompt_ids: P lists of token ids.
        completion_ids: P*G lists of token ids, the end token included.
        logprobs: (P*G, T) log-probabilities as sampled, 0 beyond a completion's end.
        finished: (P*G,) False where the length limit cut the completion.
    """

    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    logprobs: Tensor
    finished: Tensor


def uniforms(seed: int, completions: int, length: int) -> Tensor:
    """(completions, length) numbers in [0, 1): all the chance that a rollout needs."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(completions, length, generator=generator).clamp(max=_BELOW_ONE)


@torch.no_grad()
def generate(
    model: Any,
    prompt_ids: Sequence[list[int]],
    *,
    group: int,
    sampling: Sampling,
    pad_id: int,
    chance: Tensor,
) -> Rollouts:
    """Sample `group` completions for each prompt, with dropout off.

    Args:
        model: a transformers causal language model.
        prompt_ids: P prompts.
        group: G, completions per prompt.
        sampling: the distribution and the end tokens.
        pad_id: fills the batch; it may equal an end token, since masks come from lengths.
        chance: (P*G, C) from :func:`uniforms`; C is the longest completion.

    Returns:
        The rollouts, on the CPU but for `logprobs`.

    Raises:
        FloatingPointError: the model's logits are NaN or infinite.
    """
    longest = max(map(len, prompt_ids))
    device = model.device
    ids = torch.full((len(prompt_ids), longest), pad_id)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompt_ids):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask[row, longest - len(prompt) :] = 1
    draw = _Draw(sampling, chance.to(device))
    config = GenerationConfig(
        max_new_tokens=chance.shape[1],
        do_sample=False,
        eos_token_id=list(sampling.eos_ids),
        pad_token_id=pad_id,
    )
    with _generating(model, config):
        out = model.generate(
            input_ids=ids.repeat_interleave(group, 0).to(device),
            attention_mask=mask.repeat_interleave(group, 0).to(device),
            generation_config=config,
            logits_processor=LogitsProcessorList([draw]),
        )
    tokens = out[:, longest:].cpu()
    lengths, finished = _lengths(tokens, sampling.eos_ids)
    completion_ids = [row[:n].tolist() for row, n in zip(tokens, lengths.tolist(), strict=True)]
    inside = torch.arange(tokens.shape[1]) < lengths[:, None]
    logprobs = torch.stack(draw.logprobs, dim=1).masked_fill(~inside.to(device), 0.0)
    if not torch.isfinite(logprobs).all():
        raise FloatingPointError(
            "the policy's logits are not finite: the weights have diverged; lower learning_rate or max_grad_norm, "
            "and resume from a checkpoint before this step"
        )
    return Rollouts(list(prompt_ids), completion_ids, logprobs, finished)


def _lengths(tokens: Tensor, eos_ids: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """(B,) tokens up to and with the first end token, and whether there was one."""
    is_end = torch.isin(tokens, torch.tensor(eos_ids))
    finished = is_end.any(dim=1)
    first = is_end.int().argmax(dim=1) + 1
    return torch.where(finished, first, torch.full_like(first, tokens.shape[1])), finished


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws the next token by inverse transform sampling and leaves it as the only possible one."""

    def __init__(self, sampling: Sampling, chance: Tensor) -> None:
        self._sampling = sampling
        self._chance = chance
        self.logprobs: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        logprobs = sampling_logits(scores, self._sampling).log_softmax(-1)
        cumulative = logprobs.exp().cumsum(-1)
        point = self._chance[:, len(self.logprobs), None] * cumulative[:, -1:]
        token = torch.searchsorted(cumulative, point, right=True).clamp(max=scores.shape[-1] - 1)  # NaN: see below
        self.logprobs.append(logprobs.gather(1, token)[:, 0])
        return torch.full_like(scores, -torch.inf).scatter_(1, token, 0.0)


@contextmanager
def _generating(model: Any, config: GenerationConfig) -> Iterator[None]:
    """Dropout off, and none of the model's own generation defaults (penalties, top-k) added to ours."""
    training, own = model.training, model.generation_config
    model.eval()
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own
        model.train(training)
