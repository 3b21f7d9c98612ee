"""What one forward pass of the loss works on, and the plain way to make it: padded micro-batches.

Masks come from lengths, never from token ids. The padded way serves every model; packs (`packing.py`) serve those
that take our attention. Both give the same flat vectors of completion tokens, so the loss is written once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grpo_engine.rollouts import Rollouts


@dataclass(frozen=True)
class TokenBatch:
    """One forward pass over b completions with n tokens together.

    Attributes:
        rows: (b,) which completions of the rollouts these are.
        inputs: keyword arguments of the model's trunk.
        states: (n,) the place, among the flattened hidden states, of the state that predicts each token.
        targets: (n,) the completion tokens, end tokens included, completion by completion.
        sequence: (n,) which of the b completions a token belongs to, ascending.
        lengths: (b,) tokens of each completion.
        sampled: (n,) log-probabilities as sampled.
    """

    rows: Tensor
    inputs: dict[str, Any]
    states: Tensor
    targets: Tensor
    sequence: Tensor
    lengths: Tensor
    sampled: Tensor


def micro_batches(
    rollouts: Rollouts, size: int, *, group: int, pad_id: int, kept: Sequence[bool] | None = None
) -> Iterator[TokenBatch]:
    """The completions of the rollouts, `size` at a time, those of like length together, right-padded.

    Args:
        rollouts: P prompts with `group` completions each.
        size: sequences per micro-batch.
        group: completions per prompt.
        pad_id: fills the batch; its value never matters.
        kept: P*G, False for completions that are left out; None keeps all.
    """
    prompts = [rollouts.prompt_ids[i // group] for i in range(len(rollouts.completion_ids))]
    sequences = [p + c for p, c in zip(prompts, rollouts.completion_ids, strict=True)]
    wanted = [i for i in range(len(sequences)) if kept is None or kept[i]]
    order = sorted(wanted, key=lambda i: len(sequences[i]))
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        yield _padded(rows, sequences, [len(prompts[i]) for i in rows], rollouts.logprobs, pad_id)


def _padded(
    rows: list[int], sequences: Sequence[list[int]], prompt_lengths: list[int], logprobs: Tensor, pad_id: int
) -> TokenBatch:
    device = logprobs.device
    starts = torch.tensor(prompt_lengths)[:, None]
    ends = torch.tensor([len(sequences[i]) for i in rows])[:, None]
    ids = torch.full((len(rows), int(ends.max())), pad_id)
    for row, i in enumerate(rows):
        ids[row, : len(sequences[i])] = torch.tensor(sequences[i])
    position = torch.arange(ids.shape[1])
    inside = position < ends
    completion = inside & (position >= starts)
    flat = completion.flatten().nonzero()[:, 0]
    mask = inside.long()
    inputs = {
        "input_ids": ids.to(device),
        "attention_mask": mask.to(device),
        "position_ids": (mask.cumsum(-1) - 1).clamp(min=0).to(device),
    }
    drawn = torch.arange(logprobs.shape[1]) < ends - starts
    return TokenBatch(
        rows=torch.tensor(rows, device=device),
        inputs=inputs,
        states=(flat - 1).to(device),  # the state before a token predicts it
        targets=ids[completion].to(device),
        sequence=(flat // ids.shape[1]).to(device),
        lengths=(ends - starts)[:, 0].to(device),
        sampled=logprobs[rows][drawn.to(device)],
    )
