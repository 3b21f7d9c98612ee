"""Parquet files, read in chunks; needs pyarrow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rewardkit.cli.chunks import Chunk, Cutting, Position, Row
from rewardkit.cli.errors import UsageError
from rewardkit.cli.to_parquet import require_pyarrow


@dataclass(frozen=True, kw_only=True)
class ParquetChunk(Chunk):
    """Rows of a Parquet file, as an Arrow stream."""

    stream: bytes

    def rows(self) -> list[Row]:
        """The rows, decoded."""
        import pyarrow as pa

        records = pa.ipc.open_stream(self.stream).read_all().to_pylist()
        return [Row(self.start.row + index, None, record) for index, record in enumerate(records)]


@dataclass(frozen=True)
class ParquetFile:
    """A Parquet file; progress is counted in rows."""

    path: Path

    unit = "rows"

    @property
    def total(self) -> int:
        """The number of rows."""
        with self._open() as file:
            return int(file.metadata.num_rows)

    def first_record(self) -> dict[str, Any] | None:
        """The first row; of a file without rows its columns, all ``None``."""
        with self._open() as file:
            for batch in file.iter_batches(batch_size=1):
                if batch.num_rows:
                    record: dict[str, Any] = batch.to_pylist()[0]
                    return record
            return dict.fromkeys(file.schema_arrow.names)

    def chunks(self, start: Position, cutting: Cutting) -> Iterator[ParquetChunk]:
        """The file from `start` on."""
        import pyarrow as pa

        begin, table = start, None
        with self._open() as file:
            for batch in _batches(file, start.row, cutting.batch_size):
                fresh = pa.Table.from_batches([batch])
                table = fresh if table is None else pa.concat_tables([table, fresh])
                while (end := _cut(table, begin, cutting)) is not None:
                    yield _chunk(table, begin, end)
                    table, begin = table.slice(end.row - begin.row), end
            if table is not None and table.num_rows:
                end = Position(begin.row + table.num_rows)
                yield _chunk(table, begin, end)

    def _open(self) -> Any:
        require_pyarrow()
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(self.path, buffer_size=2**20, pre_buffer=False)  # a row group may be large
        except ValueError as error:  # of pyarrow: no Parquet file
            raise UsageError(f"{self.path} cannot be read as Parquet: {error}") from error


def _batches(file: Any, row: int, size: int) -> Iterator[Any]:
    """The rows from `row` on; row groups before it are not read."""
    groups: list[int] = []
    skip = row
    for group in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if not groups and skip >= rows:
            skip -= rows
        else:
            groups.append(group)
    if not groups:
        return
    for batch in file.iter_batches(batch_size=size, row_groups=groups):
        dropped = min(skip, batch.num_rows)
        skip -= dropped
        if dropped < batch.num_rows:
            yield batch.slice(dropped)


def _cut(table: Any, begin: Position, cutting: Cutting) -> Position | None:
    """Where the first chunk of the table ends; ``None`` where that takes more rows."""
    prompts = _Prompts(table.column(cutting.prompt)) if cutting.prompt in table.column_names else None
    if prompts is None and cutting.prompt is not None:
        raise UsageError(f"the file has no column {cutting.prompt!r}")
    bytes_per_row = table.nbytes / max(table.num_rows, 1)
    for rows in range(1, table.num_rows):
        size = int(rows * bytes_per_row)
        if not cutting.full(rows, size):
            continue
        may = cutting.between(rows, prompts or [])
        if may or cutting.overfull(rows, size):
            return Position(begin.row + rows, inside=not may)
    return None


@dataclass(frozen=True)
class _Prompts:
    column: Any

    def __getitem__(self, index: int, /) -> Any:
        return self.column[index].as_py()


def _chunk(table: Any, begin: Position, end: Position) -> ParquetChunk:
    import pyarrow as pa

    rows = table.slice(0, end.row - begin.row).combine_chunks()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return ParquetChunk(start=begin, end=end, progress=end.row, stream=sink.getvalue().to_pybytes())
