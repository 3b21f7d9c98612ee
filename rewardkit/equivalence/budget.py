"""Symbolic work under a limit that holds: warm worker processes that are killed when their time is up.

No signals and no forks of this process, so the limit is the same in the main thread, in other threads, in
asyncio and in spawned processes. POSIX only (the limits on memory and processor time are the system's).
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction

from rewardkit.line_process import LineProcess


@dataclass(frozen=True)
class Budget:
    """What one comparison may use: seconds of wall time and bytes of memory beyond the loaded libraries."""

    seconds: float = 1.0
    memory_bytes: int = 512 * 2**20

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds must be positive and finite, got {self.seconds}: every comparison must end")
        if self.memory_bytes < 2**20:
            raise ValueError(f"memory_bytes must be at least {2**20} (1 MiB), got {self.memory_bytes}")


@dataclass(frozen=True)
class Request:
    """An answer, its reference, and the tolerance for numbers."""

    answer: str
    truth: str
    tolerance: Fraction | None = None


@dataclass(frozen=True)
class Reply:
    """How a comparison ended: decided, undecidable (``equal`` is None), out of time, or failed."""

    equal: bool | None = None
    timeout: bool = False
    error: str = ""
    detail: str = ""


class Worker:
    """One worker process."""

    def __init__(self, budget: Budget) -> None:
        limits = (str(budget.memory_bytes), str(budget.seconds))
        self._lines = LineProcess("rewardkit.equivalence.worker", *limits, hint="sympy")
        self.kill = self._lines.kill

    def compare(self, request: Request, seconds: float) -> Reply:
        """One comparison; after a timeout or an error of the process the worker is dead."""
        tolerance = None if request.tolerance is None else str(request.tolerance)
        asked = {"answer": request.answer, "truth": request.truth, "tolerance": tolerance}
        try:
            reply = self._lines.ask(asked, seconds)
        except EOFError:
            return Reply(error="the worker ended (out of memory or of processor time)")
        if reply is None:
            return Reply(timeout=True)
        if reply.get("last"):  # it has used up its memory
            self.kill()
        return Reply(equal=reply.get("equal"), error=reply.get("error", ""), detail=reply.get("detail", ""))

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._lines.alive

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._lines.pid


class Pool:
    """Up to `size` warm workers, started when first needed and shared by all threads of this process."""

    def __init__(self, size: int | None = None) -> None:
        self.size = size or min(4, os.cpu_count() or 1)
        self._reset()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._reset)  # a child must not speak into its parent's pipes

    def resize(self, size: int) -> None:
        """End the workers, and start at most `size` from now on; for a process that is one of several."""
        self.close()
        self.size = size
        self._reset()

    def _reset(self) -> None:
        self._idle: list[tuple[Budget, Worker]] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(self.size)

    def compare(self, request: Request, budget: Budget) -> Reply:
        """One comparison within its budget, on a free worker."""
        with self._slots:
            worker = self._take(budget)
            try:
                reply = worker.compare(request, budget.seconds)
            except BaseException:  # an interrupt in mid-request: its late reply must not answer the next
                worker.kill()
                raise
            if worker.alive:
                with self._lock:
                    self._idle.append((budget, worker))
            return reply

    def compare_all(self, requests: Sequence[Request], budget: Budget) -> list[Reply]:
        """Compare side by side, in order."""
        if len(requests) < 2:
            return [self.compare(request, budget) for request in requests]
        with ThreadPoolExecutor(self.size, thread_name_prefix="rewardkit") as threads:
            return list(threads.map(lambda request: self.compare(request, budget), requests))

    def _take(self, budget: Budget) -> Worker:
        with self._lock:
            idle = self._idle.pop() if self._idle else None
        if idle is not None and idle[0] == budget and idle[1].alive:
            return idle[1]
        if idle is not None:  # it has other limits, or died while idle
            idle[1].kill()
        try:
            return Worker(budget)
        except RuntimeError:  # killed while it started, by whoever frees memory: once more
            return Worker(budget)

    def close(self) -> None:
        """End all idle workers."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, worker in idle:
            worker.kill()


POOL = Pool()
"""The workers of this process."""
