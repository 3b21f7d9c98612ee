"""What a stack would have paid on recorded rollouts, and what advantages would have come of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rewardkit.contract import Outcome, RewardFunction
from rewardkit.functions import as_reward
from rewardkit.replay.advantages import EPSILON, SCALES, centred, divisors, is_dead, scaled
from rewardkit.replay.contributions import Column, columns_of, held_back
from rewardkit.replay.rollouts import Rollouts, as_rollouts
from rewardkit.replay.scoring import score_rollouts
from rewardkit.replay.shares import Pair, alike, shares
from rewardkit.replay.summaries import ComponentShare, StepSummary, component_share, mean_std, step_summary

if TYPE_CHECKING:
    from rewardkit.replay.findings import Finding


@dataclass(frozen=True, repr=False, eq=False)
class Simulation:
    """What :func:`simulate` returns. It prints as tables.

    Attributes:
        name: of the stack.
        rollouts: what was scored.
        outcomes: what the stack gave, one per row.
        scale_rewards: whose standard deviation divides: "group", "batch" (of a step) or "none".
        epsilon: added to it.
    """

    name: str
    rollouts: Rollouts
    outcomes: tuple[Outcome, ...]
    scale_rewards: str = "group"
    epsilon: float = EPSILON

    def __len__(self) -> int:
        return len(self.outcomes)

    @cached_property
    def totals(self) -> list[float | None]:
        """What each row would have earned; ``None`` for "not scored"."""
        return [outcome.value for outcome in self.outcomes]

    @cached_property
    def advantages(self) -> list[float]:
        """The advantage of each row, as the trainer would have computed it."""
        return scaled(centred([total or 0.0 for total in self.totals], self.totals, self.rollouts.groups), self._by)

    @cached_property
    def dead(self) -> list[bool]:
        """For each group whether it teaches nothing: its scored rewards are all equal, or there are none."""
        return [is_dead(self.totals, group) for group in self.rollouts.groups]

    @property
    def dead_groups(self) -> float:
        """The share of dead groups, in [0, 1]."""
        return sum(self.dead) / len(self.dead)

    @cached_property
    def dead_by_clip(self) -> int:
        """How many groups are dead for no other reason than that clips made their rewards equal."""
        held = held_back(self.columns, len(self))
        free = [None if total is None else round(total - held[row], 9) for row, total in enumerate(self.totals)]
        groups = self.rollouts.groups
        return sum(dead and not is_dead(free, group) for dead, group in zip(self.dead, groups, strict=True))

    @property
    def not_scored(self) -> int:
        """Rows that the stack does not score."""
        return self.totals.count(None)

    @property
    def mean(self) -> float | None:
        """Mean reward of the scored rows."""
        return mean_std(self.totals)[0]

    @property
    def std(self) -> float | None:
        """Sample standard deviation of the reward over all scored rows."""
        return mean_std(self.totals)[1]

    @cached_property
    def columns(self) -> dict[str, Column]:
        """What every component gave and added, by its path."""
        return columns_of(self.outcomes, self.name)

    @cached_property
    def parts(self) -> dict[str, list[float]]:
        """What each component that is added makes of every row's advantage; the parts add up to it."""
        return {path: scaled(values, self._by) for path, values in self._differences.items()}

    @cached_property
    def components(self) -> tuple[ComponentShare, ...]:
        """Every component over all rows, in the order of the stack."""
        of_variance = shares(self.parts, self.advantages)
        return tuple(
            component_share(column, self.totals, self.rollouts.groups, of_variance.get(path))
            for path, column in self.columns.items()
        )

    @cached_property
    def shares(self) -> dict[str, float | None]:
        """Each added component's share of the advantage's variance; see :mod:`rewardkit.replay.shares`."""
        return {c.path: c.share for c in self.components if c.weight is not None}

    @cached_property
    def pairs(self) -> tuple[Pair, ...]:
        """Components that repeat or cancel one another; what a clip takes from its own members is left out."""
        moving = {path: values for path, values in self._differences.items() if not self.columns[path].composed}
        return tuple(alike(moving))

    @cached_property
    def steps(self) -> tuple[StepSummary, ...]:
        """The same numbers step by step."""
        dead = dict(zip(self.rollouts.groups, self.dead, strict=True))
        by_step: dict[int, list[tuple[int, ...]]] = {step: [] for step in self.rollouts.steps}
        for group in self.rollouts.groups:
            by_step[self.rollouts.step[group[0]]].append(group)
        return tuple(
            step_summary(step, self.totals, [dead[group] for group in groups], rows, self.parts, self.advantages)
            for (step, rows), groups in zip(self.rollouts.steps.items(), by_step.values(), strict=True)
        )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be known of the stack before it trains, the worst first."""
        from rewardkit.replay.findings import findings_of

        return tuple(findings_of(self))

    def why(self, row: int) -> str:
        """What a row would have earned and through which components, in words.

        Raises:
            IndexError: there is no such row.
        """
        from rewardkit.report import Report

        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a simulation of {len(self)}")
        said = Report((self.outcomes[row],), {}, self.name).why(0)
        return said.replace("Completion 0", f"Row {row}", 1)

    def to_dict(self) -> dict[str, Any]:
        """The summary as data for JSON."""
        return {
            "name": self.name,
            "completions": len(self),
            "groups": len(self.rollouts.groups),
            "rejected": len(self.rollouts.rejected),
            "dead_groups": self.dead_groups,
            "dead_by_clip": self.dead_by_clip,
            "not_scored": self.not_scored,
            "mean": self.mean,
            "std": self.std,
            "scale_rewards": self.scale_rewards,
            "components": [{**c._asdict(), "statuses": dict(c.statuses)} for c in self.components],
            "pairs": [pair._asdict() for pair in self.pairs],
            "steps": [step._asdict() for step in self.steps],
            "findings": [finding._asdict() for finding in self.findings],
        }

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dictionary per row: place, step, group, total, advantage, status, contributions by component."""
        group_of = {row: number for number, group in enumerate(self.rollouts.groups) for row in group}
        added = [column for column in self.columns.values() if column.added]
        return [
            {
                "row": row,
                "source": self.rollouts.places[row][0],
                "line": self.rollouts.places[row][1],
                "step": self.rollouts.step[row],
                "group": group_of[row],
                "total": outcome.value,
                "advantage": self.advantages[row],
                "status": outcome.status,
                "contributions": {column.path: column.contributions[row] for column in added},
            }
            for row, outcome in enumerate(self.outcomes)
        ]

    def plot(self, path: str | os.PathLike[str]) -> None:
        """A picture of reward, dead groups and each component's share by step, as PNG, SVG or PDF.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from rewardkit.replay.picture import draw

        draw(self, path)

    @cached_property
    def _by(self) -> list[float | None]:
        batches = list(self.rollouts.steps.values())
        return divisors(
            self.totals, self.rollouts.groups, batches, scale_rewards=self.scale_rewards, epsilon=self.epsilon
        )

    @cached_property
    def _differences(self) -> Mapping[str, list[float]]:
        """The added components' contributions, less their group's mean."""
        groups = self.rollouts.groups
        return {
            path: centred(column.contributions, self.totals, groups)
            for path, column in self.columns.items()
            if column.added
        }

    def __repr__(self) -> str:
        from rewardkit.replay.view import as_text, simulation_tables

        return as_text(simulation_tables(self))

    def __rich__(self) -> Any:
        from rewardkit.replay.view import simulation_tables

        return simulation_tables(self)


def simulate(
    stack: RewardFunction,
    rollouts: Any,
    *,
    num_generations: int | None = None,
    scale_rewards: str = "group",
    epsilon: float = EPSILON,
) -> Simulation:
    """What a stack would have paid on recorded rollouts, and what advantages would have come of it.

    Each row is scored with the optimizer steps that were done when it was sampled, so scheduled weights are those
    of the run; each step is a batch. Advantages are those of the trainers (see
    :mod:`rewardkit.replay.advantages`), the components' shares in them are explained in
    :mod:`rewardkit.replay.shares`.

    Args:
        stack: a reward of this package or any function of the contract.
        rollouts: :class:`Rollouts`, or anything that :func:`read_rollouts` takes.
        num_generations: completions per prompt, in order within a step, where the rollouts do not tell.
        scale_rewards: "group", "batch" or "none", as the trainer's setting of that name.
        epsilon: added to the standard deviation.

    Raises:
        ValueError: an unknown `scale_rewards`, a negative `epsilon`, rollouts without groups.
        ColumnError, RewardError, TypeError: as for a call of the stack.

    Example:
        >>> from rewardkit import boxed_accuracy, soft_format
        >>> texts = ["\\\\boxed{2}", "<think>1 + 1</think><answer>3</answer>", "\\\\boxed{2}", "\\\\boxed{2}"]
        >>> rows = [{"prompt": "1 + 1?", "completion": text, "answer": "2"} for text in texts]
        >>> done = simulate(boxed_accuracy + 0.5 * soft_format, rows, num_generations=2)
        >>> done.dead_groups, [round(advantage, 4) for advantage in done.advantages]
        (0.5, [0.7069, -0.7069, 0.0, 0.0])
        >>> done.shares
        {'boxed_accuracy': 2.0, 'soft_format': -1.0}
    """
    if scale_rewards not in SCALES:
        raise ValueError(f"scale_rewards must be one of {', '.join(map(repr, SCALES))}, got {scale_rewards!r}")
    if not epsilon >= 0.0:
        raise ValueError(f"epsilon must be 0 or more, got {epsilon}")
    reward, recorded = as_reward(stack), as_rollouts(rollouts, num_generations)
    outcomes = tuple(score_rollouts(reward, recorded))
    return Simulation(reward.__name__, recorded, outcomes, scale_rewards, epsilon)
