r"""The contract between rewards and trainers: what goes in, what comes out, how a failure is said.

A reward is any callable ``reward(completions=..., prompts=..., **columns) -> list[float | None]``: one
finite value per completion, or ``None`` for "not scored". The rewards of this package are frozen
dataclasses derived from :class:`Reward`; they implement one method, :meth:`Reward.outcomes`. One that waits
for others (a server) is an :class:`AsyncReward`, one that is made of others a :class:`Composite`.

    >>> from rewardkit import boxed_accuracy
    >>> boxed_accuracy([r"So \boxed{1/2}.", "I do not know."], ground_truth="0.5")
    [1.0, 0.0]
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import cached_property
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from rewardkit.batch import GROUND_TRUTH_KEYS, Batch, ColumnError, completion_text, short
from rewardkit.code import as_code, changed_fields, number
from rewardkit.driving import Call, Plan, RewardError, Run
from rewardkit.outcome import Outcome, Part, Status, judged, walk_parts

if TYPE_CHECKING:
    from rewardkit.choices import Gated
    from rewardkit.combine import Clipped, Combined, Weighted
    from rewardkit.report import Report
    from rewardkit.schedule import Schedule
    from rewardkit.shaping import Mapped, Threshold

__all__ = [
    "GROUND_TRUTH_KEYS",
    "AsyncReward",
    "Batch",
    "Call",
    "ColumnError",
    "Composite",
    "Outcome",
    "Part",
    "Plan",
    "Reward",
    "RewardError",
    "RewardFunction",
    "Status",
    "as_code",
    "completion_text",
    "judged",
    "number",
    "walk_parts",
]

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_Self = TypeVar("_Self", bound="Reward")


class RewardFunction(Protocol):
    """Anything a trainer may call as a reward; a coroutine function gives its values when awaited."""

    def __call__(
        self, *, completions: Any, prompts: Any, **columns: Any
    ) -> Sequence[float | None] | Awaitable[Sequence[float | None]]: ...


@dataclass(frozen=True, kw_only=True, repr=False)
class Reward(ABC):
    """A configured reward: callable by the contract, comparable, picklable, printable as code.

    Rewards add up and scale: ``2.0 * boxed_accuracy + strict_format``, ``reward.clip(0, 1)``; see
    :mod:`rewardkit.combine`.

    Attributes:
        name: what trainers log it by; the class name in snake case unless given.
        revision: of the class, not of one reward; it rises when a release changes the values that it gives, and
            with it every fingerprint.
        remote: whether completions leave this machine; a spec may name such a class only with the reader's leave.
    """

    revision: ClassVar[int] = 1
    remote: ClassVar[bool] = False

    name: str | None = None

    def __new__(cls, *args: Any, **settings: Any) -> Any:
        """Refuse a setting that there is not, with the nearest that there is."""
        known = [f.name for f in fields(cls) if f.init]
        unknown = next((name for name in settings if name not in known), None)
        if unknown is not None:
            near = get_close_matches(unknown, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
            raise TypeError(f"{cls.__name__} has no setting {unknown!r}; {hint}")
        name = settings.get("name")
        if name is not None and (not isinstance(name, str) or not name or "/" in name or name == "rounding"):
            raise ValueError(
                f"a reward cannot be named {name!r}; give a text without / (which joins names to paths), not 'rounding'"
            )
        return super().__new__(cls)

    @abstractmethod
    def outcomes(self, batch: Batch) -> Sequence[Outcome]:
        """One outcome per completion of the batch, in order."""

    async def outcomes_async(self, batch: Batch) -> Sequence[Outcome]:
        """The same for a caller that can wait; what a reward that waits itself implements."""
        return self.outcomes(batch)

    def plan(self, batch: Batch) -> Plan:
        """What a reward made of others computes; see :class:`Composite`."""
        raise TypeError(f"{type(self).__name__} is not made of other rewards")

    def __call__(self, completions: Any, *, prompts: Any = None, **columns: Any) -> list[float | None]:
        """Score completions by the contract.

        Args:
            completions: strings, or lists of messages.
            prompts: the prompts, one per completion, where there are any.
            **columns: every other column as a list; unknown ones are accepted.

        Returns:
            One finite float per completion, or ``None`` where the reward does not apply.

        Raises:
            ColumnError, RewardError, TypeError: a column, a component's values or the call is unusable.
        """
        batch = Batch.of(completions, {"prompts": prompts, **columns})
        return _logged(self, batch, self.score(batch))

    @property
    def aio(self) -> Callable[..., Coroutine[Any, Any, list[float | None]]]:
        """The reward as a coroutine function of its own name, for trainers that look for one.

        It is a function, not a partial or an object, as trainers look at either; pickle the reward instead.
        """
        function = FunctionType(_score_async.__code__, globals(), self.__name__)
        function.__kwdefaults__ = {"prompts": None, "_reward": self}
        return function

    def score(self, batch: Batch) -> list[Outcome]:
        """:meth:`outcomes` of the whole tree, checked against the contract."""
        return self.evaluate(batch)[0]

    def explain(self, completions: Any, *, prompts: Any = None, **columns: Any) -> Report:
        """Like a call, but with every component's value, weight, contribution, status and time."""
        from rewardkit.report import Report

        batch = Batch.of(completions, {"prompts": prompts, **columns})
        outcomes, run = self.evaluate(batch)
        return Report(tuple(outcomes), run.spent, self.__name__, batch.texts)

    def evaluate(self, batch: Batch) -> tuple[list[Outcome], Run]:
        """The outcomes of the whole tree, and the run that has each component's time."""
        if not self.asynchronous:
            run = Run()
            return run.score(self, batch), run
        from rewardkit.waiting import AsyncRun, finish

        waiting = AsyncRun()
        return finish(waiting.score_async(self, batch)), waiting

    @cached_property
    def children(self) -> tuple[Reward, ...]:
        """The rewards that this one is made of, in order."""
        return tuple(member for f in fields(self) for member in _rewards_in(getattr(self, f.name)))

    @cached_property
    def asynchronous(self) -> bool:
        """Whether it or one of its members is a coroutine."""
        return any(child.asynchronous for child in self.children)

    @cached_property
    def thread_safe(self) -> bool:
        """Whether it may be scored in another thread than the caller's; plain functions are not asked to be."""
        own = type(self).__module__.partition(".")[0] == __name__.partition(".")[0]
        return own and all(child.thread_safe for child in self.children)

    @property
    def is_composite(self) -> bool:
        """Whether it is made of other rewards and has a :meth:`plan`."""
        return False

    @property
    def fingerprint(self) -> str:
        """A digest of the behaviour; see :func:`rewardkit.spec.fingerprint`."""
        from rewardkit.spec import fingerprint

        return fingerprint(self)

    @property
    def __name__(self) -> str:
        return self.name or self._default_name()

    def _default_name(self) -> str:
        return _CAPITAL.sub("_", type(self).__qualname__.rpartition(".")[2]).lower()

    def named(self: _Self, name: str) -> _Self:
        """The same reward under another name.

        Raises:
            ValueError: no name, or one with the ``/`` that joins names to paths.
        """
        return replace(self, name=name)

    def __mul__(self, weight: float | Schedule) -> Weighted | Combined:
        from rewardkit.combine import Weighted
        from rewardkit.schedule import Schedule

        if isinstance(weight, Schedule):
            return Weighted(reward=self, weight=weight)
        if callable(weight):
            raise TypeError(
                f"{self.__name__} can be multiplied by a number or a schedule; of rewards take product(...)"
            )
        return Weighted(reward=self, weight=float(weight)) if isinstance(weight, (int, float)) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Weighted | Combined:
        return self * (1.0 / divisor) if isinstance(divisor, (int, float)) else NotImplemented

    def __neg__(self) -> Weighted | Combined:
        return self * -1.0

    def __add__(self, other: RewardFunction) -> Combined:
        from rewardkit.combine import add

        return add(self, _addend(other))

    def __radd__(self, other: RewardFunction | int) -> Reward:
        from rewardkit.combine import add

        if isinstance(other, int) and other == 0:  # the start value of sum()
            return self
        return add(_addend(other), self)

    def __sub__(self, other: RewardFunction) -> Combined:
        from rewardkit.combine import add
        from rewardkit.functions import as_reward

        return add(self, -as_reward(_addend(other)))

    def __rsub__(self, other: RewardFunction) -> Combined:
        from rewardkit.combine import add

        return add(_addend(other), -self)

    def clip(self, low: float, high: float) -> Clipped:
        """The same reward with its values held within ``[low, high]``."""
        from rewardkit.combine import Clipped

        return Clipped(reward=self, low=number("low", low), high=number("high", high))

    def map(self, function: Callable[[float], float], *, name: str | None = None) -> Mapped:
        """``function`` of every value; ``None`` stays ``None``."""
        from rewardkit.shaping import Mapped

        return Mapped(reward=self, function=function, name=name)

    def threshold(self, at_least: float) -> Threshold:
        """1.0 where the value is at least `at_least`, else 0.0."""
        from rewardkit.shaping import Threshold

        return Threshold(reward=self, at_least=number("at_least", at_least))

    def gate(self, by: RewardFunction, at_least: float = 1.0, otherwise: float | None = 0.0) -> Gated:
        """The same reward where `by` gives at least `at_least`; elsewhere `otherwise`, uncomputed."""
        from rewardkit.choices import Gated
        from rewardkit.functions import as_reward

        value = None if otherwise is None else number("otherwise", otherwise)
        return Gated(reward=self, by=as_reward(by), at_least=number("at_least", at_least), otherwise=value)

    def on_error(self, action: str) -> Reward:
        """What a failure does: "raise" (as it is) or "none" (not scored, counted, warned of)."""
        from rewardkit.guarding import guard

        return guard(self, action)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(changed_fields(self))})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Composite(Reward):
    """A reward made of others: a generator that yields the calls it needs and is sent their outcomes.

    Example:
        >>> from rewardkit import boxed_accuracy
        >>> @dataclass(frozen=True, kw_only=True, repr=False)
        ... class Halved(Composite):
        ...     reward: Reward = boxed_accuracy
        ...     def plan(self, batch):
        ...         (inner,) = yield [Call(self.reward.__name__, self.reward, batch)]
        ...         return [outcome._replace(value=outcome.value / 2) for outcome in inner]
        >>> Halved()([r"\\boxed{2}"], answer="2")
        [0.5]
    """

    @abstractmethod
    def plan(self, batch: Batch) -> Plan:
        """Yield the calls that are needed, receive their outcomes, return one outcome per completion."""

    def outcomes(self, batch: Batch) -> Sequence[Outcome]:
        """The plan, carried out."""
        return self.score(batch)

    @property
    def is_composite(self) -> bool:
        """True."""
        return True


@dataclass(frozen=True, kw_only=True, repr=False)
class AsyncReward(Reward):
    """A reward that waits for something else, such as a server; it implements :meth:`outcomes_async`.

    It can be called like any other (an event loop is run for it), or awaited as ``reward.aio(...)``.
    """

    @abstractmethod
    async def outcomes_async(self, batch: Batch) -> Sequence[Outcome]:
        """One outcome per completion of the batch, in order."""

    def outcomes(self, batch: Batch) -> Sequence[Outcome]:
        """:meth:`outcomes_async`, run to its end."""
        return self.score(batch)

    @property
    def asynchronous(self) -> bool:
        """True."""
        return True


async def _score_async(completions: Any, *, prompts: Any = None, _reward: Reward, **columns: Any) -> list[float | None]:
    """What `Reward.aio` is a copy of, with the reward as its default."""
    from rewardkit.waiting import AsyncRun

    batch = Batch.of(completions, {"prompts": prompts, **columns})
    return _logged(_reward, batch, await AsyncRun().score_async(_reward, batch))


def _logged(reward: Reward, batch: Batch, outcomes: Sequence[Outcome]) -> list[float | None]:
    """The values, after the trainer has been told of the components, where it offers to log."""
    if batch.columns.get("log_metric") is not None or batch.columns.get("log_extra") is not None:
        from rewardkit.trainer_log import log_components

        log_components(reward, batch, outcomes)
    return [None if outcome.value is None else float(outcome.value) for outcome in outcomes]


def _addend(other: Any) -> Any:
    if callable(other):
        return other
    raise TypeError(f"{short(other)} cannot be added to a reward; add rewards, or change values with .map(function)")


def _rewards_in(value: object) -> Iterator[Reward]:
    if isinstance(value, Reward):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _rewards_in(item)
