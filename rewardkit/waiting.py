"""Runs a tree with asynchronous members: coroutines wait together, bounded, and the order is kept.

Loaded when the first such tree is scored: it needs asyncio.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rewardkit.batch import Batch
from rewardkit.driving import Call, Run, at_once, below, check, follow, key_of
from rewardkit.outcome import Outcome

if TYPE_CHECKING:
    from rewardkit.contract import Reward

_T = TypeVar("_T")
_U = TypeVar("_U")

_TURNS = 4  # of the event loop, in which coroutines get to their first request before this thread computes
_GLANCE = 0.1  # seconds between two looks for an interrupt, while another thread works for this one
_START = 5.0  # seconds in which a thread begins, or never


@dataclass
class AsyncRun(Run):
    """One evaluation of a tree whose members may be coroutines.

    What stands in the tree twice is shared, so it ends with the run, not with a branch that failed: a branch
    that gives up only ceases to wait. A run that is over has left no task, and no thread that computes.
    """

    tasks: list[asyncio.Task[list[Outcome]]] = field(default_factory=list)
    threads: list[asyncio.Future[list[list[Outcome]]]] = field(default_factory=list)
    claims: dict[tuple[Batch, Reward], Future[list[Outcome]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: bool = False

    async def score_async(self, reward: Reward, batch: Batch) -> list[Outcome]:
        """The outcomes of the whole tree; its asynchronous members wait together."""
        if not reward.asynchronous:
            return self.score(reward, batch)
        try:
            return await self._branch("", reward, batch)
        finally:
            self.over = True
            for task in self.tasks:
                task.cancel()
            await asyncio.gather(*self.tasks, *self.threads, return_exceptions=True)

    def score(self, reward: Reward, batch: Batch, path: str = "") -> list[Outcome]:
        """As of any run, in whatever thread: the first to come computes, the others wait for it."""
        if self.over:
            raise asyncio.CancelledError
        key, started = key_of(reward, batch), perf_counter()
        if key is None:
            return super().score(reward, batch, path)
        mine: Future[list[Outcome]] = Future()
        with self.lock:
            claim = self.claims.setdefault(key, mine)
        if claim is mine:
            try:
                claim.set_result(super().score(reward, batch, path))
            except BaseException as error:  # noqa: BLE001 - raised below, here and wherever it is waited for
                claim.set_exception(error)
        return self.enter(path, started, batch, claim.result())

    async def _branch(self, path: str, reward: Reward, batch: Batch) -> list[Outcome]:
        """Wait for an asynchronous member, which another branch may have begun."""
        key, started = key_of(reward, batch), perf_counter()
        task = None if key is None else self.known.get(key)
        if task is None:
            task = asyncio.ensure_future(self._outcomes(path, reward, batch))
            self.tasks.append(task)
            if key is not None:
                self.known[key] = task
        return self.enter(path, started, batch, await _result(task))

    async def _outcomes(self, path: str, reward: Reward, batch: Batch) -> list[Outcome]:
        if reward.is_composite:
            return check(reward, await follow(reward.plan(batch), partial(self._together, path)), batch)
        return check(reward, await reward.outcomes_async(batch), batch)

    async def _together(self, path: str, calls: Sequence[Call]) -> list[list[Outcome]]:
        """Coroutines together; our own rewards meanwhile in a thread, plain functions in this one, in order."""
        own = [i for i, c in enumerate(calls) if not c.reward.asynchronous and c.reward.thread_safe]
        waits: dict[int, asyncio.Future[Any]] = {
            i: asyncio.ensure_future(self._branch(below(path, c), c.reward, c.batch))
            for i, c in enumerate(calls)
            if c.reward.asynchronous
        }
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if own:
                waits[-1] = asyncio.ensure_future(_result(self._thread(path, [calls[i] for i in own])))
            rest = [i for i in range(len(calls)) if i not in waits and i not in own]
            done = dict(zip(rest, await self.in_order(path, [calls[i] for i in rest]), strict=True))
            await asyncio.gather(*waits.values())
        finally:
            for waiting in waits.values():
                waiting.cancel()
            await asyncio.gather(*waits.values(), return_exceptions=True)
        done |= zip(own, waits[-1].result(), strict=True) if own else ()
        return [done[i] if i in done else waits[i].result() for i in range(len(calls))]

    def _thread(self, path: str, calls: Sequence[Call]) -> asyncio.Future[list[list[Outcome]]]:
        """Begin now: a task would wait for this thread's next turn of the loop, after its own computing."""
        run = contextvars.copy_context().run
        thread = asyncio.get_running_loop().run_in_executor(None, run, at_once, self.in_order(path, calls))
        self.threads.append(thread)
        return thread


async def _result(task: asyncio.Future[_T]) -> _T:
    """The result of a task that goes on when this wait is cancelled."""
    await asyncio.wait([task])
    return task.result()


async def bounded(function: Callable[[_T], Awaitable[_U]], items: Sequence[_T], limit: int) -> list[_U]:
    """``function`` of every item, in order, with at most `limit` of them under way.

    The first failure ends the others.
    """
    results: dict[int, _U] = {}
    pending = iter(enumerate(items))
    tasks = [asyncio.ensure_future(_work(function, pending, results)) for _ in range(min(limit, len(items)))]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [results[index] for index in range(len(items))]


async def _work(
    function: Callable[[_T], Awaitable[_U]], pending: Iterator[tuple[int, _T]], results: dict[int, _U]
) -> None:
    for index, item in pending:
        results[index] = await function(item)


def finish(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end from synchronous code; in a thread of its own where a loop is running here.

    It has the caller's context variables, and an interrupt ends it in either case.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    return _Elsewhere(coroutine).finish()


@dataclass
class _Elsewhere(Generic[_T]):
    """A coroutine in a thread with an event loop of its own, for a thread whose loop is held up meanwhile."""

    coroutine: Coroutine[Any, Any, _T]
    task: asyncio.Task[Any] | None = None
    begun: threading.Event = field(default_factory=threading.Event)
    outcome: Future[_T] = field(default_factory=Future)

    def finish(self) -> _T:
        run = contextvars.copy_context().run
        thread = threading.Thread(target=run, args=(self._run,), name="rewardkit-async")
        caller = asyncio.current_task()
        before = _cancellations(caller)
        try:
            thread.start()
            while not self.outcome.done():  # an interrupted join() would take the thread for ended (Python 3.11)
                wait([self.outcome], timeout=_GLANCE)
                if _cancellations(caller) > before:  # how asyncio.run says that there was an interrupt
                    raise asyncio.CancelledError
        except BaseException:  # an interrupt, at any point
            if self.begun.wait(_START):  # else there was no thread to be had
                self._cancel()
                wait([self.outcome])
                thread.join()
            raise
        thread.join()
        return self.outcome.result()

    def _run(self) -> None:
        try:
            self.outcome.set_result(asyncio.run(self._main()))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            self.outcome.set_exception(error)
        finally:
            self.begun.set()

    async def _main(self) -> _T:
        self.task = asyncio.current_task()
        self.begun.set()
        return await self.coroutine

    def _cancel(self) -> None:
        if self.task is not None:
            with suppress(RuntimeError):  # its loop is closed: it has ended
                self.task.get_loop().call_soon_threadsafe(self.task.cancel)


def _cancellations(task: asyncio.Task[Any] | None) -> int:
    """How often it was asked to end; Python 3.10 does not say, and does not end a task by an interrupt."""
    cancelling: Callable[[], int] | None = getattr(task, "cancelling", None)
    return cancelling() if cancelling is not None else 0
