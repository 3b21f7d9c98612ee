"""One decode step for a list of slots: on CUDA a captured graph per batch size, elsewhere the step itself."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Step = Callable[[Tensor, int], None]


def buckets(slots: int) -> list[int]:
    """The batch sizes that get a graph: powers of two and the sizes halfway between, up to the number of slots.

    Example:
        >>> buckets(20)
        [1, 2, 3, 4, 6, 8, 12, 16, 20]
    """
    sizes = {1, slots}
    power = 2
    while power < slots:
        sizes |= {power, power * 3 // 2}
        power *= 2
    return sorted(size for size in sizes if size <= slots)


class StepGraphs:
    """Runs `step(slots, limit)`; see :meth:`aim`.

    A captured step reads and writes fixed addresses: the weights, the slots and this class's list of slots. So the
    optimizer updates weights in place, and whoever replaces a buffer calls :meth:`forget`.

    Args:
        step: one token for each of (B,) slots; positions stay below `limit`.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._graphs: dict[int, Any] = {}
        self._slots = torch.empty(0, dtype=torch.long)
        self._size = self._limit = 0
        self._addresses: tuple[int, ...] = ()

    def watch(self, parameters: Sequence[Tensor]) -> None:
        """Forget the graphs if a parameter has moved since the last call."""
        addresses = tuple(p.data_ptr() for p in parameters)
        if addresses != self._addresses:
            self.forget()
            self._addresses = addresses

    def forget(self) -> None:
        """Drop all graphs: a buffer or a weight has another address now."""
        self._graphs.clear()
        self._slots = torch.empty(0, dtype=torch.long)

    def aim(self, live: Sequence[int], free: Sequence[int], limit: int, device: torch.device) -> None:
        """Choose the slots of the next steps.

        Args:
            live: slots that run.
            free: slots that are done; they fill the batch up to a size that has a graph.
            limit: the length of the slots; graphs are captured for it.
            device: of the slots' buffers.
        """
        self._limit = limit
        if device.type != "cuda":
            self._slots, self._size = torch.tensor(live, device=device), len(live)
            return
        total = len(live) + len(free)
        sizes = buckets(total)
        self._size = sizes[bisect_left(sizes, len(live))]
        if len(self._slots) != total:
            self._graphs.clear()
            self._slots = torch.zeros(total, dtype=torch.long, device=device)
        chosen = [*live, *free[: self._size - len(live)]]
        self._slots[: self._size].copy_(torch.tensor(chosen).pin_memory(), non_blocking=True)

    def __call__(self, limit: int) -> None:
        """One step.

        Args:
            limit: no position reaches it, at most the one given to :meth:`aim`; a graph ignores it.
        """
        slots = self._slots[: self._size]
        if slots.device.type != "cuda":
            self._step(slots, limit)
        elif self._size in self._graphs:
            self._graphs[self._size].replay()
        else:
            self._step(slots, self._limit)  # real work; it also warms up the libraries for the capture
            self._graphs[self._size] = self._capture(slots)

    def _capture(self, slots: Tensor) -> Any:
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):  # others may use the device
            self._step(slots, self._limit)
        return graph
