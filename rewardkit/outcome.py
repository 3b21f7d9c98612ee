"""What one completion earned, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

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


class Outcome(NamedTuple):
    """What one completion earned, and why.

    Attributes:
        value: finite float, or ``None`` for "not scored".
        status: one of :data:`Status`; there is no 0.0 without a reason.
        detail: one short sentence; may be empty.
        parts: the components behind the value, in order, where the reward is made of others.
        extracted: what was judged, cut to 200 characters, where the reward looks for an answer.
        gold: the reference it was held against, as text.
        gold_column: the column that the reference came from.
        unclipped: the value before a clip changed it; ``None`` where none did.
    """

    value: float | None
    status: Status
    detail: str = ""
    parts: tuple[Part, ...] = ()
    extracted: str | None = None
    gold: str | None = None
    gold_column: str | None = None
    unclipped: float | None = None

    @property
    def clipped(self) -> bool:
        """Whether a clip changed the value."""
        return self.unclipped is not None


class Part(NamedTuple):
    """A component of a combined outcome.

    Attributes:
        name: the component's name; no two parts of one outcome share it.
        weight: the factor with which its value enters; ``None`` where it decides or scales without being
            added (a gate, a factor of a product, the raw value of a map).
        outcome: what the component gave.
        scheduled: whether the weight follows the training step.
    """

    name: str
    weight: float | None
    outcome: Outcome
    scheduled: bool = False

    @property
    def contribution(self) -> float | None:
        """Weight times value; ``None`` where it is not added or the component did not score the completion."""
        return None if self.weight is None or self.outcome.value is None else self.weight * self.outcome.value


def judged(right: bool, detail: str = "", **evidence: Any) -> Outcome:
    """The outcome of a yes-or-no check: 1.0 or 0.0."""
    return Outcome(1.0, "correct", detail, **evidence) if right else Outcome(0.0, "wrong", detail, **evidence)


def fold(values: Iterable[float]) -> float:
    """The sum, added up in order: the same in every version of Python, unlike ``sum``."""
    total = 0.0
    for value in values:
        total += value
    return total


def walk_parts(outcome: Outcome, prefix: str = "") -> Iterator[tuple[str, Part]]:
    """Every component below an outcome as (path, part); a path is the names joined by ``/``."""
    for part in outcome.parts:
        path = f"{prefix}{part.name}"
        yield path, part
        yield from walk_parts(part.outcome, f"{path}/")
