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

from tests.grpo_engine.families import relative

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
CASES: dict[str, dict[str, Any]] = {
    "reference": {},
    "groups without advantage": {"beta": 0.0, "loss_type": "dapo", "num_iterations": 1, "token_budget": 20},
    "sequences, top entropy": {"loss_type": "gspo", "top_entropy_quantile": 0.5},
    "generate": {"beta": 0.0, "loss_type": "cispo", "epsilon_high": 5.0, "rollout_backend": "generate"},
}
"""Settings that differ between the runs."""
EVALUATED = 5  # rows: the last chunk leaves nothing for the second process
SCRIPT = """
import importlib.util, json, sys
from pathlib import Path

import pytest
import torch
from grpo_engine import GRPOConfig, GRPOTrainer
from grpo_engine.optim import MasterAdamW
from grpo_engine.update import Update


def load(name):
    spec = importlib.util.spec_from_file_location(name, {tests!r} + "/" + name + ".py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


toys = load("conftest")
load("families").exact_norms(pytest.MonkeyPatch())
gradients, passes = [], []
clip, begin = MasterAdamW.clip, Update.__init__


def _clip(self, max_norm):
    gradients.append(torch.cat([g.flatten().clone() for g in self.gradients(fill=True)]))
    return clip(self, max_norm)


def _begin(self, *args, **kwargs):
    passes.append(len(kwargs["batches"]))
    begin(self, *args, **kwargs)


MasterAdamW.clip, Update.__init__ = _clip, _begin


def reward(completions, letter, log_metric, **columns):
    log_metric("logged", sum(map(len, completions)) / len(completions))
    return [
        1.0 if l in "abc" else None if len(c) == 5 else c.count(l) + 0.1 * len(c) for c, l in zip(completions, letter)
    ]


tokenizer = toys.make_tokenizer()
rows = json.load(open({rows!r}))
for folder in {folders!r}:
    gradients.clear(), passes.clear()
    config = GRPOConfig(**json.load(open(folder + "/settings.json")))
    model = toys.make_model(tokenizer).double()
    trainer = GRPOTrainer(model, reward, config, rows, rows[:{evaluated}], processing_class=tokenizer)
    state = trainer.train()
    rank = trainer.accelerator.process_index
    seen = {{"weights": toys.flat(trainer.model), "gradients": torch.stack(gradients), "passes": passes}}
    torch.save(seen, folder + f"/seen-{{rank}}.pt")
    if rank == 0:
        json.dump(state.log_history, open(folder + "/history.json", "w"))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(folder: Path, rows: Any, processes: int) -> Path:
    """Train every case in `processes` processes; the folder of the runs, one for each case."""
    runs = folder / f"of-{processes}"
    share = {"per_device_train_batch_size": 16 // processes, "per_device_eval_batch_size": 8 // processes}
    for case, settings in CASES.items():
        (runs / case).mkdir(parents=True)
        settings = {**SETTINGS, **settings, **share, "output_dir": str(runs / case)}
        (runs / case / "settings.json").write_text(json.dumps(settings))
    (runs / "rows.json").write_text(json.dumps(rows))
    script = runs / "train.py"
    script.write_text(
        SCRIPT.format(
            tests=str(Path(__file__).parent),
            rows=str(runs / "rows.json"),
            folders=[str(runs / case) for case in CASES],
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
    return runs


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("processes")
    rows = [{"prompt": f"{a}+{b}="[-(a + 2) :], "letter": "abcd"[a]} for a in range(4) for b in range(4)]
    return launch(folder, rows, 1), launch(folder, rows, 2)


@pytest.fixture(params=list(CASES))
def runs(launched: tuple[Path, Path], request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """The folders of one case: by one process, and by two."""
    return launched[0] / request.param, launched[1] / request.param


def history(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((run / "history.json").read_text())
    return found


def seen(run: Path) -> list[dict[str, Any]]:
    """What each process saw."""
    return [torch.load(path) for path in sorted(run.glob("seen-*.pt"))]


def test_the_gradient_of_two_processes_is_that_of_one_and_not_divided_per_rank(runs: tuple[Path, Path]) -> None:
    (one,), (first, second) = (seen(run) for run in runs)
    assert one["gradients"].dtype == torch.float64
    assert torch.equal(first["gradients"], second["gradients"])
    assert len(one["gradients"]) == SETTINGS["max_steps"]
    assert sum(bool(gradient.any()) for gradient in one["gradients"]) >= 2
    for found, expected in zip(first["gradients"], one["gradients"], strict=True):
        assert (found - expected).norm() <= 1e-6 * expected.norm()


def test_two_processes_end_with_the_weights_of_one(runs: tuple[Path, Path]) -> None:
    one, first, second = (process["weights"] for run in runs for process in seen(run))
    assert torch.equal(first, second)
    assert relative(first, one) <= 1e-6


def test_a_process_whose_completions_all_lack_an_advantage_keeps_step(launched: tuple[Path, Path]) -> None:
    first, second = (process["passes"] for process in seen(launched[1] / "groups without advantage"))
    assert any((a == 0) != (b == 0) for a, b in zip(first, second, strict=True))


def test_two_processes_log_the_rewards_and_losses_of_one(runs: tuple[Path, Path]) -> None:
    one, two = (history(run) for run in runs)
    assert [row["step"] for row in two] == [row["step"] for row in one]
    compared = 0
    for ours, theirs in zip(two, one, strict=True):
        assert set(ours) == set(theirs)
        for name, value in theirs.items():
            if name.startswith(("time/", "step_time", "tokens_per_second", "eval_runtime")):
                continue
            if value is None:
                assert ours[name] is None, (name, ours["step"])
            else:
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
