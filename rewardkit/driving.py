"""Runs a tree of rewards on a batch, in order or as coroutines; the rewards themselves do not know which.

A reward made of others is a generator (:meth:`rewardkit.contract.Composite.plan`): it yields the calls that it
needs and is sent their outcomes. So a gate, a sum or a route is written once and works for synchronous and
asynchronous members alike. Trees with asynchronous members are run by :mod:`rewardkit.waiting`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from rewardkit.batch import Batch
from rewardkit.outcome import Outcome

if TYPE_CHECKING:
    from rewardkit.contract import Reward

_T = TypeVar("_T")


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
    known: dict[tuple[Batch, Reward], Any] = field(default_factory=dict)

    def score(self, reward: Reward, batch: Batch, path: str = "") -> list[Outcome]:
        """The outcomes of a tree without asynchronous members, checked against the contract."""
        key = key_of(reward, batch)
        if key is not None and key in self.known:
            return self.enter(path, perf_counter(), batch, self.known[key])
        started = perf_counter()
        if reward.is_composite:
            outcomes = at_once(follow(reward.plan(batch), partial(self.in_order, path)))
        else:
            outcomes = reward.outcomes(batch)
        checked = check(reward, outcomes, batch)
        if key is not None:
            self.known[key] = checked
        return self.enter(path, started, batch, checked)

    async def in_order(self, path: str, calls: Sequence[Call]) -> list[list[Outcome]]:
        """The outcomes of members below `path`, one after the other; it never waits."""
        return [self.score(c.reward, c.batch, below(path, c)) for c in calls]

    def enter(self, path: str, started: float, batch: Batch, outcomes: list[Outcome]) -> list[Outcome]:
        self.spent[path] = Spent(perf_counter() - started, len(batch))
        return outcomes


async def follow(plan: Plan, answers: Callable[[Sequence[Call]], Awaitable[list[list[Outcome]]]]) -> Sequence[Outcome]:
    """Lead a plan to its end; a failure of a member is thrown into it, where it may be caught."""
    try:
        calls = next(plan)
        while True:
            try:
                answered = await answers(calls)
            except Exception as error:  # noqa: BLE001 - the plan decides what a failure means
                calls = plan.throw(error)
            else:
                calls = plan.send(answered)
    except StopIteration as stop:
        outcomes: Sequence[Outcome] = stop.value
        return outcomes


def at_once(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """The result of a coroutine that never waits, without an event loop.

    Raises:
        RuntimeError: it did wait.
    """
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: _T = stop.value
        return result
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waited; only an event loop can run it")


def check(reward: Reward, outcomes: Sequence[Outcome], batch: Batch) -> list[Outcome]:
    """The outcomes as a list, refused unless there is one per completion and every value is finite."""
    outcomes = list(outcomes)
    if len(outcomes) != len(batch):
        raise RewardError(f"{reward.__name__} gave {len(outcomes)} values for {len(batch)} completions")
    for row, outcome in enumerate(outcomes):
        if type(outcome.value) is not float and outcome.value is not None:
            outcomes[row] = outcome = outcome._replace(value=as_float(outcome.value, reward.__name__, batch.row(row)))
        if outcome.value is not None and not math.isfinite(outcome.value):
            raise RewardError(f"{reward.__name__} gave {outcome.value} in row {batch.row(row)}; it must be finite")
    return outcomes


def as_float(value: Any, name: str, row: int) -> float:
    """What the reward `name` gave in a row, as a float.

    Raises:
        RewardError: it is no number.
    """
    try:
        return float("text" if isinstance(value, (str, bytes)) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise RewardError(f"{name} gave {value!r} in row {row}; expected a number or None") from error


def below(path: str, call: Call) -> str:
    """The path of a member."""
    return f"{path}/{call.name}" if path and call.name else path or call.name


def key_of(reward: Reward, batch: Batch) -> tuple[Batch, Reward] | None:
    """What an evaluation is known by; ``None`` for a reward that cannot be hashed."""
    key = (batch, reward)
    try:
        hash(key)
    except TypeError:
        return None
    return key
