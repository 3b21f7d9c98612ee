"""Specification of rewardkit.equivalence.describe and of Verdict.why: a verdict in a sentence."""

from __future__ import annotations

import pytest

from rewardkit.equivalence import Verdict, equivalent
from rewardkit.equivalence.check import check
from rewardkit.equivalence.describe import described


@pytest.mark.parametrize(
    ("verdict", "why"),
    [
        (Verdict(True, "text", "5"), "equal by text: 5"),
        (Verdict(True, "number", "1/2 = 0.5"), "equal by number: 1/2 = 0.5"),
        (Verdict(False, "form", "x and y"), "different by normal form: x and y"),
        (Verdict(True, "values", "a and b"), "equal by values in high precision: a and b"),
        (Verdict(None, "limit", "too deep"), "undecided by limit: too deep"),
        (Verdict(None, "timeout", "late"), "undecided by timeout: late"),
    ],
)
def test_a_verdict_is_a_sentence(verdict: Verdict, why: str) -> None:
    assert verdict.why == why


@pytest.mark.parametrize(("equal", "truth"), [(True, True), (False, False), (None, False)])
def test_only_an_equal_verdict_is_true(equal: bool | None, truth: bool) -> None:
    assert bool(Verdict(equal, "form")) is truth


@pytest.mark.parametrize(
    ("answer", "truth", "why"),
    [
        ("5", "5", "equal by text: 5"),
        ("1/2", "0.5", "equal by number: 1/2 = 0.5"),
        ("5", "6", "different by number: 5 ≠ 6"),
        (r"\sqrt{8}", r"2\sqrt{2}", "equal by normal form: 2·2^1/2 and 2·2^1/2"),
        ("x+x", "3x", "different by normal form: 2·x and 3·x"),
        (r"\text{Blue}", "red", "different by words: Blue ≠ red"),
    ],
)
def test_says_what_decided_with_the_normal_forms(answer: str, truth: str, why: str) -> None:
    assert equivalent(answer, truth).why == why


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}"),
        (r"\sin^2 x + \cos^2 x", "1"),
        ("(1, 2)", "(1, 3)"),
        ("x = 1, 2", "2, 1"),
        (r"\frac{1}{0}", "x"),
        ("(a+b+c+d+e+f)^4(g+h+j+k+l)^4", "x"),
        ("@#!", "5"),
        ("", "5"),
        (r"\text{(C)}", "D"),
        ("1" * 300 + "x", "x"),
        ("x" * 4_000, "y"),
    ],
)
def test_describing_changes_no_verdict_and_stays_short(answer: str, truth: str) -> None:
    plain = check(answer, truth)
    found = described(answer, truth, plain)
    assert (found.equal, found.rung) == (plain.equal, plain.rung)
    assert found.why.startswith(("equal by ", "different by ", "undecided by "))
    assert len(found.why) < 1_000


class TestEquivalent:
    @pytest.mark.parametrize(
        ("answer", "truth", "tolerance", "equal"),
        [
            ("0.333", "1/3", None, False),
            ("0.333", "1/3", 0.001, True),
            ("0.333", "1/3", 0.0001, False),
            ("0.5", "0.5", 0, True),
            ("1/2", "0.5", 0, True),
            ("3.14", r"\pi", 0.01, True),
            ("3.1", r"\pi", 0.01, False),
            ("(0.33, 1)", r"(\frac13, 1)", 0.01, True),
            ("0.33x", r"\frac{x}{3}", 0.01, False),  # a tolerance is for numbers
        ],
    )
    def test_accepts_an_absolute_difference_of_numbers(
        self, answer: str, truth: str, tolerance: float | None, equal: bool
    ) -> None:
        assert equivalent(answer, truth, tolerance=tolerance).equal is equal

    @pytest.mark.parametrize("tolerance", [-1.0, float("inf"), float("nan")])
    def test_refuses_a_tolerance_that_is_none(self, tolerance: float) -> None:
        with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got"):
            equivalent("1", "2", tolerance=tolerance)
