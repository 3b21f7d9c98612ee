"""Chunks through the lanes into the output, in order, with few of them in memory; and what Ctrl-C does to it."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from rewardkit.cli.chunks import Chunk
from rewardkit.cli.errors import UsageError
from rewardkit.cli.lanes import Lanes, WorkerEnded
from rewardkit.cli.lines import ChunkLines
from rewardkit.cli.output import Output
from rewardkit.cli.plan import Plan
from rewardkit.cli.progress import Progress, progress

HOPELESS_ROWS = 20
"""A chunk of at least so many rows that is refused whole, for one reason, says that the call is wrong."""

NAMED = 20
"""Rejected rows that are named on the terminal; the others are only counted."""


def carry_out(plan: Plan, output: Output) -> bool:
    """Score what is left of the file; false where Ctrl-C ended it.

    The work is done in a thread: Ctrl-C reaches only the thread that waits for it, so that no chunk is torn.

    Raises:
        UsageError: the stack refuses everything, a worker was killed.
    """
    position = output.state.position
    chunks, workers = _no_more_workers_than_chunks(plan.source.chunks(position, plan.cutting), plan.workers)
    lanes = Lanes(plan.job, workers)
    total = plan.source.total
    shown = progress(total, plan.source.unit, min(position.offset or position.row, total), position.row)
    flow = _Flow(plan, lanes, output, shown)
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="rewardkit-score") as thread:
            _wait(thread.submit(flow.run, chunks), flow)
    finally:
        lanes.close()
        shown.close()
    return not flow.stop.is_set()


def _wait(done: Future[None], flow: _Flow) -> None:
    try:
        done.result()
    except KeyboardInterrupt:
        flow.stop.set()
        flow.shown.say("interrupted: finishing the chunks in hand (Ctrl-C again drops them)")
        try:
            done.result()
        except KeyboardInterrupt:
            if flow.lanes.in_process:
                os._exit(130)  # a thread cannot be ended; the files are cut to their last chunk when it goes on
            flow.lanes.kill()


@dataclass
class _Flow:
    """One pass over the chunks.

    Attributes:
        stop: set by Ctrl-C; what has not begun is dropped.
    """

    plan: Plan
    lanes: Lanes
    output: Output
    shown: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    _named: int = 0

    def run(self, chunks: Iterator[Chunk]) -> None:
        """Score and write all chunks."""
        pending: deque[Future[ChunkLines]] = deque()
        for chunk in chunks:
            if self.stop.is_set():
                break
            pending.append(self.lanes.submit(chunk))
            if len(pending) > self.lanes.depth:
                self._write(pending.popleft())
        while pending:
            if self.stop.is_set():
                for future in reversed(pending):
                    future.cancel()
            self._write(pending.popleft())

    def _write(self, scored: Future[ChunkLines]) -> None:
        if scored.cancelled():
            return
        try:
            lines = scored.result()
        except WorkerEnded:
            if self.stop.is_set():  # by the second Ctrl-C
                return
            raise
        if lines.refused is not None and not self.plan.keep_going and lines.counts.rejected >= HOPELESS_ROWS:
            start, end = self.output.state.position, lines.end
            raise UsageError(
                f"the stack refuses every row from {start.row:,} to {end.row - 1:,}: {lines.refused} (to keep such "
                "rows aside and go on: --keep-going)"
            )
        self.output.write(lines)
        self._name(lines)
        self.shown.update(lines.progress, lines.end.row)

    def _name(self, lines: ChunkLines) -> None:
        """Say which rows were rejected, until there are too many."""
        for text in lines.named[: max(NAMED - self._named, 0)]:
            self.shown.say(f"rejected {text}")
        if self._named <= NAMED < self._named + lines.counts.rejected:
            self.shown.say(f"more rows are rejected; all are in {self.output.files.rejected}")
        self._named += lines.counts.rejected


def _no_more_workers_than_chunks(chunks: Iterator[Chunk], workers: int) -> tuple[Iterator[Chunk], int]:
    first = list(itertools.islice(chunks, workers))
    return itertools.chain(first, chunks), max(1, len(first))
