"""Specification of rewardkit.trainer_log and rewardkit.layout: the same names in every call, numbers that add up."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit import Reward, boxed_accuracy, combine, cosine_length, max_of, product, route, schedule, soft_format
from rewardkit.breakdown import is_rounding
from rewardkit.layout import nodes
from tests.rewardkit.rewards_for_tests import fixed
from tests.rewardkit.test_report import TREES


def logged(reward: Reward, completions: list[str], **columns: Any) -> tuple[dict[str, float], dict[str, list[Any]]]:
    """What a trainer gathers in one call; nothing may be logged twice, as lists would grow."""
    metrics: dict[str, list[float]] = defaultdict(list)
    extra: dict[str, list[Any]] = defaultdict(list)
    reward(
        completions,
        log_metric=lambda name, value: metrics[name].append(value),
        log_extra=lambda name, values: extra[name].extend(values),
        **columns,
    )
    assert all(len(values) == 1 for values in metrics.values())
    assert all(len(values) == len(completions) for values in extra.values())
    return {name: values[0] for name, values in metrics.items()}, dict(extra)


BATCH: dict[str, Any] = {"k": ["a", "b", "other"]}


class TestLayout:
    @given(TREES)
    def test_lists_every_path_that_a_breakdown_can_have(self, tree: Reward) -> None:
        known = {node.path for node in nodes(tree)}
        for row in tree.explain(["x", "y", "z"], **BATCH):
            paths = {c.path for c in row.components if not is_rounding(c.path)}
            assert paths - known <= {tree.__name__, f"{tree.__name__} (total)"}

    def test_of_rewards_that_hold_one(self) -> None:
        assert [(n.path, n.added) for n in nodes(cosine_length)] == [("boxed_accuracy", False)]
        assert [(n.path, n.added) for n in nodes(2.0 * boxed_accuracy)] == [("boxed_accuracy.raw", True)]
        assert [(n.path, n.added) for n in nodes(product(boxed_accuracy, soft_format))] == [
            ("boxed_accuracy", False), ("soft_format", False)
        ]  # fmt: skip
        assert [n.path for n in nodes(route("k", {"a": boxed_accuracy}, default=max_of(soft_format)))] == [
            "a", "default", "default/soft_format"
        ]  # fmt: skip


class TestNames:
    @given(TREES, st.permutations(["x", "y", "z"]))
    def test_are_the_same_in_every_call(self, tree: Reward, completions: list[str]) -> None:
        stack = tree.named("stack")
        metrics, extra = logged(stack, completions, **BATCH)
        others, columns = logged(stack, ["x"], k=["a"])
        means = ("/mean", "/timeout", "/undecided")
        assert extra.keys() == columns.keys()
        assert {n for n in metrics if not n.endswith(means)} >= {n for n in others if not n.endswith(means)}

    def test_do_not_depend_on_whether_a_gate_opens(self) -> None:
        inner = combine(fixed("a", 1.0, 1.0), fixed("b", 2.0, 2.0), name="inner")
        shut, opened = (combine(inner.gate(fixed("g", *by))) for by in ((0.0, 0.0), (1.0, 0.0)))
        (closed, closed_extra), (some, some_extra) = logged(shut, ["x", "y"]), logged(opened, ["x", "y"])
        assert closed_extra.keys() == some_extra.keys()
        assert {n for n in closed if not n.endswith("/mean")} == {n for n in some if not n.endswith("/mean")}
        assert (closed["rewards/inner/gated"], some["rewards/inner/gated"]) == (2.0, 1.0)
        assert (closed["rewards/inner/a/contribution"], some["rewards/inner/a/contribution"]) == (0.0, 1.0 / 2)

    def test_of_a_named_stack_stand_below_its_name(self) -> None:
        metrics, extra = logged(combine(fixed("a", 1.0), name="s"), ["x"])
        assert metrics == {"rewards/s/a/mean": 1.0, "rewards/s/a/contribution": 1.0}
        assert extra == {"s/a": [1.0]}

    def test_of_a_reward_alone_are_the_trainers(self) -> None:
        assert logged(boxed_accuracy, [r"\boxed{2}"], answer="2") == ({}, {})


class TestNumbers:
    @given(TREES)
    def test_contributions_add_up_to_the_mean_reward(self, tree: Reward) -> None:
        stack = combine(tree, name="stack")
        report = stack.explain(["x", "y", "z"], **BATCH)
        scored = [row.total for row in report if row.total is not None]
        metrics, _ = logged(stack, ["x", "y", "z"], **BATCH)
        added = sum(value for name, value in metrics.items() if name.endswith("/contribution"))
        assert added == pytest.approx(sum(scored) / len(scored) if scored else 0.0, abs=1e-6)

    def test_a_clip_of_the_total_is_logged_as_what_it_took(self) -> None:
        stack = combine(fixed("a", 3.0, 1.0), fixed("b", 1.0, 0.0), clip=(0.0, 2.0), name="s")
        metrics, _ = logged(stack, ["x", "y"])
        assert metrics["rewards/s/contribution"] == ((2.0 - 4.0) + 0.0) / 2
        assert metrics["rewards/s/clipped"] == 1.0

    def test_a_route_divides_by_all_rows(self) -> None:
        stack = route("k", {"a": fixed("x", 2.0), "b": fixed("y", 1.0)})
        metrics, _ = logged(stack, ["p", "q"], k=["a", "b"])
        assert (metrics["rewards/a/contribution"], metrics["rewards/b/contribution"]) == (2.0 / 2, 1.0 / 2)

    def test_a_scheduled_weight_is_logged_below_a_map_too(self) -> None:
        stack = combine((schedule.linear(0, 1, steps=10) * fixed("a", 1.0)).map(abs))
        metrics, _ = logged(stack, ["x"], global_step=4)
        assert [v for n, v in metrics.items() if n.endswith("/weight")] == [0.4]
