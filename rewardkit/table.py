r"""A data set as columns of equal length, whatever it came as.

>>> read_table([{"question": "1 + 1 = ?", "answer": "2"}, {"question": "2 + 2 = ?"}])
{'question': ['1 + 1 = ?', '2 + 2 = ?'], 'answer': ['2', None]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from rewardkit.batch import completion_text, short

DataSet: TypeAlias = "Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | str | os.PathLike[str] | Any"
Columns: TypeAlias = "dict[str, list[Any]]"

PROMPT_KEYS = ("prompt", "prompts", "question", "problem", "query", "instruction")
"""Columns that may hold the prompt, in the order in which they are looked for."""


def read_table(dataset: DataSet) -> Columns:
    """The columns of a data set; a value that a row lacks is ``None``.

    Args:
        dataset: a list of dicts, a dict of lists, a `datasets.Dataset`, a pandas `DataFrame`, or the path of a
            file: JSONL (one object a line), JSON (a list of objects) or Parquet.

    Raises:
        TypeError: none of these.
        ValueError: no rows, columns of different lengths, or a line that is no object, with its number.
    """
    columns = _columns(dataset)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns have different lengths: {lengths}; give one value per row")
    if not any(lengths.values()):
        raise ValueError("the data set has no rows; give at least one")
    return {name: [_plain(value) for value in values] for name, values in columns.items()}


def prompt_text(prompt: Any) -> str:
    """The text of a prompt: a string, or messages of any role."""
    if prompt is None:
        return ""
    if isinstance(prompt, (list, tuple)) and all(isinstance(message, Mapping) for message in prompt):
        return completion_text([{**message, "role": "assistant"} for message in prompt])
    return str(prompt)


def _columns(dataset: DataSet) -> Columns:
    if isinstance(dataset, (str, os.PathLike)):
        return _of_file(Path(dataset))
    if isinstance(dataset, Mapping):
        return _of_mapping(dataset)
    if hasattr(dataset, "column_names") and hasattr(dataset, "__len__"):
        return {name: list(dataset[name]) for name in dataset.column_names}
    if hasattr(dataset, "to_dict") and hasattr(dataset, "columns"):
        frame: Mapping[str, list[Any]] = dataset.to_dict(orient="list")
        return {str(name): [None if _is_missing(v) else v for v in values] for name, values in frame.items()}
    if isinstance(dataset, (list, tuple)) and all(isinstance(row, Mapping) for row in dataset):
        return _of_rows(dataset)
    raise TypeError(
        f"a data set is a list of dicts, a dict of lists, a Dataset, a DataFrame or a path, got {short(dataset)}"
    )


def _of_mapping(dataset: Mapping[str, Any]) -> Columns:
    splits = [str(name) for name, value in dataset.items() if hasattr(value, "column_names")]
    if splits:
        raise TypeError(f"these are splits, not rows; take one of them: dataset[{splits[0]!r}]")
    for name, values in dataset.items():
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise TypeError(f"column {name!r} must be a list with one value per row, got {short(values)}")
    return {name: list(values) for name, values in dataset.items()}


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> Columns:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _of_file(path: Path) -> Columns:
    kind = path.suffix.lower()
    if kind == ".parquet":
        import pyarrow.parquet  # an extra, loaded only for such a file

        table: Columns = pyarrow.parquet.read_table(path).to_pydict()
        return table
    if kind == ".json":
        return _columns(json.loads(path.read_text(encoding="utf-8")))
    if kind in (".jsonl", ".ndjson"):
        with path.open(encoding="utf-8") as lines:
            return _of_rows([_row(line, path, number) for number, line in enumerate(lines, 1) if line.strip()])
    raise ValueError(f"{path.name}: {kind or 'no suffix'} is not known; give a .jsonl, .json or .parquet file")


def _row(line: str, path: Path, number: int) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path.name}, line {number} is no JSON: {error}") from error
    if not isinstance(row, Mapping):
        raise ValueError(f"{path.name}, line {number} must be an object, got {short(row)}")
    return row


def _plain(value: Any) -> Any:
    """Array cells, as Parquet and pandas have them, as lists."""
    return value.tolist() if getattr(value, "ndim", 0) else value


def _is_missing(value: Any) -> bool:
    """What a data frame has in place of ``None``."""
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ == "NAType"
