"""What every component gave and added, as one column per component."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rewardkit.breakdown import Component, components, is_rounding
from rewardkit.outcome import Outcome


@dataclass(eq=False)
class Column:
    """One component over all rows.

    Attributes:
        path: its path in the stack.
        values: what it gave; ``None`` where it did not score the row or does not occur in it.
        contributions: what it added to the total; 0 where it added nothing.
        weight: the first weight with which it was added; ``None`` where it never is (a gate, a factor).
        clipped: the rows in which a clip changed its value.
        statuses: rows by status.
        composed: whether it is made of components that are added themselves, so that its own contribution is
            nothing but what a clip took.
    """

    path: str
    values: list[float | None]
    contributions: list[float]
    weight: float | None = None
    clipped: list[int] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    composed: bool = False

    def enter(self, row: int, component: Component) -> None:
        """What it gave in one row."""
        self.values[row] = component.value
        self.contributions[row] = component.contribution or 0.0
        self.statuses[component.status] += 1
        if self.weight is None:
            self.weight = component.weight
        if component.clipped:
            self.clipped.append(row)

    @property
    def added(self) -> bool:
        """Whether it is a term of the total."""
        return self.weight is not None

    @property
    def scored(self) -> int:
        """Rows with a value."""
        return sum(value is not None for value in self.values)


def columns_of(outcomes: Sequence[Outcome], name: str) -> dict[str, Column]:
    """Every component by its path, in the order of the stack.

    Args:
        outcomes: one per row.
        name: of the stack.
    """
    count = len(outcomes)
    found: dict[str, Column] = {}
    for row, outcome in enumerate(outcomes):
        for component in components(outcome, name):
            column = found.get(component.path)
            if column is None:
                column = found[component.path] = Column(component.path, [None] * count, [0.0] * count)
            column.enter(row, component)
    for path in found:
        found[path].composed = any(found[below].added for below in _below(path, name, found))
    if name in found and found[name].composed:  # listed only where it is clipped
        found[name].values = [outcome.value for outcome in outcomes]
        found[name].statuses = Counter(outcome.status for outcome in outcomes)
    return dict(sorted(found.items(), key=lambda item: is_rounding(item[0])))  # rounding last


def held_back(columns: dict[str, Column], count: int) -> list[float]:
    """What clips added to or took from each row's total."""
    held = [0.0] * count
    for column in columns.values():
        for row in column.clipped:
            held[row] += column.contributions[row]
    return held


def _below(path: str, name: str, columns: dict[str, Column]) -> Iterator[str]:
    """The components that one is made of; the stack's own entry, there when it is clipped, is above them all."""
    for other in columns:
        if other != path and not is_rounding(other) and (path == name or other.startswith(f"{path}/")):
            yield other
