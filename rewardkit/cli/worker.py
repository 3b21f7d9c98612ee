"""A process that scores chunks: it is sent ``sys.path``, a pickled job and chunks, and answers with lines.

It ends when the other end of the connection is closed, by whatever ended its parent, and its own helpers with it.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from rewardkit.cli.errors import UsageError


def main() -> None:
    """Serve chunks until the connection is closed."""
    parent: Connection[Any, Any] = Connection(int(sys.argv[1]))
    with parent, suppress(EOFError, BrokenPipeError, ConnectionResetError):
        sys.path[:] = parent.recv()
        job = _job(parent.recv_bytes())
        while True:
            chunk = parent.recv()
            try:
                reply = job(chunk)
            except UsageError as error:
                reply = error
            except Exception:  # noqa: BLE001 - a fault of this program, raised again by the parent
                reply = RuntimeError(f"in a worker process:\n{traceback.format_exc()}")
            parent.send(reply)


def _job(pickled: bytes) -> Callable[[Any], Any]:
    """The job; here with one process for symbolic work, as the other cores have workers of their own."""
    from rewardkit.equivalence.budget import POOL

    POOL.resize(1)
    try:
        job: Callable[[Any], Any] = pickle.loads(pickled)  # noqa: S301 - from the parent
    except Exception as error:  # noqa: BLE001 - told with the first chunk
        return _Refusing(f"{type(error).__name__}: {error}")
    return job


class _Refusing:
    """Stands for a stack that cannot be loaded here."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __call__(self, chunk: object) -> Any:
        raise UsageError(f"the stack cannot be loaded in a worker process ({self.reason}); try --workers 1")


if __name__ == "__main__":
    main()
