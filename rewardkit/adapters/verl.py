r"""A stack for verl's ``custom_reward_function``.

>>> from rewardkit import boxed_accuracy, soft_format
>>> from rewardkit.adapters import to_verl
>>> compute_score = to_verl(boxed_accuracy + 0.5 * soft_format, acc="boxed_accuracy")
>>> compute_score("openai/gsm8k", r"It is \boxed{18}.", "18")
{'score': 1.0, 'acc': 1.0, 'rewards/boxed_accuracy': 1.0, 'rewards/soft_format': 0.0}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rewardkit.adapters.components import component_paths, component_values, require_constant_weights
from rewardkit.adapters.rows import columns_of, labelled, number, one_per_row, score_async
from rewardkit.contract import Batch, Outcome, Reward, RewardFunction
from rewardkit.functions import as_reward

Scores = dict[str, "float | None"]


@dataclass(frozen=True, kw_only=True)
class VerlScore:
    """``compute_score`` for verl: one row in, a dict out, with the same keys for every row.

    ``score`` is the total. ``rewards/{path}`` is a component's value; ``None`` where it did not score the row,
    which verl leaves out of its validation means. ``acc`` repeats the component that `acc` names: verl's
    headline metric. With `not_scored` set, ``scored`` is 1.0, or 0.0 where that number stands for ``None``.

    Attributes:
        stack: what is scored.
        acc: path of the component that is the accuracy.
        not_scored: the score of a row that the stack does not score; ``None`` makes such a row an error.
        answer_key: the column under which the stack gets verl's ``ground_truth``.

    Raises:
        ValueError: `acc` is no component of the stack, or the stack has a scheduled weight.
    """

    stack: Reward
    acc: str | None = None
    not_scored: float | None = None
    answer_key: str = "ground_truth"

    def __post_init__(self) -> None:
        require_constant_weights(self.stack, "verl")
        known = (self.stack.__name__, *self._paths)
        if self.acc is not None and self.acc not in known:
            raise ValueError(f"acc={self.acc!r} is no component of the stack; it has {', '.join(known)}")

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return component_paths(self.stack)

    def __call__(
        self,
        data_source: Any,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Scores:
        """Score one row, as the managers ``naive``, ``dapo``, ``gdpo``, ``rate_limited`` and ``remote`` ask for it."""
        batch = self._row(data_source, solution_str, ground_truth, extra_info, kwargs)
        return self._scores(self.stack.score(batch)[0], f"the row of {data_source!r}")

    async def aio(
        self,
        data_source: Any,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Scores:
        """The same as a coroutine function, which the managers look for (``remote`` refuses it)."""
        batch = self._row(data_source, solution_str, ground_truth, extra_info, kwargs)
        return self._scores((await score_async(self.stack, batch))[0], f"the row of {data_source!r}")

    def batch(
        self,
        data_sources: Sequence[Any],
        solution_strs: Sequence[str],
        ground_truths: Sequence[Any],
        extra_infos: Sequence[Mapping[str, Any] | None] | None = None,
        **kwargs: Any,
    ) -> list[Scores]:
        """Score many rows at once, as the manager ``batch`` asks for it."""
        count = len(solution_strs)
        infos = [None] * count if extra_infos is None else one_per_row("extra_infos", extra_infos, count)
        columns = {
            **kwargs,
            **columns_of(info or {} for info in infos),
            "data_source": one_per_row("data_sources", data_sources, count),
            self.answer_key: one_per_row("ground_truths", ground_truths, count),
        }
        outcomes = self.stack.score(labelled(solution_strs, columns, self.answer_key))
        return [self._scores(outcome, f"row {row}") for row, outcome in enumerate(outcomes)]

    def _row(
        self, source: Any, completion: str, answer: Any, info: Mapping[str, Any] | None, kwargs: Mapping[str, Any]
    ) -> Batch:
        columns = {**kwargs, **columns_of([info or {}]), "data_source": [source], self.answer_key: [answer]}
        return labelled([completion], columns, self.answer_key, alone=True)

    def _scores(self, outcome: Outcome, where: str) -> Scores:
        values = {self.stack.__name__: outcome.value, **component_values(outcome, self._paths)}
        scores: Scores = {"score": number(outcome, self.not_scored, where)}
        if self.acc is not None:
            scores["acc"] = values[self.acc]
        if self.not_scored is not None:
            scores["scored"] = float(outcome.value is not None)
        return scores | {f"rewards/{path}": values[path] for path in self._paths}


def to_verl(
    stack: RewardFunction,
    *,
    acc: str | None = None,
    not_scored: float | None = None,
    answer_key: str = "ground_truth",
) -> VerlScore:
    """``compute_score`` for ``custom_reward_function``; see :class:`VerlScore`.

    The result pickles, and can stand in the file that ``custom_reward_function.path`` names. verl's ``data_source``
    and everything in ``extra_info`` reach the stack as columns, so ``route("data_source", {...})`` works.

    Args:
        stack: a reward, or a plain function of the contract.
        acc: path of the component that is the accuracy, for verl's headline metric ``acc``.
        not_scored: the score of a row that the stack does not score. verl needs a number in every row, and to
            choose one is to train on it; without it such a row is an error.
        answer_key: the column under which the stack gets verl's ``ground_truth``.

    Raises:
        ValueError: `acc` is no component of the stack, or the stack has a scheduled weight (verl does not tell
            rewards the step).
    """
    return VerlScore(stack=as_reward(stack), acc=acc, not_scored=not_scored, answer_key=answer_key)
