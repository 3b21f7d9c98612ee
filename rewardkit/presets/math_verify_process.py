"""math-verify's verdicts, from a warm process that is killed when a comparison does not end.

The originals call math-verify where they are called themselves. Its time-outs need the main thread: elsewhere
TRL switches them off, and ``\\boxed{9^{9^{9^{9}}}}`` then holds the interpreter for good. Here the main thread is
another process's, so the values are the same in every thread and every comparison ends.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import threading
from collections.abc import Sequence
from typing import NamedTuple

from rewardkit.line_process import LineProcess

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


def _ask(process: LineProcess, request: dict[str, str]) -> Verdict:
    """One comparison; after a failure the process is gone."""
    try:
        reply = process.ask(request, COMPARISON_SECONDS)
    except EOFError:
        return Verdict(error="math-verify's process ended (out of memory or of processor time)")
    if reply is None:
        return Verdict(error=f"math-verify took longer than {COMPARISON_SECONDS:g} s", timeout=True)
    return Verdict(**reply)


class MathVerify:
    """One warm process, started when first needed; comparisons follow one another, as in the originals."""

    def __init__(self) -> None:
        self._reset()
        atexit.register(self.close)
        os.register_at_fork(after_in_child=self._reset)  # a child must not speak into its parent's pipes

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._process: LineProcess | None = None

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
            self._process = LineProcess("rewardkit.presets.math_verify_worker", hint="math_verify")
        try:
            return _ask(self._process, request)
        except BaseException:  # an interrupt in mid-request: its late reply must not answer the next
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()


MATH_VERIFY = MathVerify()
"""The process of this program."""
