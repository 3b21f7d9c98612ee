"""A chunk of rows scored: every row has an outcome, or a reason why it has none.

A stack that raises on many rows at once does not say which row it is: the rows are halved until the bad one stands
alone. A stack that asks for the groups of a prompt is only ever given whole groups; of a group with a bad row
nothing is scored, as the values of the others would be relative to what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TypeAlias

from rewardkit.adapters.components import scheduled_part
from rewardkit.batch import Batch, ColumnError
from rewardkit.cli.chunks import Chunk, Row
from rewardkit.cli.columns import Columns
from rewardkit.cli.errors import UsageError
from rewardkit.contract import Outcome, Reward

Unit: TypeAlias = "list[int]"
"""Rows of a chunk that are scored together or not at all: one row, or a group."""

REASON_CHARACTERS = 500

STEP_REMEDY = "pass --step N, the optimizer steps that are taken as done"


@dataclass(frozen=True, eq=False)
class RowBatch(Batch):
    """Some rows of a file, which notes whether a reward asks for their groups.

    Attributes:
        numbers: the rows by their number in the file, for messages.
        asked: gets an entry whenever the groups are asked for.
        runs: the rows of each group, where they are known.
        whole: whether groups can be told: no other row of them is elsewhere.
    """

    numbers: tuple[int, ...] = ()
    asked: list[bool] = field(default_factory=list)
    runs: tuple[int, ...] = ()
    whole: bool = True

    def row(self, index: int) -> int:
        """The row of the file."""
        return self.numbers[index]

    @property
    def step(self) -> int:
        """As of any batch.

        Raises:
            ColumnError: no step was given.
        """
        if not isinstance(self.columns.get("global_step"), int):  # a column of that name has a value per row
            raise ColumnError(f"no training step: the stack reads it; {STEP_REMEDY}")
        return super().step

    def groups(self, size: int | None = None) -> list[list[int]]:
        """As of any batch; runs of equal prompts as they stand in the file.

        Raises:
            ColumnError: as of any batch; a run of equal prompts was too long to be held at once.
        """
        self.asked.append(True)
        if not self.whole:
            raise ColumnError(
                "too many rows with equal prompts, one after the other, to hold them as one group; give the number "
                "of completions per prompt with --num-generations, or a larger --batch-size"
            )
        sized = size is not None or self.columns.get("num_generations") is not None
        if sized or not self.runs or self.columns.get("prompts") is None:
            return super().groups(size)
        ends = list(accumulate(self.runs))
        return [list(range(end - rows, end)) for end, rows in zip(ends, self.runs, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How rows are scored.

    Attributes:
        stack: what scores them.
        columns: which column is what.
        num_generations: rows per group, where the user gave them.
        step: the training step, for scheduled weights.

    Raises:
        UsageError: the stack has a scheduled weight, and there is no step.
    """

    stack: Reward
    columns: Columns
    num_generations: int | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        scheduled = scheduled_part(self.stack)
        if self.step is None and scheduled is not None:
            raise UsageError(f"{scheduled.__name__} has a weight that follows the training step; {STEP_REMEDY}")

    def score(self, batch: RowBatch) -> list[Outcome]:
        """What the stack gives."""
        return self.stack.score(batch)

    def batch(self, rows: Sequence[Row], *, runs: tuple[int, ...] = (), whole: bool = True) -> RowBatch:
        """The rows as a call of the contract; `runs` and `whole` as of :class:`RowBatch`."""
        completions, columns = self.columns.call([row.record for row in rows if row.record is not None])
        given = {"num_generations": self.num_generations, "global_step": self.step}
        columns |= {name: value for name, value in given.items() if value is not None}
        return RowBatch(completions, columns, numbers=tuple(row.number for row in rows), runs=runs, whole=whole)

    def readable(self, row: Row, *, needs_prompt: bool = False) -> Row:
        """The row under its new names, with the fault that keeps it from being scored, if it has one."""
        if row.record is None:
            return row
        try:
            record = self.columns.renamed(row.record)
        except ValueError as error:
            return row._replace(record=None, fault=str(error))
        required = [self.columns.completion or "completion", *([self.columns.prompt] if needs_prompt else [])]
        for name in required:
            if name is not None and record.get(name) is None:
                fault = f"its column {name!r} is null" if name in record else f"it has no column {name!r}"
                return row._replace(record=record, fault=fault)
        return row._replace(record=record)


@dataclass
class ChunkScore:
    """The rows of a chunk and what became of each.

    Attributes:
        read: the rows as they were read.
        rows: the same under their new names.
        outcomes: what the stack gave, by place in the chunk.
        reasons: why a row was not scored, by place in the chunk.
        refused: of these, the ones that the stack raised for.
    """

    read: list[Row]
    rows: list[Row]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def score_rows(chunk: Chunk, scoring: Scoring) -> ChunkScore:
    """Score a chunk; nothing that a row holds or a reward raises ends the run."""
    read = chunk.rows()
    attempt = _Attempt(scoring, read, grouped=scoring.num_generations is not None, cut=chunk.cut)
    if not attempt.run():
        attempt = _Attempt(scoring, read, grouped=True, cut=chunk.cut)
        attempt.run()
    return attempt.score


class _Attempt:
    """One way through the rows of a chunk: each for itself, or group by group."""

    def __init__(self, scoring: Scoring, read: list[Row], *, grouped: bool, cut: bool) -> None:
        self.scoring, self.grouped, self.cut = scoring, grouped, cut
        ungrouped = grouped and scoring.num_generations is None
        rows = [scoring.readable(row, needs_prompt=ungrouped) for row in read]
        self.score = ChunkScore(read, rows, reasons={i: row.fault for i, row in enumerate(rows) if row.fault})
        self.bad = frozenset(self.score.reasons)

    def run(self) -> bool:
        """Score all rows; false where the stack asked for groups that it was not given."""
        return all(self._score(units) for units in self._alike(self._units()))

    def _units(self) -> list[Unit]:
        rows = self.score.rows
        if not self.grouped:
            return [[i] for i in range(len(rows)) if i not in self.bad]
        size = self.scoring.num_generations
        groups = _runs(rows, self.scoring.columns.prompt) if size is None else _blocks(len(rows), size)
        for group in groups:
            bad = next((i for i in group if i in self.bad), None)
            if bad is not None:
                self._reject(group, f"its group has a bad row ({place(rows[bad])}: {self.score.reasons[bad]})")
        return [group for group in groups if not any(i in self.bad for i in group)]

    def _alike(self, units: list[Unit]) -> list[list[Unit]]:
        """The units by their columns: what a row does not have must not be null because another has it."""
        by_columns: dict[frozenset[str], list[Unit]] = {}
        for unit in units:
            names = frozenset(name for i in unit for name in self.score.rows[i].record or ())
            by_columns.setdefault(names, []).append(unit)
        return list(by_columns.values())

    def _score(self, units: list[Unit]) -> bool:
        places = [i for unit in units for i in unit]
        batch = self.scoring.batch(
            [self.score.rows[i] for i in places],
            runs=tuple(map(len, units)) if self.grouped else (),
            whole=not self.cut,
        )
        prompts = batch.columns.get("prompts")
        everything = len(places) == len(self.score.rows) and None not in (prompts or ())
        try:
            outcomes = self.scoring.score(batch)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the row is kept aside, with the reason
            if batch.asked and not self.grouped:
                return False
            return self._halve(units, error)
        if batch.asked and not (self.grouped or everything):
            return False
        self.score.outcomes |= dict(zip(places, outcomes, strict=True))
        return True

    def _halve(self, units: list[Unit], error: BaseException) -> bool:
        """Look for the rows to which an error is due."""
        if len(units) > 1:
            half = len(units) // 2
            return self._score(units[:half]) and self._score(units[half:])
        reason = f"{type(error).__name__}: {error}"[:REASON_CHARACTERS]
        self.score.refused |= dict.fromkeys(units[0], reason)
        self._reject(units[0], reason)
        return True

    def _reject(self, places: Sequence[int], reason: str) -> None:
        for i in places:
            self.score.reasons.setdefault(i, reason)


def _runs(rows: Sequence[Row], column: str | None) -> list[Unit]:
    """Rows with equal prompts, one after the other; one that cannot be read is in the runs on both its sides."""
    runs: list[Unit] = []
    unread: Unit = []
    last = None
    for i, row in enumerate(rows):
        if row.record is None:
            unread.append(i)
            continue
        prompt = row.record.get(column) if column is not None else None
        if runs:
            runs[-1] += unread
        if runs and prompt is not None and prompt == last:
            runs[-1].append(i)
        else:
            runs.append([*unread, i])
        last, unread = prompt, []
    if runs:
        runs[-1] += unread
    return runs


def _blocks(count: int, size: int) -> list[Unit]:
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def place(row: Row) -> str:
    """A row as it is named to the user."""
    return f"row {row.number}" if row.line is None else f"line {row.line}"
