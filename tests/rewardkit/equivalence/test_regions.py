"""Specification of rewardkit.equivalence.regions: sets of real numbers as intervals with exact ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.algebra import same_form
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.regions import MAX_PARTS, Region, region, same_region

INF = float("inf")


def of(text: str) -> Region | None:
    node = read(text).value
    assert node is not None
    return region(node)


def intervals(text: str) -> list[str] | None:
    """Each interval by its brackets and its ends as floats."""
    found = of(text)
    if found is None:
        return None
    return [
        f"{'[' if low.closed else '('}{low.value:g}, {high.value:g}{']' if high.closed else ')'}"
        for low, high in found.intervals
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("(1, 2)", ["(1, 2)"]),
        ("[1, 2]", ["[1, 2]"]),
        (r"(-\infty, 2]", ["(-inf, 2]"]),
        (r"(-\infty, \infty)", ["(-inf, inf)"]),
        (r"(-\infty, +\infty)", ["(-inf, inf)"]),
        (r"\mathbb{R}", ["(-inf, inf)"]),
        (r"\emptyset", []),
        ("(2, 1)", []),
        ("(1, 1)", []),
        ("[1, 1]", ["[1, 1]"]),
        ("[1, 1)", []),
        (r"\{2, 1, 2\}", ["[1, 1]", "[2, 2]"]),
        (r"(0, \sqrt{4}]", ["(0, 2]"]),
    ],
)
def test_reads_sets(text: str, parts: list[str]) -> None:
    assert intervals(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"(0,1)\cup(2,3)", ["(0, 1)", "(2, 3)"]),
        (r"(2,3)\cup(0,1)", ["(0, 1)", "(2, 3)"]),
        (r"(0,2)\cup(1,3)", ["(0, 3)"]),
        (r"(0,3)\cup(1,2)", ["(0, 3)"]),
        (r"[0,1]\cup[1,2]", ["[0, 2]"]),
        (r"(0,1]\cup(1,2)", ["(0, 2)"]),
        (r"(0,1)\cup[1,2)", ["(0, 2)"]),
        (r"(0,1)\cup(1,2)", ["(0, 1)", "(1, 2)"]),  # one end must be closed
        (r"(0,1)\cup\{1\}", ["(0, 1]"]),
        (r"(0,1)\cup\{1\}\cup(1,2)", ["(0, 2)"]),
        (r"(0,1)\cup[0,1)", ["[0, 1)"]),
        (r"(0,1)\cup\emptyset", ["(0, 1)"]),
        (r"(1,3)\cap(2,5)", ["(2, 3)"]),
        (r"(1,2]\cap[2,3)", ["[2, 2]"]),
        (r"(1,2)\cap[2,3)", []),
        (r"[1,2]\cap(1,2)", ["(1, 2)"]),
        (r"\mathbb{R}\setminus\{1\}", ["(-inf, 1)", "(1, inf)"]),
        (r"\mathbb{R}\setminus\{1, -1\}", ["(-inf, -1)", "(-1, 1)", "(1, inf)"]),
        (r"\mathbb{R}\setminus[1,2)", ["(-inf, 1)", "[2, inf)"]),
        (r"\mathbb{R}\setminus\emptyset", ["(-inf, inf)"]),
        (r"\mathbb{R}\setminus\mathbb{R}", []),
        (r"[0,3]\setminus(1,2)", ["[0, 1]", "[2, 3]"]),
        (r"(0,1)\cup(2,3)\setminus\{2.5\}", ["(0, 1)", "(2, 2.5)", "(2.5, 3)"]),
    ],
)
def test_unites_intersects_and_takes_away(text: str, parts: list[str]) -> None:
    assert intervals(text) == parts


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x > 1", ["(1, inf)"]),
        (r"x \ge 1", ["[1, inf)"]),
        ("1 > x", ["(-inf, 1)"]),
        ("2x > 2", ["(1, inf)"]),
        ("-x < -1", ["(1, inf)"]),  # a negative factor turns the sign
        (r"-2x \ge 4", ["(-inf, -2]"]),
        ("3 - x > 1", ["(-inf, 2)"]),
        ("2x + 1 < x + 4", ["(-inf, 3)"]),
        (r"x < \sqrt{4}", ["(-inf, 2)"]),
        (r"x \ne 1", ["(-inf, 1)", "(1, inf)"]),
        ("x = 1", ["[1, 1]"]),
        ("1 < x < 2", ["(1, 2)"]),
        (r"2 \ge x > 1", ["(1, 2]"]),
        (r"-3 \le 2x + 1 \le 5", ["[-2, 2]"]),
        ("1 < -x < 2", ["(-2, -1)"]),
        ("2 < x < 1", []),
        (r"x \in (1, 2)", ["(1, 2)"]),
        (r"x < 1 \text{ or } x > 2", ["(-inf, 1)", "(2, inf)"]),
        (r"x > 1 \text{ and } x < 2", ["(1, 2)"]),
        ("x > 1, x < 2", ["(1, 2)"]),
        ("x < 1, x > 2", ["(-inf, 1)", "(2, inf)"]),  # both at once cannot be meant
        (r"x < 1 \text{ or } x \ge 1", ["(-inf, inf)"]),
        (r"\{x \mid x > 1\}", ["(1, inf)"]),
        (r"\{x : 1 < x \le 2\}", ["(1, 2]"]),
        ("0 < f(x) < 1", ["(0, 1)"]),
    ],
)
def test_solves_linear_conditions(text: str, parts: list[str]) -> None:
    assert intervals(text) == parts


@pytest.mark.parametrize(
    ("text", "variable"),
    [("x > 1", "x"), (r"y \in (1, 2)", "y"), ("1 < a_1 < 2", "a_1"), ("(1, 2)", None), (r"\{x \mid x > 1\}", None)],
)
def test_names_the_variable_that_is_restricted(text: str, variable: str | None) -> None:
    found = of(text)
    assert found is not None
    assert found.variable == variable


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "x",
        "(1, 2, 3)",
        "(a, 2)",
        "(1, i)",
        "1, 2",
        "x^2 > 1",
        r"\sin x > 0",
        "x > y",
        "1 > 0",
        "ax > 1",
        r"\frac{1}{x} > 1",
        "x < 1, y > 2",
        r"\{x \mid y > 1\}",
        r"\{2x \mid x > 1\}",
        r"x \in 5",
        r"\mathbb{Z}",
        r"(0, 1) \cup A",
        r"(0, \frac{1}{0})",
        r"(0, 9^{9^9})",
        r"(0, \int_0^1 x dx)",
        r"\{(1, 2)\}",
    ],
)
def test_anything_else_is_no_region(text: str) -> None:
    assert of(text) is None


def test_the_number_of_parts_is_bounded() -> None:
    union = r"\cup".join(f"({3 * k}, {3 * k + 1})" for k in range(MAX_PARTS))
    found = of(union)
    assert found is not None
    assert len(found.intervals) == MAX_PARTS
    assert of(rf"{union}\cup(-2, -1)") is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("(1, 2)", "1 < x < 2", True),
        ("x > 1", r"-x < -1", True),
        ("x > 1", "y > 1", False),
        ("(1, 2)", "[1, 2)", False),
        ("(1, 2)", "(1, 3)", False),
        (r"(0, \sqrt8)", r"(0, 2\sqrt2)", True),
        (r"(0, \sqrt2)", "(0, 1.41421356237)", False),
        (r"(0,1)\cup(1,2)", "(0,2)", False),
        (r"\mathbb{R}\setminus\{0\}", r"x \ne 0", True),
    ],
)
def test_regions_are_the_same_where_all_ends_are(one: str, other: str, same: bool) -> None:
    a, b = of(one), of(other)
    assert a is not None
    assert b is not None
    assert same_region(a, b, same_form) is same
    assert same_region(b, a, same_form) is same


def test_an_end_that_cannot_be_decided_leaves_the_region_undecided() -> None:
    a, b = of("(0, 1)"), of("(0, 2)")
    assert a is not None
    assert b is not None
    assert same_region(a, b, lambda one, other: None) is None
    assert same_region(a, a, lambda one, other: None) is True


ends = st.integers(-4, 4)
pieces = st.tuples(st.sampled_from("(["), ends, ends, st.sampled_from(")]")).map(
    lambda parts: f"{parts[0]}{parts[1]}, {parts[2]}{parts[3]}"
)


def holds(text: str, point: float) -> bool:
    found = of(text)
    assert found is not None
    return any(
        (low.value < point or (low.value == point and low.closed))
        and (point < high.value or (point == high.value and high.closed))
        for low, high in found.intervals
    )


@given(pieces, pieces)
def test_a_point_is_in_the_result_as_it_is_in_the_parts(one: str, other: str) -> None:
    for point in (k / 2 for k in range(-10, 11)):
        left, right = holds(one, point), holds(other, point)
        assert holds(rf"{one} \cup {other}", point) == (left or right)
        assert holds(rf"{one} \cap {other}", point) == (left and right)
        assert holds(rf"{one} \setminus {other}", point) == (left and not right)
