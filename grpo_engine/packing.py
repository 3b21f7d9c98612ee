"""Sequences to packs: one flat row of tokens for one forward pass, the prompt of a group in it once.

A pack holds `[prompt; c1; ...; cG]` for each of its groups. The last token of a completion predicts nothing and
stays out; the prompt's last state predicts the first token of every completion of the group. The loss does not
depend on how completions are packed, since every denominator is that of the whole batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from grpo_engine.attention import PackedLayout, Segment, SlotCache
from grpo_engine.batching import TokenBatch


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
    """The flat row while it is put together."""

    ids: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    keys: list[int] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)

    def add(self, tokens: Sequence[int], prefix: range) -> range:
        """Append tokens that see the prefix and themselves; returns where they are."""
        place = range(len(self.ids), len(self.ids) + len(tokens))
        k_start = len(self.keys)
        self.ids.extend(tokens)
        self.positions.extend(range(len(prefix), len(prefix) + len(tokens)))
        self.keys.extend(prefix)
        self.keys.extend(place)
        self.segments.append(Segment(place.start, place.stop, k_start, len(self.keys)))
        return place

    def layout(self, device: torch.device, store: tuple[SlotCache, Tensor, Tensor] | None = None) -> PackedLayout:
        cu_q = [0, *(s.q_end for s in self.segments)]
        cu_k = [0, *(s.k_end for s in self.segments)]
        shared = len(self.keys) != len(self.ids)
        return PackedLayout(
            segments=tuple(self.segments),
            cu_q=torch.tensor(cu_q, dtype=torch.int32, device=device),
            cu_k=torch.tensor(cu_k, dtype=torch.int32, device=device),
            keys=torch.tensor(self.keys, device=device) if shared else None,
            store=store,
        )

    def inputs(self, layout: PackedLayout) -> dict[str, object]:
        device = layout.cu_q.device
        return {
            "input_ids": torch.tensor([self.ids], device=device),
            "position_ids": torch.tensor([self.positions], device=device),
            "layout": layout,
        }


def pack(groups: Sequence[Group], *, sampled: Tensor) -> TokenBatch:
    """One forward pass over some groups.

    Args:
        groups: from :func:`bins`.
        sampled: (B, T) log-probabilities of all completions of the rollouts as sampled; its device is the pack's.
    """
    row = _Row()
    states: list[int] = []
    for group in groups:
        prompt = row.add(group.prompt, range(0))
        for completion in group.completions:
            states.append(prompt[-1])
            if len(completion) > 1:
                states.extend(row.add(completion[:-1], prompt))
    device = sampled.device
    rows = [r for group in groups for r in group.rows]
    completions = [c for group in groups for c in group.completions]
    lengths = torch.tensor([len(c) for c in completions])
    sequence = torch.arange(len(rows)).repeat_interleave(lengths)
    inside = torch.arange(sampled.shape[1]) < lengths[:, None]
    return TokenBatch(
        rows=torch.tensor(rows, device=device),
        inputs=row.inputs(row.layout(device)),
        states=torch.tensor(states, device=device),
        targets=torch.tensor([t for c in completions for t in c], device=device),
        sequence=sequence.to(device),
        lengths=lengths.to(device),
        sampled=sampled[rows][inside.to(device)],
    )


def pack_prompts(
    prompts: Sequence[Sequence[int]], slots: Sequence[int], cache: SlotCache, device: torch.device
) -> tuple[dict[str, object], Tensor]:
    """One forward pass that reads prompts and keeps their keys and values, one slot each.

    Returns:
        The trunk's keyword arguments, and (P,) the place of each prompt's last token.
    """
    row = _Row()
    ends = [row.add(prompt, range(0))[-1] for prompt in prompts]
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    owner = torch.tensor(slots).repeat_interleave(lengths).to(device)
    store = (cache, owner, torch.tensor(row.positions, device=device))
    return row.inputs(row.layout(device, store)), torch.tensor(ends, device=device)
