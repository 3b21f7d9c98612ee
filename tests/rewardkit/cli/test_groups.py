"""Specification of groups: completions of one prompt are scored together, wherever chunks end and whatever is bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rewardkit.cli.conftest import STACKS, Ran, read, totals, write

Run = Callable[..., Ran]


def runs(*sizes: int, **columns: Any) -> list[Any]:
    """Groups of these sizes, each with a prompt of its own."""
    return [{"prompt": f"p{g}", "completion": "x", **columns} for g, size in enumerate(sizes) for _ in range(size)]


def score(run: Run, tmp_path: Path, rows: list[Any], *words: object, stack: str = "group_size") -> list[float | None]:
    """The totals by row; ``None`` for a row that was kept aside."""
    source = write(tmp_path / "a.jsonl", rows)
    status = run("score", source, "--stack", f"{STACKS}:{stack}", "--overwrite", *words).status
    found = {row["row"]: row["total"] for row in read(tmp_path / "a.scores.jsonl")}
    assert status == (0 if len(found) == len(rows) else 1)
    return [found.get(i) for i in range(len(rows))]


def reasons(tmp_path: Path) -> dict[int, str]:
    return {row["row"]: row["reason"] for row in read(tmp_path / "a.scores.jsonl.rejected.jsonl")}


class TestRunsOfEqualPrompts:
    @pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
    def test_are_never_parted(self, size: int, run: Run, tmp_path: Path) -> None:
        sizes = (4, 1, 7, 2, 2, 9)
        expected = [float(n) for n in sizes for _ in range(n)]
        assert score(run, tmp_path, runs(*sizes), "--batch-size", size) == expected

    def test_may_be_prompts_of_messages(self, run: Run, tmp_path: Path) -> None:
        rows = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in runs(2, 3)]
        assert score(run, tmp_path, rows, "--batch-size", 1) == [2.0, 2.0, 3.0, 3.0, 3.0]

    def test_are_found_under_the_name_that_the_user_gives(self, run: Run, tmp_path: Path) -> None:
        rows = [{"q": row["prompt"], "completion": "x"} for row in runs(2, 3)]
        for words in (("--prompt-column", "q"), ("--rename", "q=prompt")):
            assert score(run, tmp_path, rows, "--batch-size", 1, *words) == [2.0, 2.0, 3.0, 3.0, 3.0]

    def test_that_are_too_long_to_hold_are_refused(self, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, runs(1, 50, 1), "--batch-size", 1, "--keep-going") == [1.0, *[None] * 50, 1.0]
        assert "--num-generations" in reasons(tmp_path)[1]

    def test_that_are_too_long_do_not_matter_to_a_stack_that_does_not_compare(self, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, runs(50), "--batch-size", 1, stack="picky") == [1.0] * 50

    def test_need_prompts(self, run: Run, tmp_path: Path) -> None:
        rows = [{"completion": "x"}] * 3
        assert score(run, tmp_path, rows) == [None] * 3
        assert "pass prompts=" in reasons(tmp_path)[0]

    def test_do_not_reach_across_null_prompts(self, run: Run, tmp_path: Path) -> None:
        rows = [*runs(2), {"prompt": None, "completion": "x"}, *runs(0, 2)]
        assert score(run, tmp_path, rows, "--batch-size", 1) == [2.0, 2.0, None, 2.0, 2.0]
        assert "its column 'prompt' is null" in reasons(tmp_path)[2]


class TestNumGenerations:
    @pytest.mark.parametrize("size", [1, 3, 4, 100])
    def test_makes_groups_of_that_many_rows(self, size: int, run: Run, tmp_path: Path) -> None:
        rows = runs(8, 4)
        assert score(run, tmp_path, rows, "--num-generations", 4, "--batch-size", size) == [4.0] * 12

    def test_is_read_from_the_stack(self, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, runs(8, 4), "--batch-size", 3, stack="groups_of_four") == [4.0] * 12

    def test_that_the_stack_contradicts_is_refused(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", runs(8))
        ran = run("score", source, "--stack", f"{STACKS}:groups_of_four", "--num-generations", 8)
        assert (ran.status, "groups of 4 and 8" in ran.err) == (2, True)

    def test_sets_an_incomplete_last_group_aside(self, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, runs(4, 3), "--num-generations", 4) == [4.0] * 4 + [None] * 3
        assert "not whole groups" in reasons(tmp_path)[4]


class TestABadRow:
    @pytest.mark.parametrize("bad", ["{broken", {"prompt": "p1"}, {"prompt": "p1", "completion": "RAISE"}])
    @pytest.mark.parametrize("words", [(), ("--num-generations", 3)])
    def test_takes_its_group_aside_and_no_other(
        self, words: tuple[object, ...], bad: Any, run: Run, tmp_path: Path
    ) -> None:
        rows = runs(3, 3, 3)
        rows[4] = bad
        assert score(run, tmp_path, rows, *words) == [3.0] * 3 + [None] * 3 + [3.0] * 3
        assert set(reasons(tmp_path)) == {3, 4, 5}

    def test_that_cannot_be_read_between_two_groups_takes_both(self, run: Run, tmp_path: Path) -> None:
        rows = [*runs(2, 2), *runs(0, 0, 2)]
        rows.insert(2, "{broken")
        assert score(run, tmp_path, rows, "--batch-size", 1) == [None] * 5 + [2.0] * 2
        assert "its group has a bad row (line 3" in reasons(tmp_path)[0]

    def test_in_a_group_that_is_gone_does_not_join_its_neighbours(self, run: Run, tmp_path: Path) -> None:
        rows = [*runs(2), {"prompt": "p1", "completion": "RAISE"}, *runs(2)]  # p0 p0 | p1 | p0 p0
        assert score(run, tmp_path, rows) == [2.0, 2.0, None, 2.0, 2.0]

    def test_takes_only_itself_where_nothing_is_compared(self, run: Run, tmp_path: Path) -> None:
        rows = runs(3)
        rows[1]["completion"] = "RAISE"
        assert score(run, tmp_path, rows, stack="picky") == [1.0, None, 1.0]


class TestAColumnThatSomeRowsHave:
    def test_is_null_in_the_others_of_its_group(self, run: Run, tmp_path: Path) -> None:
        rows = runs(3)
        rows[1]["note"] = "x"
        assert score(run, tmp_path, rows) == [3.0] * 3

    def test_is_no_column_of_the_others_where_nothing_is_compared(self, run: Run, tmp_path: Path) -> None:
        rows = runs(1, 1)
        rows[1]["note"] = "x"
        assert score(run, tmp_path, rows, stack="columns_seen") == [1.0, 2.0]  # the prompts; and the note


def test_rows_are_scored_in_calls_of_the_batch_size(run: Run, tmp_path: Path) -> None:
    assert score(run, tmp_path, runs(*[1] * 10), "--batch-size", 4, stack="call_size") == [4.0] * 8 + [2.0] * 2
    assert totals(tmp_path / "a.scores.jsonl")[-1] == 2.0
