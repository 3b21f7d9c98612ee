"""``explain``: what some rows of a file earn, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rewardkit.cli.chunks import Chunk, Cutting, Position
from rewardkit.cli.chunks import Row as FileRow
from rewardkit.cli.errors import UsageError
from rewardkit.cli.jsonl import JsonlFile
from rewardkit.cli.options import (
    add_columns,
    add_file,
    add_json,
    add_stack,
    columns_of,
    group_size,
    open_rows,
    positive,
    stack_of,
)
from rewardkit.cli.parquet import ParquetFile
from rewardkit.cli.printing import show, show_json
from rewardkit.cli.scoring import RowBatch, Scoring, place, score_rows
from rewardkit.contract import Outcome, completion_text
from rewardkit.driving import Spent
from rewardkit.report import Report, Row

MOST_ROWS = 10_000
"""They are held in memory and printed; `score` is for files."""

HELP = "what rows of a file earn, through which components, and why"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_file(parser)
    add_stack(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--rows", metavar="0,5,7", help="these rows, counted from 0")
    which.add_argument("--limit", type=_limit, default=20, metavar="N", help="the first N rows (default: 20)")
    add_columns(parser)
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print the report; 1 if a row could not be scored, else 0."""
    source, stack = open_rows(args.file), stack_of(args)
    wanted = set(range(args.limit) if args.rows is None else read_rows(args.rows))
    if len(wanted) > MOST_ROWS:
        raise UsageError(f"--limit: at most {MOST_ROWS:,} rows can be explained; for a file use score --breakdown")
    columns = columns_of(args, source.first_record())
    size = group_size(stack, args.num_generations)
    scoring = TimedScoring(stack=stack, columns=columns, num_generations=size, step=args.step)
    groups = list(_groups(source, wanted, Cutting(batch_size=1, num_generations=size, prompt=columns.prompt_in_file)))
    chosen = [row for group in groups for row in group.rows() if row.number in wanted]
    if args.rows is not None and len(chosen) < len(wanted):
        raise UsageError(f"--rows: the file has no row {min(wanted - {row.number for row in chosen})}")
    outcomes, reasons = _scored([_Picked.of(chosen)] if size is None else groups, scoring)
    if scoring.asked and size is None:  # then the values depend on the other completions of each prompt
        scoring.spent.clear()
        outcomes, reasons = _scored(groups, scoring)
    rows = [row for row in chosen if row.number in outcomes]
    numbers = tuple(row.number for row in rows)
    completions, _ = columns.call([columns.renamed(row.record) for row in rows if row.record is not None])
    found = tuple(outcomes[n] for n in numbers)
    report = FileReport(
        found,
        dict(scoring.spent),
        stack.__name__,
        numbers=numbers,
        texts=tuple(map(completion_text, completions)),
    )
    _print(report, as_json=args.json)
    for row in chosen:
        if row.number in reasons:
            print(f"{place(row)} cannot be scored: {reasons[row.number]}", file=sys.stderr)
    return 1 if len(rows) < len(chosen) else 0


@dataclass(frozen=True, kw_only=True)
class TimedScoring(Scoring):
    """Scoring that keeps what every component took, and whether groups were asked for."""

    spent: dict[str, Spent] = field(default_factory=dict)
    asked: list[bool] = field(default_factory=list)

    def score(self, batch: RowBatch) -> list[Outcome]:
        """What the stack gives."""
        try:
            outcomes, run = self.stack.evaluate(batch)
        finally:
            self.asked.extend(batch.asked)
        for path, (seconds, rows) in run.spent.items():
            before = self.spent.get(path, Spent(0.0, 0))
            self.spent[path] = Spent(before.seconds + seconds, before.rows + rows)
        return outcomes


@dataclass(frozen=True, repr=False)
class FileReport(Report):
    """A report whose rows have the numbers that they have in the file; `texts` are their completions."""

    numbers: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        return tuple(Row(n, row.outcome, row.components) for n, row in zip(self.numbers, super().rows, strict=True))

    def to_dicts(self) -> list[dict[str, Any]]:
        """As of any report."""
        return [{**row, "completion": text} for row, text in zip(super().to_dicts(), self.texts, strict=True)]


@dataclass(frozen=True, kw_only=True)
class _Picked(Chunk):
    """Rows from anywhere in a file."""

    picked: tuple[FileRow, ...]

    @classmethod
    def of(cls, rows: Sequence[FileRow]) -> _Picked:
        return cls(start=Position(), end=Position(), progress=0, picked=tuple(rows))

    def rows(self) -> list[FileRow]:
        """The rows, decoded."""
        return list(self.picked)


def _limit(text: str) -> int:
    return min(positive(text), MOST_ROWS + 1)


def read_rows(text: str) -> list[int]:
    """``0,5,7`` as numbers.

    Raises:
        UsageError: another form.
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise UsageError(f"--rows: expected numbers such as 0,5,7, got {text!r}")
    return [int(word) for word in words]


def _groups(source: JsonlFile | ParquetFile, wanted: set[int], cutting: Cutting) -> Iterator[Chunk]:
    """The completions of a prompt, of every prompt with a row that is wanted."""
    last = max(wanted)
    for chunk in source.chunks(Position(), cutting):
        if not wanted.isdisjoint(range(chunk.start.row, chunk.end.row)):
            yield chunk
        if chunk.end.row > last:
            return


def _scored(chunks: Sequence[Chunk], scoring: Scoring) -> tuple[dict[int, Outcome], dict[int, str]]:
    """Outcomes and reasons by number of the row."""
    outcomes: dict[int, Outcome] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        score = score_rows(chunk, scoring)
        outcomes |= {score.read[i].number: outcome for i, outcome in score.outcomes.items()}
        reasons |= {score.read[i].number: reason for i, reason in score.reasons.items()}
    return outcomes, reasons


def _print(report: FileReport, *, as_json: bool) -> None:
    if as_json:
        show_json(report.to_dicts())
        return
    if len(report):
        show(report)
        print()
        for index in range(len(report)):
            print(report.why(index))
