r"""Rewards out of rewards: weights, sums, clips.

The order is fixed: component, its own clip, its weight, the sum, the clip of the total. A component that
does not score a completion (``None``) is left out of its sum; where none scores, the sum is ``None``.

    >>> from rewardkit import boxed_accuracy, combine, strict_format
    >>> stack = combine(boxed_accuracy, strict_format, weights=[2.0, 0.5], clip=(0.0, 2.25))
    >>> stack(["<think>\n1+1\n</think>\n<answer>\n\\boxed{2}\n</answer>", "\\boxed{2}"], ground_truth="2")
    [2.25, 2.0]
    >>> stack == (2.0 * boxed_accuracy + 0.5 * strict_format).clip(0.0, 2.25)
    True
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rewardkit.contract import Batch, Outcome, Part, Reward, RewardError, RewardFunction, as_code


@dataclass(frozen=True, kw_only=True, repr=False)
class Function(Reward):
    """A plain function of the contract as a :class:`Reward`, so that it adds, scales and explains.

    Attributes:
        function: called by keyword with ``completions``, ``prompts`` and every column. It prints by its
            dotted name; the reward pickles where the function does.
    """

    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"a reward must be callable, got {self.function!r}")
        call = getattr(self.function, "__call__", None)  # noqa: B004 - the method itself is inspected
        if inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(call):
            raise TypeError(f"{self.__name__} is asynchronous; combine() takes synchronous rewards")

    def _default_name(self) -> str:
        target = getattr(self.function, "func", self.function)  # functools.partial
        return str(getattr(target, "__name__", type(target).__name__))

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Call the function and read its values."""
        columns = {k: v for k, v in batch.columns.items() if k != "prompts"}
        prompts = batch.columns.get("prompts")
        values = self.function(completions=batch.completions, prompts=prompts, **columns)
        if isinstance(values, (str, bytes, dict)) or not hasattr(values, "__len__"):
            raise RewardError(
                f"{self.__name__} returned {values!r}; a reward returns a list with one value per completion"
            )
        return [_outcome(value, self.__name__, row) for row, value in enumerate(values)]


def _outcome(value: Any, name: str, row: int) -> Outcome:
    if value is None:
        return Outcome(None, "not_scored")
    try:
        number = float("text" if isinstance(value, (str, bytes)) else value)
    except (TypeError, ValueError, OverflowError) as error:
        raise RewardError(f"{name} gave {value!r} in row {row}; expected a number or None") from error
    return Outcome(number, "scored")


@dataclass(frozen=True, kw_only=True, repr=False)
class Weighted(Reward):
    """``weight * reward``; ``None`` stays ``None``."""

    reward: Reward
    weight: float

    def __post_init__(self) -> None:
        _require_finite("weight", self.weight)

    def _default_name(self) -> str:
        return self.reward.__name__

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The inner outcomes, scaled."""
        return [self._scaled(outcome) for outcome in self.reward.score(batch)]

    def _scaled(self, outcome: Outcome) -> Outcome:
        if outcome.value is None:
            return outcome
        parts = tuple(replace(part, weight=self.weight * part.weight) for part in outcome.parts)
        return replace(outcome, value=self.weight * outcome.value, parts=parts)

    def __repr__(self) -> str:
        inner = f"({self.reward!r})" if isinstance(self.reward, Weighted) else repr(self.reward)
        code = f"{self.weight!r} * {inner}"
        return f"({code}).named({self.name!r})" if self.name else code


@dataclass(frozen=True, kw_only=True, repr=False)
class Clipped(Reward):
    """A reward whose values are held within ``[low, high]``; ``None`` stays ``None``."""

    reward: Reward
    low: float
    high: float

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)

    def _default_name(self) -> str:
        return self.reward.__name__

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The inner outcomes, clipped."""
        return [_clip(o, self.low, self.high) for o in self.reward.score(batch)]

    def __repr__(self) -> str:
        inner = f"({self.reward!r})" if isinstance(self.reward, Weighted) else repr(self.reward)
        code = f"{inner}.clip({as_code(self.low)}, {as_code(self.high)})"
        return f"{code}.named({self.name!r})" if self.name else code


@dataclass(frozen=True, kw_only=True, repr=False)
class Combined(Reward):
    """A weighted sum of rewards, clipped at the end; built by :func:`combine` and by ``+``."""

    members: tuple[Reward, ...]
    weights: tuple[float, ...]
    limits: tuple[float, float] | None = field(default=None)

    def __post_init__(self) -> None:
        if not self.members:
            raise ValueError("nothing to combine: pass at least one reward")
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} rewards; give one each")
        for weight in self.weights:
            _require_finite("weight", weight)
        if self.limits is not None:
            _require_range(*self.limits)
        names = Counter(member.__name__ for member in self.members)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise ValueError(
                f"two components are named {twice[0]!r}, so their log entries would merge; "
                f'rename one: reward.named("...")'
            )

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Score every component on the whole batch, then add up row by row."""
        columns = [member.score(batch) for member in self.members]
        names = [member.__name__ for member in self.members]
        rows = zip(*columns, strict=True)
        return [self._total(tuple(map(Part, names, self.weights, row))) for row in rows]

    def _total(self, parts: tuple[Part, ...]) -> Outcome:
        contributions = [c for part in parts if (c := part.contribution) is not None]
        if not contributions:
            return Outcome(None, "not_scored", "no component scored it", parts)
        total = Outcome(sum(contributions), "scored", parts=parts)
        return total if self.limits is None else _clip(total, *self.limits)

    def clip(self, low: float, high: float) -> Combined | Clipped:  # type: ignore[override]
        """The same sum with its total held within ``[low, high]``."""
        if self.limits is None:
            return replace(self, limits=(float(low), float(high)))
        return super().clip(low, high)

    def __mul__(self, weight: float) -> Weighted | Combined:
        """A plain sum takes the weight into its own, so that its parts go on adding up to its value."""
        if self.limits is None and self.name is None and isinstance(weight, (int, float)):
            return replace(self, weights=tuple(weight * own for own in self.weights))
        return super().__mul__(weight)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        arguments = [_member_code(member) for member in self.members]
        if any(weight != 1.0 for weight in self.weights):
            arguments.append(f"weights={self.weights!r}")
        if self.limits is not None:
            arguments.append(f"clip=({', '.join(map(as_code, self.limits))})")
        if self.name is not None:
            arguments.append(f"name={self.name!r}")
        return f"combine({', '.join(arguments)})"


def combine(
    *rewards: RewardFunction,
    weights: Sequence[float] | None = None,
    clip: tuple[float, float] | None = None,
    name: str | None = None,
) -> Combined:
    """The weighted sum of rewards, clipped at the end, as one reward.

    Args:
        *rewards: rewards of this package or plain functions of the contract, in any mixture. A reward
            that already carries a weight (``2.0 * r``) keeps it, times the one given here.
        weights: one finite number per reward; 1.0 each unless given. A negative weight is a penalty.
        clip: ``(low, high)`` for the total.
        name: what trainers log the sum by; "combined" unless given.

    Returns:
        A reward whose values are the clipped sums; ``None`` where no component scored the completion.
        Each component's mean goes to the trainer's log as ``rewards/{component}/mean`` where the trainer
        passes ``log_metric``, and its values to the completion table where it passes ``log_extra``.

    Raises:
        ValueError: no reward, a wrong number of weights, two components of one name, an empty range.
        TypeError: something that is not callable, or an asynchronous function.

    Example:
        >>> from rewardkit import combine
        >>> def longer_is_better(completions, **kwargs):
        ...     return [float(len(completion)) for completion in completions]
        >>> combine(longer_is_better, weights=[0.1], clip=(0, 1))(["abc", "a" * 50])
        [0.30000000000000004, 1.0]
    """
    if weights is not None and len(weights) != len(rewards):
        raise ValueError(f"{len(weights)} weights for {len(rewards)} rewards; give one each")
    given = [1.0] * len(rewards) if weights is None else [float(w) for w in weights]
    members = [_unweighted(as_reward(reward)) for reward in rewards]
    return Combined(
        members=tuple(member for member, _ in members),
        weights=tuple(weight * own for weight, (_, own) in zip(given, members, strict=True)),
        limits=None if clip is None else (float(clip[0]), float(clip[1])),
        name=name,
    )


def add(left: RewardFunction, right: RewardFunction) -> Combined:
    """``left + right``; sums without a name or a clip of their own are flattened."""
    terms = [*_terms(as_reward(left)), *_terms(as_reward(right))]
    return Combined(members=tuple(r for r, _ in terms), weights=tuple(w for _, w in terms))


def as_reward(reward: RewardFunction) -> Reward:
    """A plain function wrapped as :class:`Function`; a :class:`Reward` as it is."""
    return reward if isinstance(reward, Reward) else Function(function=reward)


def _terms(reward: Reward) -> list[tuple[Reward, float]]:
    if isinstance(reward, Combined) and reward.limits is None and reward.name is None:
        return list(zip(reward.members, reward.weights, strict=True))
    return [_unweighted(reward)]


def _unweighted(reward: Reward) -> tuple[Reward, float]:
    if isinstance(reward, Weighted):
        inner = reward.reward if reward.name is None else reward.reward.named(reward.name)
        member, weight = _unweighted(inner)
        return member, weight * reward.weight
    return reward, 1.0


def _member_code(member: Reward) -> str:
    """combine() wraps a plain function by itself."""
    plain = isinstance(member, Function) and member.name is None
    return as_code(member.function) if isinstance(member, Function) and plain else repr(member)


def _clip(outcome: Outcome, low: float, high: float) -> Outcome:
    if outcome.value is None or low <= outcome.value <= high:
        return outcome
    return replace(outcome, value=min(max(outcome.value, low), high))


def _require_finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{what} must be finite, got {value}")


def _require_range(low: float, high: float) -> None:
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ValueError(f"clip needs low <= high, got ({low}, {high})")
