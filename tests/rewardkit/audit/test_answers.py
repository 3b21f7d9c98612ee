"""Specification of rewardkit.audit.answers: wrong answers that look right, luck, references with two readings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import equivalent
from rewardkit.audit.answers import accepted, ambiguity, is_lucky, unreadable, wrong_answer


@pytest.mark.parametrize(
    ("cell", "golds"),
    [("4", ("4",)), (4, ("4",)), (["4", 2.5], ("4", "2.5")), (None, ()), (" ", ()), ([None, ""], ()), (0, ("0",))],
)
def test_references_of_a_cell(cell: Any, golds: tuple[str, ...]) -> None:
    assert accepted(cell) == golds


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ("18", "28"),
        ("9", "1"),
        ("0", "1"),
        ("1,250", "2,250"),
        ("-3", "-4"),
        ("0.5", "1.5"),
        (r"3\sqrt{13}", r"3\sqrt{23}"),
        (r"\frac{1}{2}", r"\frac{1}{3}"),
        ("x", "y"),
        ("Paris", "Parix"),
    ],
)
def test_a_wrong_answer_has_the_form_of_the_right_one(answer: str, wrong: str) -> None:
    assert wrong_answer(answer, [answer]) == wrong


def test_a_wrong_answer_of_a_choice_is_another_option() -> None:
    assert [wrong_answer(o, [o], options=("yes", "no", "maybe")) for o in ("yes", "maybe")] == ["no", "yes"]
    assert wrong_answer("A", ["A", "B"], options="ABC") == "C"


def test_a_word_is_replaced_by_another_row_s() -> None:
    assert wrong_answer("Paris", ["Paris"], others=["paris", "Rome"]) == "Rome"
    assert wrong_answer("it is " * 9 + "4", ["4"], others=["it is no " * 9]) == "it is no " * 9


def test_there_may_be_none() -> None:
    assert wrong_answer("∞", ["∞"]) is None


@given(st.one_of(st.integers(-(10**9), 10**9).map(str), st.decimals(-1000, 1000, places=3).map(str)))
@settings(max_examples=60, deadline=None)
def test_a_wrong_number_is_never_equal(answer: str) -> None:
    wrong = wrong_answer(answer, [answer])
    assert wrong is not None
    assert equivalent(wrong, answer).equal is False
    assert len(wrong) == len(answer)


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "It is 5.",
        "5 or 6 or 7",
        "7 or 6 or 5",
        r"\boxed{5} no \boxed{6}",
        r"\boxed{6} no \boxed{10/2}",
        r"<think>5</think> \boxed{6}",
        r"<think>9</think>5, 6",
        "<answer>5</answer><answer>6</answer>",
        "#### 5",
        r"\boxed{4 or 5}",
        "5" + " word" * 50_000,
        "word " * 50_000 + "5",
    ],
)
def test_what_is_answered_first_or_last_may_be_right_by_luck(text: str) -> None:
    assert is_lucky(text, ["5"])


@pytest.mark.parametrize("text", ["", "6", "4 or 5 or 6", r"\boxed{4} \boxed{5} \boxed{6}", "word " * 100_000, "15"])
def test_what_stands_between_is_no_luck(text: str) -> None:
    assert not is_lucky(text, ["5"])


def test_luck_holds_for_letters_and_for_any_reference() -> None:
    assert is_lucky("A or B or C", ["C"])
    assert is_lucky("<answer>a</answer>", ["A"])
    assert not is_lucky("A or B or C", ["B"])
    assert is_lucky(r"\boxed{0.5}", ["7", "1/2"])
    assert is_lucky("So 18", ["9 * 2 = 18\n#### 18"])


@pytest.mark.parametrize(
    ("gold", "doubt"),
    [
        ("70,110", "70,110 is a number, and the list 70, 110 where the answer is one"),
        ("#### 2,125", "2,125 is a number, and the list 2, 125"),
        ("4 or 5", "it lists 2 values, and all of them are asked for; where one is enough, make it a list of 2"),
        ("1 or 2 or 3", "it lists 3 values"),
        (r"\boxed{1} then \boxed{2}", "it has 2 boxes with different answers; the last counts"),
    ],
)
def test_ambiguous_references(gold: str, doubt: str) -> None:
    assert ambiguity(gold).startswith(doubt)


@pytest.mark.parametrize(
    "gold",
    [
        "18",
        "1,000",
        "1, 2, 3",
        r"\{1, 2\}",
        "(1, 2)",
        "x = 5",
        "Paris",
        "yes and no",
        r"\boxed{0.5} = \boxed{1/2}",
        "5 cm",
    ],
)
def test_references_with_one_reading(gold: str) -> None:
    assert ambiguity(gold) == ""


def test_references_that_cannot_be_read() -> None:
    assert unreadable(r"\begin{cases}1\\2\end{cases}") == "equal to itself only: the environment cases"
    assert unreadable(r"so \boxed{2}") == ""
