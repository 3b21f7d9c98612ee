"""Stacks that the tests of the command line name as module:name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit import Batch, BoxedAccuracy, Keywords, Outcome, Reward, StrictFormat, combine, reward


@reward
def picky(completion: str) -> float:
    """The length; raises on what says so."""
    if "RAISE" in completion:
        raise ValueError(f"cannot bear {completion!r}")
    return float(len(completion))


def slow(completions: Sequence[str], **columns: Any) -> list[float]:
    """The length, some time later."""
    time.sleep(0.05)
    return [float(len(completion)) for completion in completions]


def leaves(completions: Sequence[str], **columns: Any) -> list[float]:
    """Asks Python to end where a completion says so."""
    if "RAISE" in completions:
        raise SystemExit(0)
    return [0.0] * len(completions)


def fatal(completions: Sequence[str], **columns: Any) -> list[float]:
    """Ends its process."""
    os._exit(9)


def call_size(completions: Sequence[str], **columns: Any) -> list[float]:
    """How many completions came in one call."""
    return [float(len(completions))] * len(completions)


def columns_seen(completions: Sequence[str], **columns: Any) -> list[float]:
    """The number of columns beside the completions that are not None."""
    return [float(sum(value is not None for value in columns.values()))] * len(completions)


@dataclass(frozen=True, kw_only=True, repr=False)
class GroupSize(Reward):
    """How many completions the group has; raises on a group with a completion that says so."""

    num_generations: int | None = None

    def outcomes(self, batch: Batch) -> list[Outcome]:
        values = [0.0] * len(batch)
        for group in batch.groups(self.num_generations):
            if any("RAISE" in batch.texts[i] for i in group):
                raise ValueError("cannot bear this group")
            for i in group:
                values[i] = float(len(group))
        return [Outcome(value, "scored") for value in values]


@dataclass(frozen=True, kw_only=True, repr=False)
class StepsDone(Reward):
    """The training step."""

    def outcomes(self, batch: Batch) -> list[Outcome]:
        return [Outcome(float(batch.step), "scored")] * len(batch)


slow_and_symbolic = combine(slow, BoxedAccuracy(), name="slow_and_symbolic")
steps_done = StepsDone()
group_size = GroupSize()
groups_of_four = GroupSize(num_generations=4)
stack = combine(BoxedAccuracy(), StrictFormat(), weights=(1.0, 0.5), name="stack")
other_stack = combine(BoxedAccuracy(), StrictFormat(), weights=(1.0, 0.25), name="stack")
nameless = lambda completions, **columns: [0.0] * len(completions)  # noqa: E731
number = 3
pays_keywords = BoxedAccuracy() + Keywords(words=("therefore",), value=2.0, cap=2.0)
