"""Scores as JSONL into Parquet, block by block; needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rewardkit.cli.errors import UsageError

BLOCK_ROWS = 16_384


def require_pyarrow() -> None:
    """Say before the work what would be missing after it.

    Raises:
        UsageError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise UsageError("Parquet files need pyarrow: pip install 'rewardkit[cli]'") from error


def convert(scores: Path, target: Path) -> None:
    """Write the lines of `scores` as a table.

    The columns are ``row``, ``total``, what else a line has, and of the components ``components/{path}``, with a
    breakdown ``components/{path}/{field}``. A copied column that holds different types of values becomes JSON text.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(scores)
    fresh = target.with_name(target.name + ".new")
    with pq.ParquetWriter(fresh, schema) as writer:
        for block in _blocks(scores):
            arrays = [_array([row.get(field.name) for row in block], field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
    fresh.replace(target)


def _schema(scores: Path) -> Any:
    """The type of every column that occurs: found in a first pass, as a later row may have one more."""
    import pyarrow as pa

    types: dict[str, Any] = {"row": pa.int64(), "total": pa.float64()}
    for block in _blocks(scores):
        for name in dict.fromkeys(name for row in block for name in row):
            types[name] = _common(types.get(name, pa.null()), [row.get(name) for row in block])
    for name, kind in types.items():
        if pa.types.is_null(kind):
            types[name] = pa.float64() if name.startswith("components/") else pa.string()
    return pa.schema(list(types.items()))


def _common(known: Any, values: list[Any]) -> Any:
    """The type that holds what is known and these values; text where there is none."""
    import pyarrow as pa

    try:
        schemas = [pa.schema([("_", kind)]) for kind in (known, pa.array(values).type)]
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.string()


def _array(values: list[Any], kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_string(kind):
        values = [v if v is None or isinstance(v, str) else json.dumps(v, ensure_ascii=False) for v in values]
    return pa.array(values, kind)


def _blocks(scores: Path) -> Iterator[list[dict[str, Any]]]:
    block: list[dict[str, Any]] = []
    with scores.open("rb") as file:
        for line in file:
            row = json.loads(line)
            block.append(_flat(_unicode(row) if b"\\ud" in line else row))  # as_line escapes what is not Unicode
            if len(block) == BLOCK_ROWS:
                yield block
                block = []
    if block:
        yield block


def _unicode(value: Any) -> Any:
    """The value with a question mark for every half of a surrogate pair, which Parquet cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_unicode(name): _unicode(held) for name, held in value.items()}
    return [_unicode(held) for held in value] if isinstance(value, list) else value


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line with the components as columns of their own."""
    row = {name: value for name, value in line.items() if name != "components"}
    for path, value in line["components"].items():
        fields = value.items() if isinstance(value, Mapping) else [(None, value)]
        row |= {f"components/{path}" + (f"/{name}" if name else ""): held for name, held in fields}
    return row
