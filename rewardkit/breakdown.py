"""An outcome taken apart: what every component gave, and what it added to the total.

The contributions of all components of a completion add up to its total exactly: added up in order they *are* the
total, to the last bit. What a clip takes away is the (negative) contribution of the clipped sum itself; where
nested weights were rounded, a last component named ``rounding`` holds the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from rewardkit.outcome import Outcome, Status, fold

ROUNDING = "rounding"


class Component(NamedTuple):
    """One component of one completion.

    Attributes:
        path: the names from the top, joined by ``/``.
        outcome: what it gave, as the component itself said it.
        weight: the factor of its value in the total, all weights above it multiplied; ``None`` where it is
            not added (a gate, a factor of a product, the raw value of a map).
        contribution: what it added to the total; ``None`` where it is not added or not scored. Of a component
            that is made of others it is what is left after theirs: 0.0, or what a clip took.
        scheduled: its own weight, where a schedule set it.
        milliseconds: wall time per completion of its last batch, its members included.
    """

    path: str
    outcome: Outcome
    weight: float | None
    contribution: float | None
    scheduled: float | None = None
    milliseconds: float = 0.0

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def value(self) -> float | None:
        """What it gave, before its weight; ``None`` for "not scored"."""
        return self.outcome.value

    @property
    def status(self) -> Status:
        """Why it is what it is."""
        return self.outcome.status

    @property
    def detail(self) -> str:
        """One short sentence; may be empty."""
        return self.outcome.detail

    @property
    def gated(self) -> bool:
        """Whether a gate hid it."""
        return self.outcome.status == "gated"

    @property
    def clipped(self) -> bool:
        """Whether a clip changed its value."""
        return self.outcome.clipped

    @property
    def extracted(self) -> str | None:
        """What was judged, where something is looked for."""
        return self.outcome.extracted

    @property
    def gold(self) -> str | None:
        """The reference."""
        return self.outcome.gold

    @property
    def gold_column(self) -> str | None:
        """The column of the reference."""
        return self.outcome.gold_column

    def to_dict(self) -> dict[str, Any]:
        """All of it but the outcome's own parts, by name."""
        names = "path value weight contribution gated clipped status detail extracted gold gold_column scheduled"
        return {name: getattr(self, name) for name in [*names.split(), "milliseconds"]}


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
        return (Component(name, outcome, 1.0, outcome.value, None, times.get("", 0.0)),)
    rows: list[Component] = []
    own = _remainder(outcome, 1.0)
    if own or outcome.clipped or not _adds_up(outcome):
        path = root_path(name, [part.name for part in outcome.parts])
        rows.append(Component(path, outcome, 1.0, own, None, times.get("", 0.0)))
    _list_below(outcome, "", 1.0, times, rows)
    return tuple(rows if outcome.value is None else _exact(rows, outcome.value))


def root_path(name: str, below: Collection[str]) -> str:
    """The path of the whole: its name, marked where a component has the same."""
    return f"{name} (total)" if name in below else name


def _list_below(
    outcome: Outcome, prefix: str, factor: float | None, times: Mapping[str, float], rows: list[Component]
) -> None:
    for name, weight, part, scheduled in outcome.parts:
        path = prefix + name
        whole = None if factor is None or weight is None else factor * weight
        own = None if whole is None else _remainder(part, whole)
        rows.append(Component(path, part, whole, own, weight if scheduled else None, times.get(path, 0.0)))
        if part.parts:
            _list_below(part, f"{path}/", whole, times, rows)


def _adds_up(outcome: Outcome) -> bool:
    """Whether parts are added up to its value (or would be, had they been scored)."""
    return any(part.weight is not None for part in outcome.parts)


def _remainder(outcome: Outcome, weight: float) -> float | None:
    """What the outcome adds beyond its parts."""
    if outcome.value is None:
        return None
    if not outcome.parts:
        return weight * outcome.value
    below = [weight * part.weight * part.outcome.value for part in outcome.parts if part.contribution is not None]  # type: ignore[operator]
    total = weight * outcome.value
    if not below:
        return total
    left = total - fold(below)
    rounded = abs(left) <= 1e-9 * max(abs(total), *map(abs, below))  # said once, at the end
    return left if outcome.clipped or not rounded else 0.0


def _exact(rows: list[Component], total: float) -> list[Component]:
    """The same with a last component that makes the sum exact, where rounding left a difference."""
    for nth in range(1, 5):  # one is enough, another where a huge sum was clipped to a tiny one
        left = total - fold([row.contribution for row in rows if row.contribution is not None])
        if left == 0.0:
            break
        rows.append(_rounding(left, nth))
    return rows


def is_rounding(path: str) -> bool:
    """Whether a component is what rounding left, and no reward."""
    return path.partition("/")[0] == ROUNDING


def _rounding(left: float, nth: int) -> Component:
    path = ROUNDING if nth == 1 else f"{ROUNDING}/{nth}"
    return Component(path, Outcome(left, "scored", "floating-point rounding of nested weights"), 1.0, left)
