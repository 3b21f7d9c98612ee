"""Specification of `explain`: the report on rows of a file, under their numbers in the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardkit import presets
from tests.rewardkit.cli.conftest import STACKS, Ran, sums, write

Run = Callable[..., Ran]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "a.jsonl", sums(40, group=4))


class TestExplain:
    def test_shows_the_table_and_a_paragraph_per_row(self, run: Run, source: Path) -> None:
        ran = run("explain", source, "--stack", "presets.gsm8k_r1", "--rows", "2,30")
        report = presets.gsm8k_r1.explain([sums(40, group=4)[2]["completion"]], answer=[1])
        assert ran.status == 0
        assert "gsm8k_r1: contributions by completion" in ran.out
        assert report.why(0).replace("Completion 0", "Completion 2") in ran.out
        assert "Completion 30 earned 2." in ran.out

    def test_shows_the_first_rows_unless_told_which(self, run: Run, source: Path) -> None:
        assert run("explain", source, "--stack", "boxed_accuracy").out.count("Completion ") == 20
        assert run("explain", source, "--stack", "boxed_accuracy", "--limit", 3).out.count("Completion ") == 3
        assert run("explain", source, "--stack", "boxed_accuracy", "--limit", 99).out.count("Completion ") == 40

    def test_gives_the_same_as_json(self, run: Run, source: Path) -> None:
        ran = run("explain", source, "--stack", "presets.gsm8k_r1", "--rows", "5,2", "--json")
        rows = json.loads(ran.out)
        assert [(row["row"], row["total"]) for row in rows] == [(2, 1.0), (5, 1.0)]
        assert rows[0]["components"][0]["gold"] == "1"
        assert [row["completion"] for row in rows] == [sums(40, group=4)[n]["completion"] for n in (2, 5)]

    def test_reads_parquet(self, run: Run, tmp_path: Path) -> None:
        pytest.importorskip("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(sums(9)), tmp_path / "a.parquet")
        ran = run("explain", tmp_path / "a.parquet", "--stack", "boxed_accuracy", "--rows", "4", "--json")
        assert [row["row"] for row in json.loads(ran.out)] == [4]

    def test_values_a_row_within_its_whole_group(self, run: Run, source: Path) -> None:
        ran = run("explain", source, "--stack", f"{STACKS}:group_size", "--rows", "6,7,39", "--json")
        assert [(row["row"], row["total"]) for row in json.loads(ran.out)] == [(6, 4.0), (7, 4.0), (39, 4.0)]
        ran = run("explain", source, "--stack", f"{STACKS}:group_size", "--rows", "9", "--num-generations", 8, "--json")
        assert [row["total"] for row in json.loads(ran.out)] == [8.0]

    def test_names_rows_that_cannot_be_scored(self, run: Run, tmp_path: Path) -> None:
        bad = write(tmp_path / "b.jsonl", [*sums(1), "{", {"completion": "RAISE"}])
        ran = run("explain", bad, "--stack", f"{STACKS}:picky", "--json")
        assert (ran.status, [row["row"] for row in json.loads(ran.out)]) == (1, [0])
        assert "line 2 cannot be scored: not JSON" in ran.err
        assert "line 3 cannot be scored: ValueError" in ran.err

    def test_is_for_as_many_rows_as_one_can_look_at(self, run: Run, source: Path) -> None:
        ran = run("explain", source, "--stack", "boxed_accuracy", "--limit", 10**12)
        assert (ran.status, "score --breakdown" in ran.err) == (2, True)

    @pytest.mark.parametrize(("rows", "message"), [("40", "no row 40"), ("1,x", "expected numbers"), ("", "expected")])
    def test_refuses_rows_that_are_not_there(self, rows: str, message: str, run: Run, source: Path) -> None:
        ran = run("explain", source, "--stack", "boxed_accuracy", "--rows", rows)
        assert (ran.status, message in ran.err, ran.err.count("\n")) == (2, True, 1)

    def test_of_an_empty_file_is_empty(self, run: Run, tmp_path: Path) -> None:
        assert run("explain", write(tmp_path / "b.jsonl", []), "--stack", "boxed_accuracy").status == 0
