"""Runs a tree with asynchronous members: coroutines wait together, bounded, and the order is kept.

Loaded when the first such tree is scored: it needs asyncio.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from rewardkit.batch import Batch
from rewardkit.driving import Call, Run, below, check, key_of
from rewardkit.outcome import Outcome

if TYPE_CHECKING:
    from rewardkit.contract import Reward

_T = TypeVar("_T")
_U = TypeVar("_U")

_TURNS = 4  # of the event loop, in which coroutines get to their first request before this thread computes


@dataclass
class AsyncRun(Run):
    """One evaluation of a tree whose members may be coroutines."""

    async def score_async(self, reward: Reward, batch: Batch, path: str = "") -> list[Outcome]:
        """The same for a tree with asynchronous members, which wait together."""
        if not reward.asynchronous:
            return self.score(reward, batch, path)
        key, started = key_of(reward, batch), perf_counter()
        task = None if key is None else self.known.get(key)
        if task is None:
            task = asyncio.ensure_future(self._outcomes_async(reward, batch, path))
            if key is not None:
                self.known[key] = task
        return self.enter(path, started, batch, await task)

    async def _outcomes_async(self, reward: Reward, batch: Batch, path: str) -> list[Outcome]:
        if not reward.is_composite:
            return check(reward, await reward.outcomes_async(batch), batch)
        plan = reward.plan(batch)
        try:
            calls = next(plan)
            while True:
                try:
                    answers = await self._gather(calls, path)
                except Exception as error:  # noqa: BLE001 - the plan decides what a failure means
                    calls = plan.throw(error)
                else:
                    calls = plan.send(answers)
        except StopIteration as stop:
            return check(reward, stop.value, batch)

    async def _gather(self, calls: Sequence[Call], path: str) -> list[list[Outcome]]:
        """Coroutines together; our own rewards meanwhile in a thread, plain functions in this one, in order."""
        tasks: dict[int, asyncio.Future[Any]] = {}
        own = [i for i, c in enumerate(calls) if not c.reward.asynchronous and c.reward.thread_safe]
        for i, c in enumerate(calls):
            if c.reward.asynchronous:
                tasks[i] = asyncio.ensure_future(self.score_async(c.reward, c.batch, below(path, c)))
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if own:
                tasks[-1] = asyncio.ensure_future(asyncio.to_thread(self.in_order, [calls[i] for i in own], path))
            rest = [i for i in range(len(calls)) if i not in tasks and i not in own]
            done = dict(zip(rest, self.in_order([calls[i] for i in rest], path), strict=True))
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        done |= zip(own, tasks[-1].result(), strict=True) if own else ()
        return [done[i] if i in done else tasks[i].result() for i in range(len(calls))]


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
    """Run a coroutine to its end from synchronous code; in a thread of its own where a loop is running here."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(coroutine))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            failures.append(error)

    thread = threading.Thread(target=run, name="rewardkit-async")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
