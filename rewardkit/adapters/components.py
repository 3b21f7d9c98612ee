"""What every adapter needs to know of a stack: its components by path, its terms, what it asks of a trainer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from rewardkit.combine import Combined, Weighted
from rewardkit.contract import Outcome, Reward, RewardFunction, walk_parts
from rewardkit.functions import as_reward
from rewardkit.layout import nodes
from rewardkit.schedule import Schedule


def component_paths(stack: Reward) -> tuple[str, ...]:
    """The paths of all components, the same whatever a row's gates and routes hide.

    Example:
        >>> from rewardkit import boxed_accuracy, soft_format, strict_format
        >>> component_paths((boxed_accuracy + 0.5 * soft_format).gate(strict_format))
        ('boxed_accuracy', 'soft_format', 'gate:strict_format')
    """
    return tuple(dict.fromkeys(node.path for node in nodes(stack)))


def component_values(outcome: Outcome, paths: tuple[str, ...]) -> dict[str, float | None]:
    """The value of every path, ``None`` where the component did not score the completion or was not computed."""
    found = {path: part.outcome.value for path, part in walk_parts(outcome)}
    return {path: found.get(path) for path in paths}


def as_numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    """Values for a log that takes numbers only: a ``None`` is 0.0, and ``{path}/scored`` tells it from a real 0.0.

    The mean of a component is the mean of ``{path}`` divided by the mean of ``{path}/scored``.

    Example:
        >>> as_numbers({"rewards/judge": None})
        {'rewards/judge': 0.0, 'rewards/judge/scored': 0.0}
    """
    numbers: dict[str, float] = {}
    for path, value in values.items():
        numbers[path] = 0.0 if value is None else value
        numbers[f"{path}/scored"] = float(value is not None)
    return numbers


def weighted_terms(stack: RewardFunction) -> list[tuple[Reward, float]]:
    """The terms of a plain weighted sum; the stack itself with the weight 1.0 where it is something else.

    Example:
        >>> from rewardkit import boxed_accuracy, soft_format
        >>> weighted_terms(2.0 * boxed_accuracy + 0.5 * soft_format)
        [(BoxedAccuracy(), 2.0), (SoftFormat(), 0.5)]
        >>> weighted_terms((boxed_accuracy + soft_format).clip(0, 1))
        [(combine(BoxedAccuracy(), SoftFormat(), clip=(0.0, 1.0)), 1.0)]
    """
    reward = as_reward(stack)
    if isinstance(reward, Weighted) and not isinstance(reward.weight, Schedule):
        inner = reward.reward if reward.name is None else reward.reward.named(reward.name)
        return [(inner, reward.weight)]
    if isinstance(reward, Combined) and reward.limits is None:
        weights = [weight for weight in reward.weights if not isinstance(weight, Schedule)]
        if len(weights) == len(reward.members):
            return list(zip(reward.members, weights, strict=True))
    return [(reward, 1.0)]


def require_constant_weights(stack: Reward, trainer: str) -> None:
    """Refuse a schedule where the trainer does not tell the step.

    Raises:
        ValueError: a weight somewhere in the stack follows the training step.
    """
    reward = scheduled_part(stack)
    if reward is not None:
        raise ValueError(
            f"{reward.__name__} has a scheduled weight, but {trainer} does not tell rewards the training step; "
            "use a constant weight"
        )


def scheduled_part(stack: Reward) -> Reward | None:
    """The first component that holds a weight that follows the training step, if there is one."""
    for reward in _tree(stack):
        for field in fields(reward):
            value = getattr(reward, field.name)
            if any(isinstance(v, Schedule) for v in (value if isinstance(value, tuple) else (value,))):
                return reward
    return None


def _tree(reward: Reward) -> Iterator[Reward]:
    yield reward
    for child in reward.children:
        yield from _tree(child)
