"""How far a run has come: a bar in a terminal, a line now and then elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import Protocol

from rewardkit.cli.lines import Counts

SECONDS = 10.0
"""Between two lines, where there is no terminal."""

_SCALES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"), (1, "B"))


class Progress(Protocol):
    """Told of every chunk."""

    def update(self, done: int, rows: int) -> None:
        """`done` of the total has been read, `rows` have been scored or kept aside."""

    def say(self, text: str) -> None:
        """A line for the user."""

    def close(self) -> None:
        """No more."""


def progress(total: int, unit: str, done: int = 0, rows: int = 0) -> Progress:
    """A bar or lines, as stderr is a terminal or not.

    Args:
        total: size of the file, in `unit`.
        unit: "bytes" or "rows".
        done: what an earlier run has read.
        rows: the rows of that run.
    """
    return (Bar if sys.stderr.isatty() else Lines)(total, unit, done, rows)


class Lines:
    """A line every ten seconds."""

    def __init__(self, total: int, unit: str, done: int, rows: int) -> None:
        self._total, self._unit = total, unit
        self._before, self._started = rows, time.monotonic()
        self._told = self._started

    def update(self, done: int, rows: int) -> None:
        """A line, if it is time."""
        now = time.monotonic()
        if now - self._told >= SECONDS:
            self._told = now
            rate = (rows - self._before) / (now - self._started)
            self.say(f"{_amount(done, self._total, self._unit)}: {rows:,} rows, {rate:,.0f} rows/s")

    def say(self, text: str) -> None:
        """A line."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing is left to do."""


class Bar:
    """A bar that moves."""

    def __init__(self, total: int, unit: str, done: int, rows: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._total, self._unit = total, unit
        self._before, self._started = rows, time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[amount]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("scoring", total=total or 1, completed=done, amount="", rate="")
        self._bar.start()

    def update(self, done: int, rows: int) -> None:
        """Move the bar."""
        rate = (rows - self._before) / max(time.monotonic() - self._started, 1e-9)
        amount = _amount(done, self._total, self._unit)
        amount += f", {rows:,} rows" if self._unit == "bytes" else ""
        self._bar.update(self._task, completed=done, amount=amount, rate=f"{rate:,.0f} rows/s")

    def say(self, text: str) -> None:
        """A line above the bar."""
        from rich.text import Text

        self._bar.console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.stop()


def _amount(done: int, total: int, unit: str) -> str:
    if unit == "rows":
        return f"{done:,}/{total:,} rows"
    scale, name = next((pair for pair in _SCALES if total >= pair[0]), _SCALES[-1])
    return f"{done / scale:,.1f}/{total / scale:,.1f} {name}"


def summary(counts: Counts, seconds: float, rows: int) -> str:
    """What a run has come to.

    Args:
        counts: of the whole file.
        seconds: of this run.
        rows: scored in this run.
    """
    parts = [f"{counts.scored:,} rows scored"]
    if counts.scored:
        parts.append(f"mean total {counts.total / counts.scored:.4f}")
    parts += [f"{counts.not_scored:,} not scored"] if counts.not_scored else []
    parts += [f"{counts.rejected:,} rejected"] if counts.rejected else []
    return f"{', '.join(parts)}; {seconds:.1f} s, {rows / max(seconds, 1e-9):,.0f} rows/s"
