"""Specification of Recorded: what was paid, as a reward."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from rewardkit import ColumnError, RewardError
from rewardkit.replay import Recorded, read_rollouts, recorded, simulate
from rewardkit.spec import from_spec, to_spec


def test_gives_what_the_column_holds_and_none_for_what_was_not_scored() -> None:
    assert recorded(["a", "", "c"], reward=[1.5, -2, None]) == [1.5, -2.0, None]
    assert recorded(["a"], reward=[float("nan")]) == [None]


def test_a_component_of_a_run_is_found_without_its_prefix() -> None:
    assert Recorded(column="form")(["a"], **{"rewards/form": [0.5]}) == [0.5]
    assert Recorded(column="rewards/form")(["a"], **{"rewards/form": [0.5]}) == [0.5]
    assert Recorded(column="form")(["a"], form=[1.0], **{"rewards/form": [0.5]}) == [1.0]


@pytest.mark.parametrize("value", [float("inf"), "1.0", [1.0]])
def test_a_value_that_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(RewardError, match=r"column 'reward', row 1 holds .*; expected a finite number or None"):
        recorded(["a", "b"], reward=[1.0, value])


def test_a_missing_column_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ColumnError, match="column 'reward' is missing; the call has answer"):
        recorded(["a"], answer=["b"])


def test_is_named_by_its_column_and_sums_like_any_reward() -> None:
    names = [Recorded(column=column).__name__ for column in ("reward", "rewards/form", "rewards/stack/form")]
    assert names == ["reward", "form", "stack.form"]
    stack = Recorded(column="a") + 0.5 * Recorded(column="b")
    assert stack(["x"], a=[1.0], b=[1.0]) == [1.5]


def test_prints_compares_pickles_and_goes_through_a_spec() -> None:
    reward = Recorded(column="form")
    assert repr(reward) == "Recorded(column='form')"
    assert pickle.loads(pickle.dumps(reward)) == reward != recorded
    assert repr(recorded) == "Recorded()"
    assert from_spec(to_spec(reward), allow=["rewardkit.replay.recorded:Recorded"]) == reward


def test_its_components_explain_a_run_that_is_over() -> None:
    rows = [{"prompt": "p", "completion": "c", "a": a, "b": b} for a, b in ((1.0, 0.0), (0.0, 0.0))]
    done = simulate(Recorded(column="a") + Recorded(column="b"), read_rollouts(rows))
    assert done.shares == {"a": 1.0, "b": 0.0}
