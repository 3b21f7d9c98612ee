"""Specification of `audit`, `attack`, `simulate` and `diff`: the library's reports, and exit statuses for scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rewardkit import boxed_accuracy, presets, save_spec
from rewardkit.audit import audit
from rewardkit.replay import diff, simulate
from tests.rewardkit.cli.conftest import STACKS, Ran, answered, read, sums, write

Run = Callable[..., Ran]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write(tmp_path / "data.jsonl", [{"prompt": f"{n} + 5 = ?", "answer": str(n + 5)} for n in range(10, 22)])


@pytest.fixture
def rollouts(tmp_path: Path) -> Path:
    return write(tmp_path / "rollouts.jsonl", [{**row, "reward": 0.5 * i} for i, row in enumerate(sums(12, group=3))])


class TestAudit:
    def test_prints_the_report_and_passes_where_nothing_is_found(self, run: Run, dataset: Path) -> None:
        ran = run("audit", dataset, "--stack", "boxed_accuracy")
        assert (ran.status, ran.out.strip()) == (0, str(audit(boxed_accuracy, dataset)))

    def test_fails_where_a_reference_does_not_earn_its_reward(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "data.jsonl", [{"answer": "1/2"}, {"answer": " "}])
        ran = run("audit", source, "--stack", "boxed_accuracy", "--json")
        assert ran.status == 1
        assert [(finding["row"], finding["kind"]) for finding in json.loads(ran.out)] == [(1, "empty")]

    def test_takes_the_columns_by_name(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "data.jsonl", [{"answer": "x", "gold": "3"}])
        stack = tmp_path / "stack.json"
        save_spec(type(boxed_accuracy)(answer_key="gold"), stack)
        assert run("audit", source, "--stack", stack, "--answer-key", "gold", "--sample", 1).status == 0


class TestAttack:
    def test_passes_a_sound_stack(self, run: Run, dataset: Path) -> None:
        ran = run("attack", dataset, "--stack", "presets.gsm8k_r1", "--sample", 4)
        assert (ran.status, "no exploit pays" in ran.out) == (0, True)

    def test_fails_a_stack_that_pays_for_anything(self, run: Run, dataset: Path) -> None:
        words = ("attack", dataset, "--stack", f"{STACKS}:pays_keywords", "--sample", 4)
        found = [row["exploit"] for row in json.loads(run(*words, "--json").out) if row["level"] == "beats right"]
        assert "keyword_spam" in found
        ran = run(*words, "--why", "keyword_spam")
        assert (ran.status, "An honest right answer earns" in ran.out) == (1, True)

    def test_knows_its_exploits(self, run: Run, dataset: Path) -> None:
        ran = run("attack", dataset, "--stack", "boxed_accuracy", "--why", "keyword_span")
        assert (ran.status, "did you mean 'keyword_spam'" in ran.err) == (2, True)


class TestSimulate:
    def test_prints_the_tables(self, run: Run, rollouts: Path) -> None:
        ran = run("simulate", rollouts, "--stack", "presets.gsm8k_r1")
        assert ran.status == 0
        assert ran.out.strip() == str(simulate(presets.gsm8k_r1, rollouts)).strip()

    def test_gives_the_summary_as_json_and_the_rows_to_a_file(self, run: Run, rollouts: Path, tmp_path: Path) -> None:
        output = tmp_path / "rows.jsonl"
        ran = run("simulate", rollouts, "--stack", "boxed_accuracy", "--json", "-o", output)
        summary = json.loads(ran.out)
        assert (summary["completions"], summary["groups"], summary["dead_groups"]) == (12, 4, 0.0)
        assert [row["total"] for row in read(output)] == [1.0, 1.0, 0.0] * 4

    def test_fails_where_no_group_can_teach(self, run: Run, rollouts: Path) -> None:
        ran = run("simulate", rollouts, "--stack", "strict_format")
        assert (ran.status, "groups are dead" in ran.out) == (1, True)

    def test_says_which_rows_were_kept_aside(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "r.jsonl", [*sums(6, group=3), "{", *sums(6, group=3)[:3]])
        ran = run("simulate", source, "--stack", "boxed_accuracy")
        assert (ran.status, "rejected r.jsonl, line 7" in ran.err) == (0, True)

    def test_draws_a_picture(self, run: Run, rollouts: Path, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        run("simulate", rollouts, "--stack", "boxed_accuracy", "--plot", tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_finds_columns_that_were_not_recorded(self, run: Run, tmp_path: Path) -> None:
        rows = sums(4, group=2)
        recorded = write(tmp_path / "r.jsonl", [{k: row[k] for k in ("prompt", "completion")} for row in rows])
        source = write(tmp_path / "d.jsonl", [{k: row[k] for k in ("prompt", "answer")} for row in rows])
        ran = run("simulate", recorded, "--stack", "boxed_accuracy", "--dataset", source, "--json")
        assert json.loads(ran.out)["mean"] == 0.75

    def test_names_the_data_set_as_the_remedy_where_columns_were_not_recorded(self, run: Run, tmp_path: Path) -> None:
        folder = trl_output(tmp_path)
        ran = run("simulate", folder, "--stack", "boxed_accuracy")
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert "no ground truth: expected the column one of ground_truth, answer" in ran.err
        assert "the data set that the prompts came from with --dataset FILE" in ran.err
        assert "the call has" not in ran.err
        source = write(tmp_path / "d.jsonl", [{k: row[k] for k in ("prompt", "answer")} for row in sums(4, group=2)])
        assert run("simulate", folder, "--stack", "boxed_accuracy", "--dataset", source).status == 0

    def test_says_where_the_data_set_does_not_have_it_either(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "d.jsonl", [{"prompt": row["prompt"]} for row in sums(4, group=2)])
        ran = run("simulate", trl_output(tmp_path), "--stack", "boxed_accuracy", "--dataset", source)
        assert (ran.status, f"neither the recording nor {source} has it" in ran.err) == (2, True)


def trl_output(path: Path) -> Path:
    """What TRL writes with ``log_completions=True``: no reference, and many columns beside the completions."""
    pandas = pytest.importorskip("pandas", reason="needs pandas to write Parquet")
    pytest.importorskip("pyarrow", reason="needs the extra `cli`")
    rows = [{"step": 1, "prompt": r["prompt"], "completion": r["completion"]} for r in sums(4, group=2)]
    logged = pandas.DataFrame(rows).assign(**{f"component_{n}": 0.5 for n in range(20)})
    folder = path / "run" / "completions"
    folder.mkdir(parents=True)
    logged.to_parquet(folder / "completions_00001.parquet")
    return path / "run"


class TestDiff:
    def test_names_the_data_set_as_the_remedy_where_columns_were_not_recorded(self, run: Run, tmp_path: Path) -> None:
        ran = run("diff", trl_output(tmp_path), "--old", "soft_format", "--new", "boxed_accuracy")
        assert (ran.status, "--dataset FILE" in ran.err, "the call has" in ran.err) == (2, True, False)

    def test_prints_what_changes(self, run: Run, rollouts: Path) -> None:
        ran = run("diff", rollouts, "--old", "boxed_accuracy", "--new", "presets.gsm8k_r1")
        assert ran.status == 0
        assert ran.out.strip() == str(diff(boxed_accuracy, presets.gsm8k_r1, rollouts)).strip()

    def test_compares_with_what_was_paid(self, run: Run, rollouts: Path) -> None:
        ran = run("diff", rollouts, "--recorded", "reward", "--new", "boxed_accuracy", "--json", "--examples", 1)
        summary = json.loads(ran.out)
        assert (summary["new"], len(summary["examples"])) == ("boxed_accuracy", 1)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--new", "boxed_accuracy"), "one of the arguments --old --recorded is required"),
            (("--old", "boxed_acuracy", "--new", "boxed_accuracy"), "--old: there is no ready reward"),
            (("--old", "boxed_accuracy", "--new", "boxed_acuracy"), "--new: there is no ready reward"),
            (("--recorded", "rewrd", "--new", "boxed_accuracy"), "no column 'rewrd'; did you mean 'reward'?"),
        ],
    )
    def test_says_what_is_missing(self, words: tuple[str, ...], message: str, run: Run, rollouts: Path) -> None:
        ran = run("diff", rollouts, *words)
        assert (ran.status, message in ran.err, ran.err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("command", ["audit", "attack", "simulate"])
class TestEveryOne:
    def test_names_a_file_that_is_not_there(self, command: str, run: Run, tmp_path: Path) -> None:
        write(tmp_path / "rows.jsonl", sums(1))
        ran = run(command, tmp_path / "row.jsonl", "--stack", "boxed_accuracy")
        assert (ran.status, "did you mean 'rows.jsonl'" in ran.err, ran.err.count("\n")) == (2, True, 1)

    @pytest.mark.parametrize("text", ["", "not json\n", '{"text": 1}\n'])
    def test_tells_a_file_that_cannot_be_used_in_one_line(
        self, command: str, text: str, run: Run, tmp_path: Path
    ) -> None:
        (tmp_path / "rows.jsonl").write_text(text)
        ran = run(command, tmp_path / "rows.jsonl", "--stack", "boxed_accuracy")
        assert (ran.status, "Traceback" in ran.err) in {(2, False), (1, False)}


def test_a_right_answer_is_what_these_files_hold() -> None:
    rows: list[dict[str, Any]] = sums(1)
    assert boxed_accuracy([answered(1)], answer=[rows[0]["answer"]]) == [1.0]
