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

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, overload

from rewardkit.batch import short
from rewardkit.choices import Gated, operand_code, require_distinct_names
from rewardkit.contract import Batch, Call, Composite, Outcome, Part, Plan, Reward, RewardFunction, as_code, number
from rewardkit.functions import Function, as_reward
from rewardkit.guarding import guard
from rewardkit.outcome import fold
from rewardkit.schedule import Schedule, weight_at


@dataclass(frozen=True, kw_only=True, repr=False)
class Weighted(Composite):
    """``weight * reward``; ``None`` stays ``None``. The weight is a number or a schedule."""

    reward: Reward
    weight: float | Schedule

    def __post_init__(self) -> None:
        _require_weight(self.weight)

    def _default_name(self) -> str:
        return self.reward.__name__

    def plan(self, batch: Batch) -> Plan:
        """The inner outcomes, scaled."""
        weight, scheduled = weight_at(self.weight, batch), isinstance(self.weight, Schedule)
        name = f"{self.reward.__name__}.raw"
        (inner,) = yield [Call(name, self.reward, batch)]
        return [
            o._replace(
                value=None if o.value is None else weight * o.value,
                parts=(Part(name, weight, o, scheduled),),
                unclipped=None,
            )
            for o in inner
        ]

    def __repr__(self) -> str:
        code = f"{self.weight!r} * {operand_code(self.reward)}"
        return f"({code}).named({self.name!r})" if self.name else code


@dataclass(frozen=True, kw_only=True, repr=False)
class Clipped(Composite):
    """A reward whose values are held within ``[low, high]``; ``None`` stays ``None``."""

    reward: Reward
    low: float
    high: float

    def __post_init__(self) -> None:
        _require_range(self.low, self.high)

    def _default_name(self) -> str:
        return self.reward.__name__

    def plan(self, batch: Batch) -> Plan:
        """The inner outcomes, clipped; what there was before stays visible below."""
        name = f"{self.reward.__name__}.raw"
        (inner,) = yield [Call(name, self.reward, batch)]
        return [_clip(o._replace(parts=(Part(name, 1.0, o),), unclipped=None), self.low, self.high) for o in inner]

    def __repr__(self) -> str:
        code = f"{operand_code(self.reward)}.clip({as_code(self.low)}, {as_code(self.high)})"
        return f"{code}.named({self.name!r})" if self.name else code


@dataclass(frozen=True, kw_only=True, repr=False)
class Combined(Composite):
    """A weighted sum of rewards, clipped at the end; built by :func:`combine` and by ``+``."""

    members: tuple[Reward, ...]
    weights: tuple[float | Schedule, ...]
    limits: tuple[float, float] | None = field(default=None)

    def __post_init__(self) -> None:
        require_distinct_names(self.members)
        if len(self.weights) != len(self.members):
            raise ValueError(f"{len(self.weights)} weights for {len(self.members)} rewards; give one each")
        for weight in self.weights:
            _require_weight(weight)
        if self.limits is not None:
            _require_range(*self.limits)

    def plan(self, batch: Batch) -> Plan:
        """Score every component on the whole batch, then add up row by row."""
        names = [member.__name__ for member in self.members]
        weights = [weight_at(weight, batch) for weight in self.weights]
        scheduled = [isinstance(weight, Schedule) for weight in self.weights]
        columns = yield [Call(name, member, batch) for name, member in zip(names, self.members, strict=True)]
        rows = zip(*columns, strict=True)
        return [self._total(tuple(map(Part, names, weights, row, scheduled))) for row in rows]

    def _total(self, parts: tuple[Part, ...]) -> Outcome:
        contributions = [c for part in parts if (c := part.contribution) is not None]
        if not contributions:
            return Outcome(None, "not_scored", "no component scored it", parts)
        total = Outcome(fold(contributions), "scored", "", parts)
        if self.limits is None or not math.isfinite(total.value or 0.0):  # which is refused, not clipped
            return total
        return _clip(total, *self.limits)

    def clip(self, low: float, high: float) -> Combined | Clipped:  # type: ignore[override]
        """The same sum with its total held within ``[low, high]``."""
        if self.limits is None:
            return replace(self, limits=_checked_limits((low, high)))
        return super().clip(low, high)

    def __mul__(self, weight: float | Schedule) -> Weighted | Combined:
        """A plain sum takes the weight into its own, so that its parts go on adding up to its value."""
        plain = self.limits is None and self.name is None
        numbers = not any(isinstance(own, Schedule) for own in self.weights)
        if plain and (isinstance(weight, (int, float)) or (isinstance(weight, Schedule) and numbers)):
            return replace(self, weights=tuple(weight * own for own in self.weights))  # type: ignore[operator]
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


@overload
def combine(
    *rewards: RewardFunction,
    weights: Sequence[float | Schedule] | None = None,
    clip: tuple[float, float] | None = None,
    gate: None = None,
    on_error: Literal["raise", "none"] = "raise",
    name: str | None = None,
) -> Combined: ...
@overload
def combine(
    *rewards: RewardFunction,
    weights: Sequence[float | Schedule] | None = None,
    clip: tuple[float, float] | None = None,
    gate: RewardFunction,
    on_error: Literal["raise", "none"] = "raise",
    name: str | None = None,
) -> Gated: ...
def combine(
    *rewards: RewardFunction,
    weights: Sequence[float | Schedule] | None = None,
    clip: tuple[float, float] | None = None,
    gate: RewardFunction | None = None,
    on_error: Literal["raise", "none"] = "raise",
    name: str | None = None,
) -> Combined | Gated:
    """The weighted sum of rewards, clipped at the end, as one reward.

    Args:
        *rewards: rewards of this package or plain functions of the contract, synchronous or not, in any
            mixture. A reward that already carries a weight (``2.0 * r``) keeps it, times the one given here.
        weights: one finite number or :mod:`rewardkit.schedule` per reward; 1.0 each unless given. A negative
            weight is a penalty.
        clip: ``(low, high)`` for the total.
        gate: a reward that must give 1.0 before anything else is computed; elsewhere the total is 0.0. For
            another threshold or value write ``combine(...).gate(by, at_least=..., otherwise=...)``.
        on_error: "none" makes a component that raises "not scored", counted in the log and warned of once,
            instead of the end of the run; see :meth:`rewardkit.Reward.on_error`.
        name: what trainers log the sum by; "combined" unless given.

    Returns:
        A reward whose values are the clipped sums; ``None`` where no component scored the completion.
        Each component's mean goes to the trainer's log as ``rewards/{component}/mean`` where the trainer
        passes ``log_metric``, and its values to the completion table where it passes ``log_extra``.

    Raises:
        ValueError: no reward, a wrong number of weights, two components of one name, an empty range.
        TypeError: something that is not callable.

    Example:
        >>> from rewardkit import combine
        >>> def longer_is_better(completions, **kwargs):
        ...     return [float(len(completion)) for completion in completions]
        >>> combine(longer_is_better, weights=[0.1], clip=(0, 1))(["abc", "a" * 50])
        [0.30000000000000004, 1.0]
    """
    given = [1.0] * len(rewards) if weights is None else _checked_weights(weights)
    if len(given) != len(rewards):
        raise ValueError(f"{len(given)} weights for {len(rewards)} rewards; give one each")
    terms = [_times(weight, as_reward(reward)) for weight, reward in zip(given, rewards, strict=True)]
    if on_error != "raise":
        terms = [(guard(member, on_error), weight) for member, weight in terms]
    total = Combined(
        members=tuple(member for member, _ in terms),
        weights=tuple(weight for _, weight in terms),
        limits=None if clip is None else _checked_limits(clip),
        name=name if gate is None else None,
    )
    return total if gate is None else Gated(reward=total, by=as_reward(gate), name=name)


def add(left: RewardFunction, right: RewardFunction) -> Combined:
    """``left + right``; sums without a name or a clip of their own are flattened."""
    terms = [*_terms(as_reward(left)), *_terms(as_reward(right))]
    return Combined(members=tuple(r for r, _ in terms), weights=tuple(w for _, w in terms))


def _terms(reward: Reward) -> list[tuple[Reward, float | Schedule]]:
    if isinstance(reward, Combined) and reward.limits is None and reward.name is None:
        return list(zip(reward.members, reward.weights, strict=True))
    return [_unweighted(reward)]


def _unweighted(reward: Reward) -> tuple[Reward, float | Schedule]:
    """The reward below its weights, and their product."""
    if not isinstance(reward, Weighted):
        return reward, 1.0
    inner = reward.reward if reward.name is None else reward.reward.named(reward.name)
    return _times(reward.weight, inner)


def _times(weight: float | Schedule, reward: Reward) -> tuple[Reward, float | Schedule]:
    """A term of a sum; two schedules have no product, so there the inner weight stays with the reward."""
    member, own = _unweighted(reward)
    if isinstance(own, Schedule):
        return (reward, weight) if isinstance(weight, Schedule) else (member, own.scaled(weight))
    return member, weight.scaled(own) if isinstance(weight, Schedule) else weight * own


def _member_code(member: Reward) -> str:
    """combine() wraps a plain function by itself."""
    plain = isinstance(member, Function) and member.name is None
    return as_code(member.function) if isinstance(member, Function) and plain else repr(member)


def _clip(outcome: Outcome, low: float, high: float) -> Outcome:
    if outcome.value is None or low <= outcome.value <= high:
        return outcome
    return outcome._replace(value=min(max(outcome.value, low), high), unclipped=outcome.value)


def _checked_weights(weights: Sequence[float | Schedule]) -> list[float | Schedule]:
    if isinstance(weights, (str, bytes, Mapping)) or not hasattr(weights, "__len__"):
        raise TypeError(f"weights must be a list with one number per reward, got {short(weights)}")
    return [w if isinstance(w, Schedule) else number(f"weights[{i}]", w) for i, w in enumerate(weights)]


def _checked_limits(clip: tuple[float, float]) -> tuple[float, float]:
    if isinstance(clip, (str, bytes, Mapping)) or not hasattr(clip, "__len__") or len(clip) != 2:
        raise TypeError(f"clip must be a pair (low, high), got {short(clip)}")
    return number("clip[0]", clip[0]), number("clip[1]", clip[1])


def _require_weight(weight: float | Schedule) -> None:
    if not isinstance(weight, Schedule) and not math.isfinite(weight):
        raise ValueError(f"weight must be finite, got {weight}")


def _require_range(low: float, high: float) -> None:
    if math.isnan(low) or math.isnan(high) or low > high:
        raise ValueError(f"clip needs low <= high, got ({low}, {high})")
