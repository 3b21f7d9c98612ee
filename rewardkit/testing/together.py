"""Calls of one reward that start at the same moment."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from rewardkit.testing.rows import Rows
from rewardkit.testing.subject import Result, Subject


def at_once(subject: Subject, batches: Sequence[Rows], *, seconds: float) -> list[Result | None]:
    """The results of calls that start together; ``None`` for one that does not come back in `seconds`."""
    results: list[Result | None] = [None] * len(batches)
    barrier = threading.Barrier(len(batches))
    workers = [
        threading.Thread(target=_call_together, args=(subject, rows, barrier, results, k), daemon=True)
        for k, rows in enumerate(batches)
    ]
    deadline = perf_counter() + seconds
    with _eager_switching():
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(max(0.0, deadline - perf_counter()))
    return results


def _call_together(
    subject: Subject, rows: Rows, barrier: threading.Barrier, results: list[Result | None], index: int
) -> None:
    arguments = rows.arguments()
    barrier.wait()
    results[index] = subject.score(arguments)


@contextmanager
def _eager_switching() -> Iterator[None]:
    """Threads take turns after microseconds, so that a race is met in a short check, too."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
