"""Through which component a completion earned more than another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from rewardkit.breakdown import Component, components, is_rounding
from rewardkit.contract import Outcome


def through(pairs: Iterable[tuple[Outcome, Outcome]], name: str) -> str:
    """The component with the largest gain in contribution over pairs of (earned more, earned less).

    Where that is one which changes the values of others (a product, a map), the member below it whose own value
    gained most. Without any gain it is the component that contributes most.

    Args:
        pairs: outcomes of one stack.
        name: the stack's name.
    """
    gains: defaultdict[str, float] = defaultdict(float)
    values: defaultdict[str, float] = defaultdict(float)
    totals: defaultdict[str, float] = defaultdict(float)
    for more, less in pairs:
        before = {component.path: component for component in components(less, name)}
        for component in components(more, name):
            if not is_rounding(component.path):
                gains[component.path] += _gained(component.contribution, _of(before, component.path, "contribution"))
                values[component.path] += _gained(component.value, _of(before, component.path, "value"))
                totals[component.path] += component.contribution or 0.0
    best = max(gains, key=gains.__getitem__, default=name)
    if gains[best] <= 1e-12:
        best = max(totals, key=totals.__getitem__, default=name)
    below = {path: gain for path, gain in values.items() if gain > 0 and _stands_below(path, best, name)}
    return max(below, key=below.__getitem__) if below and gains[best] > 1e-12 else best


def _stands_below(path: str, above: str, name: str) -> bool:
    return path != above and (above == name or path.startswith(f"{above}/"))


def _gained(more: float | None, less: float | None) -> float:
    return (more or 0.0) - (less or 0.0)


def _of(known: dict[str, Component], path: str, field: str) -> float | None:
    value: float | None = getattr(known.get(path), field, None)
    return value
