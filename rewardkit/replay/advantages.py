r"""Advantages as the trainers compute them, in plain Python, for groups of any size.

.. math:: A_r = \frac{R_r - \operatorname{mean}_g R}{s + \varepsilon}

The mean and the sample standard deviation s are those of the group's scored completions (or s of the batch's, or
no division at all). A completion that was not scored and a group whose scored rewards are all equal get 0.

Source: Group Relative Policy Optimization, DeepSeekMath (arXiv 2402.03300), section 4.1; without the division
by the standard deviation, Dr. GRPO (arXiv 2503.20783).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

EPSILON = 1e-4
"""Added to the standard deviation, as grpo_engine and TRL do."""

SCALES = ("group", "batch", "none")
"""Whose standard deviation divides."""


def divisors(
    rewards: Sequence[float | None],
    groups: Sequence[Sequence[int]],
    batches: Sequence[Sequence[int]],
    *,
    scale_rewards: str = "group",
    epsilon: float = EPSILON,
) -> list[float | None]:
    """What each row's centred reward is divided by; ``None`` where the advantage is 0 whatever it is.

    Args:
        rewards: one per row; ``None`` for "not scored".
        groups: the rows of each group.
        batches: the rows of each batch, for the scale "batch".
        scale_rewards: one of :data:`SCALES`.
        epsilon: added to the standard deviation.
    """
    if scale_rewards not in SCALES:
        raise ValueError(f"scale_rewards must be one of {', '.join(map(repr, SCALES))}, got {scale_rewards!r}")
    live = [group for group in groups if not is_dead(rewards, group)]
    spread: dict[int, float] = {}
    for rows in batches if scale_rewards == "batch" else live:
        spread.update(dict.fromkeys(rows, _std([r for row in rows if (r := rewards[row]) is not None])))
    found: list[float | None] = [None] * len(rewards)
    for row in (row for group in live for row in group if rewards[row] is not None):
        found[row] = 1.0 if scale_rewards == "none" else spread[row] + epsilon
    return found


def is_dead(rewards: Sequence[float | None], group: Sequence[int]) -> bool:
    """Whether the group teaches nothing: its scored rewards are all equal, or there are none."""
    scored = {reward for row in group if (reward := rewards[row]) is not None}
    return len(scored) < 2


def centred(values: Sequence[float], rewards: Sequence[float | None], groups: Sequence[Sequence[int]]) -> list[float]:
    """Each value less the mean over the scored rows of its group; 0 where the row was not scored.

    Args:
        values: one per row, such as the contributions of one component.
        rewards: the totals, which tell the rows that are scored.
        groups: the rows of each group.
    """
    found = [0.0] * len(values)
    for group in groups:
        rows = [row for row in group if rewards[row] is not None]
        if len({values[row] for row in rows}) > 1:  # equal values differ by nothing, not by a rounded mean
            mean = math.fsum(values[row] for row in rows) / len(rows)
            for row in rows:
                found[row] = values[row] - mean
    return found


def scaled(differences: Sequence[float], divisors: Sequence[float | None]) -> list[float]:
    """Centred values divided; 0 where there is no divisor."""
    return [0.0 if by is None else value / by for value, by in zip(differences, divisors, strict=True)]


def advantages(
    rewards: Sequence[float | None],
    groups: Sequence[Sequence[int]],
    batches: Sequence[Sequence[int]] = (),
    *,
    scale_rewards: str = "group",
    epsilon: float = EPSILON,
) -> list[float]:
    """The advantage of every row.

    Args:
        rewards: one per row; ``None`` for "not scored".
        groups: the rows of each group.
        batches: the rows of each batch; all rows are one unless given.
        scale_rewards: "group", "batch" or "none", as the trainers call it.
        epsilon: added to the standard deviation.

    Raises:
        ValueError: another `scale_rewards`.

    Example:
        >>> advantages([1.0, 0.0, 0.0, 1.0], [[0, 1], [2, 3]], scale_rewards="none")
        [0.5, -0.5, -0.5, 0.5]
    """
    rows = batches or [range(len(rewards))]
    by = divisors(rewards, groups, rows, scale_rewards=scale_rewards, epsilon=epsilon)
    return scaled(centred([reward or 0.0 for reward in rewards], rewards, groups), by)


def _std(values: Sequence[float]) -> float:
    """Sample standard deviation, 0 below two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1))
