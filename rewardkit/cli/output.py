"""The files of a scoring run: scores, rows kept aside, and the state from which it goes on.

Scores and rejected rows are appended chunk by chunk; then the state, which says how long both files are and where the
input goes on, replaces the one before. Whatever a killed run has written beyond its last state is cut off.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rewardkit.cli.chunks import Position
from rewardkit.cli.errors import UsageError
from rewardkit.cli.lines import ChunkLines, Counts

VERSION = 1
"""Of the state file."""

HASHED_BYTES = 2**16
"""The beginning of the input that tells files apart."""


@dataclass(frozen=True, kw_only=True)
class State:
    """How far a run has come.

    Attributes:
        position: where the input goes on.
        output_bytes: length of the file of scores.
        rejected_bytes: length of the file of rejected rows.
        counts: of all rows before the position.
        complete: whether the input has been read to its end.
    """

    position: Position = Position()
    output_bytes: int = 0
    rejected_bytes: int = 0
    counts: Counts = Counts()
    complete: bool = False

    def after(self, lines: ChunkLines) -> State:
        """The state once these lines are written."""
        return replace(
            self,
            position=lines.end,
            output_bytes=self.output_bytes + len(lines.output),
            rejected_bytes=self.rejected_bytes + len(lines.rejected),
            counts=self.counts.plus(lines.counts),
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run is: the same input, stack and settings go on where they stopped, others do not.

    Attributes:
        input: path, size, time of change and a digest of the beginning.
        stack: fingerprint and names; the fingerprint is ``None`` where it cannot be told.
        settings: the arguments that change what is written.
    """

    input: Mapping[str, Any]
    stack: Mapping[str, Any]
    settings: Mapping[str, Any]


def identity(path: Path) -> dict[str, Any]:
    """What a file is known by."""
    about = path.stat()
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(HASHED_BYTES)).hexdigest()[:16]
    return {"size": about.st_size, "mtime_ns": about.st_mtime_ns, "first_bytes": digest}


@dataclass(frozen=True)
class Files:
    """The files of a run, by the name of its output.

    Attributes:
        output: what the user named; scores as JSONL or Parquet.
    """

    output: Path

    @property
    def scores(self) -> Path:
        """The JSONL that is appended to; for Parquet it is converted at the end."""
        return self.output if self.output.suffix != ".parquet" else self._beside(".part.jsonl")

    @property
    def rejected(self) -> Path:
        """Rows that were not scored."""
        return self._beside(".rejected.jsonl")

    @property
    def state(self) -> Path:
        """How far the run has come."""
        return self._beside(".state.json")

    def _beside(self, suffix: str) -> Path:
        return self.output.with_name(self.output.name + suffix)

    def clear(self) -> None:
        """Remove all of them."""
        for path in {self.output, self.scores, self.rejected, self.state}:
            path.unlink(missing_ok=True)


class Output:
    """The files of a run; a context in which they are open."""

    def __init__(self, files: Files, run: Run, state: State) -> None:
        self.files, self.run, self.state = files, run, state

    def __enter__(self) -> Output:
        self._scores = self.files.scores.open("ab", buffering=0)
        self._rejected = self.files.rejected.open("ab", buffering=0)
        self._cut()
        self._save()
        return self

    def __exit__(self, *failure: object) -> None:
        self._cut()
        self._scores.close()
        self._rejected.close()
        if not self.state.rejected_bytes:
            self.files.rejected.unlink()
        if self.state.complete and self.files.scores != self.files.output:
            self.files.scores.unlink()

    def write(self, lines: ChunkLines) -> None:
        """Append a chunk; it counts once the state has been replaced."""
        _write(self._scores, lines.output)
        _write(self._rejected, lines.rejected)
        self.state = self.state.after(lines)
        self._save()

    def finish(self) -> None:
        """Say that the input has been read to its end."""
        self.state = replace(self.state, complete=True)
        self._save()

    def _cut(self) -> None:
        """Drop what was written beyond the state."""
        self._scores.truncate(self.state.output_bytes)
        self._rejected.truncate(self.state.rejected_bytes)

    def _save(self) -> None:
        state = {
            "version": VERSION,
            "complete": self.state.complete,
            "counts": self.state.counts._asdict(),
            "position": self.state.position._asdict(),
            "output_bytes": self.state.output_bytes,
            "rejected_bytes": self.state.rejected_bytes,
            "input": self.run.input,
            "stack": self.run.stack,
            "settings": self.run.settings,
        }
        fresh = self.files.state.with_name(self.files.state.name + ".new")
        fresh.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.files.state)


def read_state(files: Files, run: Run) -> State:
    """Where a run goes on.

    Raises:
        UsageError: there is no state, or it is of another input, stack or settings, or the files do not fit it.
    """
    try:
        saved = json.loads(files.state.read_text(encoding="utf-8"))
        state = State(
            position=Position(**saved["position"]),
            output_bytes=saved["output_bytes"],
            rejected_bytes=saved["rejected_bytes"],
            counts=Counts(**saved["counts"]),
            complete=saved["complete"],
        )
        _require_same(saved, run, files.state)
    except FileNotFoundError as error:
        raise UsageError(f"--resume: there is no {files.state}; use --overwrite to start afresh") from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise UsageError(f"--resume: {files.state} is damaged ({error}); use --overwrite to start afresh") from error
    written = not (state.complete and files.scores != files.output)  # a converted file is gone
    for path, size in ((files.scores, state.output_bytes), (files.rejected, state.rejected_bytes)):
        if written and size > (path.stat().st_size if path.exists() else 0):
            raise UsageError(f"--resume: {path} is shorter than its state says; use --overwrite to start afresh")
    return state


def _require_same(saved: Mapping[str, Any], run: Run, path: Path) -> None:
    if saved["version"] != VERSION:
        raise UsageError(f"--resume: {path} is of version {saved['version']}, this rewardkit writes {VERSION}")
    if run.stack["fingerprint"] is None:
        raise UsageError("--resume: the stack has no fingerprint, so nothing says that it is the same; use --overwrite")
    for part, now in (("input", run.input), ("stack", run.stack), ("settings", run.settings)):
        for name, value in now.items():
            if saved[part].get(name) != value:
                what = f"the {part} has changed" if part != "settings" else f"--{name.replace('_', '-')} has changed"
                raise UsageError(
                    f"--resume: {what} since {path} was written ({name}: {saved[part].get(name)!r}, now {value!r}); "
                    "give the same as before, or use --overwrite to start afresh"
                )


def _write(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
