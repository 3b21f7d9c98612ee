"""Replaying the runs of real trainers: the stack that trained gives the rewards and advantages of the log again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from grpo_engine import GRPOConfig, GRPOTrainer
from recipes.embedded import POLICY_PATH, problems
from rewardkit import boxed_accuracy, combine, keywords, schedule, soft_format, xml_count
from rewardkit.replay import Rollouts, diff, read_rollouts, simulate

STACK = combine(
    boxed_accuracy,
    xml_count,
    keywords,
    soft_format,
    weights=[1.0, schedule.linear(1.0, 0.0, steps=4), 0.3, -0.2],
    clip=(-0.1, 1.25),
    name="stack",
)
"""A clip, a schedule, a penalty: what a column of rewards would not tell."""


def rows() -> list[dict[str, Any]]:
    return [
        {"prompt": [{"role": "user", "content": row["question"]}], "answer": row["answer"]}
        for row in problems(16, seed=0, split="train")
    ]


SETTINGS: dict[str, Any] = {
    "per_device_train_batch_size": 8,
    "num_generations": 4,
    "max_completion_length": 40,
    "max_steps": 3,
    "logging_steps": 1,
    "learning_rate": 1e-3,
    "log_completions": True,
}


@pytest.fixture(scope="module", params=["group", "batch", "none"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp(request.param)
    config = GRPOConfig(output_dir=str(folder), scale_rewards=request.param, **SETTINGS)
    GRPOTrainer(str(POLICY_PATH), STACK, config, Dataset.from_list(rows())).train()
    return folder, request.param


def assert_is_the_run(rollouts: Rollouts, scale: str, totals: list[float]) -> None:
    done = simulate(STACK, rollouts, scale_rewards=scale)
    assert len(done) == 3 * 8
    assert done.totals == pytest.approx(totals, abs=1e-6)
    assert done.advantages == pytest.approx(rollouts.columns["advantage"], abs=1e-6)
    assert any(done.advantages)


def test_a_run_of_grpo_engine(run: tuple[Path, str]) -> None:
    folder, scale = run
    rollouts = read_rollouts(folder, dataset=rows())
    assert_is_the_run(rollouts, scale, rollouts.columns["reward"])
    assert diff("reward", STACK, rollouts, scale_rewards=scale).changed == []


def test_its_components_were_logged_and_are_found(run: tuple[Path, str]) -> None:
    rollouts = read_rollouts(run[0], dataset=rows())
    again = simulate(STACK, rollouts).columns
    assert rollouts.columns["rewards/stack/boxed_accuracy"] == again["boxed_accuracy"].values
    assert rollouts.columns["rewards/stack"] == rollouts.columns["reward"]


@pytest.mark.filterwarnings("default")  # TRL and what it builds on warn about themselves
def test_a_run_of_trl(tmp_path: Path) -> None:
    trl = pytest.importorskip("trl", minversion="1.16", reason="needs TRL >= 1.16 (the extra `trl`)")
    quiet = {"report_to": "none", "use_cpu": True, "bf16": False, "disable_tqdm": True, "save_strategy": "no"}
    config = trl.GRPOConfig(output_dir=str(tmp_path), **SETTINGS, **quiet)
    trl.GRPOTrainer(str(POLICY_PATH), STACK, config, Dataset.from_list(rows())).train()
    rollouts = read_rollouts(tmp_path, dataset=rows())
    assert_is_the_run(rollouts, "group", rollouts.columns["stack"])
    assert rollouts.sizes == {4: 6}
