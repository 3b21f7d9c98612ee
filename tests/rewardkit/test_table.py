"""Specification of rewardkit.table: whatever a data set came as, it is columns of one length."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rewardkit.table import prompt_text, read_table

ROWS = [{"question": "1 + 1?", "answer": "2"}, {"question": "2 + 2?", "answer": None}]
COLUMNS = {"question": ["1 + 1?", "2 + 2?"], "answer": ["2", None]}


def of_hub() -> Any:
    return pytest.importorskip("datasets").Dataset.from_list(ROWS)


def of_pandas() -> Any:
    return pytest.importorskip("pandas").DataFrame(ROWS)


@pytest.mark.parametrize("make", [lambda: ROWS, lambda: tuple(ROWS), lambda: COLUMNS, of_hub, of_pandas])
def test_rows_columns_and_frames_are_the_same(make: Any) -> None:
    assert read_table(make()) == COLUMNS


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json", ".parquet"])
def test_files_are_the_same(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows{suffix}"
    if suffix == ".parquet":
        of_hub().to_parquet(str(path))
    elif suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    else:
        path.write_text("\n".join(map(json.dumps, ROWS)) + "\n\n", encoding="utf-8")
    assert read_table(path) == read_table(str(path)) == COLUMNS


def test_a_value_that_a_row_lacks_is_none() -> None:
    assert read_table([{"answer": "2"}, {"hint": "even"}]) == {"answer": ["2", None], "hint": [None, "even"]}


def test_what_a_frame_has_in_place_of_none_is_none() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.5, float("nan")], "b": pandas.array(["x", None], dtype="string")})
    assert read_table(frame) == {"a": [1.5, None], "b": ["x", None]}


def test_array_cells_are_lists() -> None:
    numpy = pytest.importorskip("numpy")
    assert read_table({"answer": [numpy.array(["1", "2"])]}) == {"answer": [["1", "2"]]}


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        ([], ValueError, "no rows; give at least one"),
        ({"answer": []}, ValueError, "no rows"),
        ({"a": ["1"], "b": ["1", "2"]}, ValueError, "different lengths: {'a': 1, 'b': 2}"),
        ({"answer": "2"}, TypeError, "column 'answer' must be a list with one value per row, got str '2'"),
        (["2"], TypeError, "a list of dicts, a dict of lists, a Dataset, a DataFrame or a path, got list"),
        (7, TypeError, "got int 7"),
        ("rows.csv", ValueError, "rows.csv: .csv is not known; give a .jsonl, .json or .parquet file"),
        ("rows", ValueError, "no suffix is not known"),
    ],
)
def test_refuses_what_is_no_data_set(dataset: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        read_table(dataset)
    assert message in str(caught.value)


def test_splits_are_not_rows() -> None:
    datasets = pytest.importorskip("datasets")
    with pytest.raises(TypeError, match=r"these are splits, not rows; take one of them: dataset\['train'\]"):
        read_table(datasets.DatasetDict(train=of_hub()))


@pytest.mark.parametrize(("line", "message"), [("{", "line 2 is no JSON"), ("[1]", "line 2 must be an object")])
def test_a_bad_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"answer": "2"}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=f"rows.jsonl, {message}"):
        read_table(path)


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("1 + 1?", "1 + 1?"),
        (None, ""),
        ([{"role": "system", "content": "Add."}, {"role": "user", "content": "1 + 1?"}], "Add.\n1 + 1?"),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "1 + 1?"}]}], "1 + 1?"),
        (7, "7"),
    ],
)
def test_a_prompt_has_a_text(prompt: Any, text: str) -> None:
    assert prompt_text(prompt) == text
