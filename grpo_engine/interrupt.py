"""Ctrl-C while training: finish the step, then stop where nothing is lost; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any


class FinishStepOnInterrupt:
    """A context in which SIGINT only sets :attr:`asked`; outside of the main thread it changes nothing.

    Args:
        announce: told what happens, in one sentence.
    """

    def __init__(self, announce: Callable[[str], None]) -> None:
        self._announce = announce
        self._previous: Any = None
        self.asked = False

    def __enter__(self) -> FinishStepOnInterrupt:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        with suppress(RuntimeError):  # the signal came in the middle of a write to the same stream
            self._announce("Interrupted: finishing this step, then saving a checkpoint. Ctrl-C again stops at once.")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
