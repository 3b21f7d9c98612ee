"""What was paid when the rollouts were recorded, as a reward: to be simulated, weighted, compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rewardkit.contract import Batch, Outcome, Reward, RewardError

PREFIX = "rewards/"
"""Stands before the name of a component in the columns of a run's log."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Recorded(Reward):
    """The number that a column of the recording holds.

    reward = the column's value; ``None`` and NaN are "not scored".

    Range: the column's. An empty completion gets what was recorded for it.

    How a model might cheat it: it does not look at completions; it is for replays, not for training.

    Attributes:
        column: its name. For ``rewards/x`` the name ``x`` is enough.

    Raises:
        ColumnError: there is no such column.
        RewardError: a value that is no finite number.

    Example:
        >>> from rewardkit.replay import Recorded, recorded
        >>> recorded(["a", "b"], reward=[1.5, None])
        [1.5, None]
        >>> (2.0 * Recorded(column="x") + recorded)(["a"], reward=[0.5], **{"rewards/x": [1.0]})
        [2.5]
    """

    column: str = "reward"

    def _default_name(self) -> str:
        return self.column.removeprefix(PREFIX).replace("/", ".")  # a slash would make it a part of another

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The values of the column."""
        known = batch.columns.get(self.column) is not None
        nested = f"{PREFIX}{self.column}"
        name = nested if not known and batch.columns.get(nested) is not None else self.column
        return [self._outcome(value, batch.row(row)) for row, value in enumerate(batch.column(name))]

    def _outcome(self, value: Any, row: int) -> Outcome:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return Outcome(None, "not_scored", "not scored when it was recorded")
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RewardError(f"column {self.column!r}, row {row} holds {value!r}; expected a finite number or None")
        return Outcome(float(value), "scored", "as recorded")


recorded = Recorded()
