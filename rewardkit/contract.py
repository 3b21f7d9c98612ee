r"""The contract between rewards and trainers: what goes in, what comes out, how a failure is said.

A reward is any callable ``reward(completions=..., prompts=..., **columns) -> list[float | None]``: one
finite value per completion, or ``None`` for "not scored". The rewards of this package are frozen
dataclasses derived from :class:`Reward`; they implement one method, :meth:`Reward.outcomes`.

    >>> from rewardkit import boxed_accuracy
    >>> boxed_accuracy([r"So \boxed{1/2}.", "I do not know."], ground_truth="0.5")
    [1.0, 0.0]
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from rewardkit.combine import Clipped, Combined, Weighted

Message: TypeAlias = Mapping[str, Any]
Completion: TypeAlias = "str | Message | Sequence[Message]"

Status = Literal[
    "correct",  # full credit
    "wrong",  # an answer was found, or a format judged, and it is not right
    "scored",  # a graded value that is neither right nor wrong
    "no_answer",  # nothing to judge in the completion
    "unparseable_answer",  # something was found that cannot be read
    "unparseable_ground_truth",  # the reference cannot be read
    "undecided",  # no rung of the comparison could tell, or a limit was met
    "timeout",  # the budget of the comparison ended first
    "error",  # the check itself failed; `detail` has the message
    "gated",  # hidden behind a gate that did not open
    "not_scored",  # the reward does not apply to this row
]

GROUND_TRUTH_KEYS = ("ground_truth", "answer", "solution", "target", "label")
"""Columns that may hold the reference answer, in the order in which they are looked for."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_Self = TypeVar("_Self", bound="Reward")


class RewardFunction(Protocol):
    """Anything a trainer may call as a reward."""

    def __call__(self, *, completions: Any, prompts: Any, **columns: Any) -> Sequence[float | None]: ...


class ColumnError(ValueError):
    """A column of the data set is missing, has the wrong length or holds what cannot be used."""


class RewardError(ValueError):
    """A reward returned what the contract does not allow (a wrong length, NaN, an infinity, a string)."""


@dataclass(frozen=True)
class Outcome:
    """What one completion earned, and why.

    Attributes:
        value: finite float, or ``None`` for "not scored".
        status: one of :data:`Status`; there is no 0.0 without a reason.
        detail: one short sentence or the extracted text; may be empty.
        parts: the components behind the value, in order, where the reward is a combination.
    """

    value: float | None
    status: Status
    detail: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Part:
    """A component of a combined outcome; it contributed ``weight * outcome.value``."""

    name: str
    weight: float
    outcome: Outcome

    @property
    def contribution(self) -> float | None:
        """Weight times value, or ``None`` where the component did not score the completion."""
        return None if self.outcome.value is None else self.weight * self.outcome.value


def judged(right: bool, detail: str = "") -> Outcome:
    """The outcome of a yes-or-no check: 1.0 or 0.0."""
    return Outcome(1.0, "correct", detail) if right else Outcome(0.0, "wrong", detail)


@dataclass(frozen=True)
class Batch:
    """One call of the contract: the completions as they came, and every other column under its name."""

    completions: Sequence[Completion]
    columns: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, completions: Any, columns: Mapping[str, Any]) -> Batch:
        """Check the completions and gather the call.

        Raises:
            TypeError: `completions` is one string, one message or no sequence at all.
        """
        if isinstance(completions, (str, bytes, Mapping)) or not hasattr(completions, "__len__"):
            raise TypeError(
                f"completions must be a list with one entry per completion, got {_short(completions)}; "
                "wrap a single completion in a list"
            )
        return cls(list(completions), columns)

    def __len__(self) -> int:
        return len(self.completions)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each completion (see :func:`completion_text`)."""
        return tuple(completion_text(c, row=i) for i, c in enumerate(self.completions))

    def column(self, name: str) -> list[Any]:
        """The column `name` as a list with one value per completion.

        Raises:
            ColumnError: there is no such column, or its length is not the number of completions.
        """
        if self.columns.get(name) is None:
            raise ColumnError(f"column {name!r} is missing; the call has {self._present()}")
        values = self.columns[name]
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise ColumnError(f"column {name!r} must be a list, got {_short(values)}")
        if len(values) != len(self):
            raise ColumnError(f"column {name!r} has {len(values)} rows for {len(self)} completions")
        return list(values)

    def ground_truths(self, key: str | None = None) -> tuple[str, list[Any]]:
        """Name and values of the reference column: `key`, else the first of :data:`GROUND_TRUTH_KEYS`.

        A single reference (one string or number, or a list of one) holds for every completion. A value
        that is itself a list means "any of these".

        Raises:
            ColumnError: no such column, a wrong length, or a reference that is empty or not finite.
        """
        candidates = GROUND_TRUTH_KEYS if key is None else (key,)
        name = next((c for c in candidates if self.columns.get(c) is not None), None)
        if name is None:
            wanted = repr(key) if key is not None else "one of " + ", ".join(GROUND_TRUTH_KEYS)
            raise ColumnError(
                f"no ground truth: expected the column {wanted}, the call has {self._present()}; "
                "name the column with answer_key="
            )
        raw = self.columns[name]
        if isinstance(raw, (str, int, float)) or not hasattr(raw, "__len__"):
            raw = [raw] * len(self)
        elif len(raw) == 1 != len(self):
            raw = list(raw) * len(self)
        values = Batch(self.completions, {name: raw}).column(name)
        values = [v.tolist() if getattr(v, "ndim", 0) else v for v in values]  # array cells, as Parquet has them
        for row, value in enumerate(values):
            _check_ground_truth(value, name, row)
        return name, values

    def _present(self) -> str:
        return ", ".join(sorted(k for k, v in self.columns.items() if v is not None)) or "no columns"


def _check_ground_truth(value: Any, name: str, row: int) -> None:
    where = f"ground truth in column {name!r}, row {row}"
    if isinstance(value, (list, tuple)):
        if not value:
            raise ColumnError(f"{where} is an empty list; give at least one accepted answer, or None")
        for option in value:
            if option is None or isinstance(option, (list, tuple)):
                raise ColumnError(f"{where} lists {option!r}; every accepted answer must be text or a number")
            _check_ground_truth(option, name, row)
    elif isinstance(value, str):
        if not value.strip():
            raise ColumnError(f"{where} is blank; fill it, drop the row, or set it to None for 'not scored'")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ColumnError(f"{where} is {value}; a reference must be finite")
    elif isinstance(value, (bytes, Mapping)):
        raise ColumnError(f"{where} is {_short(value)}; expected text, a number or a list of them")


def completion_text(completion: Completion, *, row: int | None = None) -> str:
    """The text that a reward judges.

    A string is its own text. Of a message list it is the content of the assistant messages, joined by
    line breaks; content may be a list of typed parts, of which the text parts count.

    Args:
        completion: a string, a message, or a list of messages.
        row: its index in the batch, for the error message.

    Raises:
        TypeError: neither a string nor messages.

    Example:
        >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "42"}]}])
        '42'
    """
    if isinstance(completion, str):
        return completion
    messages = [completion] if isinstance(completion, Mapping) else completion
    if not isinstance(messages, (list, tuple)) or not all(isinstance(m, Mapping) for m in messages):
        at = "" if row is None else f" in row {row}"
        raise TypeError(f"a completion must be text or a list of messages, got {_short(completion)}{at}")
    return "\n".join(_content_text(m, row) for m in messages if m.get("role", "assistant") == "assistant")


def _content_text(message: Message, row: int | None) -> str:
    content = message.get("content")
    if content is None:  # a message that only calls a tool
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        at = "" if row is None else f" in row {row}"
        raise TypeError(f"the content of a message must be text or a list of parts, got {_short(content)}{at}")
    return "".join(p if isinstance(p, str) else str(p.get("text") or "") for p in content)


@dataclass(frozen=True, kw_only=True, repr=False)
class Reward(ABC):
    """A configured reward: callable by the contract, comparable, picklable, printable as code.

    Rewards add up and scale: ``2.0 * boxed_accuracy + strict_format``, ``reward.clip(0, 1)``; see
    :mod:`rewardkit.combine`.

    Attributes:
        name: what trainers log it by; the class name in snake case unless given.
    """

    name: str | None = None

    @abstractmethod
    def outcomes(self, batch: Batch) -> Sequence[Outcome]:
        """One outcome per completion of the batch, in order."""

    def __call__(self, completions: Any, prompts: Any = None, **columns: Any) -> list[float | None]:
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
        outcomes = self.score(batch)
        _log_parts(batch, outcomes)
        return [None if outcome.value is None else float(outcome.value) for outcome in outcomes]

    def score(self, batch: Batch) -> list[Outcome]:
        """:meth:`outcomes`, checked against the contract."""
        outcomes = list(self.outcomes(batch))
        if len(outcomes) != len(batch):
            raise RewardError(f"{self.__name__} gave {len(outcomes)} values for {len(batch)} completions")
        for row, outcome in enumerate(outcomes):
            if outcome.value is not None and not math.isfinite(outcome.value):
                raise RewardError(f"{self.__name__} gave {outcome.value} in row {row}; it must be finite")
        return outcomes

    def explain(self, completions: Any, prompts: Any = None, **columns: Any) -> list[Outcome]:
        """Like a call, but with status, detail and parts of every value."""
        return self.score(Batch.of(completions, {"prompts": prompts, **columns}))

    @property
    def __name__(self) -> str:
        return self.name or self._default_name()

    def _default_name(self) -> str:
        return _CAPITAL.sub("_", type(self).__qualname__.rpartition(".")[2]).lower()

    def named(self: _Self, name: str) -> _Self:
        """The same reward under another name."""
        return replace(self, name=name)

    def __mul__(self, weight: float) -> Weighted | Combined:
        from rewardkit.combine import Weighted

        if not isinstance(weight, (int, float)):
            return NotImplemented
        return Weighted(reward=self, weight=float(weight))

    __rmul__ = __mul__

    def __add__(self, other: RewardFunction) -> Combined:
        from rewardkit.combine import add

        return add(self, other) if callable(other) else NotImplemented

    def __radd__(self, other: RewardFunction | int) -> Reward:
        from rewardkit.combine import add

        if isinstance(other, int) and other == 0:  # the start value of sum()
            return self
        return add(other, self) if callable(other) else NotImplemented

    def clip(self, low: float, high: float) -> Clipped:
        """The same reward with its values held within ``[low, high]``."""
        from rewardkit.combine import Clipped

        return Clipped(reward=self, low=float(low), high=float(high))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(_changed_fields(self))})"


def _changed_fields(reward: Reward) -> Iterator[str]:
    for f in sorted(fields(reward), key=lambda f: f.name == "name"):  # the name last
        value = getattr(reward, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if f.repr and value != default:
            yield f"{f.name}={as_code(value)}"


def as_code(value: object) -> str:
    """A value as it is written in code: a function by its dotted name, an infinity, all else by its repr."""
    if isinstance(value, float) and math.isinf(value):
        return f"float('{value}')"
    name = getattr(value, "__qualname__", None)
    if not callable(value) or name is None:
        return repr(value)
    module = getattr(value, "__module__", None)
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"


def walk_parts(outcome: Outcome, prefix: str = "") -> Iterator[tuple[str, Outcome]]:
    """Every component below an outcome as (path, outcome); a path is the names joined by ``/``."""
    for part in outcome.parts:
        path = f"{prefix}{part.name}"
        yield path, part.outcome
        yield from walk_parts(part.outcome, f"{path}/")


def _log_parts(batch: Batch, outcomes: Sequence[Outcome]) -> None:
    """Hand each component's values to the trainer, where the trainer offers ``log_metric``/``log_extra``."""
    columns: dict[str, list[float | None]] = {}
    for row, outcome in enumerate(outcomes):
        for path, part in walk_parts(outcome):
            columns.setdefault(path, [None] * len(outcomes))[row] = part.value
    log_metric: Callable[[str, float], None] | None = batch.columns.get("log_metric")
    log_extra: Callable[[str, list[Any]], None] | None = batch.columns.get("log_extra")
    for path, values in columns.items():
        scored = [v for v in values if v is not None]
        if log_metric is not None and scored:
            log_metric(f"rewards/{path}/mean", sum(scored) / len(scored))
        if log_extra is not None:
            log_extra(path, values)


def _short(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
