"""Specification of rewardkit.schedule: weights that follow the training step."""

from __future__ import annotations

import math
import pickle
from types import SimpleNamespace

import pytest

from rewardkit import Weighted, combine, schedule
from rewardkit.contract import ColumnError
from rewardkit.schedule import Schedule
from tests.rewardkit.rewards_for_tests import fixed


def test_linear_is_a_straight_line_between_its_ends() -> None:
    ramp = schedule.linear(1.0, 3.0, steps=10, begin=5)
    for step in (5, 6, 10, 15):
        assert ramp.at(step) == pytest.approx(1.0 + (3.0 - 1.0) * (step - 5) / 10)
    assert [ramp.at(step) for step in (0, 5, 15, 10**9)] == [1.0, 1.0, 3.0, 3.0]


def test_cosine_is_half_a_period() -> None:
    ramp = schedule.cosine(1.0, 0.2, steps=8)
    for step in range(9):
        assert ramp.at(step) == pytest.approx(0.2 + (1.0 - 0.2) / 2 * (1 + math.cos(math.pi * step / 8)))
    assert [ramp.at(step) for step in (0, 8, 9)] == [1.0, 0.2, 0.2]


def test_steps_hold_until_the_next() -> None:
    stairs = schedule.steps({0: 1.0, 10: 0.5, 20: 0.0})
    assert [stairs.at(step) for step in (0, 9, 10, 19, 20, 99)] == [1.0, 1.0, 0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize(
    "weight",
    [schedule.linear(1, 0, steps=4), schedule.cosine(2, 1, steps=4, begin=2), schedule.steps({0: 1.0, 2: -1.0})],
    ids=repr,
)
class TestEverySchedule:
    def test_scales_with_a_number(self, weight: Schedule) -> None:
        for step in range(8):
            assert (2 * weight).at(step) == (weight * 2).at(step) == 2 * weight.at(step)
            assert (-weight).at(step) == -weight.at(step)

    def test_prints_as_code_compares_and_pickles(self, weight: Schedule) -> None:
        assert eval(repr(weight), {"schedule": schedule}) == weight == pickle.loads(pickle.dumps(weight))

    def test_is_a_weight_like_any_other(self, weight: Schedule) -> None:
        a, b = fixed("a", 3.0), fixed("b", 10.0)
        stack = weight * a + 0.5 * b
        assert stack == a * weight + b * 0.5 == combine(a, b, weights=[weight, 0.5])
        for step in range(8):
            assert stack(["x"], global_step=step) == [weight.at(step) * 3.0 + 5.0]
            assert (2 * (weight * a))(["x"], global_step=step) == [2 * weight.at(step) * 3.0]

    def test_the_weight_applied_is_the_weight_logged(self, weight: Schedule) -> None:
        for step in range(8):
            metrics: dict[str, float] = {}
            stack = weight * fixed("a", 1.0) + fixed("b", 1.0)
            state = SimpleNamespace(global_step=step)
            (total,) = stack(["x"], trainer_state=state, log_metric=metrics.__setitem__)
            assert total == metrics["rewards/a/weight"] + 1.0
            assert metrics["rewards/a/weight"] == weight.at(step)
            assert "rewards/b/weight" not in metrics

    def test_alone_is_logged_too(self, weight: Schedule) -> None:
        metrics: dict[str, float] = {}
        (weight * fixed("a", 1.0))(["x"], global_step=3, log_metric=metrics.__setitem__)
        assert metrics["rewards/a.raw/weight"] == weight.at(3)


def test_two_schedules_multiply_by_nesting() -> None:
    one, two = schedule.linear(0, 1, steps=10), schedule.linear(1, 0, steps=10)
    for stack in (one * (two * fixed("a", 8.0)), combine(two * fixed("a", 8.0), weights=[one])):
        assert stack(["x"], global_step=5) == [0.5 * 0.5 * 8.0]
    nested = one * (fixed("a", 8.0) + two * fixed("b", 8.0))
    assert isinstance(nested, Weighted)
    assert nested(["x"], global_step=5) == [0.5 * (8.0 + 0.5 * 8.0)]


def test_a_resumed_run_goes_on_where_it_was() -> None:
    stack = schedule.linear(1, 0, steps=100) * fixed("a", 1.0)
    resumed = SimpleNamespace(global_step=40)
    assert stack(["x"], trainer_state=resumed) == stack(["x"], trainer_state={"global_step": 40}) == [1 - 40 / 100]


@pytest.mark.parametrize(
    "columns", [{}, {"trainer_state": SimpleNamespace()}, {"global_step": [1]}, {"global_step": True}]
)
def test_without_a_step_there_is_no_weight(columns: dict[str, object]) -> None:
    with pytest.raises(ColumnError, match="no training step"):
        (schedule.linear(1, 0, steps=100) * fixed("a", 1.0))(["x"], **columns)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedule.linear(math.nan, 0, steps=1), "start must be finite"),
        (lambda: schedule.linear(0, math.inf, steps=1), "end must be finite"),
        (lambda: schedule.cosine(0, 1, steps=0), "steps must be at least 1"),
        (lambda: schedule.cosine(0, 1, steps=1, begin=-1), "begin must be 0 or more"),
        (lambda: schedule.steps({}), "must start at 0"),
        (lambda: schedule.steps({5: 1.0}), "must start at 0"),
        (lambda: schedule.steps({0: math.nan}), "the weight at step 0 must be finite"),
    ],
)
def test_refuses_what_is_no_schedule(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
