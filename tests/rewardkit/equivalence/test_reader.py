"""Specification of rewardkit.equivalence.reader and .answers: what a text says."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.answers import Reader
from rewardkit.equivalence.canonical import canonical
from rewardkit.equivalence.lexer import MAX_CHARS, lex
from rewardkit.equivalence.plain_language import choice
from rewardkit.equivalence.reader import as_list, read
from rewardkit.equivalence.tree import (
    INFINITY,
    MINUS_ONE,
    Builder,
    Call,
    Collection,
    Matrix,
    Node,
    Number,
    Numeral,
    Product,
    Quantity,
    Ratio,
    Relation,
    SetOperation,
    Sum,
    Symbol,
    Tuple,
    Words,
    negative,
)
from rewardkit.equivalence.units import read_unit

A, B, X, Y = map(Symbol, "abxy")
ZERO, ONE, TWO, THREE, FOUR = map(Number, range(5))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", Number(5)),
        ("x", X),
        ("(5)", Number(5)),
        ("[5]", Number(5)),
        ("(1, 2)", Tuple((ONE, TWO))),
        (r"\langle 1, 2 \rangle", Tuple((ONE, TWO))),
        ("(1, 2, 3)", Tuple((ONE, TWO, THREE))),
        ("[1, 2)", Tuple((ONE, TWO), "[)")),
        ("]1, 2]", Tuple((ONE, TWO), "(]")),
        (r"(-\infty, 2]", Tuple((negative(INFINITY), TWO), "(]")),
        ("1, 2", Collection((ONE, TWO))),
        ("1; 2", Collection((ONE, TWO))),
        ("1, 2, and 3", Collection((ONE, TWO, THREE), "and")),
        (r"1 \text{ or } 2", Collection((ONE, TWO), "or")),
        (r"x = 1 \lor x = 2", Collection((Relation((X, ONE), ("=",)), Relation((X, TWO), ("=",))), "or")),
        (r"\{1, 2\}", Collection((ONE, TWO), braces=True)),
        (r"\{\}", Symbol("∅")),
        ("(1, 2), (3, 4)", Collection((Tuple((ONE, TWO)), Tuple((THREE, FOUR))))),
        (r"[1, 2] \cup (3, 4)", SetOperation("∪", (Tuple((ONE, TWO), "[]"), Tuple((THREE, FOUR))))),
        (r"\mathbb{R} \setminus \{1\}", SetOperation("∖", (Symbol("ℝ"), Collection((ONE,), braces=True)))),
        (r"\{x \mid x > 1\}", Builder(X, Relation((X, ONE), (">",)))),
        (r"\{x : x > 1\}", Builder(X, Relation((X, ONE), (">",)))),
        ("x = 5", Relation((X, Number(5)), ("=",))),
        ("1 < x < 2", Relation((ONE, X, TWO), ("<", "<"))),
        (r"x \in [1, 2]", Relation((X, Tuple((ONE, TWO), "[]")), ("∈",))),
        ("1:2", Ratio((ONE, TWO))),
        ("1:2:3", Ratio((ONE, TWO, THREE))),
        ("12:30", Ratio((Number(12), Number(30)), clock=True)),
        ("25_6", Numeral("25", 6)),
        ("5 cm", Quantity(Number(5), read_unit("cm"))),
        (r"5 \text{ square feet}", Quantity(Number(5), read_unit("ft^2"))),
        (r"5\text{ ft}^2", Quantity(Number(5), read_unit("ft^2"))),
        (r"5 \text{ m/s}", Quantity(Number(5), read_unit("m/s"))),
        (r"5\text{ m}/\text{s}^2", Quantity(Number(5), read_unit("m/s^2"))),
        (r"5\text{ m} \cdot \text{s}", Quantity(Number(5), read_unit("m s"))),
        ("18 red apples", Quantity(Number(18), read_unit("red apples"))),
        (r"3\pi\text{ cm}", Quantity(Product((THREE, Symbol("π"))), read_unit("cm"))),
        ("$5", Quantity(Number(5), read_unit("dollars"))),
        ("5 €", Quantity(Number(5), read_unit("euros"))),
        ("-$5", Quantity(Number(-5), read_unit("dollars"))),
        ("20 percent", Call("percent", (Number(20),))),
        ("3 million", Product((THREE, Number(10**6)))),
        ("3 million dollars", Quantity(Product((THREE, Number(10**6))), read_unit("dollars"))),
        (r"\begin{pmatrix} 1 \\ x \end{pmatrix}", Matrix(((ONE,), (X,)))),
        ("blue", Words("blue")),
        (r"\text{Blue  Car.}", Words("blue car")),
        ("No solution", Words("no solution")),
        ("mother-in-law's", Words("mother-in-law's")),
        (r"\text{x}", X),
    ],
)
def test_reads_what_is_written(text: str, value: Node) -> None:
    assert read(text).value == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("(1,2)", "(1,2)"), ("1, 2,", "1, 2"), ("5.", "5"), ("5;", "5"), ("x = 5.", "x = 5"), (" 5\n", "5")],
)
def test_a_stop_at_the_end_says_nothing(text: str, value: str) -> None:
    assert read(text).value == read(value).value


@pytest.mark.parametrize(
    "text",
    [
        "5 apples or so more",
        r"5 \text{ to } 6",
        "5 percent of 80",
        "5 squared",
        "0.333...",
        "1, 2, ...",
        "1 2",
        "5 =",
        "1, , 2",
        "(1, 2",
        "[1)",
        r"\{1, 2",
        r"\{x | \}",
        r"5\text{ m}/",
        r"5\text{ m}^{x}",
        r"5\text{ m}^{99}",
        r"x \cup",
        ": 1",
        "$(1, 2)",
        "@#!",
        "٥",
    ],
)
def test_says_why_a_text_is_no_answer(text: str) -> None:
    reading = read(text)
    assert (reading.value, bool(reading.form), bool(reading.problem)) == (None, True, True)


@pytest.mark.parametrize("text", ["", " ", "$$", ".", ",", r"\left\right", r"\,"])
def test_a_text_of_layout_says_nothing(text: str) -> None:
    reading = read(text)
    assert (reading.form, reading.value, reading.problem) == ("", None, "nothing is written there")


def test_a_longer_text_than_any_answer_is_not_read() -> None:
    text = " x" + "1" * MAX_CHARS
    assert read(text).value is None
    assert (read(text).form, read(text).problem) == (text.strip(), f"longer than {MAX_CHARS} characters")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"P(X = 2) = 5", Number(5)),
        (r"P(A \cap B) = 12\pi", Product((Number(12), Symbol("π")))),
    ],
)
def test_an_unreadable_label_names_a_value(text: str, value: Node) -> None:
    relation = read(text).value
    assert isinstance(relation, Relation)
    label, found = relation.sides
    assert (isinstance(label, Symbol) and label.name.startswith("“"), found) == (True, value)


@pytest.mark.parametrize("text", ["@ = @", "@#! = 5", "a @ = b = 5", "a @ ="])
def test_anything_else_with_an_equals_sign_is_unreadable(text: str) -> None:
    assert read(text).value is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (" x. ", "x"),
        ("5,", "5"),
        ("$x$", "x"),
        ("(2, 100)", "(2,100)"),
        ("1{,}000", "1,000"),
        (r"1,\!000", "1 000"),
        (r"\mathrm{cm}", r"\text{ cm }"),
        (r"90^\circ", "90^°"),
        (r"50\%", "50%"),
        (r"3 \cdot i", "3*i"),
        (r"x \, y", "x y"),
        ("a b", "ab"),
    ],
)
def test_layout_leaves_no_trace_in_the_form(one: str, other: str) -> None:
    assert read(one).form == read(other).form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"),
        ("1 1/2", "11/2"),
        ("x_1 2", "x_12"),
        ("2, 100", "2100"),
        ("(1,234)", "(1234)"),
        ("blue car", "bluecar"),
        ("1.5", "15"),
        ("-5", "5"),
        ("x", "X"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
        (r"x^{12}", r"x^{1}2"),
    ],
)
def test_the_form_keeps_two_things_apart(one: str, other: str) -> None:
    assert read(one).form != read(other).form


def slowly(text: str) -> Node:
    """Without the short cuts for plain numbers."""
    return Reader(lex(text)).answer()


@given(
    st.integers(-(10**12), 10**12).flatmap(lambda n: st.sampled_from([str(n), f"{n:,}", f"+{abs(n)}"]))
    | st.decimals(min_value=-(10**6), max_value=10**6, places=4, allow_nan=False).map(lambda d: f"{d:f}")
    | st.fractions().map(lambda f: f"{f.numerator}/{f.denominator}")
    | st.tuples(st.sampled_from(["", "-"]), st.integers(-999, 999), st.integers(1, 999)).map(
        lambda parts: r"{}\dfrac{{{}}}{{{}}}".format(*parts)
    )
)
def test_the_short_cuts_for_plain_numbers_read_as_the_parser_does(text: str) -> None:
    assert read(text).value == slowly(text)


@given(st.text(max_size=60))
def test_reads_any_text_without_an_error(text: str) -> None:
    reading = read(text)
    assert (reading.value is None) == bool(reading.problem)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("70,110", (70, 110)),
        ("1,234,567", (1, 234, 567)),
        ("1234", None),
        ("1,23", None),
        ("0,123", None),
        ("-1,234", None),
        ("1,234.5", None),
        ("1,2", None),
        ("1" + ",000" * 10, None),
    ],
)
def test_plain_commas_between_three_digits_may_part_a_list(text: str, numbers: tuple[int, ...] | None) -> None:
    assert as_list(text) == (None if numbers is None else Collection(tuple(map(Number, numbers))))


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("(C)", "C"),
        ("(C) 42", "C"),
        ("C. x = 42", "C"),
        ("C) 42", "C"),
        ("C: 42", "C"),
        (r"\text{(C)}", "C"),
        (r"\textbf{(C)}\ 3\sqrt{2}", "C"),
        ("$C. 42$", "C"),
        ("C", None),  # a letter alone is a symbol
        ("(c) 42", None),
        ("42", None),
        ("A, C", None),
        ("(A)(C)", None),
        ("(A) or (C)", None),
        ("A. or C.", None),
        ("C. A and B", None),
        ("(C) " + "x" * 500, None),
    ],
)
def test_a_choice_is_one_letter_with_its_text(text: str, letter: str | None) -> None:
    assert choice(text) == letter


def test_canonical_sets_words_apart() -> None:
    assert canonical(lex("5 red  apples")) == "5 red apples"
    assert canonical(lex("1 1/2")) == "1 1/2"
    assert canonical(lex(r"\left( 1 , 2 \right)")) == "(1,2)"


def test_nested_sets_of_words_and_relations_are_read_whole() -> None:
    inner = Sum((Product((TWO, X)), ONE))
    assert read("y = 2x + 1, y = a").value == Collection((Relation((Y, inner), ("=",)), Relation((Y, A), ("=",))))
    assert read("f(x) = -x").value == Relation((Call("f", (X,)), Product((MINUS_ONE, X))), ("=",))
    assert read(r"\{(a, b), (b, a)\}").value == Collection((Tuple((A, B)), Tuple((B, A))), braces=True)
    assert read("0.5").value == Number(Fraction(1, 2))


@pytest.mark.parametrize(
    "text", ["not x = 5", "x, = 5", "((( x = 5", "x+ = 5", r"3x+\foo{y} = 5", r"\text{maybe } x = 5"]
)
def test_what_is_no_label_names_nothing(text: str) -> None:
    assert read(text).value is None


@pytest.mark.parametrize(
    "text", ["= 5", "**5**", r"\boxed{5}", r"\boxed{\boxed{5}}", r"\fbox{ 5 }", r"\approx 5", r"5\\"]
)
def test_a_frame_around_a_value_says_nothing(text: str) -> None:
    assert read(text).value == Number(5)
