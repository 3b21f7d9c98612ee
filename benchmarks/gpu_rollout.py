"""The slot sampler looked at from close up: its rate alone, how long it captures graphs, when the GPU waits.

`step.py` calls this; nothing here changes what the sampler computes. It reaches into the sampler for what is no
business of a user: the captured graphs and the calls that replay them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

import torch
from profiling import heaviest, idle_share, kernels_of

from grpo_engine.rollout import Rollouts, SlotSampler
from grpo_engine.sampling import uniforms

IDLE_STEPS = 49
"""Tokens of a completion in the pass that looks for idle time: some dozens of steps show it."""
STEADY = (0.25, 0.95)
"""The part of a pass that counts, by time: after the prompts were read, before the outputs are fetched."""


def clock_captures(sampler: Any) -> list[float]:
    """The seconds of every graph capture from now on, in a list that grows."""
    seconds: list[float] = []
    graphs = sampler._graphs
    inner = graphs._capture

    def clocked(slots: Any) -> Any:
        start = time.perf_counter()
        graph = inner(slots)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        return graph

    graphs._capture = clocked
    return seconds


class MarkedSteps:
    """Stands in for the sampler's graphs and marks the begin and end of each step on the device.

    Attributes:
        marks: pairs of CUDA events; on the CPU pairs of seconds.
    """

    def __init__(self, graphs: Any, cuda: bool) -> None:
        self._graphs, self._cuda = graphs, cuda
        self.marks: list[tuple[Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graphs, name)

    def __call__(self, limit: int) -> None:
        begin = self._mark()
        self._graphs(limit)
        self.marks.append((begin, self._mark()))

    def _mark(self) -> Any:
        if not self._cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self) -> tuple[float, float]:
        """Milliseconds of a step, and the share of time between the end of a step and the begin of the next."""
        first, last = (int(len(self.marks) * part) for part in STEADY)
        marks = self.marks[first : max(last, first + 2)]
        gaps = sum(self._apart(a[1], b[0]) for a, b in itertools.pairwise(marks))
        whole = self._apart(marks[0][0], marks[-1][1])
        return whole / len(marks), gaps / whole

    def _apart(self, first: Any, second: Any) -> float:
        return float(first.elapsed_time(second)) if self._cuda else 1e3 * (second - first)


def idle(sampler: SlotSampler, prompts: Sequence[list[int]], *, group: int, device: str) -> dict[str, Any]:
    """How long the device waits while decoding, from two short passes after one that captures the graphs.

    Short completions see few keys, so their steps are the quickest and the share that waits is an upper bound.

    Returns:
        `step_ms`; `idle_between_steps`, the share of time that no step runs (the host looks at the flags, aims);
        `idle_kernels`, the share that no kernel runs, gaps within a step included (the profiler lengthens those
        a little: an upper bound); `kernels_per_step`; `heaviest`, the kernels that take most time; `error` where
        the profiler failed.
    """
    cuda = device != "cpu"
    found: dict[str, Any] = {}
    sampler.release()  # its buffers are made for longer completions
    chance = uniforms(1, len(prompts) * group, IDLE_STEPS)

    def run() -> Rollouts:
        return sampler(prompts, group=group, chance=chance)

    run()
    graphs = sampler._graphs
    marked = MarkedSteps(graphs, cuda)
    sampler._graphs = marked  # type: ignore[assignment]
    try:
        run()
        if cuda:
            torch.cuda.synchronize()
        found["step_ms"], found["idle_between_steps"] = marked.between()
    finally:
        sampler._graphs = graphs
    try:
        kernels = kernels_of(run, cuda=cuda)
        found["idle_kernels"] = idle_share(kernels, STEADY)
        found["kernels_per_step"] = len(kernels) / (IDLE_STEPS - 1)
        found["heaviest"] = heaviest(kernels)
    except Exception as error:  # noqa: BLE001 - tracing may be refused where this runs
        found["error"] = f"{type(error).__name__}: {error}"
    return found


def rollouts_alone(
    sampler: SlotSampler, prompts: Sequence[list[int]], *, group: int, completion: int, device: str
) -> dict[str, Any]:
    """One rollout, timed: seconds, tokens, slots, wasted share."""
    chance = uniforms(0, len(prompts) * group, completion)
    start = time.perf_counter()
    made = sampler(prompts, group=group, chance=chance)
    if device != "cpu":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    return {
        "rollout": seconds,
        "lengths": [len(ids) for ids in made.completion_ids],
        "slots": sampler.slots_in_use,
        "wasted": sampler.wasted,
    }
