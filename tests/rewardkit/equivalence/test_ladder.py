"""Specification of rewardkit.equivalence.ladder: which rung decides, and that it decides rightly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.equivalence import Budget, Verdict, compare, compare_all
from rewardkit.equivalence.ladder import MAX_SYMBOLIC_CHARS
from rewardkit.equivalence.normalise import MAX_CHARS

GOLDS = [
    "42",
    "-3",
    "1,000",
    "0.5",
    r"\frac{1}{2}",
    r"1\frac{1}{2}",
    "50\\%",
    r"\$5.00",
    "5 cm",
    r"90^\circ",
    r"3\sqrt{13}",
    r"\frac{\pi}{2}",
    "x^2 + 1",
    "(1, 2]",
    r"(-\infty, 3) \cup (3, \infty)",
    r"\{1, 2, 3\}",
    r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
    r"x \le 3",
    "y = 2x + 3",
    r"\text{Evelyn}",
    r"\text{(C)}",
    "2, 100",
    "25_6",
    "3 - 4i",
    "no solution",
    "Ω",
    r"\alpha",
    "9^{9^{9^9}}",
    "1" * 5_000,
]


@pytest.mark.parametrize("gold", GOLDS, ids=lambda gold: gold[:30])
def test_every_gold_equals_itself_by_its_text(gold: str) -> None:
    for answer in (gold, f"${gold}$", f" {gold} "):
        assert (compare(answer, gold).equal, compare(answer, gold).rung) == (True, "text")


@pytest.mark.parametrize("others", [GOLDS[:8]])
def test_no_gold_equals_another(others: list[str]) -> None:
    values = {"0.5": "half", r"\frac{1}{2}": "half", "50\\%": "half"}
    for a in others:
        for b in others:
            assert compare(a, b).equal is (values.get(a, a) == values.get(b, b))


@pytest.mark.parametrize(
    ("answer", "truth", "equal"),
    [
        ("0.5", "1/2", True),
        (r"50\%", r"\frac12", True),
        ("1,000", "1000", True),
        ("1{,}000", "1000", True),
        ("5 050", "5050", True),
        ("1 1/2", "3/2", True),
        ("1 1/2", "11/2", False),
        (r"1\frac{1}{2}", "3/2", True),
        (r"1\frac{1}{2}", "11/2", False),
        ("0.333", "1/3", False),
        ("0.3333333333333333", "1/3", False),
        ("10 cm", "10 miles", False),
        ("10 cm", "10", True),
        ("25_6", "25_7", False),
        ("5", "6", False),
    ],
)
def test_numbers_are_compared_exactly(answer: str, truth: str, equal: bool) -> None:
    assert (compare(answer, truth).equal, compare(answer, truth).rung) == (equal, "number")


@pytest.mark.parametrize(
    ("answer", "truth", "equal"),
    [
        ("Evelyn", r"\text{evelyn}", True),
        ("No", "no", True),
        ("blue car", "Blue  Car.", True),
        ("yes", "no", False),
        ("blue", "blue car", False),
    ],
)
def test_words_are_compared_without_regard_to_case(answer: str, truth: str, equal: bool) -> None:
    assert compare(answer, truth).equal is equal


@pytest.mark.parametrize(
    ("answer", "truth", "equal"),
    [
        (r"\sqrt{8}", r"2\sqrt{2}", True),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", True),
        (r"\sin(\pi/12)", r"\frac{\sqrt{6}-\sqrt{2}}{4}", True),
        ("(x+1)^2", "x^2+2x+1", True),
        ("x+1", "x+2", False),
        ("(1,2]", "[1,2]", False),
        ("(1,2)", "(2,1)", False),
        (r"\{1,2\}", r"\{2,1\}", True),
        (r"\begin{bmatrix} 1 \\ 2 \end{bmatrix}", r"\begin{pmatrix} \frac{2}{2} \\ 2 \end{pmatrix}", True),
        ("5 or 6", "5", False),
        ("5, 6", "5", False),
        ("x", "X", False),
        ("R^2 - r^2", "0", False),
        ("1.414214", r"\sqrt{2}", False),
        (r"\frac{1}{2^{1000}}", r"\frac{1}{2^{1001}}", False),
        ("1 + 10^{-20}", "1", False),
        ("1 2", "12", False),
        ("2, 100", "2100", False),
        ("3xy", "3", False),
        ("12abc", "12", False),
        ("5 pi", "5", False),
        ("5 million", "5", False),
        (r"3\sqrt{13}", "3", False),
        (r"2\cdot\frac{1}{2}", r"2\frac{1}{2}", False),
        ("0.333...", "0.333", False),
        ("٥", "5", False),
        (r"5} \boxed{6", "5", False),
        (r"5} \boxed{6", "6", False),
    ],
)
def test_what_is_left_is_decided_symbolically(answer: str, truth: str, equal: bool) -> None:
    verdict = compare(answer, truth)
    assert (verdict.equal, verdict.rung in ("symbolic", "unparseable")) == (equal, True)


@pytest.mark.parametrize("answer", ["", " ", "$$", "."])
def test_an_empty_answer_is_wrong_without_symbolic_work(answer: str) -> None:
    assert (compare(answer, r"\sqrt{2}").equal, compare(answer, "0").rung) == (False, "text")


@pytest.mark.parametrize("length", [MAX_SYMBOLIC_CHARS + 1, MAX_CHARS + 1, 5_000_000])
def test_a_very_long_answer_is_wrong_at_once(length: int) -> None:
    verdict = compare("x" + "1" * length, "x")
    assert (verdict.equal, verdict.rung) == (False, "limit")
    assert len(verdict.detail) < 300


@pytest.mark.parametrize("answer", ["1" * 4_301, "1" * 9_999, "-" * 5_000, "1e" + "9" * 400, "10^" + "9" * 400])
def test_a_huge_number_is_no_arithmetic(answer: str) -> None:
    assert not compare(answer, "1").equal


def test_verdicts_come_in_the_order_of_the_pairs() -> None:
    pairs = [("1", "2"), (r"\sqrt{8}", r"2\sqrt{2}"), ("1", "1"), ("1", "2"), (r"\sqrt{8}", r"3\sqrt{2}")]
    assert [verdict.equal for verdict in compare_all(pairs)] == [False, True, True, False, False]
    assert compare_all([]) == []


def test_a_timeout_is_undecided_and_not_remembered() -> None:
    tight = Budget(seconds=0.05)
    for _ in range(2):
        assert compare(r"9^{9^{9^9}}", r"\sqrt{2}", tight) == Verdict(None, "timeout", "the comparison ran out of time")


numbers = st.one_of(
    st.integers(-(10**9), 10**9).map(str),
    st.fractions(max_denominator=1000).map(str),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**6), max_value=10**6, places=3).map(str),
)


@given(numbers, numbers)
def test_comparing_numbers_is_symmetric(a: str, b: str) -> None:
    assert compare(a, b).equal is compare(b, a).equal


@given(numbers)
@settings(max_examples=50)
def test_comparing_is_reflexive(a: str) -> None:
    assert compare(a, a).equal is True
