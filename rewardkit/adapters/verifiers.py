r"""A stack for verifiers: functions and weights of a ``Rubric``, or the reward of a task.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.adapters import to_verifiers
>>> funcs, weights = to_verifiers(boxed_accuracy + 0.5 * soft_format)
>>> [func.__name__ for func in funcs[:3]], weights[:3]
(['combined', 'boxed_accuracy', 'boxed_accuracy/scored'], [1.0, 0.0, 0.0])
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from rewardkit.adapters.components import (
    as_numbers,
    component_paths,
    component_values,
    require_constant_weights,
)
from rewardkit.adapters.rows import LoneRow, columns_of, labelled, number, plain_messages, score_async
from rewardkit.breakdown import components
from rewardkit.contract import Batch, Outcome, Reward, RewardFunction
from rewardkit.functions import as_reward

logger = logging.getLogger(__name__)

STATE_KEY = "rewardkit"
"""Where a rollout's state keeps its components until the metrics are read."""
FAILED = "reward_failed"
"""The metric that is 1.0 where scoring failed and verifiers put 0.0 in its place."""
_OWN = ("prompt", "completion", "state", "info", "parser", "task", "prompts", "completions", "states", "infos", "tasks")
"""What verifiers injects beside the columns of the row."""


class VerifiersRewards(NamedTuple):
    """What ``Rubric(funcs=..., weights=...)`` takes."""

    funcs: list[Callable[..., Any]]
    weights: list[float]


@dataclass(frozen=True, kw_only=True)
class _Scoring:
    """A stack, and what happens where it fails: verifiers turns any exception into 0.0."""

    stack: Reward
    not_scored: float | None
    answer_key: str

    @property
    def __name__(self) -> str:
        return self.stack.__name__

    async def values(self, batch: Batch, states: Sequence[Any]) -> list[float]:
        """The totals; components and failure are noted in the states for the metrics."""
        for state in states:
            state[STATE_KEY] = {FAILED: 1.0}  # until it is known that nothing failed
        try:
            outcomes = await score_async(self.stack, batch)
            totals = [number(o, self.not_scored, f"rollout {row}") for row, o in enumerate(outcomes)]
        except Exception:
            logger.exception("%s failed; verifiers gives 0.0 for it, see the metric %s", self.__name__, FAILED)
            raise
        for state, outcome in zip(states, outcomes, strict=True):
            state[STATE_KEY] = {FAILED: 0.0, **self._numbers(outcome)}
        return totals

    def columns(
        self, rows: Sequence[Mapping[str, Any]], infos: Sequence[Any], answers: Sequence[Any]
    ) -> dict[str, Any]:
        """The row's own fields and those of its ``info``; an empty answer is what verifiers has for none."""
        fields = columns_of(
            {**(info if isinstance(info, Mapping) else {}), **row} for info, row in zip(infos, rows, strict=True)
        )
        given = {} if all(answer == "" for answer in answers) else {self.answer_key: list(answers)}
        return {**fields, **given}

    def _numbers(self, outcome: Outcome) -> dict[str, float]:
        return as_numbers(component_values(outcome, component_paths(self.stack)))


@dataclass(frozen=True, kw_only=True)
class RolloutReward(_Scoring):
    """The total of one rollout."""

    async def __call__(
        self, completion: Any, prompt: Any = None, answer: Any = "", state: Any = None, info: Any = None, **row: Any
    ) -> float:
        """Called by name, with every field of the row."""
        fields = {name: value for name, value in row.items() if name not in _OWN}
        columns = {**self.columns([fields], [info], [answer]), "prompts": [plain_messages(prompt)]}
        batch = labelled([plain_messages(completion)], columns, self.answer_key, alone=True)
        return (await self.values(batch, [{} if state is None else state]))[0]


@dataclass(frozen=True, kw_only=True)
class GroupReward(_Scoring):
    """The totals of all rollouts of a prompt; verifiers knows a group function by its parameters."""

    async def __call__(
        self, completions: Any, prompts: Any, answers: Any, states: Any, infos: Any = None, **objects: Any
    ) -> Any:
        """Called by name, with one value per rollout."""
        rows = [_fields(state) for state in states]
        columns = self.columns(rows, infos or [None] * len(rows), answers)
        together = {"prompts": [plain_messages(p) for p in prompts], "num_generations": len(states)}
        texts = [plain_messages(c) for c in completions]
        batch = labelled(texts, {**columns, **together}, self.answer_key)
        return await self.values(batch, states)


@dataclass(frozen=True)
class StateMetric:
    """A metric of a rubric: a number that the reward before it left in the rollout's state."""

    __name__: str

    def __call__(self, state: Any) -> float:
        """The number of this rollout; 0.0 where scoring failed, which the metric ``reward_failed`` tells."""
        return float(state[STATE_KEY].get(self.__name__, 0.0))


@dataclass(frozen=True, kw_only=True)
class TaskReward:
    """The reward of a task of verifiers' v1: each component's contribution under its name; they add up to the total.

    Attributes:
        stack: what is scored.
        not_scored: the reward of a trace that the stack does not score; ``None`` makes it an error.
    """

    stack: Reward
    not_scored: float | None = None

    def __post_init__(self) -> None:
        require_constant_weights(self.stack, "verifiers")

    @property
    def __name__(self) -> str:
        return self.stack.__name__

    async def __call__(self, task: Any, trace: Any) -> dict[str, float]:
        """Score the assistant messages of a trace; the fields of the task's data are the columns."""
        columns = columns_of([task.model_dump()])
        prompt = columns.pop("prompt", [None])
        batch = LoneRow([plain_messages(trace.assistant_messages)], {**columns, "prompts": prompt})
        outcome = (await score_async(self.stack, batch))[0]
        total = number(outcome, self.not_scored, f"the trace of task {getattr(task, 'idx', None)}")
        if outcome.value is None:
            return {self.__name__: total}
        rows = components(outcome, self.__name__)
        return {row.path: row.contribution for row in rows if row.contribution is not None}


def to_verifiers(
    stack: RewardFunction, *, group: bool = False, not_scored: float | None = None, answer_key: str = "answer"
) -> VerifiersRewards:
    """Functions and weights of a ``Rubric``: the total with the weight 1.0, its components as metrics.

    The metrics have the weight 0.0: ``{path}`` is a component's value and ``{path}/scored`` is 0.0 where its 0.0
    stands for "not scored". verifiers turns whatever a function raises into 0.0; here it is logged as an error with
    its trace, and the metric ``reward_failed`` is 1.0 for that rollout.

    Args:
        stack: a reward, or a plain function of the contract. A row's fields, those of its ``info`` included, are
            its columns.
        group: score all rollouts of a prompt in one call, for rewards that compare them; the rubric can then
            not score a rollout alone.
        not_scored: the reward of a rollout that the stack does not score; without it this is a failure.
        answer_key: the column under which the stack gets verifiers' ``answer``.

    Raises:
        ValueError: the stack has a scheduled weight (verifiers does not tell rewards the step).
    """
    reward = as_reward(stack)
    require_constant_weights(reward, "verifiers")
    kind = GroupReward if group else RolloutReward
    paths = as_numbers(dict.fromkeys(component_paths(reward)))
    metrics = [StateMetric(name) for name in (*paths, FAILED)]
    total = kind(stack=reward, not_scored=not_scored, answer_key=answer_key)
    return VerifiersRewards([total, *metrics], [1.0] + [0.0] * len(metrics))


def to_verifiers_task(stack: RewardFunction, *, not_scored: float | None = None) -> TaskReward:
    """The reward of a task in verifiers' v1, plugged in as ``rewards: {name: {fn: "file.py:function"}}``.

    It gives each component's contribution under its path: their sum is the total. What fails here ends the
    rollout's scoring with a ``TaskError``.

    Args:
        stack: a reward, or a plain function of the contract; the fields of the task's data are its columns.
        not_scored: the reward of a trace that the stack does not score; without it this is an error.

    Raises:
        ValueError: the stack has a scheduled weight (verifiers does not tell rewards the step).
    """
    return TaskReward(stack=as_reward(stack), not_scored=not_scored)


def _fields(state: Any) -> dict[str, Any]:
    """The columns of a rollout in a group, which verifiers injects one by one for a rollout alone."""
    row, task = state.get("input"), state.get("task")
    own = (*_OWN, "answer", "example_id")
    found = {**(row if isinstance(row, Mapping) else {}), **(task if isinstance(task, Mapping) else {})}
    return {name: value for name, value in found.items() if name not in own}
