"""What is written of a scored chunk: lines of the output, lines of the rows kept aside, and counts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from rewardkit.adapters.components import component_paths, component_values
from rewardkit.breakdown import components
from rewardkit.cli.chunks import Chunk, Position, Row
from rewardkit.cli.scoring import ChunkScore, Scoring, place, score_rows
from rewardkit.contract import Outcome

SHOWN_REJECTIONS = 20
"""Rejected rows of a chunk that are named on the terminal."""

OWN_NAMES = ("row", "total", "status", "components")

_NUMBERS = re.compile(r"\d+")


class Counts(NamedTuple):
    """Rows by what became of them, and the sum of the totals."""

    scored: int = 0
    not_scored: int = 0
    rejected: int = 0
    total: float = 0.0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(
            self.scored + other.scored,
            self.not_scored + other.not_scored,
            self.rejected + other.rejected,
            self.total + other.total,
        )


@dataclass(frozen=True, kw_only=True)
class ChunkLines:
    """A scored chunk, ready to be written.

    Attributes:
        end: where the next chunk begins.
        progress: how much of the file has been read.
        output: lines of scores.
        rejected: lines of rows that have none.
        counts: of this chunk.
        named: the first rejected rows, for the terminal.
        refused: the reason for which the stack raised on every row, where it is the same one.
    """

    end: Position
    progress: int
    output: bytes
    rejected: bytes
    counts: Counts
    named: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job:
    """A chunk in, lines out; sent to each worker once.

    Attributes:
        scoring: how rows are scored.
        breakdown: whether every component's weight, contribution and status are written too.
        copy_columns: whether the columns of the input are written too.
    """

    scoring: Scoring
    breakdown: bool = False
    copy_columns: bool = False

    def __call__(self, chunk: Chunk) -> ChunkLines:
        """Score a chunk."""
        score = score_rows(chunk, self.scoring)
        if self.copy_columns:
            self._refuse_own_names(score)
        aside = {i: _rejected(score.read[i], reason) for i, reason in score.reasons.items()}
        values = [outcome.value for outcome in score.outcomes.values()]
        numbers = [float(value) for value in values if value is not None]
        return ChunkLines(
            end=chunk.end,
            progress=chunk.progress,
            output=b"".join(self._line(score.rows[i], score.outcomes[i]) for i in sorted(score.outcomes)),
            rejected=b"".join(aside[i] for i in sorted(aside)),
            counts=Counts(len(numbers), len(values) - len(numbers), len(aside), sum(numbers)),
            named=tuple(f"{place(score.read[i])}: {score.reasons[i]}" for i in sorted(aside)[:SHOWN_REJECTIONS]),
            refused=_same_refusal(score),
        )

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The components of the stack, if it has any."""
        return component_paths(self.scoring.stack)

    def _line(self, row: Row, outcome: Outcome) -> bytes:
        line: dict[str, Any] = {"row": row.number, "total": None if outcome.value is None else float(outcome.value)}
        if self.breakdown:
            line["status"] = outcome.status
            line["components"] = {
                c.path: {"value": c.value, "weight": c.weight, "contribution": c.contribution, "status": c.status}
                for c in components(outcome, self.scoring.stack.__name__)
            }
        else:
            line["components"] = component_values(outcome, self.paths) or {self.scoring.stack.__name__: line["total"]}
        if self.copy_columns and row.record is not None:
            line |= row.record
        return as_line(line)

    @staticmethod
    def _refuse_own_names(score: ChunkScore) -> None:
        for i in list(score.outcomes):
            clash = next((name for name in OWN_NAMES if name in (score.rows[i].record or ())), None)
            if clash is not None:
                del score.outcomes[i]
                score.reasons[i] = f"its column {clash!r} would hide the score of that name; use --rename {clash}=NAME"


def _rejected(row: Row, reason: str) -> bytes:
    line: dict[str, Any] = {"row": row.number} | ({} if row.line is None else {"line": row.line})
    line |= {"reason": reason}
    return as_line(line | ({"raw": row.raw} if row.record is None else {"record": row.record}))


def _same_refusal(score: ChunkScore) -> str | None:
    """The reason of the stack for all rows, numbers in it aside."""
    reasons = list(score.refused.values())
    alike = len({_NUMBERS.sub("#", reason) for reason in reasons}) == 1
    return reasons[0] if alike and len(reasons) == len(score.rows) else None


def as_line(line: Mapping[str, Any]) -> bytes:
    """JSON and a line break; text that is not Unicode (half a surrogate pair) is escaped, dates are text."""
    try:
        return json.dumps(line, ensure_ascii=False, default=_plain).encode() + b"\n"
    except UnicodeEncodeError:
        return json.dumps(line, default=_plain).encode() + b"\n"


def _plain(value: Any) -> Any:
    """What JSON does not know: a number of NumPy as a number, all else as text."""
    return value.item() if hasattr(value, "item") else str(value)
