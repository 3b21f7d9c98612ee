"""Specification of rewardkit.choices and rewardkit.shaping: gates, least and greatest, products, routes, maps."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import pytest

import rewardkit
from rewardkit import (
    Combined,
    Gated,
    Reward,
    RewardError,
    boxed_accuracy,
    combine,
    exact_match,
    max_of,
    min_of,
    product,
    route,
    schedule,
    strict_format,
)
from rewardkit.contract import ColumnError
from tests.rewardkit.rewards_for_tests import Counting, fixed, later, length

XS = ["a", "b", "c"]


class TestSigns:
    def test_minus_is_a_weight_of_minus_one(self) -> None:
        assert (-fixed("a", 2.0))(["x"]) == [-2.0]
        assert -fixed("a", 2.0) == -1.0 * fixed("a", 2.0)

    def test_difference_subtracts(self) -> None:
        a, b = fixed("a", 5.0), fixed("b", 3.0)
        assert (a - b)(["x"]) == [5.0 - 3.0]
        assert a - b == combine(a, b, weights=[1.0, -1.0])
        assert a - 2 * b == combine(a, b, weights=[1.0, -2.0])
        assert a - (b - fixed("c", 1.0)) == combine(a, b, fixed("c", 1.0), weights=[1.0, -1.0, 1.0])

    def test_a_plain_function_may_stand_on_either_side(self) -> None:
        assert (fixed("a", 5.0) - length)(["xx"]) == [5.0 - 2]
        assert (length - fixed("a", 5.0))(["xx"]) == [2 - 5.0]

    def test_sum_adds_up_a_list(self) -> None:
        rewards = [fixed("a", 1.0), fixed("b", 2.0), fixed("c", 3.0)]
        assert sum(rewards)(["x"]) == [1.0 + 2.0 + 3.0]  # type: ignore[operator]

    def test_a_number_cannot_be_added(self) -> None:
        with pytest.raises(TypeError):
            fixed("a", 1.0) + 1.0  # type: ignore[operator]


class TestGate:
    def test_pays_where_it_is_open_and_otherwise_elsewhere(self) -> None:
        gated = fixed("a", 5.0, 6.0, 7.0).gate(fixed("g", 1.0, 0.99, 2.0))
        assert Gated(reward=gated.reward, by=gated.by) == gated
        assert fixed("a", 5.0, 5.0, 5.0).gate(fixed("g", 1.0, 0.99, 2.0))(XS) == [5.0, 0.0, 5.0]
        half = fixed("a", 5.0, 5.0).gate(fixed("g", 1.0, 0.4, 0.5), at_least=0.5, otherwise=-1.0)
        assert half(XS) == [5.0, -1.0, 5.0]
        assert fixed("a", 5.0).gate(fixed("g", 1.0, 0.0, 0.0), otherwise=None)(XS) == [5.0, None, None]

    def test_does_not_compute_what_it_hides(self) -> None:
        seen: list[tuple[str, ...]] = []
        gate = fixed("g", 0.0, 1.0, 0.0)
        assert Counting(seen=seen).gate(gate)(XS) == [0.0, 1.0, 0.0]
        assert seen == [("b",)]
        seen.clear()
        assert Counting(seen=seen).gate(fixed("g", 0.0, 0.0, 0.0))(XS) == [0.0] * 3
        assert seen == []

    def test_that_does_not_score_gives_no_verdict(self) -> None:
        gated = fixed("a", 5.0).gate(fixed("g", None))
        assert gated(["x"]) == [None]
        assert "g did not score it" in gated.explain(["x"])[0].detail

    def test_hides_with_the_status_gated_and_says_why(self) -> None:
        row = fixed("a", 5.0).named("a").gate(fixed("g", 0.25)).explain(["x"])[0]
        assert (row.status, row.detail) == ("gated", "g gave 0.25, less than 1")
        assert row["gate:g"].value == 0.25
        assert row["gate:g"].contribution is None

    def test_cuts_columns_to_the_rows_that_pass(self) -> None:
        gated = boxed_accuracy.gate(fixed("g", 0.0, 1.0, 1.0))
        assert gated([r"\boxed{1}", r"\boxed{2}", r"\boxed{2}"], answer=["1", "2", "3"]) == [0.0, 1.0, 0.0]
        assert gated([r"\boxed{1}", r"\boxed{1}", r"\boxed{2}"], answer=["1"]) == [0.0, 1.0, 0.0]

    def test_names_the_row_of_the_whole_batch_in_errors(self) -> None:
        with pytest.raises(ColumnError, match="row 2 "):
            exact_match.gate(fixed("g", 0.0, 1.0, 1.0))(XS, answer=["1", "2", " "])

    def test_a_column_that_is_logged_behind_it_keeps_its_length(self) -> None:
        logged: dict[str, list[Any]] = {}

        def logs(completions: Any, log_extra: Any, **kwargs: Any) -> list[float]:
            log_extra("seen", list(completions))
            return [1.0] * len(completions)

        (combine(logs) + 0 * fixed("z", 0.0, 0.0, 0.0)).gate(fixed("g", 0.0, 1.0, 1.0))(
            XS, log_extra=logged.__setitem__
        )
        assert logged["seen"] == [None, "b", "c"]

    def test_combine_takes_a_gate_for_the_whole_sum(self) -> None:
        stack = combine(fixed("a", 5.0, 5.0), fixed("b", 1.0, 1.0), gate=fixed("g", 1.0, 0.0), clip=(0, 5.5), name="s")
        assert stack(["x", "y"]) == [5.5, 0.0]
        assert stack == combine(fixed("a", 5.0, 5.0), fixed("b", 1.0, 1.0), clip=(0, 5.5)).gate(
            fixed("g", 1.0, 0.0)
        ).named("s")

    def test_within_a_gate_of_the_same_name_is_told_apart(self) -> None:
        inner = fixed("a", 5.0).gate(fixed("g", 0.5), at_least=0.5).clip(0, 4)
        row = inner.gate(fixed("g", 1.0)).explain(["x"])[0]
        assert [(c.path, c.value) for c in row.components] == [
            ("a", 4.0),
            ("a.raw", 5.0),
            ("a.raw/gate:g", 0.5),
            ("gate:g", 1.0),
        ]
        twice = fixed("a", 5.0).gate(fixed("g", 0.5), at_least=0.5).gate(fixed("g", 1.0)).explain(["x"])[0]
        assert [(c.path, c.value) for c in twice.components] == [("a", 5.0), ("gate:g", 0.5), ("gate:g#2", 1.0)]

    def test_that_is_a_component_too_is_scored_once(self) -> None:
        seen: list[tuple[str, ...]] = []
        gate = Counting(seen=seen, name="g")
        assert (fixed("a", 2.0).gate(gate) + 0.5 * gate)(["x"]) == [2.5]
        assert seen == [("x",)]

    @pytest.mark.parametrize(("setting", "value"), [("at_least", math.nan), ("otherwise", math.inf)])
    def test_refuses_numbers_that_are_not_finite(self, setting: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"{setting} must be finite"):
            fixed("a", 1.0).gate(fixed("g", 1.0), **{setting: value})


class TestSeveral:
    def test_least_and_greatest_leave_out_what_is_not_scored(self) -> None:
        a, b = fixed("a", 1.0, None, None), fixed("b", 2.0, 2.0, None)
        assert min_of(a, b)(XS) == [min(1.0, 2.0), 2.0, None]
        assert max_of(a, b)(XS) == [max(1.0, 2.0), 2.0, None]
        assert product(a, 3 * b)(XS) == [1.0 * 3 * 2.0, 3 * 2.0, None]

    def test_the_chosen_member_contributes_and_the_others_do_not(self) -> None:
        row = max_of(fixed("a", 1.0), fixed("b", 2.0)).explain(["x"])[0]
        assert (row["a"].contribution, row["b"].contribution) == (None, 2.0)
        tie = max_of(fixed("a", 2.0), fixed("b", 2.0)).explain(["x"])[0]
        assert (tie["a"].contribution, tie["b"].contribution) == (2.0, None)

    def test_a_product_is_its_own_contribution(self) -> None:
        row = product(fixed("a", 2.0), fixed("b", 3.0)).explain(["x"])[0]
        assert row["product"].contribution == 2.0 * 3.0
        assert row["a"].contribution is None

    @pytest.mark.parametrize("make", [min_of, max_of, product])
    def test_refuses_nothing_and_twins(self, make: Any) -> None:
        with pytest.raises(ValueError, match="pass at least one reward"):
            make()
        with pytest.raises(ValueError, match="two components are named 'a'"):
            make(fixed("a", 1.0), fixed("a", 2.0))

    def test_an_overflowing_product_is_refused_by_name(self) -> None:
        with pytest.raises(RewardError, match="product gave inf in row 0"):
            product(fixed("a", 1e200), fixed("b", 1e200))(["x"])


class TestRoute:
    def test_scores_each_kind_of_row_by_its_reward(self) -> None:
        routed = route("task", {"math": boxed_accuracy, "trivia": exact_match})
        completions, answers = [r"\boxed{4/2}", "Paris", "4/2"], ["2", "Paris", "2"]
        assert routed(completions, answer=answers, task=["math", "trivia", "trivia"]) == [1.0, 1.0, 0.0]

    def test_computes_only_the_rows_of_a_kind(self) -> None:
        one: list[tuple[str, ...]] = []
        two: list[tuple[str, ...]] = []
        routed = route("k", {1: Counting(seen=one), 2: Counting(seen=two)})
        routed(XS, k=[1, 2, 1])
        assert (one, two) == ([("a", "c")], [("b",)])

    def test_another_value_needs_a_default(self) -> None:
        with pytest.raises(ColumnError, match=r"column 'task' is str 'code' in row 1; the routes are 'math'"):
            route("task", {"math": exact_match})(["1", "2"], answer="1", task=["math", "code"])
        with pytest.raises(ColumnError, match=r"column 'task' is NoneType None in row 0"):
            route("task", {"math": exact_match})(["1"], answer="1", task=[None])
        assert route("task", {"math": exact_match}, default=fixed("d", 7.0))(["1"], task=["code"]) == [7.0]

    def test_true_is_not_one(self) -> None:
        with pytest.raises(ColumnError, match="is bool True"):
            route("k", {1: exact_match})(["x"], answer="x", k=[True])

    def test_refuses_nothing_and_routes_that_print_alike(self) -> None:
        with pytest.raises(ValueError, match="nothing to route"):
            route("k", {})
        with pytest.raises(ValueError, match="the route '1' is taken twice"):
            route("k", {1: exact_match, "1": boxed_accuracy})

    def test_the_chosen_route_contributes(self) -> None:
        row = route("k", {"a": fixed("x", 2.0)}).explain(["x"], k=["a"])[0]
        assert [(c.path, c.contribution) for c in row.components] == [("a", 2.0)]


class TestMaps:
    def test_map_changes_values_and_keeps_none(self) -> None:
        assert fixed("a", 4.0, None, 9.0).map(math.sqrt)(XS) == [2.0, None, 3.0]

    def test_map_takes_a_name_and_else_keeps_it(self) -> None:
        assert fixed("a", 4.0).map(math.sqrt).__name__ == "a"
        assert fixed("a", 4.0).map(math.sqrt, name="root").__name__ == "root"

    def test_the_raw_value_stays_visible(self) -> None:
        row = fixed("a", 4.0).map(math.sqrt, name="root").explain(["x"])[0]
        assert [(c.path, c.value, c.contribution) for c in row.components] == [("root", 2.0, 2.0), ("a.raw", 4.0, None)]

    def test_of_a_sum_its_parts_are_shown_but_no_longer_added(self) -> None:
        row = combine(fixed("a", 3.0), fixed("b", 1.0)).map(math.sqrt).explain(["x"])[0]
        assert row["combined"].contribution == math.sqrt(3.0 + 1.0)
        assert row["a"].contribution is row["b"].contribution is None

    def test_a_result_that_is_not_finite_is_refused(self) -> None:
        with pytest.raises(RewardError, match="a gave inf in row 0"):
            fixed("a", 1.0).map(lambda value: math.inf)(["x"])

    def test_threshold_is_inclusive(self) -> None:
        assert fixed("a", 0.5, 0.4999, None).threshold(0.5)(XS) == [1.0, 0.0, None]
        with pytest.raises(ValueError, match="a threshold must be finite"):
            fixed("a", 1.0).threshold(math.nan)

    def test_only_a_function_can_be_mapped(self) -> None:
        with pytest.raises(TypeError, match="map needs a function"):
            fixed("a", 1.0).map(2.0)  # type: ignore[arg-type]


TREES = [
    boxed_accuracy.gate(strict_format),
    boxed_accuracy.gate(strict_format, at_least=0.5, otherwise=None).named("x"),
    min_of(boxed_accuracy, exact_match),
    max_of(boxed_accuracy, 2.0 * exact_match, name="best"),
    product(boxed_accuracy, strict_format),
    route("task", {"a": boxed_accuracy, "b": exact_match}, default=strict_format, name="by_task"),
    boxed_accuracy.map(math.sqrt, name="root"),
    (2.0 * boxed_accuracy).threshold(1.0),
    (schedule.linear(1, 0, steps=10) * boxed_accuracy).clip(0, 1),
    combine(boxed_accuracy, strict_format, weights=[1, 2], clip=(0, 2), gate=strict_format, name="s"),
    -boxed_accuracy + strict_format,
    boxed_accuracy.on_error("none"),
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_every_tree_prints_as_code_compares_hashes_pickles_and_copies(tree: Reward) -> None:
    names = {**vars(rewardkit), "math": math}
    assert eval(repr(tree), names) == tree
    assert pickle.loads(pickle.dumps(tree)) == tree == copy.deepcopy(tree)
    assert hash(pickle.loads(pickle.dumps(tree))) == hash(tree)


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_every_tree_scores_the_empty_batch(tree: Reward) -> None:
    assert tree([], answer=[], task=[], global_step=0) == []


def test_asynchronous_members_may_stand_anywhere() -> None:
    tree = max_of(combine(later, name="l"), fixed("a", 2.0, 2.0)).gate(fixed("g", 1.0, 0.0))
    assert tree.asynchronous
    assert tree(["xxx", "y"]) == [3.0, 0.0]
    assert isinstance(combine(later), Combined)
