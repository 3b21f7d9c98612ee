"""What a GPU does in a block of work: how long it waits, and which kernels take its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch


class Kernel(NamedTuple):
    """One kernel or copy on the device, in microseconds."""

    name: str
    start: float
    end: float


def kernels_of(run: Callable[[], object], *, cuda: bool) -> list[Kernel]:
    """Run it under torch's profiler; on the CPU the operators stand in for the kernels.

    Raises:
        RuntimeError: the profiler saw nothing.
    """
    kinds = torch.profiler.ProfilerActivity, torch.autograd.DeviceType
    activity, device = (k.CUDA if cuda else k.CPU for k in kinds)
    with torch.profiler.profile(activities=[activity]) as profile:
        run()
        if cuda:
            torch.cuda.synchronize()
    found = [
        Kernel(e.name, e.time_range.start, e.time_range.end)
        for e in profile.events()
        if e.device_type == device and e.time_range.end > e.time_range.start
    ]
    if not found:
        raise RuntimeError("the profiler saw no kernel")
    return sorted(found, key=lambda k: k.start)


def idle_share(kernels: Sequence[Kernel], part: tuple[float, float]) -> float:
    """The share of time in which none of them runs, of a part of the time from the first to the last."""
    begin, end = kernels[0].start, max(k.end for k in kernels)
    low, high = (begin + (end - begin) * p for p in part)
    busy, reached = 0.0, low
    for kernel in kernels:
        start, stop = max(kernel.start, reached), min(kernel.end, high)
        if stop > start:
            busy, reached = busy + stop - start, stop
    return 1 - busy / (high - low)


def heaviest(kernels: Sequence[Kernel], most: int = 12) -> list[dict[str, Any]]:
    """Those that take most time together, by name: milliseconds, share of all, calls."""
    spent: dict[str, list[float]] = {}
    for kernel in kernels:
        spent.setdefault(kernel.name, []).append((kernel.end - kernel.start) / 1e3)
    whole = sum(map(sum, spent.values()))
    ranked = sorted(spent.items(), key=lambda item: -sum(item[1]))[:most]
    return [
        {"name": name[:100], "ms": round(sum(ms), 3), "share": sum(ms) / whole, "calls": len(ms)} for name, ms in ranked
    ]
