"""Chunks: runs of rows that are read, scored and written together, and the places where a file may be cut."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

CHUNK_BYTES = 32 * 2**20
"""A chunk is closed at this size even if it has fewer rows: long completions must not fill the memory."""

RUN_LIMIT = 16
"""A run of equal prompts may make a chunk this many times larger; then it is cut, and its groups cannot be told."""


class Position(NamedTuple):
    """A place between two rows of a file.

    Attributes:
        row: rows before it.
        line: lines before it, blank ones included.
        offset: bytes before it.
        inside: whether it parts two rows of one prompt, because their run was too long.
    """

    row: int = 0
    line: int = 0
    offset: int = 0
    inside: bool = False


class Row(NamedTuple):
    """A row as it was read.

    Attributes:
        number: its place in the file, from 0, blank lines not counted.
        line: its line, from 1; ``None`` in a Parquet file.
        record: its columns; ``None`` where it cannot be read.
        fault: why not.
        raw: the line as it stands in the file, where it cannot be read.
    """

    number: int
    line: int | None
    record: dict[str, Any] | None
    fault: str = ""
    raw: str = ""


@dataclass(frozen=True, kw_only=True)
class Chunk(ABC):
    """Rows of a file as they were read, undecoded; they are decoded where they are scored.

    Attributes:
        start: where it begins.
        end: where the next one begins.
        progress: how much of the file has been read after it, in the unit of its source.
    """

    start: Position
    end: Position
    progress: int

    @abstractmethod
    def rows(self) -> list[Row]:
        """The rows, decoded."""

    @property
    def cut(self) -> bool:
        """Whether it begins or ends between two rows of one prompt."""
        return self.start.inside or self.end.inside


class Prompts(Protocol):
    """The prompt of each row of a chunk, and of the row after it; or :data:`UNREADABLE`."""

    def __getitem__(self, index: int, /) -> Any: ...


UNREADABLE = object()
"""The prompt of a row that cannot be read: it may belong to the group before it or after it."""


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """Where chunks end.

    Attributes:
        batch_size: rows of a chunk, at least; of the last one at most.
        num_generations: rows of a group, where the user gave them; chunks then hold whole groups.
        prompt: the column of the prompts by its name in the file; rows with equal prompts, one after the other,
            stay in one chunk. ``None`` cuts anywhere.
        longest: a run of equal prompts is cut when the chunk has so many rows.
    """

    batch_size: int = 1024
    num_generations: int | None = None
    prompt: str | None = None
    longest: int = RUN_LIMIT * 1024

    def full(self, rows: int, size: int = 0) -> bool:
        """Whether a chunk is large enough to be closed."""
        return rows >= self.batch_size or size >= CHUNK_BYTES

    def overfull(self, rows: int, size: int = 0) -> bool:
        """Whether it must be closed, even within a run of equal prompts."""
        return self.num_generations is None and (rows >= self.longest or size >= 4 * CHUNK_BYTES)

    def between(self, rows: int, prompts: Prompts) -> bool:
        """Whether a chunk may end after its first `rows` rows, at least 1."""
        if self.num_generations is not None:
            return rows % self.num_generations == 0
        if self.prompt is None:
            return True
        before, after = prompts[rows - 1], prompts[rows]
        return before is not UNREADABLE and after is not UNREADABLE and (before is None or before != after)
