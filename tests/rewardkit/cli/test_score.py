"""Specification of `score`: what goes in, what comes out, in which order, at which exit status."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from rewardkit import boxed_accuracy, presets, save_spec, schedule, strict_format
from tests.rewardkit.cli.conftest import STACKS, Ran, answered, read, start, sums, totals, write

Run = Callable[..., Ran]


class TestOutput:
    def test_has_a_line_per_row_with_its_number_total_and_components(self, run: Run, tmp_path: Path) -> None:
        rows = sums(3)
        source = write(tmp_path / "rollouts.jsonl", rows)
        ran = run("score", source, "--stack", "presets.gsm8k_r1")
        expected = presets.gsm8k_r1([row["completion"] for row in rows], answer=[row["answer"] for row in rows])
        lines = read(tmp_path / "rollouts.scores.jsonl")
        assert ran.status == 0
        assert [line["row"] for line in lines] == [0, 1, 2]
        assert [line["total"] for line in lines] == expected
        assert lines[2]["components"] == {"boxed_accuracy": 0.0, "strict_format": 1.0, "xml_count": 0.5}
        assert set(lines[0]) == {"row", "total", "components"}

    def test_of_a_reward_without_parts_names_the_reward_itself(self, run: Run, tmp_path: Path) -> None:
        run("score", write(tmp_path / "a.jsonl", sums(1)), "--stack", "boxed_accuracy")
        assert read(tmp_path / "a.scores.jsonl") == [{"row": 0, "total": 1.0, "components": {"boxed_accuracy": 1.0}}]

    def test_with_breakdown_says_what_each_component_added_and_why(self, run: Run, tmp_path: Path) -> None:
        run("score", write(tmp_path / "a.jsonl", sums(3)), "--stack", "presets.gsm8k_r1", "--breakdown")
        line = read(tmp_path / "a.scores.jsonl")[2]
        assert line["status"] == "scored"
        assert line["components"]["strict_format"] == {
            "value": 1.0, "weight": 0.5, "contribution": 0.5, "status": "correct"
        }  # fmt: skip
        assert line["components"]["boxed_accuracy"]["status"] == "wrong"
        assert sum(c["contribution"] for c in line["components"].values()) == line["total"]

    def test_copies_the_columns_of_the_input_only_when_asked(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(1))
        run("score", source, "--stack", "boxed_accuracy", "--copy-columns")
        line = read(tmp_path / "a.scores.jsonl")[0]
        assert {name: line[name] for name in ("prompt", "completion", "answer")} == sums(1)[0]

    def test_refuses_to_copy_a_column_that_would_hide_a_score(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", [{**sums(1)[0], "total": 7}])
        ran = run("score", source, "--stack", "boxed_accuracy", "--copy-columns")
        assert (ran.status, "--rename total=NAME" in ran.err) == (2, True)
        assert run("score", source, "--stack", "boxed_accuracy", "--copy-columns", "--rename", "total=old").status == 0
        assert read(tmp_path / "a.scores.jsonl")[0]["old"] == 7

    def test_keeps_text_of_any_alphabet_readable_and_half_characters_escaped(self, run: Run, tmp_path: Path) -> None:
        texts = ["é 中文 🎲 \u2028", "\ud83d"]
        source = write(tmp_path / "a.jsonl", [json.dumps({"completion": text}) for text in texts])
        assert run("score", source, "--stack", "keywords", "--copy-columns").status == 0
        assert [line["completion"] for line in read(tmp_path / "a.scores.jsonl")] == texts
        assert "é 中文 🎲" in (tmp_path / "a.scores.jsonl").read_text(encoding="utf-8")

    def test_says_null_where_the_stack_does_not_score(self, run: Run, tmp_path: Path) -> None:
        rows = [*sums(1), {**sums(1)[0], "answer": None}]
        ran = run("score", write(tmp_path / "a.jsonl", rows), "--stack", "boxed_accuracy")
        assert (ran.status, totals(tmp_path / "a.scores.jsonl")) == (0, [1.0, None])
        assert "1 not scored" in ran.err

    def test_of_an_empty_file_is_an_empty_file(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", [])
        assert run("score", source, "--stack", "boxed_accuracy").status == 0
        assert (tmp_path / "a.scores.jsonl").read_bytes() == b""

    def test_is_counted_as_json_when_asked(self, run: Run, tmp_path: Path) -> None:
        ran = run("score", write(tmp_path / "a.jsonl", sums(3)), "--stack", "boxed_accuracy", "--json")
        counts = {"rows": 3, "scored": 3, "not_scored": 0, "rejected": 0, "total": 2.0}
        assert json.loads(ran.out) == {**counts, "output": str(tmp_path / "a.scores.jsonl")}

    def test_is_not_overwritten_unless_told(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(1))
        assert run("score", source, "--stack", "boxed_accuracy").status == 0
        before = (tmp_path / "a.scores.jsonl").read_bytes()
        ran = run("score", source, "--stack", "presets.gsm8k_r1")
        assert (ran.status, (tmp_path / "a.scores.jsonl").read_bytes()) == (2, before)
        assert "--overwrite" in ran.err
        assert run("score", source, "--stack", "presets.gsm8k_r1", "--overwrite").status == 0
        assert totals(tmp_path / "a.scores.jsonl") == [2.0]

    @pytest.mark.parametrize("name", ["a.jsonl", "out.csv"])
    def test_is_never_the_input_nor_of_another_format(self, name: str, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(1))
        assert run("score", source, "--stack", "boxed_accuracy", "--output", tmp_path / name).status == 2


class TestInput:
    def test_may_be_compressed(self, run: Run, tmp_path: Path) -> None:
        plain = write(tmp_path / "a.jsonl", sums(50))
        packed = tmp_path / "b.jsonl.gz"
        packed.write_bytes(gzip.compress(plain.read_bytes()))
        for source in (plain, packed):
            assert run("score", source, "--stack", "boxed_accuracy", "--batch-size", 8).status == 0
        assert (tmp_path / "a.scores.jsonl").read_bytes() == (tmp_path / "b.scores.jsonl").read_bytes()
        state = tmp_path / "b.scores.jsonl.state.json"
        begun = json.loads(state.read_text()) | {"complete": False, "output_bytes": 0}
        offset = sum(len(line) for line in plain.read_bytes().splitlines(keepends=True)[:24])
        begun["position"] |= {"row": 24, "line": 24, "offset": offset}
        state.write_text(json.dumps(begun))
        assert run("score", packed, "--stack", "boxed_accuracy", "--batch-size", 8, "--resume").status == 0
        assert [row["row"] for row in read(tmp_path / "b.scores.jsonl")] == list(range(24, 50))

    def test_may_have_blank_lines_a_byte_order_mark_and_no_last_line_break(self, run: Run, tmp_path: Path) -> None:
        source = tmp_path / "a.jsonl"
        rows = [json.dumps(row).encode() for row in sums(2)]
        source.write_bytes(b"\xef\xbb\xbf" + rows[0] + b"\r\n\r\n  \n" + rows[1])
        assert run("score", source, "--stack", "boxed_accuracy").status == 0
        assert [line["row"] for line in read(tmp_path / "a.scores.jsonl")] == [0, 1]

    def test_may_hold_messages(self, run: Run, tmp_path: Path) -> None:
        rows = [{**row, "completion": [{"role": "assistant", "content": row["completion"]}]} for row in sums(3)]
        run("score", write(tmp_path / "a.jsonl", rows), "--stack", "boxed_accuracy")
        assert totals(tmp_path / "a.scores.jsonl") == [1.0, 1.0, 0.0]

    def test_goes_to_the_rewards_under_the_names_of_its_columns(self, run: Run, tmp_path: Path) -> None:
        rows = [{"response": answered(2), "gold": "2", "source": "x"}]
        source = write(tmp_path / "a.jsonl", rows)
        ran = run("score", source, "--stack", "boxed_accuracy", "--rename", "gold=answer")
        assert (ran.status, totals(tmp_path / "a.scores.jsonl")) == (0, [1.0])

    def test_passes_the_step_to_scheduled_weights(self, run: Run, tmp_path: Path) -> None:
        spec = tmp_path / "stack.json"
        node = {
            "type": "Weighted",
            "reward": "boxed_accuracy",
            "weight": {"type": "Linear", "start": 0.0, "end": 1.0, "steps": 10},
        }
        spec.write_text(json.dumps({"rewardkit": 1, "reward": node}))
        ran = run("score", write(tmp_path / "a.jsonl", sums(1)), "--stack", spec, "--step", 5)
        assert (ran.status, totals(tmp_path / "a.scores.jsonl")) == (0, [0.5])

    @pytest.mark.parametrize("command", ["score", "explain"])
    @pytest.mark.parametrize("column", [{}, {"global_step": 5}], ids=["no column", "a column"])
    def test_names_step_as_the_remedy_of_a_scheduled_weight(
        self, command: str, column: dict[str, int], run: Run, tmp_path: Path
    ) -> None:
        spec = tmp_path / "stack.toml"
        save_spec(boxed_accuracy + schedule.linear(0.0, 1.0, steps=10) * strict_format, spec)
        source = write(tmp_path / "a.jsonl", [{**row, **column} for row in sums(2)])
        ran = run(command, source, "--stack", spec)
        assert (ran.status, ran.err.count("\n"), "global_step=" in ran.err) == (2, 1, False)
        assert "combined has a weight that follows the training step; pass --step N" in ran.err
        assert not (tmp_path / "a.scores.jsonl").exists()

    def test_names_step_where_a_reward_of_ones_own_reads_it(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(1))
        ran = run("score", source, "--stack", f"{STACKS}:steps_done", "--workers", 1)
        assert (ran.status, "no training step: the stack reads it; pass --step N" in ran.err) == (1, True)
        ran = run("score", source, "--stack", f"{STACKS}:steps_done", "--overwrite", "--step", 3)
        assert (ran.status, totals(tmp_path / "a.scores.jsonl")) == (0, [3.0])

    @pytest.mark.parametrize("name", ["missing.jsonl", "folder.jsonl", "rows.csv"])
    def test_that_cannot_be_used_is_named_in_one_line(self, name: str, run: Run, tmp_path: Path) -> None:
        (tmp_path / "folder.jsonl").mkdir()
        (tmp_path / "rows.csv").write_text("a,b\n")
        ran = run("score", tmp_path / name, "--stack", "boxed_accuracy")
        assert (ran.status, ran.err.count("\n"), name in ran.err) == (2, 1, True)

    def test_that_is_one_array_is_told_from_lines(self, run: Run, tmp_path: Path) -> None:
        source = tmp_path / "a.json"
        source.write_text(json.dumps(sums(2)))
        ran = run("score", source, "--stack", "boxed_accuracy")
        assert (ran.status, "one object per line" in ran.err) == (2, True)


class TestWorkers:
    @pytest.mark.parametrize("stack", ["presets.gsm8k_r1", f"{STACKS}:group_size"])
    def test_any_number_of_them_writes_the_same_in_the_same_order(self, stack: str, run: Run, tmp_path: Path) -> None:
        rows = [row if i % 40 else "{broken" for i, row in enumerate(sums(300, group=4), start=1)]
        source = write(tmp_path / "a.jsonl", rows)
        written = []
        for workers in (1, 2):
            output = tmp_path / f"{workers}.jsonl"
            ran = run("score", source, "--stack", stack, "--workers", workers, "--batch-size", 16, "-o", output)
            assert ran.status == 1
            written.append((output.read_bytes(), Path(f"{output}.rejected.jsonl").read_bytes()))
        assert written[0] == written[1]
        assert {line["row"] for name in ("1.jsonl", "1.jsonl.rejected.jsonl") for line in read(tmp_path / name)} == set(
            range(300)
        )

    def test_are_not_needed_for_what_cannot_be_pickled(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(9))
        ran = run("score", source, "--stack", f"{STACKS}:nameless", "--workers", 2, "--batch-size", 3)
        assert (ran.status, "--workers 1" in ran.err, ran.err.count("\n")) == (2, True, 1)
        assert run("score", source, "--stack", f"{STACKS}:nameless", "--workers", 1).status == 0

    def test_that_cannot_load_the_stack_say_so(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        module = ModuleType("a_module_that_is_no_file")
        vars(module)["one"] = one
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(one, "__module__", module.__name__)
        source = write(tmp_path / "a.jsonl", sums(9))
        ran = run("score", source, "--stack", f"{module.__name__}:one", "--workers", 2, "--batch-size", 3)
        assert (ran.status, "cannot be loaded in a worker process" in ran.err, ran.err.count("\n")) == (2, True, 1)

    def test_one_that_is_killed_ends_the_run_with_the_rows_it_had(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(9))
        ran = run("score", source, "--stack", f"{STACKS}:fatal", "--workers", 2, "--batch-size", 3)
        assert (ran.status, "a worker process ended while it scored the rows 0 to 2" in ran.err) == (2, True)


def one(completions: list[str], **columns: object) -> list[float]:
    return [1.0] * len(completions)


class TestInAShell:
    def test_reports_its_status_and_draws_no_bar_where_stderr_is_a_file(self, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", [*sums(3), "{"])
        process = start("score", source, "--stack", "boxed_accuracy")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (1, "")
        assert "rejected line 4" in err
        assert "\x1b" not in err

    def test_scores_as_the_library_does(self, tmp_path: Path) -> None:
        rows = sums(40)
        process = start("score", write(tmp_path / "a.jsonl", rows), "--stack", "boxed_accuracy", "--batch-size", 7)
        process.communicate(timeout=60)
        values = boxed_accuracy([row["completion"] for row in rows], answer=[row["answer"] for row in rows])
        assert totals(tmp_path / "a.scores.jsonl") == values
