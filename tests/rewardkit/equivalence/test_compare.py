"""Specification of rewardkit.equivalence.compare and .check: the policy, row by row and type by type."""

from __future__ import annotations

import runpy
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import pytest

from rewardkit.equivalence.check import check
from rewardkit.equivalence.compare import Comparison, same_choice
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.tree import Node


class Case(NamedTuple):
    """An answer, a gold, and whether they are the same."""

    family: str
    answer: str
    gold: str
    equal: bool


CASES = [
    Case(*row)
    for name in ("policy_cases.py", "found_cases.py")
    for row in runpy.run_path(str(Path(__file__).with_name(name)))["CASES"]
]
NUMBERS = Counter[str]()


def name_of(case: Case) -> str:
    """``units-3-100 cm = 1 m``: the family, the place in it, and the row itself."""
    NUMBERS[case.family] += 1
    return f"{case.family}-{NUMBERS[case.family]}-{case.answer} {'=' if case.equal else '≠'} {case.gold}"


def tree(text: str) -> Node:
    node = read(text).value
    assert node is not None
    return node


def both_ways(one: str, other: str) -> bool | None:
    verdict = check(one, other)
    assert check(other, one).equal is verdict.equal
    return verdict.equal


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_policy_holds_in_both_directions(case: Case) -> None:
    assert check(case.answer, case.gold).equal is case.equal
    assert check(case.gold, case.answer).equal is case.equal


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_every_side_of_the_policy_is_itself_whatever_its_layout(case: Case) -> None:
    for text in (case.answer, case.gold):
        assert check(text, text).equal is True
        assert check(f" {text} ", text).equal is True


@pytest.mark.parametrize(
    ("one", "other", "equal", "rung"),
    [
        ("5", "$5$", True, "text"),
        (r"\dfrac{x}{2}", r"\frac{x}{2}", True, "text"),
        ("", "5", False, "text"),
        ("0.5", "1/2", True, "number"),
        ("5", "6", False, "number"),
        (r"\sqrt{8}", r"2\sqrt{2}", True, "form"),
        ("x+1", "x+2", False, "form"),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2", True, "values"),
        (r"\sin 2x", r"\sin x", False, "values"),
        ("blue", "red", False, "words"),
        ("(C) 42", "C", True, "choice"),
        ("(B) 42", "C", False, "choice"),
        ("(1, 2)", "(2, 1, 3)", False, "structure"),
        ("@#!", "5", False, "unparseable"),
        ("5", "@#!", False, "unparseable reference"),
    ],
)
def test_the_cheapest_rung_that_can_tell_decides(one: str, other: str, equal: bool, rung: str) -> None:
    verdict = check(one, other)
    assert (verdict.equal, verdict.rung) == (equal, rung)


class TestStructures:
    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            ("(1, 2)", "(2/2, 2)", True),
            ("(1, 2)", "(2, 1)", False),
            ("(1, 2)", "[1, 2]", False),
            ("((1, 2), 3)", "((1, 4/2), 3)", True),
            ("((1, 2), 3)", "(1, (2, 3))", False),
            (r"\{1, 2\}", r"\{2, 1\}", True),
            (r"\{1, 1, 2\}", r"\{1, 2, 2\}", True),
            ("1, 1, 2", "1, 2, 2", False),
            (r"\{(1, 2), (3, 4)\}", r"\{(3, 4), (1, 2)\}", True),
            (r"\{\{1\}, \{2\}\}", r"\{\{2\}, \{1\}\}", True),
            (r"\{5\}", "5", True),
            ("1, 2", "2, 1", True),
            ("1, 2, 3", "1, 2", False),
            (r"\{x \mid x > 1\}", r"(1, \infty)", True),
            (r"\{x \mid x > 1\}", r"\{t : t > 1\}", True),
            (r"\{(a, b) \mid a = b\}", r"\{(a, b) \mid a = b \}", True),
            (r"\{1\} \cup (2, 3)", r"(2, 3) \cup \{1\}", True),
            (r"A \cup B", r"B \cup A", True),
            (r"A \setminus B", r"B \setminus A", False),
            (r"\mathbb{R} \setminus \{1\}", r"(-\infty, 1) \cup (1, \infty)", True),
            (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "(1, 2)", False),
            (r"\begin{pmatrix} 1 & 2 \end{pmatrix}^T", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", True),
            (r"2\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 2 \\ 4 \end{pmatrix}", True),
            ("25_6", "25_{6}", True),
            ("25_6", "17", False),
            ("blue", "5", False),
            ("blue", "(1, 2)", False),
        ],
    )
    def test_are_compared_member_by_member(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal

    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            ("x = 1, y = 2", "(1, 2)", True),
            ("x = 1, y = 2", "y = 2, x = 1", True),
            ("x = 1, y = 2", "x = 2, y = 1", False),
            ("x = 1, y = 2", "[1, 2]", False),
            ("x = 1, x = 2", "1, 2", True),
            ("x = 1, 2", r"\{2, 1\}", True),
            ("x = 5", "5 = x", True),
            ("x = y", "5", False),
            ("y = 2x", "2x", True),
            ("f(x) = 2x", "y = 2x", True),
            ("f(x) = 2x", "g(x) = 2x", False),
            ("2 + 3 = 5", "5", True),
            ("2 + 3 = 6", "6", False),
            (r"x = \sqrt2 \approx 1.41", r"\sqrt2", True),
            (r"x = \sqrt2 \approx 1.41", "1.41", False),
            ("x = 1 = 2", "2", False),
            (r"x \in [1, 2]", "[1, 2]", True),
            ("x = x + 1", "x + 1", False),
            (r"\text{Area} = 12\pi", r"12\pi", True),
        ],
    )
    def test_lose_the_names_of_what_they_say(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal

    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            ("y = 2x + 1", "2x - y + 1 = 0", True),
            ("y = 2x + 1", "y - 1 = 2x", True),
            ("y = 2x + 1", "y = 2x - 1", False),
            (r"\frac{x}{2} + \frac{y}{3} = 1", "3x + 2y = 6", True),
            ("x^2 + y^2 = 1", "x^2 + y^2 = 2", False),
            ("x^2 = y^2", "x = y", False),
            ("x < y", "y > x", True),
            ("2x < 2y", "x < y", True),
            ("-x < -y", "x < y", False),
            ("-x < -y", "x > y", True),
            ("x < y", r"x \le y", False),
            ("x < y < z", "z > y > x", True),
            ("x^2 + y^2 < 1", "1 > x^2 + y^2", True),
            ("x^2 + y^2 < 1", "2x^2 + 2y^2 < 2", True),
            (r"x \ne y", r"y \ne x", True),
        ],
    )
    def test_of_relations_are_compared_by_what_they_ask(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal

    def test_of_many_members_are_not_paired_off(self) -> None:
        numbers = [str(n) for n in range(300)]
        one, other = ", ".join(numbers), ", ".join(numbers[::-1])
        assert check(one, other).equal is None
        assert check(one, ", ".join(numbers[:-1])).equal is False
        assert check(one, one).equal is True


class TestQuantities:
    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            ("5 cm", "5", True),
            ("5 cm", "50 mm", True),
            ("5 cm", "5 mm", False),
            ("5 cm", "5 kg", False),
            ("5 apples", "5 pears", False),
            ("5 apples", "5", True),
            (r"1\text{ m}^2", r"10000\text{ cm}^2", True),
            ("$5", "500 cents", True),
            ("3 million dollars", "$3,000,000", True),
            ("3 dozen", "36", True),
            (r"50\%", "0.5", True),
            (r"50\%", "50", True),
            (r"50\%", "5", False),
            (r"50\%", r"0.5\%", False),
            (r"90^\circ", r"\frac{\pi}{2}", True),
            (r"90^\circ", r"\frac{\pi}{2} \text{ radians}", True),
            (r"90^\circ", "90", True),
            (r"90^\circ", r"\frac{\pi}{3}", False),
            (r"\frac{\pi}{2} \text{ radians}", "90 degrees", True),
            ("5:30 am", "5:30 pm", False),
            (r"\pm 5 \text{ cm}", "5, -5", True),
        ],
    )
    def test_are_the_same_amount_of_the_same(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal

    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            ("1:2", "2:4", True),
            ("1:2", r"\frac12", True),
            ("1:2", "0.25", False),
            ("4:2", "2", False),  # a whole number is no ratio
            ("1:2:3", "2:4:6", True),
            ("1:2:3", "2:4:5", False),
            (r"\sqrt2 : 1", r"2 : \sqrt2", True),
            ("12:30", "24:60", False),  # a time of day
            ("1:2", "(1, 2)", False),
        ],
    )
    def test_of_ratios_are_compared_by_proportion(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal


class TestScalars:
    @pytest.mark.parametrize(
        ("one", "other", "equal"),
        [
            (r"\log 100", "2", True),  # ten,
            (r"\log e", "1", True),  # or else e
            (r"\log x", r"\ln x", True),
            (r"\log_2 x", r"\ln x", False),
            (r"\sin 30", r"\sin 30^\circ", False),
            (r"\sqrt{x^2}", "x", False),
            (r"\sqrt[3]{x^3}", "x", True),
            (r"\frac{1}{0}", "0", False),
            (r"\frac{1}{0}", r"\frac{2}{0}", False),
            (r"\frac{x-x}{x-x}", "1", False),
            (r"\infty", "10^{100}", False),
            ("10^{-20}", "0", False),
            (r"\frac{1}{2^{1000}}", r"\frac{1}{2^{1001}}", False),
            (r"\sin x + 10^{-60}", r"\sin x", False),
            (r"\int_0^1 x\,dx", r"\int_0^1 t\,dt", True),
            (r"\int_0^1 f(x)\,dx", "y", False),
        ],
    )
    def test_are_exact(self, one: str, other: str, equal: bool) -> None:
        assert both_ways(one, other) is equal

    @pytest.mark.parametrize(
        ("answer", "truth", "tolerance", "equal"),
        [
            ("0.333", "1/3", Fraction(1, 1000), True),
            ("0.333", "1/3", Fraction(1, 3000), True),
            ("0.333", "1/3", Fraction(1, 3000) - Fraction(1, 10**9), False),
            ("5", "5", Fraction(0), True),
            ("5", "5.0001", Fraction(0), False),
            (r"\sqrt2", "1.4142", Fraction(1, 10**4), True),
            (r"\sqrt2", "1.41", Fraction(1, 10**4), False),
            ("10 cm", "101 mm", Fraction(1), True),
            ("1, 2", "2.01, 0.99", Fraction(1, 50), True),
            ("x", "1.001x", Fraction(1), False),
            ("blue", "blau", Fraction(1), False),
        ],
    )
    def test_within_a_tolerance_are_equal_numbers(
        self, answer: str, truth: str, tolerance: Fraction, equal: bool
    ) -> None:
        assert check(answer, truth, tolerance).equal is equal

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (r"\int_0^1 x^2\,dx", r"\frac13"),
            (r"\lim_{x\to 0} \frac{\sin x}{x}", "1"),
            (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", r"\frac{\pi^2}{6}"),
            (r"(1, \int_0^1 x^2\,dx)", r"(1, \frac13)"),
        ],
    )
    def test_without_a_rule_wait_for_what_lies_beyond(self, one: str, other: str) -> None:
        verdict = check(one, other)
        assert (verdict.equal, verdict.rung) == (None, "symbolic")
        for equal in (True, False, None):
            assert check(one, other, None, lambda a, t, equal=equal: equal).equal is equal  # type: ignore[misc]

    def test_too_large_are_undecided_and_never_sent_beyond(self) -> None:
        def beyond(a: Node, t: Node) -> bool:
            raise AssertionError("a value that is too large for us is too large for sympy")

        verdict = check("9^{9^{9^9}}", r"\sqrt2", None, beyond)
        assert (verdict.equal, verdict.rung) == (None, "limit")


def test_one_comparison_notes_its_last_rung_and_what_it_could_not_decide() -> None:
    comparison = Comparison()
    assert comparison.same(tree("(1, x)"), tree("(1, x+x-x)")) is True
    assert comparison.scalars.rung == "form"
    assert comparison.same(tree(r"\int_0^1 x\,dx"), tree(r"\frac12")) is None
    assert (comparison.scalars.needs_symbolic, comparison.scalars.undecided) == (True, "an integral")


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("(C) 42", "C", True),
        ("C", "(C) 42", True),
        ("(C) 42", "(C) 43", True),
        ("(B) 42", "C", False),
        ("C", "C", None),  # two symbols
        ("42", "C", None),
        ("(C) 42", "42", None),
        ("(C) 42", "x", None),
    ],
)
def test_a_lettered_choice_is_its_letter(answer: str, truth: str, same: bool | None) -> None:
    assert same_choice(answer, read(answer), truth, read(truth)) is same


@pytest.mark.parametrize("text", ["@#! x", r"\unknown{5}", "Ω∇ 5", "1, 2, ..."])
def test_an_unreadable_text_is_equal_to_itself_alone(text: str) -> None:
    verdict = check(text, f"${text}$")
    assert (verdict.equal, verdict.rung) == (True, "text")
    assert both_ways(text, "5") is False


def test_unreadable_texts_of_two_cases_are_one() -> None:
    assert check("Ab @ c", "ab @ C").equal is True
    assert check("ab @ c", "ab @ d").equal is False


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("x" * 20_000, "x"),
        ("(" * 5_000, "1"),
        ("-" * 9_000 + "1", "-1"),
        ("1" * 9_999, "1"),
        ("x" + "°" * 1_500, "x"),
        (r"\frac{1}{" * 300 + "1" + "}" * 300, "1"),
        ("1e" + "9" * 400, "1"),
        ("+".join("x" * 900), "x"),
        ("9" * 400 + "^" + "9" * 400, "1"),
        (", ".join(["1"] * 900), "1"),
    ],
    ids=lambda text: text[:20],
)
def test_texts_made_to_be_hard_are_never_equal_and_raise_nothing(answer: str, truth: str) -> None:
    for one, other in ((answer, truth), (truth, answer)):
        verdict = check(one, other)
        assert not verdict
        assert len(verdict.detail) < 1_000
