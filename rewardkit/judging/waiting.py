"""Coroutines that wait for a server, in a thread where nothing holds them up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

_R = TypeVar("_R")


async def apart(function: Callable[[], Coroutine[Any, Any, _R]]) -> _R:
    """Run a coroutine function in a thread with an event loop of its own, and wait for it in this one.

    A plain function of a stack may hold this loop for long; requests go on meanwhile, and are not found to be late
    because nobody looked. Cancelling the wait cancels the coroutine.
    """
    run = _Apart(function)
    thread = asyncio.ensure_future(asyncio.to_thread(run))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        run.cancel()
        await asyncio.gather(thread, return_exceptions=True)
        raise


@dataclass
class _Apart(Generic[_R]):
    """The other thread's side: a loop, and its task for as long as it runs."""

    function: Callable[[], Coroutine[Any, Any, _R]]
    task: asyncio.Task[Any] | None = None
    cancelled: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> _R:
        return asyncio.run(self._main())

    async def _main(self) -> _R:
        with self.lock:
            self.task = asyncio.current_task()
            if self.cancelled:
                raise asyncio.CancelledError
        try:
            return await self.function()
        finally:
            with self.lock:
                self.task = None

    def cancel(self) -> None:
        """From the waiting thread: end the task, or keep it from starting."""
        with self.lock:
            self.cancelled = True
            if self.task is not None:
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)
