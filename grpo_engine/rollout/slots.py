"""Our own rollouts: sequences in slots, each prompt read once, one forward pass per token for all that still run.

    while prompts wait or sequences run:
        admit(waiting)             # read the prompts, copy their keys and values to the group, draw the first token
        for _ in range(steps): step(running)            # on CUDA: replays of a captured graph, no host in between
        retire(finished)           # the only point where the host reads from the device

Everything a step needs (last tokens, positions, chance, end tokens, done flags, outputs) lives on the device, so a
step is the same sequence of kernels every time. A sequence that has ended drops out by leaving the list of running
slots, and its slot takes the next prompt. The weights are the trainer's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from grpo_engine.attention import SlotCache, cache_for, own_attention
from grpo_engine.packing import pack_prompts
from grpo_engine.rollout.graphs import StepGraphs
from grpo_engine.rollouts import Rollouts, rollouts_of
from grpo_engine.sampling import Sampling, draw
from grpo_engine.trunk import dropout_off, head_weight, hidden_states, matmul_fp32

STEPS = 8
"""Tokens between two looks at the done flags on CUDA: a finished sequence idles for half of them on average."""
ROUND = 128
"""Lengths of slots grow by so many tokens, so that a longer prompt seldom means new buffers and graphs."""
PREFILL_TOKENS = 16_384
"""Prompt tokens in one pass."""


@dataclass(frozen=True)
class _State:
    """What is known of each of S slots, on the device; C is the longest completion.

    Attributes:
        token: (S,) the last token drawn, whose keys and values are not yet in the cache.
        position: (S,) its position.
        count: (S,) tokens drawn.
        done: (S,) whether the sequence has ended (a free slot is done).
        chance: (S, C+1) numbers for the draws.
        tokens, logprobs: (S, C+1) what was drawn; column C takes what a finished sequence draws.
        longest: () the longest completion of this rollout, at most C.
    """

    token: Tensor
    position: Tensor
    count: Tensor
    done: Tensor
    chance: Tensor
    tokens: Tensor
    logprobs: Tensor
    longest: Tensor

    @classmethod
    def empty(cls, slots: int, length: int, device: torch.device) -> _State:
        def zeros(*shape: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        wide = (slots, length + 1)
        return cls(
            token=zeros(slots),
            position=zeros(slots),
            count=zeros(slots),
            done=torch.ones(slots, dtype=torch.bool, device=device),
            chance=zeros(*wide, dtype=torch.float32),
            tokens=zeros(*wide),
            logprobs=zeros(*wide, dtype=torch.float32),
            longest=zeros(),
        )

    def move(self, sources: Tensor, targets: Tensor) -> None:
        for field in (self.token, self.position, self.count, self.done, self.chance, self.tokens, self.logprobs):
            field[targets] = field[sources]


class SlotSampler:
    """A sampler (see :class:`grpo_engine.rollout.Sampler`) for models that take our attention.

    Args:
        model: the policy, not wrapped; see :func:`grpo_engine.support.refusal` for which.
        sampling: the distribution and the end tokens.
        slots: the most sequences at once; None takes all of a rollout. Too little memory lowers it.
        steps: tokens between two looks at the done flags; None takes 8 on CUDA and 1 elsewhere, where looking is
            free.
        compiled: run the decode forward through `torch.compile`.
        message: told when memory lowers the number of slots.

    Attributes:
        slots: as given, or what memory allowed since.
        message: as given.
        slots_in_use: of the last rollout.
        wasted: share of the last rollout's sequence steps that finished sequences took.
    """

    def __init__(
        self,
        model: Any,
        sampling: Sampling,
        *,
        slots: int | None = None,
        steps: int | None = None,
        compiled: bool = False,
        message: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._model, self._sampling, self.slots = model, sampling, slots
        on_cuda = model.get_output_embeddings().weight.is_cuda
        self._steps = steps or (STEPS if on_cuda else 1)
        self.message = message
        self._forward = torch.compile(hidden_states) if compiled else hidden_states
        self._cache: SlotCache | None = None
        self._state: _State | None = None
        self._lowered = False
        self._eos: Tensor = torch.tensor(sampling.eos_ids)
        self._graphs = StepGraphs(self._step)
        self.slots_in_use = 0
        self.wasted = 0.0

    @torch.no_grad()
    def __call__(self, prompt_ids: Sequence[list[int]], *, group: int, chance: Tensor) -> Rollouts:
        """Sample; see :class:`grpo_engine.rollout.Sampler`.

        Raises:
            torch.OutOfMemoryError: not even one slot fits.
        """
        while True:
            try:
                return self._rollouts(prompt_ids, group, chance)
            except FloatingPointError:
                self.release()  # its keys and values are not finite either, and a mask of -inf does not hide NaN
                raise
            except torch.OutOfMemoryError:  # beside the slots: the prompts, the logits, a graph
                fewer = min(self._cache.slots if self._cache else 1, len(chance)) // 2
                self.release()
                if not fewer:
                    raise
                self.slots = fewer
                self.message(f"out of memory in the rollout: it starts again with {fewer} sequences at once")

    def _rollouts(self, prompt_ids: Sequence[list[int]], group: int, chance: Tensor) -> Rollouts:
        rows, longest = chance.shape
        length = max(map(len, prompt_ids)) + longest
        self._graphs.watch([*self._model.parameters()])
        with own_attention(self._model), dropout_off(self._model):
            slots = self._room(min(rows, self.slots or rows), length, longest)
            run = _Run(self, prompt_ids, group, chance, slots)
            run.to_the_end()
        self.slots_in_use, self.wasted = slots, run.wasted
        return rollouts_of(prompt_ids, run.tokens, run.logprobs, run.lengths, run.finished)

    def release(self) -> None:
        """Give the memory of the slots back; the next rollout takes it again."""
        self._cache = self._state = None
        self._lowered = False  # whether memory holds no more slots than there are
        self._graphs.forget()

    def _room(self, slots: int, length: int, longest: int) -> int:
        """See that there are buffers for so many sequences of such a length; returns how many there are."""
        cache, state = self._cache, self._state
        enough = cache and (cache.slots >= slots or self._lowered)
        if cache and state and enough and cache.length >= length and state.tokens.shape[1] > longest:
            return min(slots, cache.slots)
        asked = slots
        if cache and state:  # an evaluation and the training beside it share buffers that are large enough for both
            slots, length = max(slots, cache.slots), max(length, cache.length)
            longest = max(longest, state.tokens.shape[1] - 1)
        self.release()
        weight = self._model.get_output_embeddings().weight
        rounded = -(-length // ROUND) * ROUND if weight.is_cuda else length
        wanted = slots
        while True:
            try:
                self._cache = cache_for(self._model, slots=slots, length=rounded)
                self._state = _State.empty(slots, longest, weight.device)
                self._eos = self._eos.to(weight.device)
            except torch.OutOfMemoryError:
                self.release()
                if slots == 1:
                    raise
                slots = slots // 2
            else:
                self._lowered = slots < wanted
                if self._lowered:
                    self.message(f"memory holds {slots} of {wanted} sequences at once; the others wait for a slot")
                return min(slots, asked)

    def _step(self, slots: Tensor, limit: int) -> None:
        """One token for each of (B,) slots; a slot that is done stays as it is."""
        state, cache = self._buffers()
        positions, running = state.position[slots], ~state.done[slots]
        hidden = self._forward(
            self._model,
            input_ids=state.token[slots][:, None],
            position_ids=positions[:, None],
            layout=cache.step(slots, positions, limit),
        )
        state.position[slots] = positions + running
        self._draw(slots, self._logits(hidden[:, 0]))

    def _logits(self, hidden: Tensor) -> Tensor:
        return matmul_fp32(hidden, head_weight(self._model, self._sampling.vocab_size).T)

    def _draw(self, slots: Tensor, logits: Tensor) -> None:
        """Draw the next token of each slot from its (B, V) logits, and note it unless the slot is done."""
        state, _ = self._buffers()
        count, done = state.count[slots], state.done[slots]
        end = state.tokens.shape[1] - 1
        drawn, logprobs = draw(logits, state.chance[slots, count], self._sampling)
        column = count.masked_fill(done, end)
        state.tokens[slots, column] = drawn
        state.logprobs[slots, column] = logprobs.float()
        state.token[slots] = torch.where(done, state.token[slots], drawn)
        count = count + ~done
        state.count[slots] = count
        ended = (drawn[:, None] == self._eos).any(1)
        state.done[slots] = done | ended | (count == state.longest)

    def _buffers(self) -> tuple[_State, SlotCache]:
        if self._state is None or self._cache is None:
            raise RuntimeError("a step before the first rollout made room for it")
        return self._state, self._cache


class _Run:
    """One rollout: which completion is in which slot, what waits, what has ended."""

    def __init__(
        self, sampler: SlotSampler, prompt_ids: Sequence[list[int]], group: int, chance: Tensor, slots: int
    ) -> None:
        rows, self._longest = chance.shape
        self._sampler, self._prompts, self._group = sampler, prompt_ids, group
        self._state, self._cache = sampler._buffers()
        device = self._state.token.device
        self._chance = chance.to(device)
        self._state.longest.fill_(self._longest)  # buffers may be wider, and a graph reads it here
        self._state.done.fill_(True)  # a rollout that was interrupted left sequences running
        self._waiting = deque(range(rows))
        self._free = list(range(self._cache.slots))  # no more than `slots` are used, the others fill up a graph's batch
        self._live: list[int] = []  # slots in use
        self._slots = slots
        self._row = [0] * self._cache.slots  # the completion in each slot
        self._count = [0] * self._cache.slots  # tokens drawn in each slot, were it still running
        self._spent = 0
        self.tokens = torch.zeros(rows, self._longest, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(rows, self._longest, device=device)
        self.lengths = torch.zeros(rows, dtype=torch.long, device=device)
        self.finished = torch.zeros(rows, dtype=torch.bool, device=device)

    @property
    def wasted(self) -> float:
        drawn = int(self.lengths.sum()) - len(self.lengths)  # the first tokens come from the prefill
        return 1 - drawn / self._spent if self._spent else 0.0

    def to_the_end(self) -> None:
        while self._waiting or self._live:
            while self._waiting and self._room() >= min(self._group, len(self._waiting), self._slots):
                self._admit()
                self._retire()  # completions of one token
            if self._live:
                self._advance()
                self._retire()

    def _room(self) -> int:
        """How many sequences may be admitted."""
        return self._slots - len(self._live)

    def _admit(self) -> None:
        """Fill free slots: read each waiting prompt once, copy it to its group, draw the first tokens."""
        rows = self._next_rows()
        slots = [self._free.pop(0) for _ in rows]
        self._live += slots
        for slot, row in zip(slots, rows, strict=True):
            self._row[slot], self._count[slot] = row, 1
        parts = [[*pairs] for _, pairs in groupby(zip(slots, rows, strict=True), key=lambda p: p[1] // self._group)]
        firsts = [part[0][0] for part in parts]
        prompts = [self._prompts[part[0][1] // self._group] for part in parts]
        device = self._chance.device
        inputs, ends = pack_prompts(prompts, firsts, self._cache, device)
        hidden = hidden_states(self._sampler._model, **inputs)[0, ends]
        which = torch.tensor([i for i, part in enumerate(parts) for _ in part], device=device)
        targets = torch.tensor(slots, device=device)
        sources = torch.tensor(firsts, device=device)[which]
        lengths = torch.tensor([len(p) for p in prompts], device=device)[which]
        copied = sources != targets if device.type == "cpu" else slice(None)  # no host synchronisation on a GPU
        self._cache.copy(sources[copied], targets[copied], max(map(len, prompts)))
        state = self._state
        state.position[targets] = lengths
        state.count[targets] = 0
        state.done[targets] = False
        state.chance[targets, : self._longest] = self._chance[torch.tensor(rows, device=device)]
        self._sampler._draw(targets, self._sampler._logits(hidden)[which])

    def _next_rows(self) -> list[int]:
        """The completions to admit: as many as fit, within the tokens of one prefill."""
        rows: list[int] = []
        tokens = 0
        while self._waiting and len(rows) < self._room():
            row = self._waiting[0]
            if not rows or rows[-1] // self._group != row // self._group:
                tokens += len(self._prompts[row // self._group])
                if rows and tokens > PREFILL_TOKENS:
                    break
            rows.append(self._waiting.popleft())
        return rows

    def _advance(self) -> None:
        """Some steps of all running slots; no more than the youngest can still take."""
        step, live = self._sampler._graphs, self._live
        left = self._longest - min(self._count[slot] for slot in live)
        steps = min(left, self._sampler._steps)
        deepest = max(len(self._prompts[self._row[slot] // self._group]) + self._count[slot] for slot in live)
        step.aim(live, self._free, self._cache.length, self._chance.device)
        for i in range(steps):
            step(min(deepest + i, self._cache.length))
        for slot in live:
            self._count[slot] += steps
        self._spent += steps * len(live)

    def _retire(self) -> None:
        """Take the outputs of slots that are done and free them."""
        if not self._live:
            return
        state, device = self._state, self._chance.device
        live = torch.tensor(self._live, device=device)
        done = state.done[live].tolist()  # the host waits here
        ended = [slot for slot, is_done in zip(self._live, done, strict=True) if is_done]
        if not ended:
            return
        slots, rows = torch.tensor(ended, device=device), torch.tensor([self._row[s] for s in ended], device=device)
        self.tokens[rows] = state.tokens[slots, : self._longest]
        self.logprobs[rows] = state.logprobs[slots, : self._longest]
        self.lengths[rows] = state.count[slots]
        last = state.tokens[slots, state.count[slots] - 1]
        self.finished[rows] = (last[:, None] == self._sampler._eos).any(1)
        gone = set(ended)
        self._live = [slot for slot in self._live if slot not in gone]
        self._free = sorted([*self._free, *ended])
        if not self._cache.flash:
            self._settle()

    def _settle(self) -> None:
        """Fill the holes among the running slots from their end: the dense kernels want them side by side."""
        size = len(self._live)
        holes = sorted(set(range(size)) - set(self._live))
        movers = [slot for slot in self._live if slot >= size]
        if not movers:
            return
        device = self._chance.device
        sources, targets = torch.tensor(movers, device=device), torch.tensor(holes, device=device)
        self._cache.copy(sources, targets, self._cache.length)
        self._state.move(sources, targets)
        self._state.done[sources] = True
        for source, target in zip(movers, holes, strict=True):
            self._row[target], self._count[target] = self._row[source], self._count[source]
        self._live = list(range(size))
        self._free = list(range(size, self._cache.slots))
