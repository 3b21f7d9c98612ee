"""The recipe as its users meet it: commands, data, errors, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, DatasetDict

from recipes.data import DataError, load_rows, load_split, require_columns
from recipes.gsm8k_r1 import main, parse

ROOT = Path(__file__).parents[2]
GSM8K = ROOT.parent / "shared" / "data" / "gsm8k" / "train.jsonl"
ROWS = [{"question": f"What is {i} + 1?", "answer": f"{i} + 1 = {i + 1}\n#### {i + 1}"} for i in range(24)]
QUICK = [
    "--embedded",
    "--max-steps=2",
    "--eval-rows=4",
    "--per-device-train-batch-size=8",
    "--gradient-accumulation-steps=1",
    "--max-completion-length=24",
    "--use-cpu=true",
]


def write_jsonl(path: Path, rows: list[dict[str, Any]] = ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_embedded_default_leaves_a_log_a_page_a_picture_and_a_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, f"--output-dir={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Embedded default")
    assert "--model NAME" in out.splitlines()[0]
    assert "Held-out problems" in out
    names = {"metrics.jsonl", "completions.jsonl", "config.json", "report.html", "report.png"}
    assert names <= {path.name for path in tmp_path.iterdir()}
    assert (tmp_path / "final" / "model.safetensors").is_file()
    steps = [row["step"] for row in metrics_of(tmp_path)]
    assert steps == [0, 1, 2, 2]  # evaluated before, two steps, evaluated after


def test_a_dozen_steps_of_the_embedded_default_teach_format_and_answers(tmp_path: Path) -> None:
    assert main(["--embedded", "--seed=0", "--max-steps=12", "--eval-rows=64", f"--output-dir={tmp_path}"]) == 0
    evaluations = [row for row in metrics_of(tmp_path) if "eval_reward" in row]
    before, after = evaluations[0], evaluations[-1]
    for name in ("eval_rewards/boxed_accuracy/mean", "eval_rewards/strict_format/mean"):
        assert after[name] > before[name] + 0.2, name


def test_a_local_file_of_problems_trains_the_embedded_policy(tmp_path: Path) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl")
    assert main([*QUICK, f"--dataset={data}", f"--output-dir={tmp_path / 'run'}"]) == 0
    assert metrics_of(tmp_path / "run")[-1]["step"] == 2


@pytest.mark.skipif(not GSM8K.exists(), reason="needs ../shared/data/gsm8k/train.jsonl")
def test_real_gsm8k_trains_the_embedded_policy_for_a_few_steps(tmp_path: Path) -> None:
    assert main([*QUICK, f"--dataset={GSM8K}", f"--output-dir={tmp_path}"]) == 0
    assert metrics_of(tmp_path)[1]["completions/mean_length"] > 0


@pytest.mark.parametrize("flag", ["--learning-rte=1", "--num-generation=8", "--unknown"])
def test_an_unknown_flag_is_an_error(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse([flag])
    assert stopped.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_the_help_names_the_settings_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    assert "--learning-rate" in text
    assert "completions per prompt (the group)" in text
    assert "(default: 1e-06)" in text


def test_flags_are_read_by_the_type_of_their_setting() -> None:
    args = parse(["--bf16=false", "--top-k=5", "--beta=0.04", '--chat-template-kwargs={"a": 1}', "--report-to=none"])
    assert (args.bf16, args.top_k, args.beta) == (False, 5, 0.04)
    assert args.chat_template_kwargs == {"a": 1}
    assert args.report_to == ["none"]


def test_a_data_set_that_can_not_be_reached_names_the_local_alternatives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--dataset=nobody/no-such-data"]) == 2
    error = capsys.readouterr().err
    assert "nobody/no-such-data" in error
    assert "JSONL" in error
    assert "--embedded" in error


def test_a_model_that_can_not_be_reached_names_the_local_alternative(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_jsonl(tmp_path / "rows.jsonl")
    assert main(["--model=nobody/no-such-model", f"--dataset={data}", "--use-cpu=true"]) == 2
    error = capsys.readouterr().err
    assert "nobody/no-such-model" in error
    assert "folder in transformers format" in error


def test_a_missing_file_an_empty_file_and_a_wrong_column_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.touch()
    wrong = write_jsonl(tmp_path / "wrong.jsonl", [{"text": "a", "gold": "b"}] * 20)
    for path, expected in [
        (tmp_path / "missing.jsonl", "there is no file"),
        (empty, "is empty"),
        (wrong, "has no column 'question'; it has text, gold"),
    ]:
        assert main([*QUICK, f"--dataset={path}", f"--output-dir={tmp_path / 'run'}"]) == 2
        assert expected in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "saved", "saved splits"])
def test_rows_are_read_from_files_and_saved_data_sets(kind: str, tmp_path: Path) -> None:
    data = Dataset.from_list(ROWS)
    path = tmp_path / {"jsonl": "rows.jsonl", "parquet": "rows.parquet"}.get(kind, "rows")
    if kind == "jsonl":
        write_jsonl(path)
    elif kind == "parquet":
        data.to_parquet(path)
    elif kind == "saved":
        data.save_to_disk(path)
    else:
        DatasetDict(train=data, test=data.select(range(3))).save_to_disk(path)
    rows = load_rows(str(path))
    assert list(rows["answer"]) == [row["answer"] for row in ROWS]
    require_columns(rows, ["question", "answer"], str(path))


def test_rows_are_held_out_of_a_file_without_a_test_split(tmp_path: Path) -> None:
    train, test = load_split(str(write_jsonl(tmp_path / "rows.jsonl")), None, eval_rows=10)
    assert len(test) == len(ROWS) // 10  # at most a tenth
    assert not set(train["question"]) & set(test["question"])
    assert len(train) + len(test) == len(ROWS)


def test_a_saved_data_set_without_the_split_lists_those_it_has(tmp_path: Path) -> None:
    DatasetDict(train=Dataset.from_list(ROWS)).save_to_disk(tmp_path / "rows")
    with pytest.raises(DataError, match="no split 'test'; it has train"):
        load_rows(str(tmp_path / "rows"), split="test")


def test_an_interrupted_run_saves_and_says_how_to_resume(tmp_path: Path) -> None:
    flags = [*QUICK, "--max-steps=500", f"--output-dir={tmp_path}"]
    command = [sys.executable, "-u", "-m", "recipes.gsm8k_r1", *flags]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:  # the limit on every test ends it if no step ever comes
            lines.append(line)
            if line.startswith("step 2/"):
                process.send_signal(signal.SIGINT)
    assert process.returncode == 130, "".join(lines)
    said = "".join(lines)
    assert "finishing this step" in said
    assert "python -m recipes.gsm8k_r1" in said.splitlines()[-1]
    assert said.splitlines()[-1].endswith("--resume")
    saved = [int(path.name.removeprefix("checkpoint-")) for path in tmp_path.glob("checkpoint-*")]
    assert len(saved) == 1
    assert main([*flags, f"--max-steps={saved[0] + 1}", "--resume"]) == 0
    steps = [row["step"] for row in metrics_of(tmp_path) if "reward" in row]
    assert steps == list(range(1, saved[0] + 2))  # every step once, none lost
