"""Where chunks are scored: in a thread of this process, or in worker processes, each fed by a thread."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rewardkit.cli.chunks import Chunk
from rewardkit.cli.errors import UsageError
from rewardkit.cli.lines import ChunkLines, Job

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

AHEAD = 2
"""Chunks per worker that are read before their turn: none waits for the file, and few are held in memory."""

END_SECONDS = 10.0
"""How long a worker may take to end by itself, and its helpers with it."""


class WorkerEnded(UsageError):
    """A worker process ended before it answered."""


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Lanes:
    """Scores chunks side by side; results come in any order, each through its own future.

    Attributes:
        depth: chunks that may be held at once.
    """

    def __init__(self, job: Job, workers: int) -> None:
        self._workers = [WorkerProcess(_pickled(job)) for _ in range(workers)] if workers > 1 else []
        self._free: queue.SimpleQueue[Callable[[Chunk], ChunkLines]] = queue.SimpleQueue()
        lanes: Sequence[Callable[[Chunk], ChunkLines]] = self._workers or [job]
        for lane in lanes:
            self._free.put(lane)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="rewardkit-lane")
        self.depth = AHEAD * workers
        self.in_process = not self._workers

    def submit(self, chunk: Chunk) -> Future[ChunkLines]:
        """Score a chunk when a worker is free."""
        return self._threads.submit(self._score, chunk)

    def _score(self, chunk: Chunk) -> ChunkLines:
        worker = self._free.get()
        try:
            return worker(chunk)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """Drop what has not begun, wait for the rest and end the workers."""
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.end()

    def kill(self) -> None:
        """End the workers at once."""
        for worker in self._workers:
            worker.kill()


class WorkerProcess:
    """A process with :mod:`rewardkit.cli.worker`.

    It has a session of its own, so that Ctrl-C in a terminal reaches this process alone and the chunk in its hands
    is finished.
    """

    def __init__(self, job: bytes) -> None:
        source = str(Path(__file__).resolve().parents[2])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._connection: Connection[Any, Any]
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "rewardkit.cli.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,
            )
        self._job: bytes | None = job

    def __call__(self, chunk: Chunk) -> ChunkLines:
        """Send a chunk, await its lines."""
        try:
            if self._job is not None:
                self._connection.send(sys.path)
                self._connection.send_bytes(self._job)
                self._job = None
            self._connection.send(chunk)
            reply = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerEnded(
                f"a worker process ended while it scored the rows {chunk.start.row:,} to {chunk.end.row - 1:,} "
                "(out of memory, or killed); go on with --resume, and with fewer --workers or a smaller --batch-size"
            ) from error
        if isinstance(reply, Exception):
            raise reply
        lines: ChunkLines = reply
        return lines

    def end(self) -> None:
        """Let the process end, and wait for it."""
        self._connection.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the process at once and collect it; a thread that waits for its answer sees the end."""
        self._process.kill()
        self._process.wait()


def _pickled(job: Job) -> bytes:
    try:
        return pickle.dumps(job)
    except Exception as error:
        raise UsageError(
            f"the stack cannot be sent to worker processes ({type(error).__name__}: {error}); define its functions at "
            "the top of a module, or score in one process with --workers 1"
        ) from error
