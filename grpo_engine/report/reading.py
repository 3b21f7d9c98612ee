"""The files of a run directory, as curves, completions and settings; torn and foreign lines are left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT_RECORDS = {"train": 300, "eval": 100}  # completions shown of each split
KEPT_PER_STEP = 16  # a few whole groups of a step, in the order in which they were written

Row = dict[str, Any]
Values = list[float | None]


@dataclass(frozen=True)
class Curves:
    """What was logged of one split: `series[name][i]` belongs to `steps[i]`, None where it was not logged."""

    steps: list[int] = field(default_factory=list)
    series: dict[str, Values] = field(default_factory=dict)

    def points(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a series, without the gaps."""
        pairs = [(s, v) for s, v in zip(self.steps, self.series.get(name, []), strict=False) if v is not None]
        return [step for step, _ in pairs], [value for _, value in pairs]


@dataclass(frozen=True)
class Run:
    """What the files of a run directory say; `notes` names everything that was left out."""

    name: str
    config: Row
    train: Curves
    held_out: Curves
    completions: list[Row]
    notes: list[str]


def read_run(run_dir: Path) -> Run:
    """Read the files of a run directory."""
    if not (run_dir / "metrics.jsonl").is_file():
        raise FileNotFoundError(
            f"run_dir: expected a directory in which a trainer wrote metrics.jsonl, got {str(run_dir)!r}; "
            "pass the output_dir of a run that logged at least one step"
        )
    notes: list[str] = []
    train, held_out = _read_metrics(run_dir / "metrics.jsonl", notes)
    return Run(
        name=run_dir.resolve().name,
        config=_read_config(run_dir / "config.json", notes),
        train=train,
        held_out=held_out,
        completions=_read_completions(run_dir / "completions.jsonl", notes),
        notes=notes,
    )


def _rows(path: Path, notes: list[str]) -> Iterator[tuple[int, int, Row]]:
    """Yield (step, byte offset, row) of a JSONL file; a torn last line is an interrupted run, no fault."""
    offset = skipped = 0
    with path.open("rb") as file:
        for line in file:
            step, row = _parse(line)
            if step is not None:
                yield step, offset, row
            elif line.endswith(b"\n") and line.strip():
                skipped += 1
            offset += len(line)
    if skipped:
        notes.append(f"{skipped:,} unreadable lines of {path.name} were skipped.")


def _parse(line: bytes) -> tuple[int | None, Row]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None, {}
    step = number(row.get("step")) if isinstance(row, dict) else None
    return (None, {}) if step is None else (int(step), row)


def number(value: Any) -> float | None:
    """A finite float, or None for anything that cannot be drawn (null, NaN, infinities, text).

    >>> [number(value) for value in (1, 0.5, float("nan"), None, "0.5", True)]
    [1.0, 0.5, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _read_config(path: Path, notes: list[str]) -> Row:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        notes.append("config.json is missing or unreadable.")
        return {}
    return config


def _read_metrics(path: Path, notes: list[str]) -> tuple[Curves, Curves]:
    train: list[tuple[int, Row]] = []
    held_out: list[tuple[int, Row]] = []
    for step, _, row in _rows(path, notes):
        evaluation = {name[5:]: value for name, value in row.items() if name.startswith("eval_")}
        rows, values = (held_out, evaluation) if evaluation else (train, row)
        while rows and rows[-1][0] > step:  # a resumed run writes the steps after its checkpoint again
            rows.pop()
        if rows and rows[-1][0] == step:
            rows[-1][1].update(values)
        else:
            rows.append((step, values))
    return _curves(train), _curves(held_out)


def _curves(rows: Sequence[tuple[int, Row]]) -> Curves:
    names = dict.fromkeys(name for _, row in rows for name in row if name not in ("step", "epoch"))
    series = {name: [number(row.get(name)) for _, row in rows] for name in names}
    drawn = {name: values for name, values in series.items() if any(value is not None for value in values)}
    return Curves([step for step, _ in rows], drawn)


def _read_completions(path: Path, notes: list[str]) -> list[Row]:
    """The kept records: the first steps and the last, and steps evenly spread between them.

    Two passes over the file, so that a run's gigabytes of text are never held at once.
    """
    if not path.is_file():
        notes.append("completions.jsonl is missing: no completion was recorded.")
        return []
    offsets: dict[str, list[tuple[int, int]]] = {split: [] for split in KEPT_RECORDS}
    for step, offset, row in _rows(path, notes):
        kept = offsets["eval" if row.get("split") == "eval" else "train"]
        while kept and kept[-1][0] > step:  # as above: the resumed run's records replace these
            kept.pop()
        kept.append((step, offset))
    chosen = sorted(offset for split, kept in offsets.items() for offset in _spread(kept, KEPT_RECORDS[split]))
    total = sum(map(len, offsets.values()))
    if len(chosen) < total:
        notes.append(f"{len(chosen):,} of {total:,} completions are shown, from evenly spread steps.")
    with path.open("rb") as file:
        return [_parse(file.readline())[1] for offset in chosen if file.seek(offset) >= 0]


def _spread(records: Sequence[tuple[int, int]], limit: int) -> list[int]:
    """Offsets of at most `limit` records: whole steps where they fit, first and last step included."""
    by_step: dict[int, list[int]] = {}
    for step, offset in records:
        by_step.setdefault(step, []).append(offset)
    if len(records) <= limit:
        return [offset for _, offset in records]
    widest = min(KEPT_PER_STEP, max(map(len, by_step.values())))
    steps, count = list(by_step), max(2, limit // widest)
    if len(steps) > count:
        steps = [steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)]
    return [offset for step in steps for offset in by_step[step][:widest]]


def texts(mapping: Any) -> dict[str, str]:
    """The items of a mapping as texts, text itself without quotes."""
    items = mapping.items() if isinstance(mapping, dict) else ()
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in items}
