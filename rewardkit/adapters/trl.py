"""A stack for TRL's ``GRPOTrainer`` and ``RLOOTrainer``.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.adapters import to_trl
>>> reward_funcs, reward_weights = to_trl(2.0 * boxed_accuracy + 0.5 * soft_format)
>>> reward_funcs, reward_weights
([BoxedAccuracy(), SoftFormat()], [2.0, 0.5])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rewardkit.adapters.components import weighted_terms
from rewardkit.contract import RewardFunction


class TrlRewards(NamedTuple):
    """What ``GRPOTrainer(reward_funcs=...)`` and ``GRPOConfig(reward_weights=...)`` take."""

    reward_funcs: list[Callable[..., Any]]
    reward_weights: list[float]


def to_trl(stack: RewardFunction) -> TrlRewards:
    """The reward functions of a stack, and their weights.

    TRL calls rewards by the contract of this package, so every reward can be passed as it is. A plain weighted
    sum becomes one function per component: TRL logs each, and can normalise each (GDPO). Anything else (a clip, a
    gate, a route, a schedule) becomes one function of the weight 1.0, which logs its components itself.
    Asynchronous rewards are given as coroutine functions, which TRL runs together.

    A component that two terms share (a gate of both) is computed once per function.

    Args:
        stack: a reward, or a plain function of the contract.

    Example:
        >>> from rewardkit import boxed_accuracy, soft_format
        >>> to_trl((boxed_accuracy + soft_format).clip(0.0, 1.0)).reward_weights
        [1.0]
    """
    terms = weighted_terms(stack)
    functions: list[Callable[..., Any]] = [reward.aio if reward.asynchronous else reward for reward, _ in terms]
    return TrlRewards(functions, [weight for _, weight in terms])
