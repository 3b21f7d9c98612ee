"""What a run achieved, as a table in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


def print_summary(history: Sequence[dict[str, Any]], folder: Path, console: Console | None = None) -> None:
    """Print each evaluated figure before and after training, and where the run's files are."""
    console = console or Console()
    evaluations = [entry for entry in history if "eval_reward" in entry]
    if evaluations:
        first, last = evaluations[0], evaluations[-1]
        table = Table(title="Held-out problems", title_justify="left")
        table.add_column("mean")
        table.add_column(f"step {first['step']}", justify="right")
        table.add_column(f"step {last['step']}", justify="right")
        for name in last:
            if name not in ("step", "eval_runtime"):
                label = name.removeprefix("eval_").removeprefix("rewards/").removesuffix("/mean")
                table.add_row(label, _figure(first.get(name)), _figure(last[name]))
        console.print(table)
    console.print(f"page     {folder / 'report.html'}")
    console.print(f"picture  {folder / 'report.png'}")
    console.print(f"model    {folder / 'final'}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
