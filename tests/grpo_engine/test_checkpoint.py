"""A checkpoint is whole or absent, loads in transformers, and brings back every random state."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from grpo_engine import checkpoint


class Saved:
    """The part of a policy that a checkpoint needs."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._parts = (model, tokenizer)

    def save(self, folder: Path) -> None:
        with checkpoint.no_progress_bar():
            for part in self._parts:
                part.save_pretrained(folder)


def save(folder: Path, model: Any, tokenizer: Any, step: int = 1) -> None:
    training = {"optimizer": {"moment": torch.arange(3.0)}, "scheduler": {"last": step}}
    checkpoint.save(folder, policy=Saved(model, tokenizer), training=training, state={"global_step": step})


def test_what_was_saved_is_loaded(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    save(tmp_path / "checkpoint-1", model, tokenizer)
    training, state = checkpoint.load(tmp_path / "checkpoint-1")
    assert torch.equal(training["optimizer"]["moment"], torch.arange(3.0))
    assert training["scheduler"] == {"last": 1}
    assert state == {"global_step": 1}


def test_transformers_loads_the_model_and_the_tokenizer(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    save(tmp_path / "checkpoint-1", model, tokenizer)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "checkpoint-1")
    for a, b in zip(loaded.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)
    again = AutoTokenizer.from_pretrained(tmp_path / "checkpoint-1")
    assert again("1+2")["input_ids"] == tokenizer("1+2")["input_ids"]


def test_the_random_states_are_those_of_the_moment_of_saving(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    random.seed(3)
    torch.manual_seed(3)
    save(tmp_path / "checkpoint-1", model, tokenizer)
    expected = (random.random(), torch.rand(3).tolist())
    random.seed(4)
    torch.manual_seed(4)
    checkpoint.load(tmp_path / "checkpoint-1")
    assert (random.random(), torch.rand(3).tolist()) == expected


def test_a_crash_while_saving_leaves_the_older_checkpoint_whole(
    tmp_path: Path, model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "checkpoint-1"
    save(folder, model, tokenizer)

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(OSError, match="no space left"):
            save(folder, model, tokenizer, step=2)
        with pytest.raises(OSError, match="no space left"):
            save(tmp_path / "checkpoint-2", model, tokenizer, step=2)
    assert checkpoint.load(folder)[1] == {"global_step": 1}
    assert checkpoint.checkpoints(tmp_path) == [folder]
    save(folder, model, tokenizer, step=3)
    assert checkpoint.load(folder)[1] == {"global_step": 3}


def test_checkpoints_are_ordered_by_number_and_other_folders_are_none(tmp_path: Path) -> None:
    for name in ("checkpoint-10", "checkpoint-9", "checkpoint-x", "checkpoint-1.old", ".checkpoint-3.writing", "runs"):
        (tmp_path / name).mkdir()
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == ["checkpoint-9", "checkpoint-10"]
    assert checkpoint.latest(tmp_path).name == "checkpoint-10"


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (2, 10, 9, 100):
        (tmp_path / f"checkpoint-{step}").mkdir()
    checkpoint.prune(tmp_path, None)
    assert len(checkpoint.checkpoints(tmp_path)) == 4
    checkpoint.prune(tmp_path, 2)
    assert [p.name for p in checkpoint.checkpoints(tmp_path)] == ["checkpoint-10", "checkpoint-100"]


def test_a_run_without_a_checkpoint_says_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint in .*start without resume_from_checkpoint"):
        checkpoint.latest(tmp_path)


@pytest.mark.parametrize("missing", ["training.pt", "trainer_state.json"])
def test_a_folder_that_is_no_checkpoint_is_refused_with_what_is_missing(
    tmp_path: Path, model: Any, tokenizer: Any, missing: str
) -> None:
    save(tmp_path / "checkpoint-1", model, tokenizer)
    (tmp_path / "checkpoint-1" / missing).unlink()
    with pytest.raises(FileNotFoundError, match=f"is not a checkpoint of this trainer: it has no {missing}"):
        checkpoint.load(tmp_path / "checkpoint-1")


def test_the_counters_are_plain_json(tmp_path: Path, model: Any, tokenizer: Any) -> None:
    save(tmp_path / "checkpoint-1", model, tokenizer, step=5)
    assert json.loads((tmp_path / "checkpoint-1" / "trainer_state.json").read_text()) == {"global_step": 5}
