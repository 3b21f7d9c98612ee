"""Numbers of a simulation, gathered by component and by step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rewardkit.replay.advantages import is_dead
from rewardkit.replay.contributions import Column
from rewardkit.replay.shares import shares


class ComponentShare(NamedTuple):
    """A component over all rows.

    Attributes:
        path: its path in the stack.
        weight: the first weight with which it was added; ``None`` where it never is (a gate, a factor).
        mean: mean of what it gave.
        contribution: mean of what it added, over all rows; ``None`` where it is never added.
        share: of the advantage's variance; ``None`` where it is not added, or no advantage differs from 0.
        varies: the share of groups within which it varies.
        scored: rows that it scored.
        clipped: the share of rows in which a clip changed its value.
        statuses: rows by status.
        composed: whether it is made of components that are added themselves; then its own contribution is
            what a clip took.
    """

    path: str
    weight: float | None
    mean: float | None
    contribution: float | None
    share: float | None
    varies: float
    scored: int
    clipped: float
    statuses: Mapping[str, int]
    composed: bool


class StepSummary(NamedTuple):
    """One step.

    Attributes:
        step: its number.
        completions: rows.
        scored: rows with a reward.
        groups: groups.
        dead: how many of them teach nothing.
        mean: mean reward of the scored rows.
        std: its sample standard deviation.
        shares: each component's share of the variance of this step's advantages.
    """

    step: int
    completions: int
    scored: int
    groups: int
    dead: int
    mean: float | None
    std: float | None
    shares: Mapping[str, float | None]


def component_share(
    column: Column, totals: Sequence[float | None], groups: Sequence[Sequence[int]], share: float | None
) -> ComponentShare:
    """The summary of one component.

    Args:
        column: what it gave and added.
        totals: of the rows.
        groups: the rows of each group.
        share: of the advantage's variance.
    """
    judged = column.contributions if column.added and not column.composed else column.values
    varying = sum(not is_dead([judged[row] for row in group], range(len(group))) for group in groups)
    return ComponentShare(
        path=column.path,
        weight=column.weight,
        mean=mean_std(column.values)[0],
        contribution=math.fsum(column.contributions) / len(totals) if column.added else None,
        share=share,
        varies=varying / len(groups),
        scored=column.scored,
        clipped=len(column.clipped) / len(totals),
        statuses=dict(column.statuses),
        composed=column.composed,
    )


def step_summary(
    step: int,
    totals: Sequence[float | None],
    dead: Sequence[bool],
    rows: Sequence[int],
    parts: Mapping[str, Sequence[float]],
    advantages: Sequence[float],
) -> StepSummary:
    """The summary of one step.

    Args:
        step: its number.
        totals: of all rows.
        dead: of each group of the step.
        rows: of the step.
        parts: what each component makes of every row's advantage.
        advantages: of all rows.
    """
    rewards = [totals[row] for row in rows]
    mean, std = mean_std(rewards)
    own = {path: [values[row] for row in rows] for path, values in parts.items()}
    return StepSummary(
        step=step,
        completions=len(rows),
        scored=len(rows) - rewards.count(None),
        groups=len(dead),
        dead=sum(dead),
        mean=mean,
        std=std,
        shares=shares(own, [advantages[row] for row in rows]),
    )


def mean_std(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of what is scored; ``None`` where there is nothing, 0 for one value."""
    scored = [value for value in values if value is not None]
    if not scored:
        return None, None
    mean = math.fsum(scored) / len(scored)
    squares = math.fsum((value - mean) * (value - mean) for value in scored)
    return mean, math.sqrt(squares / max(len(scored) - 1, 1))
