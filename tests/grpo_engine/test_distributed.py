"""Two processes do what one does: the same rollouts, rewards, gradients and evaluation on the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "max_completion_length": 6,
    "num_generations": 4,
    "num_iterations": 2,
    "beta": 0.1,
    "loss_type": "grpo",  # counts completions in the loss, and tokens in the logged means
    "learning_rate": 1e-2,
    "adam_epsilon": 1e-4,  # a gradient of 0 would give the sign of its rounding
    "max_steps": 4,
    "logging_steps": 1,
    "eval_strategy": "steps",
    "eval_steps": 2,
    "save_strategy": "steps",
    "save_steps": 2,
    "use_cpu": True,
    "disable_tqdm": True,
}
EVALUATED = 5  # rows: the last chunk leaves nothing for the second process
SCRIPT = """
import importlib.util, json, sys
import torch
from grpo_engine import GRPOConfig, GRPOTrainer

spec = importlib.util.spec_from_file_location("toys", {conftest!r})
toys = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toys)


def reward(completions, letter, log_metric, **columns):
    log_metric("logged", sum(map(len, completions)) / len(completions))
    return [None if len(c) == 5 else c.count(l) + 0.1 * len(c) for c, l in zip(completions, letter)]


tokenizer = toys.make_tokenizer()
rows = json.load(open({rows!r}))
config = GRPOConfig(**json.load(open({settings!r})))
trainer = GRPOTrainer(
    toys.make_model(tokenizer), reward, config, rows, rows[:{evaluated}], processing_class=tokenizer
)
state = trainer.train()
rank = trainer.accelerator.process_index
torch.save(toys.flat(trainer.model), config.output_dir + f"/weights-{{rank}}.pt")
if rank == 0:
    json.dump(state.log_history, open(config.output_dir + "/history.json", "w"))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(folder: Path, rows: Any, processes: int) -> Path:
    """Train in `processes` processes; the folder of the run."""
    run = folder / f"of-{processes}"
    run.mkdir()
    share = {"per_device_train_batch_size": 16 // processes, "per_device_eval_batch_size": 8 // processes}
    (run / "settings.json").write_text(json.dumps({**SETTINGS, **share, "output_dir": str(run)}))
    (run / "rows.json").write_text(json.dumps(rows))
    script = run / "train.py"
    script.write_text(
        SCRIPT.format(
            conftest=str(Path(__file__).with_name("conftest.py")),
            rows=str(run / "rows.json"),
            settings=str(run / "settings.json"),
            evaluated=EVALUATED,
        )
    )
    command = [sys.executable, str(script)]
    if processes > 1:  # `accelerate launch --cpu` starts one process, whatever --num_processes says
        launcher = ["torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(free_port())]
        command = [sys.executable, "-m", *launcher, str(script)]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("processes")
    rows = [{"prompt": f"{a}+{b}=", "letter": "abcd"[a]} for a in range(4) for b in range(4)]
    return launch(folder, rows, 1), launch(folder, rows, 2)


def history(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "history.json").read_text())
    return found


def test_two_processes_end_with_the_weights_of_one(runs: tuple[Path, Path]) -> None:
    one, first, second = (torch.load(p) for p in (runs[0] / "weights-0.pt", *sorted(runs[1].glob("weights-*.pt"))))
    assert torch.equal(first, second)
    assert float((first - one).norm() / one.norm()) <= 1e-5


def test_two_processes_log_the_rewards_and_losses_of_one(runs: tuple[Path, Path]) -> None:
    one, two = (history(run) for run in runs)
    assert [row["step"] for row in two] == [row["step"] for row in one]
    compared = 0
    for ours, theirs in zip(two, one, strict=True):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            if name.startswith(("time/", "step_time", "tokens_per_second", "eval_runtime")):
                continue
            assert ours[name] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, ours["step"])
            compared += 1
    assert compared > 100


def test_an_evaluation_set_that_does_not_divide_counts_every_row_once(runs: tuple[Path, Path]) -> None:
    one, two = ([row for row in history(run) if "eval_reward" in row] for run in runs)
    assert len(one) == len(two) == 2
    for ours, theirs in zip(two, one, strict=True):
        assert ours["eval_reward"] == pytest.approx(theirs["eval_reward"], rel=1e-6)


def test_only_one_process_writes(runs: tuple[Path, Path]) -> None:
    for run in runs:
        steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert steps == [1, 2, 2, 3, 4, 4]
        assert sorted(p.name for p in run.glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]
