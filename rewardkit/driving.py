"""Runs a tree of rewards on a batch, in order or as coroutines; the rewards themselves do not know which.

A reward made of others is a generator (:meth:`rewardkit.contract.Composite.plan`): it yields the calls that it
needs and is sent their outcomes. So a gate, a sum or a route is written once and works for synchronous and
asynchronous members alike.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from rewardkit.batch import Batch
from rewardkit.outcome import Outcome

if TYPE_CHECKING:
    from rewardkit.contract import Reward

_T = TypeVar("_T")

_TURNS = 4  # of the event loop, in which coroutines get to their first request before this thread computes


class RewardError(ValueError):
    """A reward returned what the contract does not allow (a wrong length, NaN, an infinity, a string)."""


class Call(NamedTuple):
    """A member to be scored; its name is the next part of the path, empty for a mere wrapper."""

    name: str
    reward: Reward
    batch: Batch


Plan: TypeAlias = Generator[Sequence[Call], list[list[Outcome]], Sequence[Outcome]]


class Spent(NamedTuple):
    """Wall time of a component, members included, and the completions it was spent on."""

    seconds: float
    rows: int


@dataclass
class Run:
    """One evaluation of a tree: what every component took, by its path; what was computed already.

    A reward that stands in the tree twice (a gate that is a component too) is scored once per batch.
    """

    spent: dict[str, Spent] = field(default_factory=dict)
    _known: dict[tuple[Batch, Reward], Any] = field(default_factory=dict)

    def score(self, reward: Reward, batch: Batch, path: str = "") -> list[Outcome]:
        """The outcomes of a tree without asynchronous members, checked against the contract."""
        key = _key(reward, batch)
        if key is not None and key in self._known:
            return self._enter(path, perf_counter(), batch, self._known[key])
        started = perf_counter()
        outcomes = reward.outcomes(batch) if not reward.is_composite else self._follow(reward.plan(batch), path)
        checked = check(reward, outcomes, batch)
        if key is not None:
            self._known[key] = checked
        return self._enter(path, started, batch, checked)

    def _follow(self, plan: Plan, path: str) -> Sequence[Outcome]:
        return _steps(plan, lambda calls: self._in_order(calls, path))

    async def score_async(self, reward: Reward, batch: Batch, path: str = "") -> list[Outcome]:
        """The same for a tree with asynchronous members, which wait together."""
        if not reward.asynchronous:
            return self.score(reward, batch, path)
        key, started = _key(reward, batch), perf_counter()
        task = None if key is None else self._known.get(key)
        if task is None:
            task = asyncio.ensure_future(self._outcomes_async(reward, batch, path))
            if key is not None:
                self._known[key] = task
        return self._enter(path, started, batch, await task)

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
                tasks[i] = asyncio.ensure_future(self.score_async(c.reward, c.batch, _below(path, c)))
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            if own:
                tasks[-1] = asyncio.ensure_future(asyncio.to_thread(self._in_order, [calls[i] for i in own], path))
            rest = [i for i in range(len(calls)) if i not in tasks and i not in own]
            done = dict(zip(rest, self._in_order([calls[i] for i in rest], path), strict=True))
            await asyncio.gather(*tasks.values())
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        done |= zip(own, tasks[-1].result(), strict=True) if own else ()
        return [done[i] if i in done else tasks[i].result() for i in range(len(calls))]

    def _in_order(self, calls: Sequence[Call], path: str) -> list[list[Outcome]]:
        return [self.score(c.reward, c.batch, _below(path, c)) for c in calls]

    def _enter(self, path: str, started: float, batch: Batch, outcomes: list[Outcome]) -> list[Outcome]:
        self.spent[path] = Spent(perf_counter() - started, len(batch))
        return outcomes


def _steps(plan: Plan, answer: Callable[[Sequence[Call]], list[list[Outcome]]]) -> Sequence[Outcome]:
    """Lead a plan to its end; a failure of a member is thrown into it, where it may be caught."""
    try:
        calls = next(plan)
        while True:
            try:
                answers = answer(calls)
            except Exception as error:  # noqa: BLE001 - the plan decides what a failure means
                calls = plan.throw(error)
            else:
                calls = plan.send(answers)
    except StopIteration as stop:
        outcomes: Sequence[Outcome] = stop.value
        return outcomes


def check(reward: Reward, outcomes: Sequence[Outcome], batch: Batch) -> list[Outcome]:
    """The outcomes as a list, refused unless there is one per completion and every value is finite."""
    outcomes = list(outcomes)
    if len(outcomes) != len(batch):
        raise RewardError(f"{reward.__name__} gave {len(outcomes)} values for {len(batch)} completions")
    for row, outcome in enumerate(outcomes):
        if outcome.value is not None and not math.isfinite(outcome.value):
            raise RewardError(f"{reward.__name__} gave {outcome.value} in row {batch.row(row)}; it must be finite")
    return outcomes


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


def _below(path: str, call: Call) -> str:
    return f"{path}/{call.name}" if path and call.name else path or call.name


def _key(reward: Reward, batch: Batch) -> tuple[Batch, Reward] | None:
    """What an evaluation is known by; ``None`` for a reward that cannot be hashed."""
    key = (batch, reward)
    try:
        hash(key)
    except TypeError:
        return None
    return key
