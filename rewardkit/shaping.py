"""Rewards that change the values of another: a function of them, a threshold.

>>> import math
>>> from rewardkit import length_band
>>> length_band.map(math.sqrt, name="root")(["word " * 20])
[0.5]
>>> length_band.threshold(0.25)(["word " * 20, "word"])
[1.0, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rewardkit.choices import name_code, operand_code
from rewardkit.contract import Batch, Call, Composite, Outcome, Part, Plan, Reward, as_code


@dataclass(frozen=True, kw_only=True, repr=False)
class Mapped(Composite):
    """``function(value)``; built by :meth:`Reward.map`. ``None`` stays ``None``.

    Attributes:
        reward: whose values are mapped; they show below it as ``{name}.raw``.
        function: from float to a finite float.
    """

    reward: Reward
    function: Callable[[float], float]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"map needs a function from float to float, got {self.function!r}")

    def _default_name(self) -> str:
        return self.reward.__name__

    def plan(self, batch: Batch) -> Plan:
        """The function of every value that there is."""
        name = f"{self.reward.__name__}.raw"
        (inner,) = yield [Call(name, self.reward, batch)]
        return [_with_raw(name, o, None if o.value is None else float(self.function(o.value))) for o in inner]

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"{operand_code(self.reward)}.map({as_code(self.function)}{name})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Threshold(Composite):
    """1.0 where the value is at least `at_least`, else 0.0; built by :meth:`Reward.threshold`."""

    reward: Reward
    at_least: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_least):
            raise ValueError(f"a threshold must be finite, got {self.at_least}")

    def _default_name(self) -> str:
        return self.reward.__name__

    def plan(self, batch: Batch) -> Plan:
        """Yes or no for every value that there is."""
        name = f"{self.reward.__name__}.raw"
        (inner,) = yield [Call(name, self.reward, batch)]
        return [_with_raw(name, o, None if o.value is None else float(o.value >= self.at_least)) for o in inner]

    def __repr__(self) -> str:
        return f"{operand_code(self.reward)}.threshold({self.at_least!r}){name_code(self)}"


def _with_raw(name: str, outcome: Outcome, value: float | None) -> Outcome:
    """The outcome with another value; what was there before stays visible below it."""
    return outcome._replace(value=value, parts=(Part(name, None, outcome),), unclipped=None)
