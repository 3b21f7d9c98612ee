"""The reward under test: calls it as a trainer does, and reads what comes back without trusting it."""

from __future__ import annotations

import asyncio
import inspect
import math
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

TOLERANCE = 1e-6
"""Values that differ by less are the same: sums in another order, a model on another batch size."""

CLOSE_SECONDS = 5.0
"""How long the event loop may take to stop; a coroutine that never ends must not hold up the report."""


@dataclass(frozen=True)
class Result:
    """What one call gave.

    Attributes:
        values: the values, zero-dimensional arrays as numbers; empty where it raised or gave no list.
        raised: the exception as text; empty where there was none.
        shape: what is wrong with the list as a list; empty where nothing is.
    """

    values: tuple[Any, ...] = ()
    raised: str = ""
    shape: str = ""

    @property
    def unusable(self) -> str:
        """The first value that is neither a finite number nor ``None``, with its row."""
        wrong = ((row, value) for row, value in enumerate(self.values) if not usable(value))
        return next((f"{shown(value)} in row {row}" for row, value in wrong), "")


class Subject:
    """A reward and how it is called: by keyword, with the keywords that it takes, coroutines run to their end."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise TypeError(f"a reward must be callable, got {function!r}")
        self.function = function
        self.keywords = _keywords(function)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def name(self) -> str:
        """What trainers log it by."""
        target = getattr(self.function, "func", self.function)  # functools.partial
        return str(getattr(self.function, "__name__", getattr(target, "__name__", type(target).__name__)))

    def score(self, arguments: Mapping[str, Any], *, unfiltered: bool = False) -> Result:
        """Call the reward, without the keywords that its signature refuses unless `unfiltered`."""
        if self.keywords is not None and not unfiltered:
            arguments = {name: value for name, value in arguments.items() if name in self.keywords}
        count = len(arguments.get("completions", ()))  # before the call: the reward may change the list
        try:
            returned = self.function(**arguments)
            if inspect.isawaitable(returned):
                returned = asyncio.run_coroutine_threadsafe(_awaited(returned), self._running_loop()).result()
            return _read(returned, count)
        except Exception as error:  # noqa: BLE001 - whatever it raises is the finding
            return Result(raised=f"{type(error).__name__}: {_cut(str(error), 200)}".rstrip(": "))

    def close(self) -> None:
        """Stop the event loop, where there was one."""
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CLOSE_SECONDS)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """One loop in a thread of its own for all calls, as trainers have it; a loop may run in this thread."""
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), name="check_reward", daemon=True)
                self._thread.start()
            return self._loop


def usable(value: Any) -> bool:
    """Whether the contract allows the value."""
    if value is None:
        return True
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to rounding; what is no number is compared as it prints."""
    if one is None or other is None or not (usable(one) and usable(other)):
        return repr(one) == repr(other)
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def shown(value: Any, limit: int = 60) -> str:
    """The value as code, cut in the middle."""
    return _cut(repr(value), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit * 2 // 3]}...{text[-(limit // 3 - 3) :]}"


def _keywords(function: Callable[..., Any]) -> frozenset[str] | None:
    """The keywords that a signature takes; ``None`` for all of them."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def _read(returned: Any, count: int) -> Result:
    if isinstance(returned, (str, bytes, Mapping, set, frozenset)) or not hasattr(returned, "__len__"):
        return Result(shape=f"{type(returned).__name__} {shown(returned)} instead of a list")
    if getattr(returned, "ndim", 1) == 0:  # it has a length that it does not know
        return Result(shape=f"the number {shown(returned)} instead of a list")
    values = tuple(map(_plain, returned))
    plural = "" if len(values) == 1 else "s"
    return Result(values, shape="" if len(values) == count else f"{len(values)} value{plural} for {count} completions")


def _plain(value: Any) -> Any:
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.close()
