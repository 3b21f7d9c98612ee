"""Rewards are called as the contract says, and what they return is checked before a weight changes."""

from __future__ import annotations

import asyncio
import functools
import math
import threading
from typing import Any

import numpy as np
import pytest
import torch

from grpo_engine.scoring import RewardFailure, RewardSet, Scores, is_async, reward_name

PROMPTS, COMPLETIONS = ["p", "p", "q"], ["a", "bb", "ccc"]


def length(completions: list[str], **_: Any) -> list[float]:
    return [float(len(c)) for c in completions]


def returning(value: Any) -> Any:
    def reward(**_: Any) -> Any:
        return value

    return reward


def score(*functions: Any, columns: dict[str, Any] | None = None, state: Any = None) -> Scores:
    return RewardSet(functions)(PROMPTS, COMPLETIONS, columns or {}, state)


def test_a_reward_gets_prompts_completions_every_column_and_the_trainers_state() -> None:
    seen: dict[str, Any] = {}

    def reward(prompts: Any, completions: Any, **rest: Any) -> list[float]:
        seen.update(rest, prompts=prompts, completions=completions)
        return [0.0] * len(completions)

    state = object()
    score(reward, columns={"answer": [1, 2, 3], "completion_ids": [[1], [2], [3]]}, state=state)
    assert set(seen) == {
        "prompts", "completions", "answer", "completion_ids", "trainer_state", "log_extra", "log_metric"
    }  # fmt: skip
    assert (seen["prompts"], seen["completions"], seen["answer"]) == (PROMPTS, COMPLETIONS, [1, 2, 3])
    assert seen["trainer_state"] is state


def test_each_function_has_a_row_of_values_in_the_order_given() -> None:
    scores = score(length, returning([True, False, np.float32(0.5)]))
    assert scores.values.tolist() == [[1.0, 2.0, 3.0], [1.0, 0.0, 0.5]]


@pytest.mark.parametrize(
    "values", [np.array([1.0, 2, 3]), torch.tensor([1.0, 2, 3]), (1, 2, 3)], ids=lambda v: type(v).__name__
)
def test_arrays_tensors_and_tuples_are_lists_of_values(values: Any) -> None:
    assert score(returning(values)).values.tolist() == [[1.0, 2.0, 3.0]]


def test_none_means_not_scored() -> None:
    values = score(returning([1.0, None, 0.0])).values[0]
    assert values[0] == 1.0
    assert values[1].isnan()
    assert values[2] == 0.0


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1.0, 2.0], "'reward' returned 2 values for 3 completions; return one for each"),
        ([1.0] * 4, "'reward' returned 4 values for 3 completions"),
        ([], "'reward' returned 0 values for 3 completions"),
        (1.0, "'reward' returned 1.0; it must return a list with one value per completion"),
        (None, "'reward' returned None; it must return a list"),
        ("abc", "'reward' returned 'abc'; it must return a list"),
        ({"a": 1, "b": 2, "c": 3}, "must return a list"),
        ({1.0, 2.0, 3.0}, "must return a list"),
        (torch.tensor(1.0), r"'reward' returned tensor\(1.\); it must return a list"),
        (np.array(1.0), r"'reward' returned array\(1.\); it must return a list"),
        ([0.0, math.nan, 0.0], "'reward' returned nan for row 1; return a finite number, or None for 'not scored'"),
        ([0.0, 0.0, math.inf], "'reward' returned inf for row 2"),
        ([-math.inf, 0.0, 0.0], "'reward' returned -inf for row 0"),
        ([0.0, "good", 0.0], "'reward' returned 'good' for row 1; return a number, or None"),
        ([0.0, "1.0", 0.0], "'reward' returned '1.0' for row 1; return a number, or None"),
        ([0.0, [1.0], 0.0], r"'reward' returned \[1.0\] for row 1; return a number"),
    ],
    ids=repr,
)
def test_a_value_that_the_contract_forbids_is_refused_by_function_row_and_remedy(value: Any, says: str) -> None:
    with pytest.raises(RewardFailure, match=says):
        score(length, returning(value))


def test_an_exception_in_a_reward_names_it_and_keeps_its_cause() -> None:
    def broken(**_: Any) -> list[float]:
        raise KeyError("solution")

    with pytest.raises(RewardFailure, match="reward function 'broken' raised KeyError: 'solution'") as caught:
        score(length, broken)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_reward_without_keyword_arguments_is_named() -> None:
    def narrow(completions: Any) -> list[float]:
        return [0.0] * len(completions)

    with pytest.raises(RewardFailure, match=r"'narrow' raised TypeError: .*unexpected keyword"):
        score(narrow)


def test_an_interrupt_inside_of_a_reward_is_not_taken_for_a_failure() -> None:
    def interrupted(**_: Any) -> list[float]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(interrupted)


def waiting(arrived: list[str], everyone: int, name: str) -> Any:
    """A coroutine function that returns only if all of them are under way at once."""

    async def reward(completions: Any, **_: Any) -> list[float]:
        arrived.append(name)
        for _ in range(10_000):
            if len(arrived) == everyone:
                return [float(everyone)] * len(completions)
            await asyncio.sleep(0)
        raise TimeoutError("the others did not start")

    reward.__name__ = name
    return reward


def test_coroutine_functions_run_at_the_same_time_and_keep_their_rows() -> None:
    arrived: list[str] = []
    scores = score(waiting(arrived, 2, "one"), length, waiting(arrived, 2, "two"))
    assert scores.values.tolist() == [[2.0] * 3, [1.0, 2.0, 3.0], [2.0] * 3]


def test_coroutine_functions_run_where_a_loop_is_running_already() -> None:
    async def notebook() -> Scores:
        return score(waiting([], 1, "one"))

    assert asyncio.run(notebook()).values.tolist() == [[1.0] * 3]


def test_an_exception_in_a_coroutine_function_names_it() -> None:
    async def broken(**_: Any) -> list[float]:
        raise ValueError("no route")

    threads = threading.active_count()
    with pytest.raises(RewardFailure, match="reward function 'broken' raised ValueError: no route"):
        score(broken)
    assert threading.active_count() == threads


class Configured:
    """A reward that is an object."""

    def __call__(self, completions: Any, **_: Any) -> list[float]:
        return [0.0] * len(completions)


class ConfiguredAsync:
    async def __call__(self, completions: Any, **_: Any) -> list[float]:
        return [4.0] * len(completions)


def test_an_object_whose_call_is_a_coroutine_and_a_partial_of_one_are_awaited() -> None:
    assert is_async(ConfiguredAsync())
    assert is_async(functools.partial(ConfiguredAsync(), extra=1))
    assert not is_async(Configured())
    assert score(ConfiguredAsync()).values.tolist() == [[4.0] * 3]


def test_a_reward_is_logged_by_its_own_name_its_wrapped_functions_or_its_class() -> None:
    named = Configured()
    named.__name__ = "mine"  # type: ignore[attr-defined]
    names = [
        reward_name(f) for f in (length, functools.partial(functools.partial(length, a=1), b=2), Configured(), named)
    ]
    assert names == ["length", "length", "Configured", "mine"]


def test_two_rewards_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two reward functions are named '<lambda>'.*rename one"):
        RewardSet([length, lambda **_: [], lambda **_: []])


def test_no_reward_and_something_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="reward_funcs is empty"):
        RewardSet([])
    with pytest.raises(TypeError, match="a reward function must be callable, got 3"):
        RewardSet([length, 3])  # type: ignore[list-item]


def test_each_reward_has_one_weight_which_is_one_unless_given() -> None:
    assert RewardSet([length, Configured()]).weights.tolist() == [1.0, 1.0]
    assert RewardSet([length, Configured()], [0.1, 2.0]).weights.tolist() == [0.1, 2.0]
    with pytest.raises(ValueError, match="3 reward_weights for 2 reward functions; give one each"):
        RewardSet([length, Configured()], [1.0, 2.0, 3.0])


def test_metrics_and_columns_that_rewards_log_are_kept() -> None:
    def chatty(completions: Any, log_metric: Any, log_extra: Any, **_: Any) -> list[float]:
        log_metric("parsed", 1)
        log_metric("parsed", 0.5)
        log_extra("upper", [c.upper() for c in completions])
        return [0.0] * len(completions)

    scores = score(chatty, length)
    assert scores.metrics == {"parsed": (1 + 0.5) / 2}
    assert scores.extra == {"upper": ["A", "BB", "CCC"]}


def test_a_logged_column_of_the_wrong_length_is_refused_by_name() -> None:
    def short(completions: Any, log_extra: Any, **_: Any) -> list[float]:
        log_extra("parsed", ["only one"])
        return [0.0] * len(completions)

    with pytest.raises(
        RewardFailure, match=r"'short' raised .*log_extra\('parsed'\) got 1 values for 3 completions; give one"
    ):
        score(short)
