"""The components of two stacks, held against each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rewardkit.breakdown import is_rounding
from rewardkit.replay.summaries import ComponentShare


class ComponentChange(NamedTuple):
    """A component in both stacks; ``None`` on the side that does not have it (or does not add it).

    Attributes:
        path: its path.
        old_mean: mean of what it gave.
        new_mean: the same in the new stack.
        old_contribution: mean of what it added, over all rows.
        new_contribution: the same in the new stack.
        old_share: of the advantage's variance.
        new_share: the same in the new stack.
    """

    path: str
    old_mean: float | None
    new_mean: float | None
    old_contribution: float | None
    new_contribution: float | None
    old_share: float | None
    new_share: float | None

    @property
    def change(self) -> float:
        """By how much the mean reward changes through it."""
        return (self.new_contribution or 0.0) - (self.old_contribution or 0.0)


def component_changes(old: Iterable[ComponentShare], new: Iterable[ComponentShare]) -> tuple[ComponentChange, ...]:
    """Every component of either side; one that only moved within the tree is one row, under its new path."""
    sides = [{c.path: c for c in side if not is_rounding(c.path)} for side in (old, new)]
    moved = _moved(*sides)
    before = {moved.get(path, path): c for path, c in sides[0].items()}
    return tuple(_change(path, before.get(path), sides[1].get(path)) for path in dict.fromkeys([*before, *sides[1]]))


def _moved(old: Iterable[str], new: Iterable[str]) -> dict[str, str]:
    """New paths by old ones, where the name tells that it is the same component."""
    gone = [path for path in old if path not in set(new)]
    come = [path for path in new if path not in set(old)]
    found: dict[str, str] = {}
    for suffix in ("", ".raw"):  # what stands below a weight or a clip has the same name but for this
        left = [path for path in gone if path not in found]
        free = [path for path in come if path not in found.values()]
        was, becomes = (_by_name(paths, suffix) for paths in (left, free))
        found |= {was[name]: becomes[name] for name in was.keys() & becomes.keys()}
    return found


def _by_name(paths: Sequence[str], suffix: str) -> dict[str, str]:
    """Paths by their last part, without the suffix, where no other has the same."""
    names = [path.rpartition("/")[2].removesuffix(suffix) for path in paths]
    return {name: path for name, path in zip(names, paths, strict=True) if names.count(name) == 1}


def _change(path: str, old: ComponentShare | None, new: ComponentShare | None) -> ComponentChange:
    return ComponentChange(
        path,
        old.mean if old else None,
        new.mean if new else None,
        old.contribution if old else None,
        new.contribution if new else None,
        old.share if old else None,
        new.share if new else None,
    )
