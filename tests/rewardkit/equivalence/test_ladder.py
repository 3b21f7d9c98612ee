"""Specification of rewardkit.equivalence.ladder: which rung decides, and that it decides rightly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.equivalence import Budget, Verdict, compare, compare_all, ladder
from rewardkit.equivalence.ladder import exact_tolerance
from rewardkit.equivalence.lexer import MAX_CHARS

PATIENT = Budget(seconds=30.0)
"""On a busy machine a comparison of milliseconds takes longer."""
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
    for answer in (gold, f" {gold} "):
        assert (compare(answer, gold).equal, compare(answer, gold).rung) == (True, "text")
    assert compare(f"${gold}$", gold).equal is True


@pytest.mark.parametrize("others", [GOLDS[:8]])
def test_no_gold_equals_another(others: list[str]) -> None:
    values = {"0.5": "half", r"\frac{1}{2}": "half", "50\\%": "half"}
    for a in others:
        for b in others:
            assert compare(a, b).equal is (values.get(a, a) == values.get(b, b))


@pytest.mark.parametrize(
    ("answer", "truth", "equal", "rung"),
    [
        ("0.5", "1/2", True, "number"),
        ("1,000", "1000", True, "text"),
        ("1 1/2", "3/2", True, "number"),
        ("1 1/2", "11/2", False, "number"),
        (r"1\frac{1}{2}", "11/2", False, "number"),
        ("0.3333333333333333", "1/3", False, "number"),
        ("5", "6", False, "number"),
        (r"\sqrt{8}", r"2\sqrt{2}", True, "form"),
        (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", True, "form"),
        (r"\sin(\pi/12)", r"\frac{\sqrt{6}-\sqrt{2}}{4}", True, "form"),
        ("(x+1)^2", "x^2+2x+1", True, "form"),
        ("x+1", "x+2", False, "form"),
        ("1.414214", r"\sqrt{2}", False, "form"),
        (r"\frac{1}{2^{1000}}", r"\frac{1}{2^{1001}}", False, "form"),
        ("1 + 10^{-20}", "1", False, "form"),
        (r"\sin^2 x + \cos^2 x", "1", True, "values"),
        (r"\sin 2x", r"2\sin x", False, "values"),
        ("(1,2]", "[1,2]", False, "structure"),
        ("yes", "no", False, "words"),
        ("(C) 42", "C", True, "choice"),
        ("1 2", "12", False, "unparseable"),
        ("٥", "5", False, "unparseable"),
        (r"5} \boxed{6", "5", False, "unparseable"),
        (r"\int_0^1 x^2\,dx", r"\frac13", True, "symbolic"),
        (r"\int_0^1 x^2\,dx", r"\frac12", False, "symbolic"),
        (r"\lim_{x \to 0} \frac{\sin x}{x}", "1", True, "symbolic"),
        (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", r"\frac{\pi^2}{6}", True, "symbolic"),
    ],
)
def test_the_cheapest_rung_that_can_tell_decides(answer: str, truth: str, equal: bool, rung: str) -> None:
    verdict = compare(answer, truth, PATIENT)
    assert (verdict.equal, verdict.rung) == (equal, rung)


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
    ("answer", "truth"),
    [
        ("5 or 6", "5"),
        ("5, 6", "5"),
        ("x", "X"),
        ("R^2 - r^2", "0"),
        ("2, 100", "2100"),
        ("3xy", "3"),
        ("12abc", "12"),
        ("5 pi", "5"),
        ("5 million", "5"),
        (r"3\sqrt{13}", "3"),
        (r"2\cdot\frac{1}{2}", r"2\frac{1}{2}"),
        ("0.333...", "0.333"),
        (r"5} \boxed{6", "6"),
        ("10 cm", "10 miles"),
        ("25_6", "25_7"),
    ],
)
def test_a_near_miss_is_wrong(answer: str, truth: str) -> None:
    assert compare(answer, truth).equal is compare(truth, answer).equal is False


@pytest.mark.parametrize("answer", ["", " ", "$$", "."])
def test_an_empty_answer_is_wrong_without_symbolic_work(answer: str) -> None:
    assert (compare(answer, r"\sqrt{2}").equal, compare(answer, "0").rung) == (False, "text")


@pytest.mark.parametrize("length", [MAX_CHARS + 1, 5_000_000])
def test_a_very_long_answer_is_wrong_at_once(length: int) -> None:
    verdict = compare("x" + "1" * length, "x")
    assert (verdict.equal, verdict.rung) == (False, "unparseable")
    assert len(verdict.detail) < 300


@pytest.mark.parametrize("answer", ["1" * 4_301, "1" * 9_999, "-" * 5_000, "1e" + "9" * 400, "10^" + "9" * 400])
def test_a_huge_number_is_no_arithmetic(answer: str) -> None:
    assert not compare(answer, "1").equal


def test_verdicts_come_in_the_order_of_the_pairs() -> None:
    pairs = [("1", "2"), (r"\sqrt{8}", r"2\sqrt{2}"), ("1", "1"), ("1", "2"), (r"\sqrt{8}", r"3\sqrt{2}")]
    assert [verdict.equal for verdict in compare_all(pairs)] == [False, True, True, False, False]
    assert compare_all([]) == []


def test_equal_pairs_are_decided_once_and_remembered() -> None:
    pair = (r"\int_0^1 x^4\,dx", r"\frac15")
    first, second = compare_all([pair, pair], PATIENT)
    assert first is second
    assert compare(*pair, PATIENT) is first


def test_a_timeout_is_undecided_and_not_remembered() -> None:
    tight, pair = Budget(seconds=0.001), (r"\int_0^\infty e^{-x^2}\,dx", r"\frac{\sqrt{\pi}}{2}")
    for _ in range(2):
        assert compare(*pair, tight) == Verdict(None, "timeout", "the comparison ran out of time")
    assert compare(*pair, PATIENT).equal is True


@pytest.mark.parametrize("answer", [r"9^{9^{9^9}}", r"\sin(10^{10^{10}})"])
def test_what_is_too_large_is_undecided_without_a_worker(answer: str) -> None:
    verdict = compare(answer, r"\sqrt{2}", Budget(seconds=0.001))
    assert (verdict.equal, verdict.rung) == (None, "limit")


def test_a_tolerance_reaches_every_pair() -> None:
    pairs = [("0.333", "1/3"), (r"\sqrt2", "1.414"), ("5", "6")]
    assert [verdict.equal for verdict in compare_all(pairs, tolerance=0.001)] == [True, True, False]
    assert [verdict.equal for verdict in compare_all(pairs)] == [False, False, False]


@pytest.mark.parametrize(
    ("tolerance", "exact"), [(None, None), (0, Fraction(0)), (0.5, Fraction(1, 2)), (3, Fraction(3))]
)
def test_a_tolerance_is_exact(tolerance: float | None, exact: Fraction | None) -> None:
    assert exact_tolerance(tolerance) == exact


@pytest.mark.parametrize("tolerance", [-0.5, float("inf"), float("nan")])
def test_a_tolerance_is_a_finite_number(tolerance: float) -> None:
    with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got"):
        compare_all([], tolerance=tolerance)


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


def test_a_defect_of_the_check_is_said_and_has_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Verdict:
        raise KeyError("a case nobody thought of")

    monkeypatch.setattr(ladder, "check", broken)
    with pytest.warns(RuntimeWarning, match="please report this"):
        verdict = compare("1" * 300, "2")
    assert (verdict.equal, verdict.rung) == (None, "error")
    assert "a case nobody thought of" in verdict.detail
