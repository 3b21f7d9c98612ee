"""JSONL files, plain or compressed with gzip, read in chunks without holding more than a chunk in memory."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from rewardkit.cli.chunks import UNREADABLE, Chunk, Cutting, Position, Row
from rewardkit.cli.errors import UsageError

LINE_BYTES = 64 * 2**20
"""A longer line is no row; its beginning is kept aside, with its place."""

SHOWN_BYTES = 1_000
BOM = b"\xef\xbb\xbf"
_TOO_LONG = "the line has {:,} bytes, more than {:,}; only its beginning is kept here"


class Line(NamedTuple):
    """A line that is not blank.

    Attributes:
        number: its place in the file, from 1.
        data: its bytes without the line break; of one that is too long the beginning.
        fault: why it is no row, if that is known before it is decoded.
    """

    number: int
    data: bytes
    fault: str = ""


@dataclass(frozen=True, kw_only=True)
class JsonlChunk(Chunk):
    """Lines of a JSONL file."""

    lines: tuple[Line, ...]

    def rows(self) -> list[Row]:
        """The rows, decoded."""
        return [decode(self.start.row + index, line) for index, line in enumerate(self.lines)]


@dataclass(frozen=True)
class JsonlFile:
    """A JSONL file; progress is counted in bytes, of a compressed file in compressed ones."""

    path: Path

    unit = "bytes"

    @property
    def total(self) -> int:
        """The size of the file in bytes."""
        return self.path.stat().st_size

    def first_record(self) -> dict[str, Any] | None:
        """The first row that can be read; ``None`` where there is none.

        Raises:
            UsageError: the file is one JSON array.
        """
        with self._open() as (file, _):
            for number, (line, _) in enumerate(_lines(file, Position())):
                if number == 0 and line.data.lstrip().startswith(b"["):
                    raise UsageError(
                        f"{self.path} is one JSON array, which cannot be streamed; write one object per line (JSONL)"
                    )
                record = decode(0, line).record
                if record is not None:
                    return record
        return None

    def chunks(self, start: Position, cutting: Cutting) -> Iterator[JsonlChunk]:
        """The file from `start` on."""
        lines: list[Line] = []
        size, begin, end = 0, start, start
        with self._open() as (file, packed):
            file.seek(start.offset)
            for line, after in _lines(file, start):
                if lines and cutting.full(len(lines), size):
                    may = cutting.between(len(lines), _Prompts(cutting.prompt, [*lines[-1:], line], len(lines) - 1))
                    if may or cutting.overfull(len(lines), size):
                        end = end._replace(inside=not may)
                        read = packed.tell() if packed else end.offset
                        yield JsonlChunk(start=begin, end=end, progress=read, lines=tuple(lines))
                        lines, size, begin = [], 0, end
                lines.append(line)
                size, end = size + len(line.data), after
            if lines:
                read = packed.tell() if packed else end.offset
                yield JsonlChunk(start=begin, end=end, progress=read, lines=tuple(lines))

    @contextmanager
    def _open(self) -> Iterator[tuple[IO[bytes], IO[bytes] | None]]:
        """The file of the lines, and the file on the disk where that is another."""
        with self.path.open("rb") as file:
            if self.path.suffix == ".gz":
                with gzip.open(file) as unpacked:
                    yield cast("IO[bytes]", unpacked), file
            else:
                yield file, None


@dataclass(frozen=True)
class _Prompts:
    """The prompts of some lines, the first of which has the index `first`."""

    column: str | None
    lines: Sequence[Line]
    first: int

    def __getitem__(self, index: int, /) -> Any:
        record = decode(0, self.lines[index - self.first]).record
        return UNREADABLE if record is None or self.column is None else record.get(self.column)


def decode(number: int, line: Line) -> Row:
    """A line as a row."""
    if line.fault:
        return Row(number, line.number, None, line.fault, line.data.decode("utf-8", "surrogateescape"))
    try:
        record = json.loads(line.data.decode("utf-8"))
    except UnicodeDecodeError as error:
        fault = f"not UTF-8: {error.reason} at byte {error.start + 1}"
    except json.JSONDecodeError as error:
        fault = f"not JSON: {error.msg} at character {error.colno}"
    except (ValueError, RecursionError) as error:  # an integer or a nesting without end
        fault = f"not readable as JSON: {error}"
    else:
        if isinstance(record, dict):
            return Row(number, line.number, record)
        fault = f"a row is a JSON object, this is {_json_type(record)}"
    return Row(number, line.number, None, fault, line.data.decode("utf-8", "surrogateescape"))


def _lines(file: IO[bytes], start: Position) -> Iterator[tuple[Line, Position]]:
    """Every line that is not blank, and the position after it; a damaged archive ends with a line that says so."""
    row, number, offset, _ = start
    while True:
        number += 1
        try:
            data = file.readline(LINE_BYTES)
            length = len(data) + _rest_of_line(file, data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            fault = f"the compressed file is damaged here, and what follows cannot be read: {error}"
            yield Line(number, b"", fault), Position(row + 1, number, offset)
            return
        if not data:
            return
        fault = _TOO_LONG.format(length, LINE_BYTES) if length > len(data) else ""
        if offset == 0:
            data = data.removeprefix(BOM)
        offset += length
        if data and not data.isspace():
            row += 1
            data = data[:SHOWN_BYTES] if fault else data.rstrip(b"\r\n")
            yield Line(number, data, fault), Position(row, number, offset)


def _rest_of_line(file: IO[bytes], data: bytes) -> int:
    """Skip what is left of a line that is too long; its length in bytes."""
    rest = 0
    while len(data) == LINE_BYTES and not data.endswith(b"\n"):
        data = file.readline(LINE_BYTES)
        rest += len(data)
        if len(data) < LINE_BYTES:
            break
    return rest


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
