"""Specification of what the adapters know of a stack: paths, terms, schedules."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import (
    Keywords,
    LengthBand,
    Reward,
    adapters,
    combine,
    max_of,
    min_of,
    product,
    route,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.adapters.components import (
    as_numbers,
    component_paths,
    component_values,
    require_constant_weights,
    weighted_terms,
)
from rewardkit.contract import Batch, walk_parts

A = LengthBand(unit="characters", name="a")
B = Keywords(words=("x",), name="b")


def never(completions: Any, **columns: Any) -> list[float | None]:
    return [None] * len(completions)


def double(value: float) -> float:
    return 2 * value


@pytest.mark.parametrize(
    ("stack", "paths"),
    [
        (A, ()),
        (2.0 * A, ("a.raw",)),
        (A.clip(0, 1), ("a.raw",)),
        (A.map(double), ("a.raw",)),
        (A.clip(0, 1).named("c").threshold(0.5), ("c.raw", "c.raw/a.raw")),
        (A.on_error("none"), ()),
        (A + B, ("a", "b")),
        ((A + B).clip(0, 1).threshold(0.5).on_error("none"), ("combined.raw", "combined.raw/a", "combined.raw/b")),
        ((A + B).named("c") + soft_format, ("c", "c/a", "c/b", "soft_format")),
        ((A + B).gate(strict_format), ("a", "b", "gate:strict_format")),
        (A.gate((A + B).named("c")), ("gate:c", "gate:c/a", "gate:c/b")),
        (max_of(A, product(A, B)), ("a", "product", "product/a", "product/b")),
        (route("k", {"m": A + B, 3: A}, default=B), ("m", "m/a", "m/b", "3", "default")),
    ],
    ids=repr,
)
def test_the_paths_of_a_stack_are_those_of_its_components(stack: Reward, paths: tuple[str, ...]) -> None:
    assert component_paths(stack) == paths


def leaves() -> st.SearchStrategy[Reward]:
    return st.sampled_from([A, B, soft_format, A.clip(0.1, 0.5).named("d"), combine(never).named("e")])


def stacks() -> st.SearchStrategy[Reward]:
    return st.recursive(leaves(), larger, max_leaves=8)


def larger(inner: st.SearchStrategy[Reward]) -> st.SearchStrategy[Reward]:
    pairs = st.tuples(inner, inner).map(lambda pair: (pair[0].named("left"), pair[1].named("right")))
    return st.one_of(
        pairs.map(lambda pair: 0.5 * pair[0] + pair[1]),
        pairs.map(lambda pair: pair[0].gate(pair[1], at_least=0.25)),
        pairs.map(lambda pair: min_of(*pair)),
        pairs.map(lambda pair: product(*pair)),
        pairs.map(lambda pair: route("kind", {"p": pair[0]}, default=pair[1])),
        inner.map(lambda reward: reward.clip(-1, 1)),
        inner.map(lambda reward: reward.map(double)),
        inner.map(lambda reward: 2.0 * reward),
        inner.map(lambda reward: reward.on_error("none")),
    )


@given(stack=stacks())
@settings(deadline=None, max_examples=60)
def test_no_outcome_has_a_component_outside_the_paths(stack: Reward) -> None:
    paths = component_paths(stack)
    batch = Batch.of(["x" * 30, "", "<think>a</think><answer>x</answer>"], {"kind": ["p", "q", "p"]})
    for outcome in stack.score(batch):
        found = {path: part.outcome.value for path, part in walk_parts(outcome)}
        assert set(found) <= set(paths)
        values = component_values(outcome, paths)
        assert tuple(values) == paths
        assert found.items() <= values.items()


def test_numbers_tell_nothing_from_zero() -> None:
    assert as_numbers({"a": 0.0, "b": None}) == {"a": 0.0, "a/scored": 1.0, "b": 0.0, "b/scored": 0.0}


def test_the_terms_of_a_sum_add_up_to_it() -> None:
    terms = weighted_terms(2.0 * A + 0.5 * (A + B).named("c") - B)
    assert terms == [(A, 2.0), ((A + B).named("c"), 0.5), (B, -1.0)]


@pytest.mark.parametrize(
    "stack",
    [
        schedule.linear(1, 0, steps=3) * A,
        A + schedule.steps({0: 1.0}) * B,
        (A + schedule.cosine(1, 0, steps=3) * B).gate(soft_format),
        route("k", {"m": A + schedule.linear(1, 0, steps=3) * B}),
    ],
    ids=repr,
)
def test_a_schedule_is_found_wherever_it_stands(stack: Reward) -> None:
    with pytest.raises(ValueError, match=r"has a scheduled weight, but Nobody does not tell rewards the training step"):
        require_constant_weights(stack, "Nobody")


def test_no_package_is_imported_before_its_adapter_needs_it() -> None:
    packages = {"trl", "verl", "openrlhf", "verifiers", "swift", "ray", "datasets", "numpy", "pandas", "torch"}
    code = f"import sys, rewardkit.adapters.swift; print({packages} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_public_name_is_there() -> None:
    assert adapters.__all__ == sorted(adapters.__all__)
    assert all(hasattr(adapters, name) for name in adapters.__all__)


def test_a_stack_of_constant_weights_passes() -> None:
    require_constant_weights((2.0 * A + B).clip(0, 1).gate(soft_format), "Nobody")
