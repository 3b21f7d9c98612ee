"""Many runs side by side: threads that wait, each with a sandbox of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from rewardkit.sandbox.runner import Limits, Sandbox

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Pool:
    """Sandboxes with the same limits, started when first needed; a context that ends them all.

    Args:
        limits: of each program.
        size: how many run at a time; the number of usable processors unless given.
        require: what the kernel must hold, see :class:`~rewardkit.sandbox.Protection`.

    Example:
        >>> with Pool(Limits()) as pool:
        ...     pool.map(lambda sandbox, n: int(sandbox.run(f"print({n} ** 2)").stdout), [2, 3, 4])
        [4, 9, 16]
    """

    def __init__(self, limits: Limits, size: int | None = None, require: Iterable[str] = ()) -> None:
        self.limits = limits
        self.size = size or usable_processors()
        self.require = tuple(require)
        self._lock = threading.Lock()
        self._idle: list[Sandbox] = []
        self._all: list[Sandbox] = []
        self._stopped = False

    def map(self, work: Callable[[Sandbox, _Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """``work(sandbox, item)`` for each item, in order. What one raises ends all."""
        threads = ThreadPoolExecutor(max(1, min(self.size, len(items))), thread_name_prefix="rewardkit-sandbox")
        futures = [threads.submit(self._run, work, item) for item in items]
        try:
            for done in wait(futures, return_when=FIRST_EXCEPTION).done:
                done.result()  # raises what it raised, before the others are waited for
            return [future.result() for future in futures]
        except BaseException:  # an interrupt too: nothing may run on
            self.stop()
            raise
        finally:
            threads.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """End what runs; what was to run raises."""
        with self._lock:
            self._stopped = True
            sandboxes = list(self._all)
        for sandbox in sandboxes:
            sandbox.abort()

    def _run(self, work: Callable[[Sandbox, _Item], _Result], item: _Item) -> _Result:
        sandbox = self._take()
        try:
            return work(sandbox, item)
        finally:
            with self._lock:
                if sandbox.alive:
                    self._idle.append(sandbox)
                else:
                    self._all.remove(sandbox)

    def _take(self) -> Sandbox:
        with self._lock:
            if self._stopped:
                raise RuntimeError("the pool of sandboxes was stopped")
            while self._idle:
                sandbox = self._idle.pop()
                if sandbox.alive:
                    return sandbox
        sandbox = Sandbox(self.limits)
        try:
            sandbox.protection.demand(self.require)
        except BaseException:
            sandbox.close()
            raise
        self._register(sandbox)
        return sandbox

    def _register(self, sandbox: Sandbox) -> None:
        with self._lock:
            self._all.append(sandbox)
            if self._stopped:  # meanwhile, by another thread
                sandbox.abort()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for sandbox in self._all:
            sandbox.abort()  # all at once, so that they end side by side
        for sandbox in self._all:
            sandbox.close()


def usable_processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
