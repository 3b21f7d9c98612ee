"""Specification of Parquet, in and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rewardkit.cli.conftest import STACKS, Ran, answered, read, sums, totals, write

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
Run = Callable[..., Ran]


def table(path: Path, rows: list[dict[str, Any]], row_group_size: int = 7) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=row_group_size)
    return path


def columns(path: Path) -> dict[str, list[Any]]:
    return dict(pq.read_table(path).to_pydict())


class TestInput:
    @pytest.mark.parametrize("workers", [1, 2])
    @pytest.mark.parametrize("size", [1, 5, 1024])
    def test_gives_the_scores_of_the_same_rows_as_jsonl(
        self, size: int, workers: int, run: Run, tmp_path: Path
    ) -> None:
        rows = sums(60, group=4)
        words = ("--stack", f"{STACKS}:group_size", "--batch-size", size, "--workers", workers)
        assert run("score", table(tmp_path / "a.parquet", rows), *words).status == 0
        assert run("score", write(tmp_path / "b.jsonl", rows), *words).status == 0
        assert (tmp_path / "a.scores.jsonl").read_bytes() == (tmp_path / "b.scores.jsonl").read_bytes()
        assert totals(tmp_path / "a.scores.jsonl") == [4.0] * 60

    def test_may_hold_messages_and_lists_of_references(self, run: Run, tmp_path: Path) -> None:
        said = [[{"role": "assistant", "content": answered(n)}] for n in (1, 2, 3)]
        rows = [{"completion": messages, "answer": ["1", "2"]} for messages in said]
        run("score", table(tmp_path / "a.parquet", rows), "--stack", "boxed_accuracy")
        assert totals(tmp_path / "a.scores.jsonl") == [1.0, 1.0, 0.0]

    def test_names_bad_rows_by_their_number(self, run: Run, tmp_path: Path) -> None:
        rows = [*sums(2), {"prompt": "?", "completion": None, "answer": 1}]
        ran = run("score", table(tmp_path / "a.parquet", rows), "--stack", "boxed_accuracy")
        (aside,) = read(tmp_path / "a.scores.jsonl.rejected.jsonl")
        assert (ran.status, aside["row"], aside["record"]) == (1, 2, rows[2])
        assert "rejected row 2: its column 'completion' is null" in ran.err

    def test_without_rows_gives_no_scores(self, run: Run, tmp_path: Path) -> None:
        pq.write_table(pa.table({"completion": pa.array([], pa.string())}), tmp_path / "a.parquet")
        assert run("score", tmp_path / "a.parquet", "--stack", "keywords").status == 0
        assert totals(tmp_path / "a.scores.jsonl") == []

    def test_that_is_none_is_told_in_one_line(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(b"no table")
        ran = run("score", tmp_path / "a.parquet", "--stack", "keywords")
        assert (ran.status, ran.err.count("\n")) == (2, 1)

    def test_goes_on_in_the_middle_of_a_row_group(self, run: Run, tmp_path: Path) -> None:
        from rewardkit.cli.chunks import Cutting, Position
        from rewardkit.cli.parquet import ParquetFile

        source = ParquetFile(table(tmp_path / "a.parquet", sums(40), row_group_size=11))
        for start in (0, 3, 11, 25, 39, 40):
            chunks = list(source.chunks(Position(start), Cutting(batch_size=6)))
            assert [row.number for chunk in chunks for row in chunk.rows()] == list(range(start, 40))
            assert [row.record for chunk in chunks for row in chunk.rows()] == sums(40)[start:]


class TestOutput:
    def test_has_a_column_per_component(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(3))
        assert run("score", source, "--stack", "presets.gsm8k_r1", "-o", tmp_path / "out.parquet").status == 0
        assert columns(tmp_path / "out.parquet") == {
            "row": [0, 1, 2],
            "total": [2.0, 2.0, 1.0],
            "components/boxed_accuracy": [1.0, 1.0, 0.0],
            "components/strict_format": [1.0, 1.0, 1.0],
            "components/xml_count": [0.5, 0.5, 0.5],
        }
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "out.parquet", "out.parquet.state.json"]

    def test_with_breakdown_has_a_column_per_field(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(3))
        run("score", source, "--stack", "boxed_accuracy", "--breakdown", "-o", tmp_path / "out.parquet")
        found = columns(tmp_path / "out.parquet")
        assert found["components/boxed_accuracy/status"] == found["status"] == ["correct", "correct", "wrong"]
        assert found["components/boxed_accuracy/contribution"] == [1.0, 1.0, 0.0]

    def test_keeps_types_of_copied_columns_where_there_is_one(self, run: Run, tmp_path: Path) -> None:
        rows = [
            {"completion": "a", "n": 1, "mixed": 1, "messages": [{"role": "user", "content": "?"}]},
            {"completion": "b", "n": 2.5, "mixed": "text", "messages": [], "late": True},
            {"completion": "\ud83d", "n": None, "mixed": {"a": 1}, "messages": None},
        ]
        source = tmp_path / "a.jsonl"
        import json

        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run("score", source, "--stack", "keywords", "--copy-columns", "-o", tmp_path / "out.parquet")
        found = columns(tmp_path / "out.parquet")
        assert found["completion"] == ["a", "b", "?"]
        assert found["n"] == [1.0, 2.5, None]
        assert found["mixed"] == ["1", "text", '{"a": 1}']
        assert found["messages"] == [[{"role": "user", "content": "?"}], [], None]
        assert found["late"] == [None, True, None]

    def test_of_nothing_scored_is_a_column_of_numbers(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", [{"completion": "a", "answer": None}])
        run("score", source, "--stack", "boxed_accuracy", "-o", tmp_path / "out.parquet")
        schema = pq.read_schema(tmp_path / "out.parquet")
        assert schema.field("total").type == schema.field("components/boxed_accuracy").type == pa.float64()

    def test_goes_on_after_an_interruption(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from rewardkit.cli import score

        source, output = write(tmp_path / "a.jsonl", sums(30)), tmp_path / "out.parquet"
        words = ("score", source, "--stack", "boxed_accuracy", "--batch-size", 10, "-o", output)

        def full_disk(*paths: Path) -> None:
            raise OSError("no space left")

        with monkeypatch.context() as patch:
            patch.setattr(score, "convert", full_disk)
            ran = run(*words)
        assert (ran.status, ran.err.splitlines()[-1], output.exists()) == (2, "error: no space left", False)
        assert run(*words, "--resume").status == 0
        assert columns(output)["row"] == list(range(30))
        assert run(*words, "--resume").status == 0
        assert run(*words).status == 2
