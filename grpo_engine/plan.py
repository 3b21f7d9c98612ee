"""Memory and time of a run, told before its first step.

    plan = make_plan(model, device=device, prompt_lengths=[...], completions=512, group=8, max_completion_length=512)
    plan.slots, plan.token_budget      # what the memory allows
    plan.line()                        # memory: 35 of 139 GiB (weights 0.9, optimizer 7.6, ...)

The rollout takes its slots before the first optimizer step has made gradients and moments, so the bytes of those
are kept free. Times are arithmetic over measured rates: "about".
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from rich.table import Table

from grpo_engine import memory as mem
from grpo_engine.logprobs import CHUNK, CHUNK_ON_CUDA
from grpo_engine.rollout.slots import PREFILL_TOKENS, ROUND

HEADROOM = 0.1
"""Share of the free memory that is not planned with: workspace of kernels, CUDA graphs, fragmentation. vLLM's
default (gpu_memory_utilization 0.9) leaves as much."""
USEFUL_TOKENS, USEFUL_TOKENS_ON_CPU = 8_192, 2_048
"""A pass of more tokens does not fill the device better: its matrix products are compute-bound long before, and
memory is better left free."""
EFFICIENCY = 0.6
"""Share of the measured rates that a step reaches. A Qwen2 of 4 M parameters reached 0.57 in the rollout and 0.71 in
training, in one run on one CPU core. Not measured on a GPU yet."""
ALWAYS = ("rollout", "training")
TIMED = ("decoding", "training pass", "moments")
"""The parts that carry the seconds of the rollout, of training and of the optimizer's update."""


@dataclass(frozen=True)
class Rates:
    """What a device does in a second: floating-point operations of a matrix product, bytes read or written."""

    flops: float
    bandwidth: float


def measure_rates(device: torch.device, dtype: torch.dtype) -> Rates:
    """Rates of a matrix product and of a copy, the better of three runs each; some milliseconds.

    The sizes fill a GPU (8192², 256 MiB: beyond its caches) or a few CPU cores (512², 32 MiB).
    """
    side, size = (8192, 2**28) if device.type == "cuda" else (512, 2**25)
    matrix = torch.ones(side, side, device=device, dtype=dtype)
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = seconds_of(lambda: torch.mm(matrix, matrix), device)
    copy = seconds_of(lambda: target.copy_(source), device)
    return Rates(flops=2 * side**3 / product, bandwidth=2 * size / copy)


def seconds_of(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of a call: the best of three, after one to warm up. Also for `forward_seconds` of :func:`make_plan`."""

    def once() -> float:
        start = time.perf_counter()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    once()
    return min(once() for _ in range(3))


def training_flops(size: mem.ModelSize, work: mem.Workload) -> float:
    """Floating-point operations of the updates of one rollout, and of the forward passes they need.

    A token and a number of a matrix: 2 forward, 2 for the gradient of the token's state, 2 for that of the matrix
    where it is trained; 2 more with checkpointing. Attention: 4 per number of a query and pair of tokens forward,
    10 backward (it computes the scores again). The head sees completions only.
    """
    extra = (work.beta != 0) + work.scored_first
    head = work.completions * work.completion * size.vocab * size.hidden
    prompt, completion = work.prompt, work.completion
    pairs = work.prompts * prompt**2 / 2 + work.completions * (prompt * completion + completion**2 / 2)
    attention = 4 * size.layers * size.heads * size.head_dim * pairs
    forward = 2 * (work.tokens * size.matrices + head) + attention
    backward = 2 * work.tokens * (size.matrices + size.trained_matrices) + 4 * head + 2.5 * attention
    recomputed = work.gradient_checkpointing * (2 * work.tokens * size.matrices + attention)
    return extra * forward + work.num_iterations * (forward + backward + recomputed)


def training_seconds(size: mem.ModelSize, work: mem.Workload, *, budget: int, rates: Rates, overhead: float) -> float:
    """Operations over the rate they reach, plus the overhead of the passes: a backward one has that of two forward."""
    passes = math.ceil(work.tokens / budget) * work.num_iterations
    return training_flops(size, work) / rates.flops / EFFICIENCY + 3 * overhead * passes


def decode_seconds(size: mem.ModelSize, rows: int, context: float, rates: Rates) -> float:
    """One token for each of `rows` sequences: max(bytes / bandwidth, operations / rate) / efficiency.

    Bytes are the weights once and the keys and values of `context` tokens for each row.
    """
    weights = size.matrices + size.vocab * size.hidden
    read = weights * size.itemsize + rows * context * mem.kv_token_bytes(size)
    flops = rows * (2 * weights + 4 * size.layers * size.heads * size.head_dim * context)
    return max(read / rates.bandwidth, flops / rates.flops) / EFFICIENCY


def rollout_seconds(size: mem.ModelSize, work: mem.Workload, *, slots: int, rates: Rates, overhead: float) -> float:
    """Prompts read once, then a step per token; more completions than slots take turns."""
    rows = min(slots, work.completions)
    steps = work.completion * work.completions / rows
    prefill = 2 * work.prompts * work.prompt * size.matrices / rates.flops / EFFICIENCY
    return prefill + steps * (decode_seconds(size, rows, work.prompt + work.completion / 2, rates) + overhead)


def update_seconds(size: mem.ModelSize, work: mem.Workload, bandwidth: float) -> float:
    """The optimizer's steps: master and moments read and written, gradient read, parameter written."""
    moments = mem.moment_bytes(size.trained, optim=work.optim, moments=work.optim_moments)
    moved = size.trained * (8 + 4) + 2 * moments + size.halved * size.itemsize
    return work.num_iterations * moved / bandwidth


@dataclass(frozen=True)
class Line:
    """One part of a plan: its bytes, its seconds where it has its own, the settings it depends on, and the phases
    ("rollout", "training", "host") in which it is there."""

    part: str
    bytes: int
    seconds: float | None
    depends: str
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Remedy:
    """A setting to change, and by how many bytes that lowers what is short."""

    setting: str
    saves: int


@dataclass(frozen=True)
class Plan:
    """What a run takes, and whether there is as much.

    Attributes:
        slots, token_budget: asked for, or chosen.
        wanted_slots: sequences of a rollout; with fewer slots the others wait.
        lines: the parts.
        total: bytes of the device.
        available: bytes that the run can have of each of "rollout", "training" (both on the device) and "host".
        remedies: what to change, the largest saving first; empty if it fits.
    """

    slots: int
    token_budget: int
    wanted_slots: int
    lines: tuple[Line, ...]
    total: int
    available: dict[str, int]
    remedies: tuple[Remedy, ...] = ()

    @property
    def peak(self) -> dict[str, int]:
        """Bytes of each phase, and on the host."""
        return {name: sum(x.bytes for x in self.lines if name in x.phases) for name in self.available}

    @property
    def excess(self) -> int:
        """Bytes of the shortest phase beyond what there is; negative if it fits."""
        return max(needed - self.available[name] for name, needed in self.peak.items())

    @property
    def fits(self) -> bool:
        return self.excess <= 0

    @property
    def remedy(self) -> tuple[str, ...]:
        """The settings of :attr:`remedies`."""
        return tuple(r.setting for r in self.remedies)

    @property
    def seconds(self) -> float | None:
        """Of a step, rewards left out; None where a rate is not known."""
        known = [x.seconds for x in self.lines if x.part in TIMED]
        return None if None in known else sum(x or 0.0 for x in known)

    def line(self) -> str:
        """The plan in one line."""
        size = {x.part: x.bytes for x in self.lines}
        device = {x.part: x.bytes for x in self.lines if x.phases != ("host",)}
        peak = max(self.peak[name] for name in ALWAYS)
        unit, scale = ("GiB", 2**30) if self.total >= 2**30 and peak >= 2**28 else ("MiB", 2**20)
        optimizer = sum(device.get(part, 0) for part in ("masters", "moments", "gradients"))
        slots = f"{self.slots:,}" + (f" of {self.wanted_slots:,}" if self.slots < self.wanted_slots else "")
        parts = [
            f"weights {_number(size['weights'] / scale)}",
            *([f"reference {_number(size['reference'] / scale)}"] if size["reference"] else []),
            f"optimizer {_number(optimizer / scale)}",
            *([f"on the host {_number(self.peak['host'] / scale)}"] if self.peak["host"] else []),
            f"KV {_number(size['KV cache'] / scale)} in {slots} slots",
            f"training {_number(size['training pass'] / scale)} at {self.token_budget:,} tokens a pass",
        ]
        text = f"memory: {_number(peak / scale)} of {_number(self.total / scale)} {unit} ({', '.join(parts)})"
        text += "" if self.seconds is None else f"; about {_duration(self.seconds)} a step"
        return text if self.fits else f"{text}; {self._advice()}"

    def _advice(self) -> str:
        saved = [f" (saves {_number(r.saves / 2**20)} MiB)" if r.saves else "" for r in self.remedies]
        options = [r.setting + text for r, text in zip(self.remedies, saved, strict=True)]
        return f"{_number(self.excess / 2**20)} MiB short; what saves most: {', '.join(options)}"

    def __rich__(self) -> Table:
        table = Table("part", "MiB", "seconds", "when", "depends on", title=self.line())
        for x in self.lines:
            seconds = "" if x.seconds is None else _duration(x.seconds)
            table.add_row(x.part, _number(x.bytes / 2**20), seconds, ", ".join(x.phases), x.depends)
        return table

    def __str__(self) -> str:
        rows = [f"  {x.part:<14}{_number(x.bytes / 2**20):>10} MiB  {x.depends}" for x in self.lines]
        return "\n".join([self.line(), *rows])


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) < 9.95 else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    """Two digits: what an estimate deserves.

    >>> _duration(3.21), _duration(0.0123), _duration(612.0)
    ('3.2 s', '0.012 s', '10 min')
    """
    if seconds >= 99.5:
        return f"{seconds / 60:.2g} min" if seconds < 5970 else f"{seconds / 3600:.2g} h"
    return f"{seconds:.2g} s"


def make_plan(
    model: Any,
    *,
    device: torch.device,
    memory: mem.Memory | None = None,
    host_free: int | None = None,
    resident: int | None = None,
    rates: Rates | None = None,
    host_bandwidth: float | None = None,
    forward_seconds: float | None = None,
    **settings: Any,
) -> Plan:
    """Choose what is not set, and say what a step takes.

    Args:
        model: the policy, in the types it is trained in; on the meta device before it is loaded.
        device: where it trains.
        memory: of the device; measured for None.
        host_free: free bytes of the host, for what is offloaded; measured for None.
        resident: bytes of the plan's own that are taken already; for None weights, reference and masters, unless the
            model is on the meta device.
        rates: of the device; without them there are no seconds.
        host_bandwidth: bytes a second of the host, for an offloaded optimizer.
        forward_seconds: of the forward pass of one token, where no CUDA graph hides the cost of starting kernels.
        settings: the fields of :class:`grpo_engine.memory.Workload`.

    Raises:
        TypeError: a setting that `Workload` does not have.
    """
    work, size = mem.Workload(**settings), mem.size_of(model)
    work = replace(work, offload_optimizer=work.offload_optimizer and device.type != "cpu")
    host = mem.device_memory(torch.device("cpu")).free if host_free is None else host_free
    total, free = memory or mem.device_memory(device)
    there = {x.part: x for x in _fixed(size, work) if x.part in ("weights", "reference", "masters")}
    if next(model.parameters()).is_meta:
        there = {}
    host += sum(x.bytes for x in there.values() if x.phases == ("host",))
    if resident is None:
        resident = sum(x.bytes for x in there.values() if x.phases == ALWAYS)
    room = resident + int(free * (1 - HEADROOM))
    available = {**dict.fromkeys(ALWAYS, room), "host": host}
    made = _planned(size, work, device, total=total, available=available)
    if rates is not None:
        made = _timed(made, size, work, rates=rates, host_bandwidth=host_bandwidth, forward_seconds=forward_seconds)
    return made if made.fits else replace(made, remedies=_remedies(made, size, work, device))


def _fixed(size: mem.ModelSize, work: mem.Workload) -> list[Line]:
    """What is there whatever is chosen."""
    offload = work.offload_optimizer
    place = ("host",) if offload else ALWAYS
    masters = mem.master_bytes(size, offload=offload)
    moments = mem.moment_bytes(size.trained, optim=work.optim, moments=work.optim_moments)
    return [
        Line("weights", size.bytes, None, "model", ALWAYS),
        Line("reference", size.bytes if work.beta else 0, None, "model, beta", ALWAYS),
        Line("masters", masters, None, "model, offload_optimizer", place),
        Line("moments", moments, None, "model, optim, optim_moments, offload_optimizer", place),
        Line("gradients", mem.gradient_bytes(size), None, "model", ("training",)),
    ]


def _planned(
    size: mem.ModelSize, work: mem.Workload, device: torch.device, *, total: int, available: dict[str, int]
) -> Plan:
    """Choose slots and token budget. Each has half of what is free to itself, and what the other leaves of its half.

    The slots stay allocated while training; a rollout takes no more of them than it has completions.
    """
    fixed = _fixed(size, work)
    room = available["training"] - sum(x.bytes for x in fixed if x.phases == ALWAYS)
    cuda = device.type == "cuda"
    slot = mem.kv_token_bytes(size) * (-(-work.longest // ROUND) * ROUND if cuda else work.longest)
    logits = mem.logits_bytes(size.vocab, top_p=work.top_p)
    prefill = mem.prefill_token_bytes(size) * min(PREFILL_TOKENS, work.prompts * max(work.prompt_lengths))
    token = mem.pass_bytes_per_token(size, work)
    gradients = mem.gradient_bytes(size)

    head = 4 * size.vocab * size.hidden if cuda else 0  # a chunk's part of its gradient, before it is added

    def passing(tokens: int) -> int:
        chunk = min(CHUNK_ON_CUDA if cuda else CHUNK, tokens * size.vocab)
        return mem.chunk_bytes(chunk) + head + math.ceil(tokens * token)

    most = max(work.longest, min(work.most_tokens, USEFUL_TOKENS if cuda else USEFUL_TOKENS_ON_CPU))
    kept = gradients + min(passing(most), max(passing(work.longest), (room - gradients) // 2))
    decoding = mem.choose_slots(room, slot + logits, prefill, work.completions, work.group)
    stays = logits if cuda else 0  # in the pool of the captured graphs
    training = mem.choose_slots(room, slot + stays, kept, work.completions, work.group)
    slots = min(work.slots or min(decoding.number, training.number), work.completions)
    taken = gradients + slots * (slot + stays) + passing(most) - math.ceil(most * token)  # all but the tokens
    if work.token_budget:  # a pass is no larger than the step
        budget = min(work.token_budget, max(work.most_tokens, work.longest))
    else:
        budget = mem.choose_token_budget(room, token, taken, work.longest, most).number
    lines = (
        *fixed,
        Line("KV cache", slots * slot, None, "rollout_slots, max_completion_length", ALWAYS),
        Line("prefill", prefill, None, "longest prompt", ("rollout",)),
        Line("decoding", slots * logits, None, "rollout_slots, vocabulary, top_p", ALWAYS if cuda else ("rollout",)),
        Line(
            "training pass",
            passing(max(budget, work.longest)),
            None,
            "token_budget, gradient_checkpointing",
            ("training",),
        ),
    )
    return Plan(slots, budget, work.completions, lines, total, available)


def _timed(
    plan: Plan,
    size: mem.ModelSize,
    work: mem.Workload,
    *,
    rates: Rates,
    host_bandwidth: float | None,
    forward_seconds: float | None,
) -> Plan:
    """The plan with its seconds; what one token's forward pass takes beyond its bytes is overhead of every pass."""
    overhead = max(0.0, (forward_seconds or 0.0) - decode_seconds(size, 1, 0.0, rates))
    bandwidth = host_bandwidth if work.offload_optimizer else rates.bandwidth
    seconds = {
        "decoding": rollout_seconds(size, work, slots=plan.slots, rates=rates, overhead=overhead),
        "training pass": training_seconds(size, work, budget=plan.token_budget, rates=rates, overhead=overhead),
        "moments": None if bandwidth is None else update_seconds(size, work, bandwidth),
    }
    return replace(plan, lines=tuple(replace(x, seconds=seconds.get(x.part)) for x in plan.lines))


def _remedies(plan: Plan, size: mem.ModelSize, work: mem.Workload, device: torch.device) -> tuple[Remedy, ...]:
    """The settings that would lower what is short, the largest saving first; a smaller model comes last.

    Each is tried alone, with the slots and the token budget of the plan unless it is they that change.
    """

    def planned(changed: mem.Workload) -> Plan:
        return _planned(size, changed, device, total=plan.total, available=plan.available)

    pinned = replace(work, slots=plan.slots, token_budget=plan.token_budget)
    half = max(1, work.max_completion_length // 2)
    budget = work.token_budget or max(work.prompt_lengths) + half
    slots, tokens = planned(replace(work, slots=None)).slots, planned(replace(work, token_budget=None)).token_budget
    tried = {
        f"rollout_slots={slots}": replace(pinned, slots=slots),
        f"token_budget={tokens}": replace(pinned, token_budget=tokens),
        f"max_completion_length={half}": replace(pinned, max_completion_length=half, token_budget=budget),
        "gradient_checkpointing=True": mem.checkpointed(size, pinned),
        "beta=0": replace(pinned, beta=0.0),
    }
    if device.type != "cpu":  # on the CPU the host is the device, and bitsandbytes has no 8-bit step
        other = not work.offload_optimizer
        tried[f"offload_optimizer={other}"] = replace(pinned, offload_optimizer=other)
        if not work.offload_optimizer:
            tried["optim='paged_adamw_8bit'"] = replace(pinned, optim="paged_adamw_8bit", optim_moments="float32")
    if "8bit" not in work.optim:
        tried["optim_moments='bfloat16'"] = replace(pinned, optim_moments="bfloat16")
    found = [Remedy(name, plan.excess - planned(changed).excess) for name, changed in tried.items()]
    found = sorted((r for r in found if r.saves > 0), key=lambda r: -r.saves)
    return (*found, Remedy("a smaller model", 0))
