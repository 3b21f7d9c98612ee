"""Specification of rewardkit.spec on random trees: what is written reads back as it was, or is not written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rewardkit import (
    Reward,
    boxed_accuracy,
    combine,
    exact_match,
    max_of,
    min_of,
    product,
    route,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.spec import SpecError, from_spec, load_spec, ready_rewards, save_spec, to_spec
from tests.rewardkit.rewards_for_tests import always, shouts

HERE = "tests.rewardkit.rewards_for_tests"
ALLOW = [f"{HERE}:shouts", f"{HERE}:length", "math:tanh", "builtins:abs"]
LEAVES = [boxed_accuracy, exact_match, strict_format, soft_format, shouts, always]
numbers = st.sampled_from([1.0, -1.0, 0.5, 0.0, -0.0, 1e300, -1e-320, 3, True]) | st.floats(-1e6, 1e6)
names = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=6)
schedules = st.sampled_from([schedule.linear(1, 0.2, steps=10), schedule.cosine(-1, 0, steps=7, begin=2)])
keys = st.none() | st.booleans() | st.integers() | names | st.floats(allow_nan=False)


@st.composite
def composed(draw: Any, inner: st.SearchStrategy[Reward]) -> Reward:
    """One reward made of one, two or three others."""
    one, other, third = draw(inner), draw(inner).named("other"), draw(inner).named("third")
    low, high = sorted((draw(numbers), draw(numbers)))
    made: list[Any] = [
        lambda: draw(numbers | schedules) * one,
        lambda: combine(one.named("one"), other, weights=[draw(numbers), draw(schedules)], clip=(low, high)),
        lambda: combine(one, gate=other, on_error="none"),
        lambda: one.clip(low, math.inf),
        lambda: one.gate(other, at_least=draw(numbers), otherwise=draw(st.none() | numbers)),
        lambda: one.map(draw(st.sampled_from([abs, math.tanh])), name=draw(st.none() | names)),
        lambda: one.threshold(draw(numbers)),
        lambda: draw(st.sampled_from([min_of, max_of, product]))(other, third, name=draw(st.none() | names)),
        lambda: route("kind", {draw(keys): one}, default=draw(st.none() | st.just(other))),
        lambda: one.on_error("none"),
        lambda: one.named(draw(names)),
    ]
    try:
        return draw(st.sampled_from(made))()  # type: ignore[no-any-return]
    except ValueError:  # such as weights whose product is infinite
        return one


trees = st.recursive(st.sampled_from(LEAVES), composed, max_leaves=12)
of_files = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(trees)
@settings(max_examples=150, deadline=None)
def test_every_tree_reads_back(tree: Reward) -> None:
    spec = to_spec(tree)
    back = from_spec(json.loads(json.dumps(spec)), allow=ALLOW)
    assert back == tree
    assert repr(back) == repr(tree)
    assert back.fingerprint == tree.fingerprint == spec["fingerprint"]


@pytest.mark.parametrize("suffix", [".json", ".toml"])
@given(tree=trees)
@of_files
def test_through_files_too(suffix: str, tmp_path: Path, tree: Reward) -> None:
    path = tmp_path / f"tree{suffix}"
    save_spec(tree, path)
    assert load_spec(path, allow=ALLOW) == tree


types = st.sampled_from(["Weighted", "Combined", "Gated", "Mapped", "Routed", "Function", "Budget", "Linear", "Judge"])
fields = st.sampled_from(
    ["reward", "by", "members", "weights", "weight", "routes", "column", "function", "name", "low"]
)
texts = st.sampled_from([*ready_rewards(), "os:system", "none", "inf", ""])
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.builds(lambda name, rest: {"type": name, **rest}, types, st.dictionaries(fields, inner, max_size=3))
        | st.builds(lambda mark, rest: {"$": mark, **rest}, texts | inner, st.fixed_dictionaries({"path": inner}))
        | st.fixed_dictionaries({"$": st.just("map"), "items": st.lists(inner, max_size=2)})
    ),
    max_leaves=10,
)


@given(junk)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_spec_is_a_reward_or_an_error_of_the_spec(node: Any) -> None:
    try:
        read = from_spec({"rewardkit": 1, "reward": node})
    except SpecError:
        return
    assert isinstance(read, Reward)
    assert from_spec(to_spec(read)) == read
