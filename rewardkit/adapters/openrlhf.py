r"""A stack as OpenRLHF's ``reward_func``.

>>> from rewardkit import boxed_accuracy
>>> from rewardkit.adapters import to_openrlhf
>>> reward_func = to_openrlhf(boxed_accuracy)
>>> reward_func(["1 + 1 = ? It is \\boxed{2}.<|im_end|>"], ["1 + 1 = ?"], ["2"])
{'rewards': 1.0, 'scores': 1.0, 'extra_logs': {}}
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rewardkit.adapters.components import (
    as_numbers,
    component_paths,
    component_values,
    require_constant_weights,
)
from rewardkit.adapters.rows import labelled, number, one_per_row
from rewardkit.batch import short
from rewardkit.contract import Batch, ColumnError, Outcome, Reward, RewardFunction
from rewardkit.functions import as_reward

logger = logging.getLogger(__name__)

END_TOKENS = (
    "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<|return|>",
    "<end_of_turn>", "<eos>", "</s>", "<｜end▁of▁sentence｜>", "<pad>",
)  # fmt: skip
"""Tokens that end a completion with the usual tokenizers: OpenRLHF decodes without leaving them out."""


@dataclass(frozen=True, kw_only=True)
class OpenRLHFReward:
    """``reward_func(queries, prompts, labels)`` for OpenRLHF.

    A query is prompt and completion in one, special tokens included: the prompt is cut off its beginning, and
    the tokens of `strip` off its end. ``rewards`` is the total, ``scores`` what dynamic filtering looks at,
    ``extra_logs`` has ``rewards/{path}`` for every component, with ``rewards/{path}/scored`` = 0.0 where a 0.0
    stands for "not scored".

    OpenRLHF passes one query per call, and puts what it gets for it into a tensor: for one query the values are
    floats, for several they are lists, and with `tensor` they are ``tensor(list)``. It logs what a reward function
    raises at the level INFO and goes on without a reward, so failures are logged here as errors first.

    Attributes:
        stack: what is scored.
        scores: path of the component that is given as ``scores`` (in [0, 1], by the filter's range); the total
            unless given.
        not_scored: the reward of a row that the stack does not score; ``None`` makes such a row an error.
        answer_key: the column under which the stack gets the labels, which come before any other reference.
        strip: what is taken off the end of a completion, as often as it stands there, and the white space behind it.
        completion_of: from query and prompt to the completion, where the prompt is not the beginning of the query.
        tensor: makes the values tensors (``torch.tensor``), for callers that call ``.item()`` on them.

    Raises:
        ValueError: `scores` is no component of the stack, or the stack has a scheduled weight.
    """

    stack: Reward
    scores: str | None = None
    not_scored: float | None = None
    answer_key: str = "label"
    strip: tuple[str, ...] = END_TOKENS
    completion_of: Callable[[str, str], str] | None = None
    tensor: Callable[[list[float]], Any] | None = None

    def __post_init__(self) -> None:
        require_constant_weights(self.stack, "OpenRLHF")
        if self.scores is not None and self.scores not in self._paths:
            known = ", ".join(self._paths) or "none"
            raise ValueError(f"scores={self.scores!r} is no component of the stack; it has {known}")
        if not all(self.strip):
            raise ValueError("strip has an empty string; list the tokens that end a completion")

    @cached_property
    def _paths(self) -> tuple[str, ...]:
        return component_paths(self.stack)

    def __call__(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **columns: Any
    ) -> dict[str, Any]:
        """Score queries; the result is described above.

        Raises:
            ColumnError: a query does not begin with its prompt; columns of different lengths.
            RewardError: a row is not scored, and `not_scored` is not set.
        """
        try:
            return self._result(self.stack.score(self._batch(queries, prompts, labels, columns)))
        except Exception:
            logger.exception("the reward of %d queries failed; OpenRLHF goes on without it", len(queries))
            raise

    def _batch(
        self, queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], columns: Mapping[str, Any]
    ) -> Batch:
        count = len(queries)
        prompts = one_per_row("prompts", prompts, count)
        completions = [self._completion(row, q, p) for row, (q, p) in enumerate(zip(queries, prompts, strict=True))]
        known = {**columns, "prompts": prompts, self.answer_key: one_per_row("labels", labels, count)}
        return labelled(completions, known, self.answer_key, alone=count == 1)

    def _completion(self, row: int, query: str, prompt: str) -> str:
        if self.completion_of is not None:
            text = self.completion_of(query, prompt)
        elif query.startswith(prompt):
            text = query[len(prompt) :]
        else:
            raise ColumnError(
                f"query {row} does not begin with its prompt ({short(query)} and {short(prompt)}): the prompt was "
                "cut (raise the length limit of prompts), or the tokenizer does not give it back as it was (pass "
                "completion_of=, a function of query and prompt)"
            )
        end = len(text)
        while True:
            bare = _before_space(text, end)  # a chat template puts a line break behind the token
            token = next((t for t in self.strip if text.endswith(t, 0, bare)), None)
            if token is None:
                return text[:end]
            end = bare - len(token)

    def _result(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        rewards = [number(o, self.not_scored, f"query {row}") for row, o in enumerate(outcomes)]
        values = [component_values(outcome, self._paths) for outcome in outcomes]
        scores = rewards if self.scores is None else [self._score(row, n) for n, row in enumerate(values)]
        logs = [self._logs(outcome, row) for outcome, row in zip(outcomes, values, strict=True)]
        return {
            "rewards": self._values(rewards),
            "scores": self._values(scores),
            "extra_logs": {key: self._values([row[key] for row in logs]) for key in (logs[0] if logs else ())},
        }

    def _score(self, values: Mapping[str, float | None], row: int) -> float:
        component = Outcome(values[self.scores or ""], "not_scored", f"{self.scores} did not score it")
        return number(component, self.not_scored, f"query {row}")

    def _logs(self, outcome: Outcome, values: Mapping[str, float | None]) -> dict[str, float]:
        logs = as_numbers({f"rewards/{path}": value for path, value in values.items()})
        return logs if self.not_scored is None else {"scored": float(outcome.value is not None), **logs}

    def _values(self, numbers: list[float]) -> Any:
        if self.tensor is not None:
            return self.tensor(numbers)
        return numbers[0] if len(numbers) == 1 else numbers


def _before_space(text: str, end: int) -> int:
    """The end of a text without the white space that it ends with."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


def to_openrlhf(
    stack: RewardFunction,
    *,
    scores: str | None = None,
    not_scored: float | None = None,
    answer_key: str = "label",
    strip: Sequence[str] = END_TOKENS,
    completion_of: Callable[[str, str], str] | None = None,
    tensor: Callable[[list[float]], Any] | None = None,
) -> OpenRLHFReward:
    """``reward_func`` for the file that ``--reward.remote_url`` names; see :class:`OpenRLHFReward`.

    Args:
        stack: a reward, or a plain function of the contract.
        scores: path of the component that dynamic filtering looks at; the total unless given.
        not_scored: the reward of a row that the stack does not score; without it such a row is an error.
        answer_key: the column under which the stack gets the labels.
        strip: tokens taken off the end of a completion.
        completion_of: from query and prompt to the completion, where the prompt is not the beginning of the query.
        tensor: ``torch.tensor``, for an agent's step, which calls ``.item()`` on what it gets.

    Raises:
        ValueError: `scores` is no component of the stack, or the stack has a scheduled weight (OpenRLHF does not
            tell rewards the step).
    """
    return OpenRLHFReward(
        stack=as_reward(stack),
        scores=scores,
        not_scored=not_scored,
        answer_key=answer_key,
        strip=tuple(strip),
        completion_of=completion_of,
        tensor=tensor,
    )
