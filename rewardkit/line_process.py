"""A helper process that answers lines of JSON, in time or not at all."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

STARTUP_SECONDS = 120.0
"""How long a process may take to load sympy; a loaded machine needs tens of seconds."""


class LineProcess:
    """A module of this package in a process of its own, and the pipes to it.

    It writes one line when it is ready, then one line of JSON for each that it is sent. Whoever finds it too late
    kills it: an answer that comes after all must not pass for the next one.

    Args:
        module: dotted name; run as ``python -m module arguments``.
        *arguments: its command line.
        hint: what it needs to start, for the message.

    Raises:
        RuntimeError: it does not start.
    """

    def __init__(self, module: str, *arguments: str, hint: str) -> None:
        source = str(Path(__file__).resolve().parents[1])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C in a terminal is for the parent
        )
        self._buffer = b""
        try:
            ready = self._receive(STARTUP_SECONDS)
        except EOFError:
            ready = None
        except BaseException:
            self.kill()
            raise
        if ready is None:
            self.kill()
            raise RuntimeError(f"{module} did not start; run `{sys.executable} -c 'import {hint}'` to see why")

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | None:
        """The answer to one request; ``None`` when the time is up, and then the process is gone.

        Raises:
            EOFError: the process ended (and is collected).
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            reply = self._receive(seconds)
        except (BrokenPipeError, EOFError):
            self.kill()
            raise EOFError("the process ended (out of memory or of processor time)") from None
        if reply is None:
            self.kill()
        return reply

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        """The next reply, or None when the time is up."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                chunk = os.read(self._process.stdout.fileno(), 65_536)
                if not chunk:
                    raise EOFError
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End the process and collect it, so that no zombie stays."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # bytes that were still to be sent to a dead process
                    pipe.close()
