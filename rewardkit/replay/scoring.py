"""Scores rollouts as a trainer would have: step by step, whole groups at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit.batch import Batch
from rewardkit.contract import Outcome, Reward
from rewardkit.replay.rollouts import Rollouts

CHUNK_ROWS = 512
"""Completions per call; a larger group is one call."""

QUIET_SECONDS = 2.0
"""Progress is shown for what takes longer."""

_TOLD_OTHERWISE = ("num_generations", "global_step", "trainer_state", "log_metric", "log_extra")
"""Columns that describe the call and not the row."""


@dataclass(frozen=True, eq=False)
class Chunk(Batch):
    """Some rows of a recording; messages name the rows of the recording."""

    rows: tuple[int, ...] = ()

    def row(self, index: int) -> int:
        """The row of the recording."""
        return self.rows[index]


def score_rollouts(reward: Reward, rollouts: Rollouts) -> list[Outcome]:
    """The outcome of every row.

    Raises:
        ColumnError, RewardError, TypeError: as for the reward.
    """
    found: dict[int, Outcome] = {}
    progress = _Progress(reward.__name__, len(rollouts))
    try:
        for groups in chunks(rollouts):
            rows = [row for group in groups for row in group]
            found.update(zip(rows, reward.score(batch_of(rollouts, groups)), strict=True))
            progress.at(len(found))
    finally:
        progress.stop()
    return [found[row] for row in range(len(rollouts))]


def chunks(rollouts: Rollouts) -> Iterator[list[tuple[int, ...]]]:
    """Groups to score together: of one size, scored at one step."""
    chunk: list[tuple[int, ...]] = []
    kind = (0, 0)
    for group in rollouts.groups:
        own = (rollouts.scored_at[group[0]], len(group))
        if chunk and (own != kind or (len(chunk) + 1) * len(group) > CHUNK_ROWS):
            yield chunk
            chunk = []
        chunk.append(group)
        kind = own
    if chunk:
        yield chunk


def batch_of(rollouts: Rollouts, groups: Sequence[Sequence[int]]) -> Batch:
    """The call of the contract for groups of one size, scored at one step."""
    rows = tuple(row for group in groups for row in group)
    columns: dict[str, Any] = {
        name: [values[row] for row in rows] for name, values in rollouts.columns.items() if name not in _TOLD_OTHERWISE
    }
    if rollouts.prompts is not None:
        columns["prompts"] = [rollouts.prompts[row] for row in rows]
    columns |= {"global_step": rollouts.scored_at[rows[0]], "num_generations": len(groups[0])}
    return Chunk([rollouts.completions[row] for row in rows], columns, rows=rows)


class _Progress:
    """A bar in a terminal, once the work turns out to take long."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def at(self, done: int) -> None:
        """So many rows are done."""
        if self._bar is None:
            if time.monotonic() - self._started < QUIET_SECONDS:
                return
            from rich.console import Console
            from rich.markup import escape
            from rich.progress import Progress

            console = Console(stderr=True)
            self._bar = Progress(console=console, transient=True, disable=not console.is_terminal)
            self._task = self._bar.add_task(escape(self._what), total=self._total)
            self._bar.start()
        self._bar.update(self._task, completed=done)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
