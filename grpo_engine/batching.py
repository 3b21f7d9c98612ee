"""Completions of different lengths as padded micro-batches. Masks come from lengths, never from token ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grpo_engine.rollout import Rollouts


@dataclass(frozen=True)
class MicroBatch:
    """b sequences, right-padded to their longest L.

    Attributes:
        rows: (b,) which completions of the rollouts these are.
        input_ids: (b, L) prompt and completion.
        attention_mask: (b, L) 1 on both.
        completion_mask: (b, L) True on completion tokens, the end token included.
        sampled: (b, L) log-probabilities as sampled, 0 outside of the completion.
    """

    rows: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    completion_mask: Tensor
    sampled: Tensor


def micro_batches(rollouts: Rollouts, size: int, *, group: int, pad_id: int) -> Iterator[MicroBatch]:
    """All completions of the rollouts, `size` at a time, those of like length together.

    Args:
        rollouts: P prompts with `group` completions each.
        size: sequences per micro-batch.
        group: completions per prompt.
        pad_id: fills the batch; its value never matters.
    """
    prompts = [rollouts.prompt_ids[i // group] for i in range(len(rollouts.completion_ids))]
    sequences = [p + c for p, c in zip(prompts, rollouts.completion_ids, strict=True)]
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield _padded(rows, sequences, [len(prompts[i]) for i in rows], rollouts.logprobs, pad_id)


def _padded(
    rows: list[int], sequences: Sequence[list[int]], prompt_lengths: list[int], logprobs: Tensor, pad_id: int
) -> MicroBatch:
    device = logprobs.device
    starts = torch.tensor(prompt_lengths)[:, None]
    ends = torch.tensor([len(sequences[i]) for i in rows])[:, None]
    ids = torch.full((len(rows), int(ends.max())), pad_id)
    for row, i in enumerate(rows):
        ids[row, : len(sequences[i])] = torch.tensor(sequences[i])
    position = torch.arange(ids.shape[1])
    inside = position < ends
    completion = (inside & (position >= starts)).to(device)
    drawn = logprobs[rows][torch.arange(logprobs.shape[1], device=device) < (ends - starts).to(device)]
    return MicroBatch(
        rows=torch.tensor(rows, device=device),
        input_ids=ids.to(device),
        attention_mask=inside.long().to(device),
        completion_mask=completion,
        sampled=torch.zeros(ids.shape, dtype=logprobs.dtype, device=device).masked_scatter(completion, drawn),
    )
