"""An outcome taken apart: what every component gave, and what it added to the total.

The contributions of all components of a completion add up to its total exactly: their ``sum`` in order *is* the
total, to the last bit. What a clip takes away is the (negative) contribution of the clipped sum itself; where
nested weights were rounded, a last component named ``rounding`` holds the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rewardkit.outcome import Outcome, Part, Status

ROUNDING = "rounding"


class Component(NamedTuple):
    """One component of one completion.

    Attributes:
        path: the names from the top, joined by ``/``.
        value: what it gave, before its weight; ``None`` for "not scored".
        weight: the factor of its value in the total, all weights above it multiplied; ``None`` where it is
            not added (a gate, a factor of a product, the raw value of a map).
        contribution: what it added to the total; ``None`` where it is not added or not scored. Of a component
            that is made of others it is what is left after theirs: 0.0, or what a clip took.
        gated: whether a gate hid it.
        clipped: whether a clip changed its value.
        status: why it is what it is.
        detail: one short sentence; may be empty.
        extracted: what was judged, where something is looked for.
        gold: the reference.
        gold_column: the column of the reference.
        scheduled: whether its own weight follows the training step.
        milliseconds: wall time per completion of its last batch, its members included.
    """

    path: str
    value: float | None
    weight: float | None
    contribution: float | None
    gated: bool
    clipped: bool
    status: Status
    detail: str
    extracted: str | None
    gold: str | None
    gold_column: str | None
    scheduled: bool
    milliseconds: float = 0.0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


def components(outcome: Outcome, name: str, milliseconds: Mapping[str, float] | None = None) -> tuple[Component, ...]:
    """Every component of an outcome, each above those that it is made of.

    Args:
        outcome: what a reward gave.
        name: the reward's name. An outcome without parts is one component of this name; one with parts is
            listed by them, and by its own name only where a clip, a map or the like stands above them.
        milliseconds: time per completion by path, the whole under the empty path.
    """
    times = milliseconds or {}
    if not outcome.parts:
        return (_component(Part(name, 1.0, outcome), name, 1.0, outcome.value, times.get("", 0.0)),)
    rows = list(_below(outcome, "", 1.0, times))
    own = _remainder(outcome, 1.0)
    if own or outcome.clipped or not _adds_up(outcome):
        rows.insert(0, _component(Part(name, 1.0, outcome), name, 1.0, own, times.get("", 0.0)))
    return tuple(rows if outcome.value is None else _exact(rows, outcome.value))


def _below(outcome: Outcome, prefix: str, factor: float | None, times: Mapping[str, float]) -> Iterator[Component]:
    for part in outcome.parts:
        path = f"{prefix}{part.name}"
        weight = None if factor is None or part.weight is None else factor * part.weight
        own = None if weight is None else _remainder(part.outcome, weight)
        yield _component(part, path, weight, own, times.get(path, 0.0))
        yield from _below(part.outcome, f"{path}/", weight, times)


def _component(
    part: Part, path: str, weight: float | None, contribution: float | None, milliseconds: float
) -> Component:
    o = part.outcome
    return Component(
        path, o.value, weight, contribution, o.status == "gated", o.clipped, o.status, o.detail,
        o.extracted, o.gold, o.gold_column, part.scheduled, milliseconds,
    )  # fmt: skip


def _adds_up(outcome: Outcome) -> bool:
    """Whether parts are added up to its value (or would be, had they been scored)."""
    return any(part.weight is not None for part in outcome.parts)


def _remainder(outcome: Outcome, weight: float) -> float | None:
    """What the outcome adds beyond its parts."""
    if outcome.value is None:
        return None
    below = [weight * part.weight * part.outcome.value for part in outcome.parts if part.contribution is not None]  # type: ignore[operator]
    total = weight * outcome.value
    if not below:
        return total
    left = total - sum(below)
    rounded = abs(left) <= 1e-9 * max(abs(total), *map(abs, below))  # said once, at the end
    return left if outcome.clipped or not rounded else 0.0


def _exact(rows: list[Component], total: float) -> list[Component]:
    """The same with a last component that makes the sum exact, where rounding left a difference."""
    for _ in range(4):  # one is enough, a second where a huge sum was clipped to a tiny one
        left = total - sum(row.contribution for row in rows if row.contribution is not None)
        if left == 0.0:
            break
        rows.append(_rounding(left))
    return rows


def _rounding(left: float) -> Component:
    detail = "floating-point rounding of nested weights"
    return Component(ROUNDING, left, 1.0, left, False, False, "scored", detail, None, None, None, False)
