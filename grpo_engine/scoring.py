"""Calls the reward functions and checks what they return, before a weight changes.

The engine knows rewards only as callables: ``f(prompts=, completions=, completion_ids=, trainer_state=,
log_extra=, log_metric=, **columns) -> list[float | None]``, as TRL calls them; coroutine functions too.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

RewardFunction = Callable[..., Any]


class RewardFailure(RuntimeError):
    """A reward function raised, or returned what the contract does not allow; it names the function."""


@dataclass
class Scores:
    """What the reward functions said about N completions.

    Attributes:
        values: (K, N) one row per function; NaN means "not scored".
        metrics: means that functions handed to `log_metric`.
        extra: columns that functions handed to `log_extra`, one value per completion.
    """

    values: Tensor
    metrics: dict[str, float] = field(default_factory=dict)
    extra: dict[str, list[Any]] = field(default_factory=dict)


class RewardSet:
    """The reward functions of a run, under their names.

    Args:
        functions: callables of the contract.
        weights: one per function; 1.0 each unless given.

    Raises:
        ValueError: no function, two of one name, a wrong number of weights.
        TypeError: something that is not callable.
    """

    def __init__(self, functions: Sequence[RewardFunction], weights: Sequence[float] | None = None) -> None:
        if not functions:
            raise ValueError("reward_funcs is empty; give at least one reward function")
        for function in functions:
            if not callable(function):
                raise TypeError(f"a reward function must be callable, got {function!r}")
        self.names = [reward_name(f) for f in functions]
        twice = next((n for n in self.names if self.names.count(n) > 1), None)
        if twice is not None:
            raise ValueError(
                f"two reward functions are named {twice!r}, so their log entries would merge; "
                "rename one (def, or its __name__)"
            )
        if weights is not None and len(weights) != len(functions):
            raise ValueError(f"{len(weights)} reward_weights for {len(functions)} reward functions; give one each")
        self._functions = list(functions)
        self.weights = torch.tensor(
            list(weights) if weights is not None else [1.0] * len(functions), dtype=torch.float64
        )

    def __call__(
        self, prompts: list[Any], completions: list[Any], columns: Mapping[str, list[Any]], trainer_state: Any
    ) -> Scores:
        """Score completions; functions run in order, coroutine functions together after the others.

        Raises:
            RewardFailure: a function raised (chained), or its values break the contract; it names the
                function, the row and the remedy.
        """
        logged: dict[str, list[float]] = defaultdict(list)
        extra: dict[str, list[Any]] = {}
        arguments = {
            **columns,
            "prompts": prompts,
            "completions": completions,
            "trainer_state": trainer_state,
            "log_extra": functools.partial(_log_extra, extra, len(completions)),
            "log_metric": lambda name, value: logged[name].append(float(value)),
        }
        results: list[Any] = [None] * len(self._functions)
        waiting = []
        for k, function in enumerate(self._functions):
            if is_async(function):
                waiting.append(k)
            else:
                results[k] = _named(self.names[k], functools.partial(function, **arguments))
        if waiting:
            calls = [(self.names[k], functools.partial(self._functions[k], **arguments)) for k in waiting]
            for k, result in zip(waiting, _run_together(calls), strict=True):
                results[k] = result
        values = [_checked(result, name, len(completions)) for name, result in zip(self.names, results, strict=True)]
        means = {name: sum(v) / len(v) for name, v in logged.items()}
        return Scores(torch.tensor(values, dtype=torch.float64), means, extra)


def _log_extra(extra: dict[str, list[Any]], count: int, column: str, values: Sequence[Any]) -> None:
    """Keep a column that a reward function logs; raised inside of the function, an error names it."""
    if len(values) != count:
        raise ValueError(f"log_extra({column!r}) got {len(values)} values for {count} completions; give one for each")
    extra[column] = list(values)


def reward_name(function: Any) -> str:
    """What a reward is logged by: its name, the wrapped function's of a partial, the class's of an object."""
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def is_async(function: Any) -> bool:
    """Whether calling the function gives a coroutine."""
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _named(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        raise RewardFailure(f"reward function {name!r} raised {type(error).__name__}: {error}") from error


def _run_together(calls: Sequence[tuple[str, Callable[[], Any]]]) -> list[Any]:
    """Run coroutine functions concurrently, in a thread of their own: a notebook's loop may be running here."""
    outcome: list[Any] = []
    failure: list[BaseException] = []

    async def one(name: str, call: Callable[[], Any]) -> Any:
        try:
            return await call()
        except Exception as error:
            raise RewardFailure(f"reward function {name!r} raised {type(error).__name__}: {error}") from error

    async def everything() -> list[Any]:
        return await asyncio.gather(*(one(name, call) for name, call in calls))

    def run() -> None:
        try:
            outcome.extend(asyncio.run(everything()))
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            failure.append(error)

    thread = threading.Thread(target=run, name="async-rewards")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome


def _checked(values: Any, name: str, count: int) -> list[float]:
    """The values as floats, NaN for None; anything else that the contract forbids is refused by name."""
    sized = hasattr(values, "__len__") and getattr(values, "ndim", 1) > 0  # an array of no dimension has no length
    if isinstance(values, (str, bytes, Mapping, Set)) or not sized:
        raise RewardFailure(
            f"reward function {name!r} returned {values!r:.80}; it must return a list with one value per completion"
        )
    if len(values) != count:
        raise RewardFailure(
            f"reward function {name!r} returned {len(values)} values for {count} completions; return one for each"
        )
    return [_number(value, name, row) for row, value in enumerate(values)]


def _number(value: Any, name: str, row: int) -> float:
    if value is None:
        return math.nan
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError("text is no number, even if it reads like one")
        number = float(value)
    except (TypeError, ValueError) as error:
        raise RewardFailure(
            f"reward function {name!r} returned {value!r:.80} for row {row}; return a number, or None for 'not scored'"
        ) from error
    if not math.isfinite(number):
        raise RewardFailure(
            f"reward function {name!r} returned {number} for row {row}; "
            "return a finite number, or None for 'not scored'"
        )
    return number
