"""Weights that follow the training step.

A schedule stands where a weight stands; it reads ``trainer_state.global_step`` of the call, so a resumed run goes
on where it was. The weight applied is the weight logged.

    >>> from rewardkit import boxed_accuracy, combine, schedule, strict_format
    >>> fading = schedule.linear(1.0, 0.2, steps=100)
    >>> [fading.at(step) for step in (0, 50, 100, 1000)]
    [1.0, 0.6, 0.2, 0.2]
    >>> stack = boxed_accuracy + fading * strict_format
    >>> stack == combine(boxed_accuracy, strict_format, weights=[1.0, fading])
    True
    >>> stack(["<think>\\n1\\n</think>\\n<answer>\\n2\\n</answer>"], answer="2", global_step=50)
    [0.6]
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, overload

from rewardkit.batch import Batch

if TYPE_CHECKING:
    from rewardkit.combine import Combined, Weighted
    from rewardkit.contract import Reward

__all__ = ["Cosine", "Linear", "Schedule", "Steps", "cosine", "linear", "steps"]

_Self = TypeVar("_Self", bound="Schedule")


class Schedule(ABC):
    """A weight that depends on the optimizer steps done so far."""

    @abstractmethod
    def at(self, step: int) -> float:
        """The weight after `step` optimizer steps."""

    @abstractmethod
    def scaled(self: _Self, factor: float) -> _Self:
        """The same schedule with every weight times `factor`."""

    @overload
    def __mul__(self: _Self, other: float) -> _Self: ...
    @overload
    def __mul__(self, other: Reward) -> Weighted | Combined: ...
    def __mul__(self, other: Any) -> Any:
        return self.scaled(float(other)) if isinstance(other, (int, float)) else NotImplemented

    __rmul__ = __mul__

    def __neg__(self: _Self) -> _Self:
        return self.scaled(-1.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class _Ramp(Schedule):
    """From `start` to `end` over `steps` optimizer steps that begin after `begin`; constant on both sides."""

    start: float
    end: float
    steps: int
    begin: int = 0

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")
        for name in ("steps", "begin"):
            if not isinstance(getattr(self, name), int):
                raise TypeError(f"{name} must be a whole number of optimizer steps, got {getattr(self, name)!r}")
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}; a constant weight needs no schedule")
        if self.begin < 0:
            raise ValueError(f"begin must be 0 or more, got {self.begin}")

    def progress(self, step: int) -> float:
        """The share of the ramp that is done, in [0, 1]."""
        return min(max((step - self.begin) / self.steps, 0.0), 1.0)

    def scaled(self: _RampSelf, factor: float) -> _RampSelf:
        """Both ends times `factor`."""
        return replace(self, start=factor * self.start, end=factor * self.end)

    def __repr__(self) -> str:
        begin = f", begin={self.begin}" if self.begin else ""
        return f"schedule.{type(self).__name__.lower()}({self.start!r}, {self.end!r}, steps={self.steps}{begin})"


_RampSelf = TypeVar("_RampSelf", bound=_Ramp)


@dataclass(frozen=True, kw_only=True, repr=False)
class Linear(_Ramp):
    """weight = start + (end - start) * progress."""

    def at(self, step: int) -> float:
        """The weight after `step` optimizer steps."""
        progress = self.progress(step)
        return self.start * (1 - progress) + self.end * progress


@dataclass(frozen=True, kw_only=True, repr=False)
class Cosine(_Ramp):
    """weight = end + (start - end) / 2 * (1 + cos(pi * progress))."""

    def at(self, step: int) -> float:
        """The weight after `step` optimizer steps."""
        progress = self.progress(step)
        if progress == 1.0:
            return self.end
        return self.end + (self.start - self.end) / 2 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True, kw_only=True, repr=False)
class Steps(Schedule):
    """The weight of the last threshold reached."""

    values: Sequence[tuple[int, float]]

    def __post_init__(self) -> None:
        pairs = tuple((step, float(weight)) for step, weight in self.values)
        for step, _ in pairs:
            if not isinstance(step, int):
                raise TypeError(f"the steps of a schedule are whole numbers, got {step!r}")
        object.__setattr__(self, "values", pairs)
        thresholds = [step for step, _ in pairs]
        if not pairs or thresholds[0] != 0 or sorted(set(thresholds)) != thresholds:
            raise ValueError(f"the steps of a schedule must start at 0 and rise, got {thresholds}")
        for step, weight in pairs:
            if not math.isfinite(weight):
                raise ValueError(f"the weight at step {step} must be finite, got {weight}")

    def at(self, step: int) -> float:
        """The weight after `step` optimizer steps."""
        thresholds = [threshold for threshold, _ in self.values]
        return self.values[max(bisect_right(thresholds, step) - 1, 0)][1]

    def scaled(self, factor: float) -> Steps:
        """Every weight times `factor`."""
        return replace(self, values=tuple((step, factor * weight) for step, weight in self.values))

    def __repr__(self) -> str:
        return f"schedule.steps({dict(self.values)!r})"


def linear(start: float, end: float, *, steps: int, begin: int = 0) -> Linear:
    """A straight line from `start` to `end` over `steps` optimizer steps that begin after `begin`.

    Raises:
        ValueError: a weight that is not finite, fewer than one step, a negative `begin`.
    """
    return Linear(start=float(start), end=float(end), steps=steps, begin=begin)


def cosine(start: float, end: float, *, steps: int, begin: int = 0) -> Cosine:
    """Half a cosine from `start` to `end`: slow, fast, slow.

    Raises:
        ValueError: a weight that is not finite, fewer than one step, a negative `begin`.

    Example:
        >>> halfway = cosine(1.0, 0.0, steps=10).at(5)
        >>> round(halfway, 12)
        0.5
    """
    return Cosine(start=float(start), end=float(end), steps=steps, begin=begin)


def steps(values: Mapping[int, float]) -> Steps:
    """A staircase: the weight of the highest step reached.

    Args:
        values: weights by the optimizer step from which they hold; the first step is 0.

    Raises:
        ValueError: steps that do not start at 0, a weight that is not finite.

    Example:
        >>> [steps({0: 1.0, 100: 0.5}).at(step) for step in (0, 99, 100)]
        [1.0, 1.0, 0.5]
    """
    return Steps(values=tuple(sorted(values.items())))


def weight_at(weight: float | Schedule, batch: Batch) -> float:
    """The number to apply to this batch."""
    return weight.at(batch.step) if isinstance(weight, Schedule) else weight
