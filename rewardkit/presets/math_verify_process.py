"""math-verify's verdicts, from a warm process that is killed when a comparison does not end.

The originals call math-verify where they are called themselves. Its time-outs need the main thread: elsewhere
TRL switches them off, and ``\\boxed{9^{9^{9^{9}}}}`` then holds the interpreter for good. Here the main thread is
another process's, so the values are the same in every thread and every comparison ends.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

STARTUP_SECONDS = 120.0
"""How long the process may take to load sympy; a loaded machine needs tens of seconds."""

COMPARISON_SECONDS = 45.0
"""More than the originals' own time-outs add up to (10 + 10 to read, 5 for each of up to four pairs), so it ends
only what those cannot: work inside of C code."""


class Verdict(NamedTuple):
    """How one comparison ended.

    Attributes:
        equal: whether the answer is the reference.
        truth: what was read of the reference; ``None`` if nothing.
        answer: what was read of the completion; ``None`` if nothing.
        error: why there is no verdict, else empty.
        timeout: whether that was the time-out.
    """

    equal: bool = False
    truth: str | None = None
    answer: str | None = None
    error: str = ""
    timeout: bool = False


class _Process:
    """The process and the pipes to it."""

    def __init__(self) -> None:
        source = str(Path(__file__).resolve().parents[2])
        paths = [source, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rewardkit.presets.math_verify_worker"],
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
            self.end()
            raise
        if ready is None:
            self.end()
            raise RuntimeError(
                f"the process for math-verify did not start; run `{sys.executable} -c 'import math_verify'` to see why"
            )

    def ask(self, request: dict[str, str]) -> Verdict:
        """One comparison; after a failure the process is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            reply = self._receive(COMPARISON_SECONDS)
        except (BrokenPipeError, EOFError):
            self.end()
            return Verdict(error="math-verify's process ended (out of memory or of processor time)")
        if reply is None:
            self.end()
            return Verdict(error=f"math-verify took longer than {COMPARISON_SECONDS:g} s", timeout=True)
        return Verdict(**reply)

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

    def end(self) -> None:
        """Kill the process and collect it, so that no zombie stays."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # bytes that were still to be sent to a dead process
                    pipe.close()


class MathVerify:
    """One warm process, started when first needed; comparisons follow one another, as in the originals."""

    def __init__(self) -> None:
        self._reset()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._reset)  # a child must not speak into its parent's pipes

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None

    def verdicts(self, check: str, pairs: Sequence[tuple[str, str]]) -> list[Verdict]:
        """One verdict for each (reference, text), in order; `check` is one of `math_verify_worker.CHECKS`.

        Raises:
            ImportError: math-verify is not installed.
            RuntimeError: its process does not start.
        """
        if pairs and importlib.util.find_spec("math_verify") is None:
            raise ImportError(
                "this preset is defined by the package math-verify; install it with `pip install rewardkit[trl]`, "
                "or use rewardkit.boxed_accuracy, which does not need it"
            )
        with self._lock:
            return [self._verdict({"check": check, "truth": truth, "text": text}) for truth, text in pairs]

    def _verdict(self, request: dict[str, str]) -> Verdict:
        if self._process is None or not self._process.alive:
            self.close()
            self._process = _Process()
        try:
            return self._process.ask(request)
        except BaseException:  # an interrupt in mid-request: its late reply must not answer the next
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.end()


MATH_VERIFY = MathVerify()
"""The process of this program."""
