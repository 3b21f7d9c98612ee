"""Rows out of whatever holds them: files, folders, tables; what cannot be read is kept with its place."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rewardkit.batch import short
from rewardkit.table import read_table

LINES = (".jsonl", ".ndjson")
SUFFIXES = (*LINES, ".json", ".parquet")

RUN_LOG = "completions.jsonl"
"""The file in which grpo_engine writes the completions of a run."""

TRL_FOLDER = "completions"
TRL_FILE = re.compile(r"completions_\d+\.parquet")
"""The folder below the output directory, and the files in it, one per logged step."""

IN_MEMORY = "data"
"""What stands for the file where the rows came as Python objects."""


class Record(NamedTuple):
    """A row and its place: the file's name, and the line from 1 (in a table the row from 1)."""

    row: Mapping[str, Any]
    source: str
    line: int


class Rejected(NamedTuple):
    """A row that was kept aside.

    Attributes:
        source: the file's name.
        line: its line from 1, in a table its row from 1; 0 for a whole file.
        reason: why.
        content: the line as it was read, or the row.
    """

    source: str
    line: int
    reason: str
    content: Any


def read_records(data: Any) -> Iterator[Record | Rejected]:
    """Every row, in order.

    Args:
        data: the path of a file or folder, a list of dicts, a dict of lists, a `datasets.Dataset` or a pandas
            `DataFrame`.

    Raises:
        TypeError: none of these.
        ValueError: a file or folder that holds no rows of a known kind.
        FileNotFoundError: there is no such file.
    """
    if isinstance(data, (str, os.PathLike)):
        for path in files_of(Path(data)):
            yield from _of_file(path)
    elif isinstance(data, Sequence) and not isinstance(data, (bytes, bytearray)):
        yield from _of_objects(data, IN_MEMORY)
    else:
        columns = read_table(data)
        rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        yield from _of_objects(rows, IN_MEMORY)


def files_of(path: Path) -> list[Path]:
    """The file itself, or the files of a folder in the order of their names.

    Raises:
        ValueError: nothing in it is of a known kind, or it is the output of two trainers.
        FileNotFoundError: there is no such file.
    """
    if not path.is_dir():
        if not path.exists():
            raise FileNotFoundError(f"there is no file or folder {str(path)!r}")
        return [path]
    run_log, trl = path / RUN_LOG, sorted((path / TRL_FOLDER).glob("*.parquet"))
    if run_log.is_file() and trl:
        raise ValueError(f"{path.name} holds {RUN_LOG} and a folder {TRL_FOLDER}; name one of the two")
    if run_log.is_file():
        return [run_log]
    found = trl or sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise ValueError(f"{path.name} holds no file that ends in {', '.join(SUFFIXES)}")
    return found


def _of_file(path: Path) -> Iterator[Record | Rejected]:
    kind = path.suffix.lower()
    if kind in LINES:
        yield from _of_lines(path)
    elif kind == ".parquet":
        yield from _of_parquet(path)
    elif kind == ".json":
        yield from _of_json(path)
    else:
        raise ValueError(f"{path.name}: {kind or 'no suffix'} is not known; give a file in {', '.join(SUFFIXES)}")


def _of_lines(path: Path) -> Iterator[Record | Rejected]:
    with path.open("rb") as lines:  # in bytes: a text file would also end lines inside of what models write
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _of_line(line, path.name, number)


def _of_line(line: bytes, source: str, number: int) -> Record | Rejected:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or nested beyond reading
        content = line.decode("utf-8", errors="backslashreplace").rstrip("\n")
        return Rejected(source, number, f"no JSON: {error}", content)
    return _of_object(row, source, number)


def _of_json(path: Path) -> Iterator[Record | Rejected]:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        yield Rejected(path.name, 0, f"no JSON: {error}", None)
        return
    if isinstance(data, Mapping):
        columns = read_table(data)
        data = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not isinstance(data, list):
        raise ValueError(f"{path.name} must be a list of objects or an object of lists, got {short(data)}")
    yield from _of_objects(data, path.name)


def _of_parquet(path: Path) -> Iterator[Record | Rejected]:
    try:
        import pyarrow.lib
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'rewardkit[cli]'") from error
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except (pyarrow.lib.ArrowException, OSError) as error:  # torn: the run was killed while it was written
        yield Rejected(path.name, 0, f"no Parquet file: {error}", None)
        return
    yield from _of_objects(rows, path.name)


def _of_objects(rows: Iterable[Any], source: str) -> Iterator[Record | Rejected]:
    for number, row in enumerate(rows, 1):
        yield _of_object(row, source, number)


def _of_object(row: Any, source: str, number: int) -> Record | Rejected:
    if not isinstance(row, Mapping):
        return Rejected(source, number, f"expected an object with the fields of one row, got {short(row)}", row)
    return Record(row, source, number)
