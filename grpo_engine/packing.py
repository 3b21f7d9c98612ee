"""Sequences to packs: one flat row of tokens for one forward pass, the prompt of a group in it once.

A pack holds `[prompt; c1; ...; cG]` for each of its groups. The last token of a completion predicts nothing and
stays out; the prompt's last state predicts the first token of every completion of the group. The loss does not
depend on how completions are packed, since every denominator is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from grpo_engine.attention import PackedLayout, Segment, SlotCache
from grpo_engine.batching import TokenBatch

Piece = npt.NDArray[Any]
"""Some token ids, positions or places, on the host."""


@dataclass(frozen=True)
class Group:
    """A prompt with some of its completions.

    Attributes:
        prompt: token ids, at least one.
        rows: which completions of the rollouts these are.
        completions: their token ids, at least one each.
    """

    prompt: Sequence[int]
    rows: Sequence[int]
    completions: Sequence[Sequence[int]]

    @property
    def tokens(self) -> int:
        """Tokens that go through the trunk."""
        return len(self.prompt) + sum(len(c) - 1 for c in self.completions)


def groups_of(
    prompt_ids: Sequence[Sequence[int]], completion_ids: Sequence[Sequence[int]], kept: Sequence[bool]
) -> list[Group]:
    """The groups of a batch, without the completions that are not kept; a group that keeps none is left out.

    Args:
        prompt_ids: P prompts.
        completion_ids: P*G completions, in order.
        kept: P*G.
    """
    size = len(completion_ids) // len(prompt_ids)
    groups = []
    for i, prompt in enumerate(prompt_ids):
        rows = [row for row in range(i * size, (i + 1) * size) if kept[row]]
        if rows:
            groups.append(Group(prompt, rows, [completion_ids[row] for row in rows]))
    return groups


def bins(groups: Sequence[Group], token_budget: int) -> list[list[Group]]:
    """Share groups out to passes of at most `token_budget` tokens: first fit, the largest first.

    A group above the budget is split into parts that fit, each with the prompt again; a single completion above
    it gets a pass of its own.
    """
    parts = [part for group in groups for part in _split(group, token_budget)]
    packed: list[list[Group]] = []
    room: list[int] = []
    for part in sorted(parts, key=lambda g: -g.tokens):
        place = next((i for i, free in enumerate(room) if part.tokens <= free), None)
        if place is None:
            packed.append([part])
            room.append(token_budget - part.tokens)
        else:
            packed[place].append(part)
            room[place] -= part.tokens
    return packed


def _split(group: Group, token_budget: int) -> list[Group]:
    if group.tokens <= token_budget or len(group.rows) == 1:
        return [group]
    half = len(group.rows) // 2
    first = Group(group.prompt, group.rows[:half], group.completions[:half])
    second = Group(group.prompt, group.rows[half:], group.completions[half:])
    return [*_split(first, token_budget), *_split(second, token_budget)]


@dataclass
class _Row:
    """The flat row while it is put together, in pieces on the host."""

    ids: list[Piece] = field(default_factory=list)
    positions: list[Piece] = field(default_factory=list)
    keys: list[Piece] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def add(self, tokens: Piece, prefix: range) -> range:
        """Append tokens that see the prefix and themselves; returns where they are."""
        start, k_start = (self.segments[-1].q_end, self.segments[-1].k_end) if self.segments else (0, 0)
        place = range(start, start + len(tokens))
        self.ids.append(tokens)
        self.positions.append(np.arange(len(prefix), len(prefix) + len(tokens)))
        self.keys += [np.arange(prefix.start, prefix.stop), np.arange(place.start, place.stop)]
        self.segments.append(Segment(place.start, place.stop, k_start, k_start + len(prefix) + len(tokens)))
        return place

    def layout(self, device: torch.device, store: tuple[SlotCache, Tensor, Tensor] | None = None) -> PackedLayout:
        cu_q = np.array([0, *(s.q_end for s in self.segments)], dtype=np.int32)
        cu_k = np.array([0, *(s.k_end for s in self.segments)], dtype=np.int32)
        return PackedLayout(
            segments=tuple(self.segments),
            cu_q=_moved([cu_q], device),
            cu_k=_moved([cu_k], device),
            keys=_moved(self.keys, device) if cu_k[-1] != cu_q[-1] else None,
            store=store,
        )

    def inputs(self, layout: PackedLayout) -> dict[str, object]:
        device = layout.cu_q.device
        ids, positions = _moved(self.ids, device)[None], _moved(self.positions, device)[None]
        return {"input_ids": ids, "position_ids": positions, "layout": layout}


def _moved(pieces: Sequence[Piece], device: torch.device) -> Tensor:
    """Pieces side by side, on the device; the copy runs beside the host."""
    tensor = torch.from_numpy(np.concatenate(pieces))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def pack(groups: Sequence[Group], *, sampled: Tensor) -> TokenBatch:
    """One forward pass over some groups.

    Args:
        groups: from :func:`bins`.
        sampled: (B, T) log-probabilities of all completions of the rollouts as sampled; its device is the pack's.
    """
    row, device = _Row(), sampled.device
    states: list[Piece] = []
    targets: list[Piece] = []
    for group in groups:
        prompt = row.add(np.array(group.prompt, dtype=np.int64), range(0))
        for completion in group.completions:
            tokens = np.array(completion, dtype=np.int64)
            targets.append(tokens)
            states.append(np.arange(prompt[-1], prompt[-1] + 1))
            if len(tokens) > 1:
                place = row.add(tokens[:-1], prompt)
                states.append(np.arange(place.start, place.stop))
    rows = np.array([r for group in groups for r in group.rows])
    lengths = np.array([len(tokens) for tokens in targets])
    sequence = np.arange(len(rows)).repeat(lengths)
    column = np.concatenate([np.arange(n) for n in lengths])
    return TokenBatch(
        rows=_moved([rows], device),
        inputs=row.inputs(row.layout(device)),
        states=_moved(states, device),
        targets=_moved(targets, device),
        sequence=_moved([sequence], device),
        lengths=_moved([lengths], device),
        sampled=sampled[_moved([rows[sequence]], device), _moved([column], device)],
    )


def pack_prompts(
    prompts: Sequence[Sequence[int]], slots: Sequence[int], cache: SlotCache, device: torch.device
) -> tuple[dict[str, object], Tensor]:
    """One forward pass that reads prompts and keeps their keys and values, one slot each.

    Returns:
        The trunk's keyword arguments, and (P,) the place of each prompt's last token.
    """
    row = _Row()
    ends = np.array([row.add(np.array(prompt, dtype=np.int64), range(0))[-1] for prompt in prompts])
    owner = np.array(slots).repeat([len(prompt) for prompt in prompts])
    store = (cache, _moved([owner], device), _moved(row.positions, device))
    return row.inputs(row.layout(device, store)), _moved([ends], device)
