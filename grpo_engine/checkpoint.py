"""Checkpoints: everything a run needs to go on as if it had not stopped, written aside and renamed into place."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

PREFIX = "checkpoint-"
_NAME = re.compile(rf"{PREFIX}(\d+)")


def save(folder: Path, *, policy: Any, training: dict[str, Any], state: dict[str, Any]) -> None:
    """Write a checkpoint, so that `folder` either holds all of it or does not exist.

    Args:
        folder: ``.../checkpoint-N``; one that exists is replaced.
        policy: its `save` writes model and tokenizer, loadable by `from_pretrained`.
        training: state dicts (optimizer, scheduler) for torch.
        state: counters and history, as JSON.
    """
    aside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    policy.save(aside)
    torch.save({**training, "rng": _rng_state()}, aside / "training.pt")
    (aside / "trainer_state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
    for path in aside.iterdir():
        _sync(path)
    if folder.exists():
        shutil.rmtree(folder)
    aside.rename(folder)
    _sync(folder.parent)


def load(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The `training` and `state` of a checkpoint; restores the random states of this process.

    Raises:
        FileNotFoundError: the folder is no checkpoint of this trainer; it says which file is missing.
    """
    for name in ("training.pt", "trainer_state.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is not a checkpoint of this trainer: it has no {name}")
    training: dict[str, Any] = torch.load(folder / "training.pt", map_location="cpu", weights_only=True)
    _restore_rng(training.pop("rng"))
    state: dict[str, Any] = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    return training, state


def checkpoints(output_dir: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    found = [(int(m.group(1)), p) for p in output_dir.glob(f"{PREFIX}*") if (m := _NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found)]


def latest(output_dir: Path) -> Path:
    """The newest checkpoint of a run.

    Raises:
        FileNotFoundError: there is none.
    """
    found = checkpoints(output_dir)
    if not found:
        raise FileNotFoundError(f"no checkpoint in {output_dir}; start without resume_from_checkpoint")
    return found[-1]


def prune(output_dir: Path, keep: int | None) -> None:
    """Remove all but the newest `keep` checkpoints."""
    if keep is not None:
        for path in checkpoints(output_dir)[:-keep]:
            shutil.rmtree(path)


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """Keep the library's own bars out of the live display."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _rng_state() -> dict[str, Any]:
    version, numbers, gauss = random.getstate()
    state: dict[str, Any] = {"python": [version, list(numbers), gauss], "torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def _restore_rng(state: dict[str, Any]) -> None:
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
