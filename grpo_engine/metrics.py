"""The log of a run: means over the steps since the last entry, one JSON object a line."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

METRICS, COMPLETIONS, CONFIG = "metrics.jsonl", "completions.jsonl", "config.json"
RUN_FILES = (METRICS, COMPLETIONS, CONFIG, "report.html", "report.png")
_LAST = ("epoch", "learning_rate", "num_tokens")
"""Metrics of which the last value counts, not the mean."""


class RunLog:
    """Collects metrics step by step and writes them to the run's folder.

    Args:
        folder: the output directory.
        writes: whether this process writes (the main one does).
        resume_step: entries after this step are dropped from the files of the run that goes on; ``None``
            starts a new run, and the files and checkpoints of an earlier one move to ``previous-N``.
        window: where the metrics of steps are kept until they have an entry; the caller's list, so that a
            checkpoint can hold it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writes: bool,
        resume_step: int | None = None,
        window: list[dict[str, float | None]] | None = None,
    ) -> None:
        self._folder, self._writes = folder, writes
        self._window = [] if window is None else window
        if not writes:
            return
        folder.mkdir(parents=True, exist_ok=True)
        if resume_step is None:
            _move_aside(folder)
        else:
            for name in (METRICS, COMPLETIONS):
                _drop_after(folder / name, resume_step)

    def add(self, metrics: dict[str, float | None]) -> None:
        """Remember the metrics of one step."""
        self._window.append(metrics)

    def flush(self, step: int) -> dict[str, float | None]:
        """Write the means of the steps since the last call as the entry of `step`, and return them."""
        names = dict.fromkeys(name for metrics in self._window for name in metrics)
        row = {name: self._summary(name) for name in names}
        self._window.clear()
        self.write(step, row)
        return row

    def _summary(self, name: str) -> float | None:
        values = [v for m in self._window if (v := m.get(name)) is not None and math.isfinite(v)]
        if not values:
            return None
        return values[-1] if name in _LAST else sum(values) / len(values)

    def write(self, step: int, row: Mapping[str, float | None]) -> None:
        """Append one entry to the metrics."""
        self._append(METRICS, [{"step": step, **row}])

    def completions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append completions with their rewards."""
        self._append(COMPLETIONS, rows)

    def _append(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._writes:
            with (self._folder / name).open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


class Phases:
    """Seconds spent in each phase of a step.

    Args:
        announce: told the name of each phase as it begins.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block; on a GPU its work is waited for, so that it is not counted in the next."""
        self._announce(name)
        start = time.perf_counter()
        try:
            yield
        finally:
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - start

    def finish(self) -> dict[str, float]:
        """``step_time`` and ``time/{phase}``, which add up to it, and start the next step."""
        now = time.perf_counter()
        total = now - self._start
        seconds = {"step_time": total, **{f"time/{name}": s for name, s in self._seconds.items()}}
        seconds["time/other"] = total - sum(self._seconds.values())
        self._seconds, self._start = {}, now
        return seconds


def _move_aside(folder: Path) -> None:
    """Nothing of an earlier run is lost, and nothing of it is taken for part of the new one."""
    old = [folder / name for name in RUN_FILES if (folder / name).exists()]
    old += [path for path in folder.glob("checkpoint-*") if path.is_dir()]
    if not old:
        return
    number = next(n for n in range(1, 1_000_000) if not (folder / f"previous-{n}").exists())
    aside = folder / f"previous-{number}"
    aside.mkdir()
    for path in old:
        path.rename(aside / path.name)


def _drop_after(path: Path, step: int) -> None:
    """Keep the complete entries up to `step`; a torn last line goes."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").split("\n"):  # splitlines() also splits inside of what models write
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry.get("step", 0) <= step:
            kept.append(line + "\n")
    path.write_text("".join(kept), encoding="utf-8")
