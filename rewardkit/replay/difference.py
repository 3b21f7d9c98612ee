"""What a change of a stack changes, on recorded rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rewardkit.batch import completion_text
from rewardkit.contract import RewardFunction
from rewardkit.replay.advantages import EPSILON
from rewardkit.replay.changes import ComponentChange, component_changes
from rewardkit.replay.recorded import Recorded
from rewardkit.replay.rollouts import as_rollouts
from rewardkit.replay.shares import pearson, spearman
from rewardkit.replay.simulation import Simulation, simulate

SMALL = 1e-9
"""Smaller differences are rounding: neither a changed reward nor an advantage with a sign."""

SIGNS = {-1: "−", 0: "0", 1: "+"}


class Example(NamedTuple):
    """One row that changes, in words.

    Attributes:
        row: of the rollouts.
        source: the file it was read from.
        line: its place there.
        step: its training step.
        completion: its text.
        old_total: what the old stack pays.
        new_total: what the new one pays.
        old_advantage: what came of it.
        new_advantage: what comes of it.
        old_why: the old reward in words.
        new_why: the new one.
    """

    row: int
    source: str
    line: int
    step: int
    completion: str
    old_total: float | None
    new_total: float | None
    old_advantage: float
    new_advantage: float
    old_why: str
    new_why: str


@dataclass(frozen=True, repr=False, eq=False)
class RewardDiff:
    """What :func:`diff` returns. It prints as tables.

    Attributes:
        old: the rollouts under the old stack.
        new: the same under the new one.
    """

    old: Simulation
    new: Simulation

    @cached_property
    def changed(self) -> list[int]:
        """Rows whose reward differs; also those that only one of the stacks scores."""
        return [row for row in range(len(self.new)) if self._size(row) > 0.0]

    @cached_property
    def sign_changes(self) -> dict[str, list[int]]:
        """Rows whose advantage changes sign, by what it was and becomes, such as ``"+ → −"``."""
        found: dict[str, list[int]] = {
            f"{SIGNS[was]} → {SIGNS[becomes]}": []
            for was, becomes in ((1, -1), (-1, 1), (0, 1), (0, -1), (1, 0), (-1, 0))
        }
        for row, (old, new) in enumerate(zip(self.old.advantages, self.new.advantages, strict=True)):
            if _sign(old) != _sign(new):
                found[f"{SIGNS[_sign(old)]} → {SIGNS[_sign(new)]}"].append(row)
        return found

    @cached_property
    def components(self) -> tuple[ComponentChange, ...]:
        """Every component of either stack; one that only moved within the tree is one row, under its new path."""
        return component_changes(self.old.components, self.new.components)

    @cached_property
    def totals(self) -> tuple[float | None, float | None]:
        """Correlation of old and new rewards, Pearson's and Spearman's, over the rows that both score."""
        pairs = zip(self.old.totals, self.new.totals, strict=True)
        scored = [(old, new) for old, new in pairs if old is not None and new is not None]
        return _correlations([old for old, _ in scored], [new for _, new in scored])

    @cached_property
    def advantages(self) -> tuple[float | None, float | None]:
        """Correlation of old and new advantages, Pearson's and Spearman's."""
        return _correlations(self.old.advantages, self.new.advantages)

    @cached_property
    def best_changed(self) -> list[int]:
        """Groups in which no completion that was the best (or among the best) still is."""
        bests = [(_best(self.old.totals, group), _best(self.new.totals, group)) for group in self.new.rollouts.groups]
        return [number for number, (old, new) in enumerate(bests) if old and new and not old & new]

    def examples(self, count: int = 5) -> list[Example]:
        """The rows that change the most, with both rewards in words.

        Advantages that change sign come first, the largest change in front; then rewards that change.
        """
        signs = {row for rows in self.sign_changes.values() for row in rows}
        ranked = sorted(
            signs.union(self.changed), key=lambda row: (row not in signs, -self._move(row), -self._size(row), row)
        )
        return [self._example(row) for row in ranked[: max(count, 0)]]

    def to_dict(self, examples: int = 5) -> dict[str, Any]:
        """The summary as data for JSON."""
        return {
            "old": self.old.name,
            "new": self.new.name,
            "completions": len(self.new),
            "groups": len(self.new.dead),
            "changed": len(self.changed),
            "sign_changes": {kind: len(rows) for kind, rows in self.sign_changes.items()},
            "best_changed": len(self.best_changed),
            "dead_groups": [self.old.dead_groups, self.new.dead_groups],
            "correlation": {
                "rewards": dict(zip(("pearson", "spearman"), self.totals, strict=True)),
                "advantages": dict(zip(("pearson", "spearman"), self.advantages, strict=True)),
            },
            "components": [{**c._asdict(), "change": c.change} for c in self.components],
            "examples": [example._asdict() for example in self.examples(examples)],
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary per row: place, step, group, rewards and advantages on both sides."""
        return [
            {
                **{name: new[name] for name in ("row", "source", "line", "step", "group")},
                "old_total": old["total"],
                "new_total": new["total"],
                "old_advantage": old["advantage"],
                "new_advantage": new["advantage"],
            }
            for old, new in zip(self.old.to_dicts(), self.new.to_dicts(), strict=True)
        ]

    def _size(self, row: int) -> float:
        """By how much the reward changes; rounding is 0, a row that only one side scores infinite."""
        old, new = self.old.totals[row], self.new.totals[row]
        if old is None or new is None:
            return 0.0 if old is new else float("inf")
        return abs(new - old) if abs(new - old) > SMALL * max(1.0, abs(old), abs(new)) else 0.0

    def _move(self, row: int) -> float:
        """By how much the advantage changes, rounding left out."""
        return round(abs(self.new.advantages[row] - self.old.advantages[row]), 9)

    def _example(self, row: int) -> Example:
        rollouts = self.new.rollouts
        return Example(
            row,
            *rollouts.places[row],
            rollouts.step[row],
            completion_text(rollouts.completions[row]),
            self.old.totals[row],
            self.new.totals[row],
            self.old.advantages[row],
            self.new.advantages[row],
            self.old.why(row),
            self.new.why(row),
        )

    def __repr__(self) -> str:
        from rewardkit.replay.view import as_text, diff_tables

        return as_text(diff_tables(self))

    def __rich__(self) -> Any:
        from rewardkit.replay.view import diff_tables

        return diff_tables(self)


def diff(
    old: RewardFunction | str,
    new: RewardFunction | str,
    rollouts: Any,
    *,
    num_generations: int | None = None,
    scale_rewards: str = "group",
    epsilon: float = EPSILON,
) -> RewardDiff:
    """What changes on recorded rollouts when a stack is replaced by another.

    Args:
        old: a stack, or the name of a column that holds what was paid, such as ``"reward"`` in a run's log; see
            :class:`Recorded`.
        new: the same.
        rollouts: :class:`Rollouts`, or anything that :func:`read_rollouts` takes.
        num_generations: completions per prompt, in order within a step, where the rollouts do not tell.
        scale_rewards: "group", "batch" or "none", as the trainer's setting of that name.
        epsilon: added to the standard deviation.

    Raises:
        ColumnError, RewardError, TypeError, ValueError: as for :func:`simulate`.

    Example:
        >>> from rewardkit import boxed_accuracy, soft_format
        >>> texts = ["\\\\boxed{2}", "<think>1 + 1</think><answer>3</answer>"]
        >>> rows = [{"prompt": "1 + 1?", "completion": text, "answer": "2"} for text in texts]
        >>> change = diff(boxed_accuracy, boxed_accuracy + 2.0 * soft_format, rows)
        >>> change.changed, change.sign_changes["+ → −"], change.best_changed
        ([1], [0], [0])
    """
    recorded = as_rollouts(rollouts, num_generations)
    sides = [Recorded(column=stack) if isinstance(stack, str) else stack for stack in (old, new)]
    before, after = (simulate(side, recorded, scale_rewards=scale_rewards, epsilon=epsilon) for side in sides)
    return RewardDiff(before, after)


def _sign(advantage: float) -> int:
    return 0 if abs(advantage) <= SMALL else 1 if advantage > 0 else -1


def _best(totals: Sequence[float | None], group: Sequence[int]) -> set[int]:
    """The rows of the group with the highest reward."""
    scored = [(total, row) for row in group if (total := totals[row]) is not None]
    highest = max((total for total, _ in scored), default=0.0)
    return {row for total, row in scored if total >= highest - SMALL * max(1.0, abs(highest))}


def _correlations(left: Sequence[float], right: Sequence[float]) -> tuple[float | None, float | None]:
    return pearson(left, right), spearman(left, right)
