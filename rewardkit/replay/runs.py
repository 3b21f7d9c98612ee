"""What a run of grpo_engine says of itself beside its log."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rewardkit.replay.layouts import TRAIN
from rewardkit.replay.records import RUN_LOG


class RunSettings(NamedTuple):
    """The settings that matter to a replay; ``None`` where nothing says.

    Attributes:
        num_generations: completions per prompt in training.
        num_generations_eval: completions per prompt in evaluations.
        num_iterations: optimizer steps on one batch of rollouts.
        notes: why batches in the log are not whole.
    """

    num_generations: int | None = None
    num_generations_eval: int | None = None
    num_iterations: int | None = None
    notes: tuple[str, ...] = ()

    def group_size(self, split: str) -> int | None:
        """Completions per prompt of a split."""
        return self.num_generations if split == TRAIN else self.num_generations_eval or self.num_generations


def read_settings(data: Any) -> RunSettings:
    """The settings of the run whose folder or log this is; empty for anything else."""
    if not isinstance(data, (str, os.PathLike)):
        return RunSettings()
    path = Path(data)
    log = path / RUN_LOG if path.is_dir() else path
    if log.name != RUN_LOG or not log.is_file():
        return RunSettings()
    try:
        written = _mapping(json.loads((log.parent / "config.json").read_bytes()))
    except (OSError, ValueError, RecursionError):  # it is a help, not a need
        return RunSettings()
    config = _mapping(written.get("config"))
    processes = _positive(_mapping(written.get("environment")).get("processes")) or 1
    notes = []
    if config.get("log_completions") is False:
        notes.append("the run logged a part of each batch (log_completions=False); a batch's deviation differs")
    if processes > 1:
        notes.append(f"the log holds the part of one of {processes} processes; a batch's deviation differs")
    return RunSettings(
        num_generations=_positive(config.get("num_generations")),
        num_generations_eval=_positive(config.get("num_generations_eval")),
        num_iterations=_positive(config.get("num_iterations")),
        notes=tuple(notes),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
