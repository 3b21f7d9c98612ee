"""Specification of the shares of variance and of the correlations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.replay.shares import Pair, alike, pearson, shares, spearman

NUMBERS = st.floats(-10, 10).map(lambda value: round(value, 3))


@given(st.lists(st.lists(NUMBERS, min_size=4, max_size=4), min_size=2, max_size=12))
@settings(max_examples=50, deadline=None)
def test_shares_add_up_to_1_and_are_covariances_over_the_variance(rows: list[list[float]]) -> None:
    parts = np.array(rows).T - np.array(rows).T.mean(axis=1, keepdims=True)
    total = parts.sum(axis=0)
    found = shares({str(name): values.tolist() for name, values in enumerate(parts)}, total.tolist())
    if total.var() < 1e-12:
        return
    assert math.fsum(share or 0.0 for share in found.values()) == pytest.approx(1.0)
    expected = [np.cov(part, total, bias=True)[0, 1] / total.var() for part in parts]
    assert list(found.values()) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_without_any_variance_there_are_no_shares() -> None:
    assert shares({"a": [1.0, -1.0], "b": [-1.0, 1.0]}, [0.0, 0.0]) == {"a": None, "b": None}


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_shares_do_not_depend_on_the_size_of_rewards(size: float) -> None:
    assert shares({"a": [3 * size, -3 * size], "b": [size, -size]}, [4 * size, -4 * size]) == pytest.approx(
        {"a": 0.75, "b": 0.25}
    )


def test_a_component_that_opposes_the_total_has_a_negative_share_and_the_other_more_than_all() -> None:
    assert shares({"a": [3.0, -3.0], "b": [-1.0, 1.0]}, [2.0, -2.0]) == {"a": 1.5, "b": -0.5}


def test_pairs_that_repeat_and_that_cancel_are_found_the_closest_first() -> None:
    a = [1.0, -1.0, 1.0, -1.0]
    differences = {"a": a, "twice": [2 * v for v in a], "less": [-v for v in a], "other": [1.0, 1.0, -1.0, -1.0]}
    assert alike(differences) == [
        Pair("a", "twice", 1.0, pytest.approx((1 + 4 + 2 * 2) / 5)),
        Pair("a", "less", -1.0, 0.0),
        Pair("twice", "less", -1.0, pytest.approx((4 + 1 - 2 * 2) / 5)),
    ]


def test_the_threshold_counts_in_both_directions() -> None:
    differences = {"a": [1.0, -1.0, 0.0], "b": [1.0, 0.0, -1.0]}
    assert alike(differences) == []
    assert [pair.correlation for pair in alike(differences, 0.5)] == pytest.approx([0.5])


def test_what_does_not_vary_or_only_by_rounding_is_like_nothing() -> None:
    assert alike({"a": [1.0, -1.0], "still": [0.0, 0.0], "rounded": [1e-17, -1e-17]}) == []


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=30))
@settings(max_examples=50, deadline=None)
def test_correlations_equal_numpys(pairs: list[tuple[float, float]]) -> None:
    left, right = map(list, zip(*pairs, strict=True))
    if min(np.std(left), np.std(right)) < 1e-6:
        return
    assert pearson(left, right) == pytest.approx(np.corrcoef(left, right)[0, 1], abs=1e-9)
    ranks = [
        [np.mean([sorted(v).index(x), len(v) - 1 - sorted(v, reverse=True).index(x)]) for x in v] for v in (left, right)
    ]
    assert spearman(left, right) == pytest.approx(np.corrcoef(*ranks)[0, 1], abs=1e-9)


@pytest.mark.parametrize(
    ("left", "right"), [([], []), ([1.0], [2.0]), ([1.0, 1.0], [0.0, 1.0]), ([0.0, 1.0], [2.0, 2.0])]
)
def test_without_variation_there_is_no_correlation(left: list[float], right: list[float]) -> None:
    assert pearson(left, right) is None
    assert spearman(left, right) is None


def test_equal_values_share_their_rank() -> None:
    assert spearman([1.0, 1.0, 2.0], [5.0, 5.0, 9.0]) == pytest.approx(1.0)
