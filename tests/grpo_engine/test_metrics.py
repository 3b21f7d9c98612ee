"""The log holds means over the steps since the last entry, survives a resume, and buries no earlier run."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from grpo_engine import metrics
from grpo_engine.metrics import Phases, RunLog
from grpo_engine.summary import SAMPLER_ALARM, length_metrics, reward_metrics, warnings_of


def entries(folder: Path, name: str = metrics.METRICS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]


def test_an_entry_is_the_mean_over_its_steps_and_the_last_value_of_counters(tmp_path: Path) -> None:
    log = RunLog(tmp_path, writes=True)
    log.add({"loss": 1.0, "learning_rate": 0.3, "num_tokens": 10.0})
    log.add({"loss": 2.0, "learning_rate": 0.2, "num_tokens": 25.0})
    row = log.flush(2)
    assert row == {"loss": 1.5, "learning_rate": 0.2, "num_tokens": 25.0}
    assert entries(tmp_path) == [{"step": 2, **row}]
    log.add({"loss": 7.0})
    assert log.flush(3) == {"loss": 7.0}


def test_a_value_that_is_missing_or_not_finite_is_left_out_of_the_mean(tmp_path: Path) -> None:
    log = RunLog(tmp_path, writes=True)
    for value in (1.0, None, math.nan, 3.0, math.inf):
        log.add({"reward": value, "never": None})
    log.add({"other": 1.0})
    assert log.flush(6) == {"reward": 2.0, "never": None, "other": 1.0}
    assert entries(tmp_path)[0]["never"] is None


def test_text_of_any_script_is_written_as_one_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path, writes=True)
    log.completions([{"step": 1, "completion": "über\n\u2028漢字"}, {"step": 1, "completion": ""}])
    assert [e["completion"] for e in entries(tmp_path, metrics.COMPLETIONS)] == ["über\n\u2028漢字", ""]


def test_a_process_that_is_not_the_main_one_writes_nothing(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "run", writes=False)
    log.add({"loss": 1.0})
    assert log.flush(1) == {"loss": 1.0}
    log.completions([{"step": 1}])
    assert not (tmp_path / "run").exists()


def test_an_earlier_run_in_the_folder_is_moved_aside_whole(tmp_path: Path) -> None:
    for number in (1, 2):
        log = RunLog(tmp_path, writes=True)
        log.write(1, {"run": number})
        (tmp_path / "checkpoint-1").mkdir()
        (tmp_path / "notes.txt").write_text("mine")
    RunLog(tmp_path, writes=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", "previous-1", "previous-2"]
    for number in (1, 2):
        aside = tmp_path / f"previous-{number}"
        assert entries(aside)[0]["run"] == number
        assert (aside / "checkpoint-1").is_dir()


def test_a_resumed_run_drops_the_entries_after_its_checkpoint_and_a_torn_last_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path, writes=True)
    for step in (1, 2, 3):
        log.write(step, {"loss": float(step)})
        log.completions([{"step": step, "completion": "a\u2028b\x85c"}])
    with (tmp_path / metrics.METRICS).open("a") as file:
        file.write('{"step": 4, "lo')
    log = RunLog(tmp_path, writes=True, resume_step=2)
    log.write(3, {"loss": 30.0})
    assert [(e["step"], e["loss"]) for e in entries(tmp_path)] == [(1, 1.0), (2, 2.0), (3, 30.0)]
    assert entries(tmp_path, metrics.COMPLETIONS) == [{"step": step, "completion": "a\u2028b\x85c"} for step in (1, 2)]


def test_phases_add_up_to_the_step_and_a_phase_entered_twice_is_summed() -> None:
    announced: list[str] = []
    phases = Phases(announced.append)
    for _ in range(2):
        with phases("rollout"):
            time.sleep(0.01)
    with phases("train"):
        time.sleep(0.005)
    seconds = phases.finish()
    assert announced == ["rollout", "rollout", "train"]
    assert seconds["time/rollout"] >= 0.02
    assert seconds["time/train"] >= 0.005
    assert sum(v for k, v in seconds.items() if k.startswith("time/")) == pytest.approx(seconds["step_time"])
    assert phases.finish()["step_time"] < 0.01


def test_a_phase_that_fails_is_timed_all_the_same() -> None:
    phases = Phases(lambda name: None)
    with pytest.raises(RuntimeError), phases("reward"):
        raise RuntimeError
    assert "time/reward" in phases.finish()


def test_lengths_are_given_for_all_completions_and_for_those_that_ended() -> None:
    got = length_metrics(torch.tensor([2, 8, 8, 4]), torch.tensor([True, False, False, True]))
    assert got == {
        "completions/mean_length": (2 + 8 + 8 + 4) / 4,
        "completions/min_length": 2.0,
        "completions/max_length": 8.0,
        "completions/mean_terminated_length": 3.0,
        "completions/min_terminated_length": 2.0,
        "completions/max_terminated_length": 4.0,
        "completions/clipped_ratio": 2 / 4,
    }


def test_without_a_completion_that_ended_there_is_no_terminated_length() -> None:
    got = length_metrics(torch.tensor([8, 8]), torch.tensor([False, False]))
    assert got["completions/mean_terminated_length"] is None
    assert got["completions/clipped_ratio"] == 1.0


def test_reward_metrics_are_over_what_was_scored() -> None:
    nan = math.nan
    components = torch.tensor([[[1.0, 0.0], [nan, nan]], [[1.0, 3.0], [5.0, nan]]], dtype=torch.float64)
    rewards = torch.tensor([[2.0, 3.0], [5.0, nan]], dtype=torch.float64)
    got = reward_metrics(["one", "two"], components, rewards)
    assert got == {
        "reward": pytest.approx(10 / 3),
        "reward_std": pytest.approx(torch.tensor([2.0, 3.0, 5.0]).std().item()),
        "frac_reward_zero_std": 1 / 2,
        "rewards/one/mean": 0.5,
        "rewards/one/std": pytest.approx(math.sqrt(0.5)),
        "rewards/two/mean": 3.0,
        "rewards/two/std": 2.0,
    }


def test_a_batch_in_which_nothing_was_scored_has_no_mean_and_only_dead_groups() -> None:
    empty = torch.full((1, 2, 2), math.nan)
    assert reward_metrics(["one"], empty, empty[0]) == {
        "reward": None,
        "reward_std": None,
        "frac_reward_zero_std": 1.0,
        "rewards/one/mean": None,
        "rewards/one/std": None,
    }


def test_a_step_is_warned_of_where_the_sampler_differs_or_nothing_was_scored() -> None:
    name = "sampling/sampling_logp_difference/mean"
    assert SAMPLER_ALARM == 0.05
    for fine in (0.0, 0.0499, None):
        assert warnings_of({"reward": 1.0, name: fine}) == []
    assert warnings_of({"reward": 1.0}) == []  # a later update of the same rollouts
    (differs,) = warnings_of({"reward": 1.0, name: 0.051})
    assert "sampler and trainer differ by 0.051 per token" in differs
    (unscored,) = warnings_of({"reward": None, name: 0.0})
    assert "no completion was scored by any reward" in unscored
