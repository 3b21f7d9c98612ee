"""Specification of bad rows: each is named by its line, kept aside with the reason, and no other row suffers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardkit.cli import jsonl
from tests.rewardkit.cli.conftest import STACKS, Ran, answered, read, sums, totals, write

Run = Callable[..., Ran]


def score(run: Run, tmp_path: Path, rows: list[object], *words: object, stack: str = "boxed_accuracy") -> Ran:
    return run("score", write(tmp_path / "a.jsonl", rows), "--stack", stack, *words)  # type: ignore[arg-type]


def rejected(tmp_path: Path) -> list[dict[str, object]]:
    return read(tmp_path / "a.scores.jsonl.rejected.jsonl")


class TestALineThatIsNoRow:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("{", "not JSON"),
            ("[1]", "an array"),
            ('"text"', "a string"),
            ("null", "null"),
            ("[" * 100_000, "not readable as JSON"),
            ('{"completion": ' + "1" * 5_000 + "}", "not readable as JSON"),
        ],
    )
    def test_is_kept_aside_as_it_stands(self, line: str, reason: str, run: Run, tmp_path: Path) -> None:
        ran = score(run, tmp_path, [*sums(2), line, *sums(1)])
        (aside,) = rejected(tmp_path)
        assert (ran.status, totals(tmp_path / "a.scores.jsonl")) == (1, [1.0, 1.0, 1.0])
        assert (aside["row"], aside["line"], aside["raw"]) == (2, 3, line)
        assert reason in str(aside["reason"])
        assert "rejected line 3: " in ran.err

    def test_that_is_not_utf8_can_be_restored_byte_by_byte(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(1))
        line = b'{"completion": "\xff\xfe"}'
        source.write_bytes(source.read_bytes() + line + b"\n")
        assert run("score", source, "--stack", "boxed_accuracy").status == 1
        assert str(rejected(tmp_path)[0]["raw"]).encode("utf-8", "surrogateescape") == line

    def test_that_is_too_long_is_kept_by_its_beginning(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jsonl, "LINE_BYTES", 2_000)
        huge = json.dumps({"completion": "x" * 10_000, "answer": "1"})
        assert score(run, tmp_path, [*sums(1), huge, *sums(1)]).status == 1
        (aside,) = rejected(tmp_path)
        assert aside["raw"] == huge[: jsonl.SHOWN_BYTES]
        assert f"{len(huge) + 1:,} bytes" in str(aside["reason"])
        assert totals(tmp_path / "a.scores.jsonl") == [1.0, 1.0]

    def test_that_lies_beyond_the_damage_of_an_archive_is_told(self, run: Run, tmp_path: Path) -> None:
        packed = gzip.compress(write(tmp_path / "a.jsonl", sums(3_000)).read_bytes())
        source = tmp_path / "a.jsonl.gz"
        source.write_bytes(packed[: len(packed) // 2])
        ran = run("score", source, "--stack", "boxed_accuracy", "--workers", 1)
        scored = totals(tmp_path / "a.scores.jsonl")
        assert (ran.status, "damaged" in ran.err) == (1, True)
        assert scored == totals_of(len(scored))
        assert len(scored) > 100


class TestARowWithoutACompletion:
    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            ({"answer": 1}, "it has no column 'completion'"),
            ({"completion": None, "answer": 1}, "its column 'completion' is null"),
            ({"completion": 7, "answer": 1}, "a completion must be text"),
            ({"completion": [{"role": "assistant", "content": 7}], "answer": 1}, "must be text or a list of parts"),
        ],
    )
    def test_is_kept_aside_as_a_record(self, row: dict[str, object], reason: str, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, [*sums(1), row]).status == 1
        (aside,) = rejected(tmp_path)
        assert (aside["record"], reason in str(aside["reason"])) == (row, True)


class TestARowThatTheStackRefuses:
    def test_is_found_among_many(self, run: Run, tmp_path: Path) -> None:
        bad = {5, 6, 70, 99}
        rows = [{"completion": "RAISE" if i in bad else "x" * i} for i in range(100)]
        assert score(run, tmp_path, rows, stack=f"{STACKS}:picky").status == 1
        assert {row["row"] for row in rejected(tmp_path)} == bad
        assert totals(tmp_path / "a.scores.jsonl") == [float(i) for i in range(100) if i not in bad]
        assert rejected(tmp_path)[0]["reason"] == "ValueError: cannot bear 'RAISE'"

    def test_cannot_end_the_run(self, run: Run, tmp_path: Path) -> None:
        rows: list[object] = [{"completion": "x"}, {"completion": "RAISE"}]
        assert score(run, tmp_path, rows, stack=f"{STACKS}:leaves").status == 1
        assert rejected(tmp_path)[0]["reason"] == "SystemExit: 0"

    def test_is_named_by_its_number_in_the_file(self, run: Run, tmp_path: Path) -> None:
        rows = [*sums(30), {**sums(1)[0], "answer": " "}]
        assert score(run, tmp_path, rows).status == 1
        assert "row 30 is blank" in str(rejected(tmp_path)[0]["reason"])

    def test_for_a_column_that_it_alone_lacks_does_not_borrow_it(self, run: Run, tmp_path: Path) -> None:
        rows = [*sums(2), {"completion": answered(1)}]
        assert score(run, tmp_path, rows).status == 1
        assert "no ground truth" in str(rejected(tmp_path)[0]["reason"])
        assert totals(tmp_path / "a.scores.jsonl") == [1.0, 1.0]

    def test_is_the_same_in_chunks_of_any_size(self, run: Run, tmp_path: Path) -> None:
        rows = [row if i % 7 else {"completion": answered(1)} for i, row in enumerate(sums(60))]
        seen = []
        for size in (1, 10, 1024):
            score(run, tmp_path, rows, "--batch-size", size, "--overwrite", "--keep-going")
            seen.append(((tmp_path / "a.scores.jsonl").read_bytes(), rejected(tmp_path)))
        assert seen[0] == seen[1] == seen[2]

    def test_that_would_hide_a_score_is_told_where_columns_are_copied(self, run: Run, tmp_path: Path) -> None:
        assert score(run, tmp_path, [*sums(1), {**sums(1)[0], "total": 1}], "--copy-columns").status == 1
        assert "--rename total=NAME" in str(rejected(tmp_path)[0]["reason"])


class TestWhatIsSaid:
    def test_ends_after_twenty_lines(self, run: Run, tmp_path: Path) -> None:
        ran = score(run, tmp_path, [*sums(1), *["{"] * 50])
        assert ran.err.count("rejected line") == 20
        assert "more rows are rejected" in ran.err
        assert len(rejected(tmp_path)) == 50

    def test_leaves_no_file_behind_where_nothing_was_rejected(self, run: Run, tmp_path: Path) -> None:
        score(run, tmp_path, [*sums(1)])
        assert not (tmp_path / "a.scores.jsonl.rejected.jsonl").exists()


class TestAStackThatRefusesEverything:
    def test_stops_the_run_before_anything_is_written(self, run: Run, tmp_path: Path) -> None:
        rows = [{"completion": answered(1)} for _ in range(30)]
        ran = score(run, tmp_path, rows)
        assert (ran.status, ran.err.count("\n")) == (2, 1)
        assert "no ground truth" in ran.err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl"]

    def test_stops_it_in_the_middle_where_it_can_be_resumed(self, run: Run, tmp_path: Path) -> None:
        rows = [*sums(30), *({"completion": answered(1)} for _ in range(30))]
        ran = score(run, tmp_path, rows, "--batch-size", 30)
        assert (ran.status, "rows from 30 to 59" in ran.err.replace("every row", "rows")) == (2, True)
        assert len(totals(tmp_path / "a.scores.jsonl")) == 30

    def test_is_borne_when_asked(self, run: Run, tmp_path: Path) -> None:
        rows = [{"completion": answered(1)} for _ in range(30)]
        assert score(run, tmp_path, rows, "--keep-going").status == 1
        assert len(rejected(tmp_path)) == 30


def totals_of(count: int) -> list[float]:
    return [0.0 if i % 3 == 2 else 1.0 for i in range(count)]
