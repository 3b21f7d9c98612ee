r"""How much of the advantage each component makes.

The total is a sum of contributions, :math:`R = \sum_i c_i`, and centring and dividing are linear, so the
advantage is a sum of the components' parts, :math:`A = \sum_i a_i`. Its variance then falls apart into

.. math:: \operatorname{Var}(A) = \sum_i \operatorname{Cov}(a_i, A), \qquad
          \text{share}_i = \frac{\operatorname{Cov}(a_i, A)}{\operatorname{Var}(A)}

and the shares add up to 1. A negative share works against the total; one above 1 is held back by others. Group
means are 0, so covariances are plain means of products.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import mul
from typing import NamedTuple

ALIKE = 0.95
"""From this correlation on, two components are said to repeat (or, negative, to cancel) one another."""

ROUNDING = 1e-24
"""What varies by less than this part of the variance of others (1e-12 of their size) is rounding."""


class Pair(NamedTuple):
    """Two components whose contributions move together within groups.

    Attributes:
        first: path of one.
        second: path of the other.
        correlation: of their contributions, each less its group's mean, over all groups; in [-1, 1].
        kept: variance of their sum over the sum of their variances, in [0, 2]: 1 where they are independent,
            towards 0 where they cancel, 2 where they are the same.
    """

    first: str
    second: str
    correlation: float
    kept: float


def shares(parts: Mapping[str, Sequence[float]], advantages: Sequence[float]) -> dict[str, float | None]:
    """Each component's share of the advantage's variance; ``None`` where all advantages are 0.

    Args:
        parts: the parts a_i of every row, by component; they add up to the advantages.
        advantages: of every row.

    Example:
        >>> shares({"a": [3.0, -3.0], "b": [1.0, -1.0]}, [4.0, -4.0])
        {'a': 0.75, 'b': 0.25}
    """
    unit = _unit(advantages)
    variance = dot(unit, advantages)
    return {path: dot(unit, values) / variance if variance else None for path, values in parts.items()}


def alike(differences: Mapping[str, Sequence[float]], threshold: float = ALIKE) -> list[Pair]:
    """Pairs whose correlation within groups is at least `threshold` in size, the closest first.

    Args:
        differences: contributions less their group's mean, by component.
        threshold: in (0, 1].
    """
    squares = {path: dot(values, values) for path, values in differences.items()}
    floor = ROUNDING * max(squares.values(), default=0.0)
    moving = [path for path, square in squares.items() if square > floor]
    pairs = []
    for place, first in enumerate(moving):
        for second in moving[place + 1 :]:
            product = dot(differences[first], differences[second])
            correlation = product / math.sqrt(squares[first]) / math.sqrt(squares[second])
            if abs(correlation) >= threshold - 1e-12:
                both = squares[first] + squares[second]
                pairs.append(Pair(first, second, max(-1.0, min(1.0, correlation)), (both + 2 * product) / both))
    return sorted(pairs, key=lambda pair: -abs(pair.correlation))


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """The sum of products."""
    total: float = sum(map(mul, left, right))
    return total


def pearson(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Pearson's correlation; ``None`` where one side does not vary."""
    if len(left) < 2 or min(left) == max(left) or min(right) == max(right):
        return None
    x, y = _unit(_less_mean(left)), _unit(_less_mean(right))
    spread = math.sqrt(dot(x, x) * dot(y, y))
    return max(-1.0, min(1.0, dot(x, y) / spread)) if spread else None


def spearman(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Spearman's rank correlation, equal values sharing the mean of their ranks; ``None`` as for Pearson's.

    Example:
        >>> spearman([1.0, 2.0, 3.0], [1.0, 10.0, 100.0])
        1.0
    """
    return pearson(_ranks(left), _ranks(right))


def _less_mean(values: Sequence[float]) -> list[float]:
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def _unit(values: Sequence[float]) -> Sequence[float]:
    """The values over the largest of them, so that squares neither overflow nor vanish."""
    largest = max(map(abs, values), default=0.0)
    return [value / largest for value in values] if largest else values


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end - 1) / 2
        start = end
    return ranks
