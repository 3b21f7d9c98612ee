"""Specification of reading rollouts: sources, rows kept aside, steps, groups, columns of the data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset

from rewardkit import ColumnError
from rewardkit.replay import Rollouts, read_rollouts

ROWS = [
    {"step": 1, "prompt": "1+1?", "completion": "2", "answer": "2"},
    {"step": 1, "prompt": "1+1?", "completion": "3", "answer": "2"},
    {"step": 1, "prompt": "2+2?", "completion": "4", "answer": "4"},
    {"step": 1, "prompt": "2+2?", "completion": "5", "answer": "4"},
    {"step": 2, "prompt": "2+2?", "completion": "6", "answer": "4"},
    {"step": 2, "prompt": "2+2?", "completion": "7", "answer": "4"},
]
COLUMNS = {name: [row[name] for row in ROWS] for name in ROWS[0]}
GROUPS = ((0, 1), (2, 3), (4, 5))


def write_lines(path: Path, *lines: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_bytes("".join(f"{line}\n" for line in text).encode())
    return path


def run_row(step: int, prompt: str, completion: str, split: str = "train", **more: Any) -> dict[str, Any]:
    """A line as grpo_engine writes it."""
    return {
        "step": step,
        "split": split,
        "prompt": prompt,
        "completion": completion,
        "reward": 1.5,
        "rewards": {"accuracy": 1.0, "form": 0.5},
        "advantage": None if split == "eval" else 0.5,
        "extra": {},
        **more,
    }


def assert_is_the_recording(rollouts: Rollouts) -> None:
    assert list(rollouts.completions) == COLUMNS["completion"]
    assert list(rollouts.prompts or ()) == COLUMNS["prompt"]
    assert rollouts.columns == {"answer": COLUMNS["answer"]}
    assert rollouts.step == rollouts.scored_at == tuple(COLUMNS["step"])
    assert rollouts.groups == GROUPS
    assert rollouts.rejected == ()


class TestSources:
    @pytest.mark.parametrize(
        "data",
        [ROWS, tuple(ROWS), COLUMNS, Dataset.from_list(ROWS), pd.DataFrame(ROWS)],
        ids=lambda d: type(d).__name__,
    )
    def test_python_objects(self, data: Any) -> None:
        assert_is_the_recording(read_rollouts(data))

    def test_the_plural_names_of_a_call_of_the_contract(self) -> None:
        renamed = {"prompts": COLUMNS["prompt"], "completions": COLUMNS["completion"]}
        assert_is_the_recording(read_rollouts({**renamed, "step": COLUMNS["step"], "answer": COLUMNS["answer"]}))

    def test_jsonl(self, tmp_path: Path) -> None:
        assert_is_the_recording(read_rollouts(write_lines(tmp_path / "mine.jsonl", *ROWS)))

    @pytest.mark.parametrize("data", [ROWS, COLUMNS])
    def test_json_of_rows_or_of_columns(self, tmp_path: Path, data: Any) -> None:
        (tmp_path / "mine.json").write_text(json.dumps(data))
        assert_is_the_recording(read_rollouts(str(tmp_path / "mine.json")))

    def test_parquet(self, tmp_path: Path) -> None:
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "mine.parquet")
        assert_is_the_recording(read_rollouts(tmp_path / "mine.parquet"))

    def test_a_folder_of_files_in_the_order_of_their_names(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "b.jsonl", *ROWS[4:])
        pq.write_table(pa.Table.from_pylist(ROWS[:4]), tmp_path / "a.parquet")
        (tmp_path / "notes.txt").write_text("not a recording")
        rollouts = read_rollouts(tmp_path)
        assert_is_the_recording(rollouts)
        assert rollouts.places[3:5] == (("a.parquet", 4), ("b.jsonl", 1))

    def test_message_lists_stay_what_they_are(self) -> None:
        prompt = [{"role": "user", "content": "1+1?"}]
        completion = [{"role": "assistant", "content": "2"}]
        rollouts = read_rollouts([{"prompt": prompt, "completion": completion}] * 2)
        assert (rollouts.prompts, rollouts.completions) == ([prompt] * 2, [completion] * 2)
        assert rollouts.groups == ((0, 1),)

    def test_a_run_log_of_ours(self, tmp_path: Path) -> None:
        rows = [run_row(1, "1+1?", text, extra={"note": text}) for text in ("2", "3")]
        write_lines(tmp_path / "completions.jsonl", *rows, run_row(1, "9+9?", "18", "eval"))
        write_lines(tmp_path / "metrics.jsonl", {"step": 1})
        rollouts = read_rollouts(tmp_path)
        assert rollouts.completions == ["2", "3"]
        assert rollouts.columns == {
            "note": ["2", "3"],
            "advantage": [0.5, 0.5],
            "rewards/accuracy": [1.0, 1.0],
            "rewards/form": [0.5, 0.5],
            "reward": [1.5, 1.5],
        }
        assert rollouts.notes == ("1 rows of the split 'eval' are left out (split='eval')",)
        assert read_rollouts(tmp_path, split="eval").completions == ["18"]

    def test_a_folder_of_trl(self, tmp_path: Path) -> None:
        for step in (2, 1):
            frame = pd.DataFrame(
                {
                    "step": [step] * 2,
                    "prompt": [[{"role": "user", "content": "1+1?"}]] * 2,
                    "completion": [[{"role": "assistant", "content": text}] for text in ("2", "3")],
                    "accuracy_reward": [1.0, None],
                    "advantage": [0.7, -0.7],
                }
            )
            (tmp_path / "completions").mkdir(exist_ok=True)
            frame.to_parquet(tmp_path / "completions" / f"completions_{step:05d}.parquet")
        for folder in (tmp_path, tmp_path / "completions"):
            rollouts = read_rollouts(folder)
            assert rollouts.step == (1, 1, 2, 2)
            assert rollouts.groups == ((0, 1), (2, 3))
            assert rollouts.columns["accuracy_reward"] == [1.0, None, 1.0, None]

    def test_what_our_stacks_logged_of_a_component_does_not_stand_in_for_a_column(self) -> None:
        row = {"prompt": "p", "completion": "c", "truncated": -1.0, "truncated/status": "scored", "note": "n"}
        assert set(read_rollouts([row]).columns) == {"rewards/truncated", "rewards/truncated/status", "note"}

    def test_the_output_of_two_trainers_in_one_folder_is_refused(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "completions.jsonl", run_row(1, "p", "c"))
        (tmp_path / "completions").mkdir()
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "completions" / "completions_00001.parquet")
        with pytest.raises(ValueError, match=r"holds completions\.jsonl and a folder completions; name one"):
            read_rollouts(tmp_path)

    @pytest.mark.parametrize(
        ("data", "error", "message"),
        [
            ("nowhere.jsonl", FileNotFoundError, "there is no file or folder 'nowhere.jsonl'"),
            (5, TypeError, "a data set is"),
            ([], ValueError, "there are no rows"),
            ([{"text": "a"}], ValueError, "none of 1 rows can be used; data, line 1: no completion: the row has text"),
        ],
    )
    def test_what_cannot_be_read_is_said(self, data: Any, error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=message):
            read_rollouts(data)

    def test_a_file_or_folder_without_rows_of_a_known_kind_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"holds no file that ends in \.jsonl"):
            read_rollouts(tmp_path)
        (tmp_path / "rows.txt").write_text("a")
        with pytest.raises(ValueError, match=r"rows\.txt: \.txt is not known"):
            read_rollouts(tmp_path / "rows.txt")

    def test_a_missing_split_is_said(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "completions.jsonl", run_row(1, "p", "c"))
        with pytest.raises(ValueError, match="no rows of the split 'eval'; there are 1 of 'train'"):
            read_rollouts(tmp_path, split="eval")


class TestRejected:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ('{"prompt": "p", "compl', "no JSON"),
            ("[" * 100_000, "no JSON"),
            ("[1, 2]", "expected an object"),
            ('{"prompt": "p"}', "no completion: the row has prompt"),
            ('{"prompt": "p", "completion": null}', "no completion"),
            ('{"prompt": "p", "completion": 7}', "a completion must be text or a list of messages, got int 7"),
            ('{"prompt": "p", "completion": "c", "step": "one"}', "the step must be an integer"),
            ('{"prompt": "p", "completion": "c", "step": -1}', "the step must be an integer"),
            ('{"prompt": "p", "completion": "c", "step": NaN}', "the step must be an integer"),
            ('{"prompt": "p", "completion": "c", "step": Infinity}', "the step must be an integer"),
        ],
    )
    def test_a_line_that_cannot_be_used_is_kept_with_its_place_and_reason(
        self, tmp_path: Path, line: str, reason: str
    ) -> None:
        good = {"prompt": "p", "completion": "c"}
        rollouts = read_rollouts(write_lines(tmp_path / "a.jsonl", good, line, good))
        (rejected,) = rollouts.rejected
        assert (rejected.source, rejected.line) == ("a.jsonl", 2)
        assert reason in rejected.reason
        assert rejected.content == line or rejected.content == json.loads(line) or "NaN" in line
        assert rollouts.places == (("a.jsonl", 1), ("a.jsonl", 3))

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", {"prompt": "p", "completion": "c"})
        path.write_bytes(path.read_bytes() + b'{"completion": "\xff"}\n')
        (rejected,) = read_rollouts(path).rejected
        assert rejected.line == 2
        assert "utf-8" in rejected.reason
        assert rejected.content == '{"completion": "\\xff"}'

    def test_line_breaks_of_other_kinds_within_a_completion_end_no_line(self, tmp_path: Path) -> None:
        text = "a\u2028b\x85c\x0bd\re"
        path = tmp_path / "a.jsonl"
        path.write_text(json.dumps({"prompt": "p", "completion": text}, ensure_ascii=False), encoding="utf-8")
        assert read_rollouts(path).completions == [text]

    def test_blank_lines_are_no_rows(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", {"prompt": "p", "completion": ""}, "", "   ")
        rollouts = read_rollouts(path)
        assert (rollouts.completions, rollouts.rejected) == ([""], ())

    def test_a_torn_parquet_file_among_others(self, tmp_path: Path) -> None:
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
        (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:100])
        rollouts = read_rollouts(tmp_path)
        assert len(rollouts) == len(ROWS)
        assert [(r.source, r.line) for r in rollouts.rejected] == [("b.parquet", 0)]

    def test_the_rest_of_a_group_with_a_torn_line_is_kept_aside_too(self, tmp_path: Path) -> None:
        path = write_lines(tmp_path / "a.jsonl", ROWS[0], "torn", *ROWS[2:])
        rollouts = read_rollouts(path, num_generations=2)
        assert [rollouts.completions[row] for group in rollouts.groups for row in group] == ["4", "5", "6", "7"]
        assert [(r.line, r.reason) for r in rollouts.rejected] == [
            (2, "no JSON: Expecting value: line 1 column 1 (char 0)"),
            (1, "1 completions of its prompt are recorded, no whole group of 2"),
        ]
        assert rollouts.rejected[1].content == ROWS[0]

    def test_nothing_is_lost(self, tmp_path: Path) -> None:
        lines = [json.dumps(row) if number % 5 else "torn" for number, row in enumerate(ROWS * 10)]
        rollouts = read_rollouts(write_lines(tmp_path / "a.jsonl", *lines), num_generations=2)
        assert len(rollouts) + len(rollouts.rejected) == len(lines)
        assert sorted([line for _, line in rollouts.places] + [r.line for r in rollouts.rejected]) == [
            *range(1, len(lines) + 1)
        ]


class TestGroups:
    def test_by_size_in_order_within_a_step(self) -> None:
        rows = [{"step": step, "completion": str(row)} for row, step in enumerate((5, 5, 3, 3, 5, 5))]
        assert read_rollouts(rows, num_generations=2).groups == ((2, 3), (0, 1), (4, 5))

    def test_a_size_keeps_neighbours_with_one_prompt_apart(self) -> None:
        rows = [{"prompt": "p", "completion": str(row)} for row in range(4)]
        assert read_rollouts(rows, num_generations=2).groups == ((0, 1), (2, 3))
        assert read_rollouts(rows).groups == ((0, 1, 2, 3),)

    def test_a_recorded_size_counts_where_none_is_given(self) -> None:
        rows = [{"prompt": "p", "completion": "c", "num_generations": 2}] * 4
        assert read_rollouts(rows).groups == ((0, 1), (2, 3))

    @pytest.mark.parametrize("name", ["group", "group_id", "prompt_id", "uid"])
    def test_a_recorded_id_counts_before_the_prompts(self, name: str) -> None:
        rows = [{"prompt": "p", "completion": "c", name: value} for value in (1, 2, 1, 2)]
        assert read_rollouts(rows).groups == ((0, 2), (1, 3))

    def test_an_id_is_one_within_a_step(self) -> None:
        rows = [{"step": step, "prompt": "p", "completion": "c", "uid": "a"} for step in (1, 1, 2)]
        assert read_rollouts(rows).groups == ((0, 1), (2,))

    def test_a_column_of_that_name_which_goes_across_prompts_is_no_id(self) -> None:
        rows = [{"prompt": prompt, "completion": "c", "group": "algebra"} for prompt in "ppqq"]
        rollouts = read_rollouts(rows)
        assert rollouts.groups == ((0, 1), (2, 3))
        assert rollouts.notes == ("column 'group' is no group id: rows of one value have several prompts",)
        assert read_rollouts(rows, group_by="group").groups == ((0, 1, 2, 3),)

    def test_groups_of_several_sizes_are_noted(self) -> None:
        rollouts = read_rollouts([{"prompt": prompt, "completion": "c"} for prompt in "ppqqrrrr"])
        assert rollouts.notes[0].startswith("the groups differ in size (2 of 2, 1 of 4)")
        assert rollouts.notes[0].endswith("say num_generations=2")
        assert rollouts.grouped(2).notes == ()

    def test_a_size_that_cuts_across_prompts_is_noted(self) -> None:
        rollouts = read_rollouts([{"prompt": prompt, "completion": "c"} for prompt in "pppqqq"], num_generations=2)
        assert rollouts.groups == ((0, 1), (2, 3), (4, 5))
        assert rollouts.notes == ("1 groups of 2 hold several prompts; is num_generations=2?",)

    def test_a_run_tells_its_own_size_and_its_size_for_evaluations(self, tmp_path: Path) -> None:
        lines = [run_row(1, "p", str(n)) for n in range(4)] + [run_row(1, "p", str(n), "eval") for n in range(2)]
        write_lines(tmp_path / "completions.jsonl", *lines)
        config = {"num_generations": 2, "num_generations_eval": 1, "log_completions": False}
        written = {"recipe": "x", "config": config, "environment": {"processes": 2}}
        write_lines(tmp_path / "config.json", written)
        rollouts = read_rollouts(tmp_path)
        assert rollouts.groups == ((0, 1), (2, 3))
        assert "the run logged a part of each batch" in rollouts.notes[1]
        assert "the log holds the part of one of 2 processes" in rollouts.notes[2]
        assert read_rollouts(tmp_path / "completions.jsonl", split="eval").groups == ((0,), (1,))

    def test_a_group_that_the_log_cuts_off_is_kept_aside(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "completions.jsonl", *[run_row(1, prompt, "c") for prompt in "ppqqr"])
        write_lines(tmp_path / "config.json", {"config": {"num_generations": 2}})
        rollouts = read_rollouts(tmp_path)
        assert rollouts.groups == ((0, 1), (2, 3))
        assert [r.line for r in rollouts.rejected] == [5]

    @pytest.mark.parametrize("config", ["torn {", "[]", '{"config": 3}', '{"config": {"num_generations": "many"}}'])
    def test_a_configuration_that_cannot_be_read_tells_nothing(self, tmp_path: Path, config: str) -> None:
        write_lines(tmp_path / "completions.jsonl", *[run_row(1, "p", "c")] * 4)
        (tmp_path / "config.json").write_text(config)
        assert read_rollouts(tmp_path).groups == ((0, 1, 2, 3),)

    def test_rollouts_can_be_grouped_again(self) -> None:
        rollouts = read_rollouts(ROWS)
        assert rollouts.grouped(1).groups == tuple((row,) for row in range(6))
        assert rollouts.grouped(group_by="answer").groups == GROUPS

    def test_parts_of_groups_do_not_pass_for_groups(self) -> None:
        with pytest.raises(ValueError, match=r"no whole group: data, line 1: 2 completions .* no whole group of 4"):
            read_rollouts(ROWS[:2] + ROWS[2:4] + ROWS[:2], num_generations=4)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "nothing tells the groups apart: pass num_generations="),
            ({"num_generations": 4}, "step 1 has 3 rows, which are not whole groups of num_generations=4"),
            ({"num_generations": 0}, "num_generations must be at least 1, got 0"),
            ({"group_by": "uid"}, "there is no column 'uid' to group by; there are answer"),
            ({"steps_per_rollout": 0}, "steps_per_rollout must be at least 1, got 0"),
        ],
    )
    def test_what_cannot_be_grouped_is_said(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            read_rollouts([{"step": 1, "completion": "c", "answer": "a"}] * 3, **settings)


class TestSteps:
    def test_rows_without_a_step_are_of_step_0(self) -> None:
        rollouts = read_rollouts([{"prompt": "p", "completion": "c"}])
        assert (rollouts.step, rollouts.scored_at) == ((0,), (0,))

    def test_global_step_is_a_step(self) -> None:
        assert read_rollouts([{"prompt": "p", "completion": "c", "global_step": 7.0}]).step == (7,)

    def test_a_trainer_counts_its_step_before_it_writes(self, tmp_path: Path) -> None:
        rows = [run_row(step, "p", "c") for step in (1, 2, 3)]
        write_lines(tmp_path / "completions.jsonl", *rows, run_row(3, "p", "c", "eval"))
        assert read_rollouts(tmp_path).scored_at == (0, 1, 2)
        assert read_rollouts(tmp_path, split="eval").scored_at == (3,)

    def test_several_steps_on_one_batch_were_scored_once(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "completions.jsonl", *[run_row(step, "p", "c") for step in (1, 2, 3, 4)])
        assert read_rollouts(tmp_path, steps_per_rollout=2).scored_at == (0, 0, 2, 2)
        write_lines(tmp_path / "config.json", {"config": {"num_iterations": 3}})
        assert read_rollouts(tmp_path).scored_at == (0, 0, 0, 3)


class TestDataset:
    def test_columns_are_found_again_by_the_prompt(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "completions.jsonl", *[run_row(1, prompt, "c") for prompt in ("2+2?", "2+2?", "1+1?")])
        dataset = [{"prompt": "1+1?", "answer": "2"}, {"prompt": "2+2?", "answer": "4"}]
        assert read_rollouts(tmp_path, dataset=dataset).columns["answer"] == ["4", "4", "2"]

    def test_a_conversation_is_found_by_its_last_message_and_its_completions_are_messages_again(
        self, tmp_path: Path
    ) -> None:
        write_lines(tmp_path / "completions.jsonl", run_row(1, "1+1?", "2"))
        prompt = [{"role": "system", "content": "Think."}, {"role": "user", "content": "1+1?"}]
        rollouts = read_rollouts(tmp_path, dataset=Dataset.from_list([{"prompt": prompt, "answer": "2"}]))
        assert rollouts.prompts == [prompt]
        assert rollouts.completions == [[{"role": "assistant", "content": "2"}]]

    def test_messages_with_typed_parts_are_found(self, tmp_path: Path) -> None:
        parts = [{"type": "text", "text": "1+1?"}]
        write_lines(tmp_path / "completions.jsonl", run_row(1, str(parts), "2"))
        dataset = [{"prompt": [{"role": "user", "content": parts}], "answer": "2"}]
        assert read_rollouts(tmp_path, dataset=dataset).columns["answer"] == ["2"]

    def test_messages_are_the_same_with_and_without_empty_fields(self) -> None:
        rows = [{"prompt": [{"role": "user", "content": "1+1?", "tool_calls": None}], "completion": "2"}]
        dataset = [{"prompt": [{"role": "user", "content": "1+1?"}], "answer": "2"}]
        assert read_rollouts(rows, dataset=dataset).columns == {"answer": ["2"]}

    def test_what_was_recorded_is_kept(self) -> None:
        dataset = [{"prompt": "1+1?", "answer": "other"}, {"prompt": "2+2?", "answer": "other"}]
        assert read_rollouts(ROWS, dataset=dataset).columns["answer"] == COLUMNS["answer"]

    @pytest.mark.parametrize(
        ("dataset", "message"),
        [
            ([{"prompt": "1+1?", "gold": "2"}], "the data set does not have the prompt str '2\\+2\\?'"),
            (
                [{"prompt": "1+1?", "gold": gold} for gold in "23"],
                "has the prompt str '1\\+1\\?' 2 times, with differing gold",
            ),
            ([{"question": "1+1?", "gold": "2"}], "the data set has no column 'prompt'"),
        ],
    )
    def test_a_prompt_that_is_not_there_or_not_the_only_one_is_said(
        self, dataset: list[dict[str, str]], message: str
    ) -> None:
        with pytest.raises(ColumnError, match=message):
            read_rollouts(ROWS, dataset=dataset)

    def test_the_same_row_twice_is_the_same_row(self) -> None:
        dataset = [{"prompt": prompt, "gold": prompt} for prompt in ("1+1?", "2+2?", "1+1?")]
        assert read_rollouts(ROWS, dataset=dataset).columns["gold"] == COLUMNS["prompt"]

    def test_rollouts_without_prompts_cannot_be_joined(self) -> None:
        with pytest.raises(ColumnError, match="the rollouts have no prompts"):
            read_rollouts([{"completion": "c"}], num_generations=1, dataset=[{"prompt": "p"}])


def test_rollouts_print_what_they_hold() -> None:
    assert repr(read_rollouts(ROWS)) == "<Rollouts: 6 completions, 3 groups, 2 steps>"
    assert repr(read_rollouts([*ROWS, {}])) == "<Rollouts: 6 completions, 3 groups, 2 steps, 1 rows rejected>"


def test_a_row_is_a_dictionary_again() -> None:
    assert read_rollouts(ROWS).row(2) == ROWS[2]
