"""Specification of rewardkit.equivalence.lexer: one spelling for one thing, and never for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.lexer import MAX_CHARS, MAX_TOKENS, NotMath, lex


def texts(text: str) -> list[str]:
    return [token.text for token in lex(text)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$5$", "5"),
        ("$$5$$", "5"),
        (r"\(5\)", "5"),
        (r"\[5\]", "5"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"\tfrac12", r"\frac12"),
        (r"\left( 1, 2 \right)", "(1,2)"),
        (r"\bigl( x \bigr)", "(x)"),
        (r"\displaystyle x", "x"),
        (r"x \leqslant 3", r"x \le 3"),
        ("x <= 3", r"x \leq 3"),
        ("x >= 3", "x ≥ 3"),
        ("x != 3", r"x \neq 3"),
        ("x**2", "x^2"),
        ("x²", "x^{2}"),
        ("x⁻¹²", "x^{-12}"),
        ("a₁₂", "a_{12}"),
        ("½", r"\frac{1}{2}"),
        ("√2", r"\sqrt 2"),
        ("∛2", r"\sqrt[3]2"),
        ("3×4", r"3 \times 4"),
        ("3·4", r"3 \cdot 4"),
        ("3∗4", "3*4"),
        ("−3", "-3"),
        ("–3", "-3"),
        ("６÷２", "6/2"),
        ("2θ", r"2\theta"),
        ("ϕ", r"\varphi"),
        ("π", "pi"),
        (r"\infty", "oo"),
        ("∞", "infinity"),
        ("ℝ", r"\mathbb{R}"),
        (r"\mathbb R", r"\R"),
        ("1\u00a0+\u200b2", "1 + 2"),
        (r"\lvert x \rvert", "|x|"),
        (r"\lbrace 1 \rbrace", r"\{1\}"),
        (r"x\,y\;z", "x y z"),
        (r"\text{ cm }", r"\text{cm}"),
        (r"\text{19}", "19"),
        ("3 x 10^5", "3*10^5"),
        ("a.m.", "am"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", "\\begin{pmatrix}\n1\\\\2\n\\end{pmatrix}"),
    ],
)
def test_writes_two_looks_of_one_thing_alike(one: str, other: str) -> None:
    assert texts(one) == texts(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"),
        ("2, 100", "2100"),
        ("x", "X"),
        ("1.5", "15"),
        ("-5", "5"),
        ("x3", "x^3"),
        ("x²", "x2"),
        ("x₁", "x1"),
        ("½", "12"),
        ("(1,2]", "[1,2]"),
        (r"\pi r", "pir"),
        (r"\alpha", "a"),
        ("3–5", "3-5"),  # between numbers a dash may be a range
        ("٥", "5"),
        ("3 x 10", "3*10"),  # no power of ten follows: x is a name
    ],
)
def test_keeps_two_things_apart(one: str, other: str) -> None:
    assert texts(one) != texts(other)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("12x", [("num", "12"), ("sym", "x")]),
        ("3.14", [("num", "3.14")]),
        (".5", [("num", ".5")]),
        ("5.", [("num", "5.")]),
        ("1.5e-3", [("num", "1.5e-3")]),
        ("2e", [("num", "2"), ("sym", "e")]),
        ("2ex", [("num", "2"), ("word", "ex")]),
        ("blue", [("word", "blue")]),
        (r"\text{square feet}", [("text", "square feet")]),
        (r"\mathrm{cm}", [("text", "cm")]),
        (r"\mathbf{x}", [("sym", "x")]),
        (r"\operatorname{lcm}", [("text", "lcm")]),
        (r"\frac", [("cmd", "frac")]),
        (r"\alpha", [("sym", "alpha")]),
        (r"\cup", [("op", "∪")]),
        (r"\begin{bmatrix}", [("begin", "bmatrix")]),
        (r"\end{bmatrix}", [("end", "bmatrix")]),
        (r"50\%", [("num", "50"), ("op", "%")]),
        (r"\$5", [("op", "\\$"), ("num", "5")]),
        ("$5", [("op", "\\$"), ("num", "5")]),  # a single dollar is money, two are layout
        (r"\text{\$}5", [("op", "\\$"), ("num", "5")]),
        (r"\{ \}", [("op", "\\{"), ("op", "\\}")]),
        (r"90^\circ", [("num", "90"), ("op", "^"), ("op", "°")]),
        (r"\mathrm{2+3}", [("op", "{"), ("num", "2"), ("op", "+"), ("num", "3"), ("op", "}")]),
    ],
)
def test_tells_the_kinds_apart(text: str, tokens: list[tuple[str, str]]) -> None:
    assert [(token.kind, token.text) for token in lex(text)] == tokens


@pytest.mark.parametrize(
    "text", ["1,234", "1{,}234", r"1,\!234", r"1\,234", r"1\;234", "1 234", "1~234", "12,345.67", "1,234,567"]
)
def test_separators_of_thousands_stay_within_a_number(text: str) -> None:
    assert [token.kind for token in lex(text)] == ["num"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1, 234", ["1", "234"]),
        ("1,2,3", ["1", "2", "3"]),
        ("1,23", ["1", "23"]),
        ("1,2345", ["1", "2345"]),
        ("0,123", ["0", "123"]),
        ("1234,567", ["1234", "567"]),
        ("(1,234)", ["1", "234"]),  # in brackets a comma parts a pair
        (r"\{1,234\}", ["1", "234"]),
        ("(1, 2,345)", ["1", "2,345"]),  # unless the commas between items have a space
        (r"(1{,}234)", ["1{,}234"]),
    ],
)
def test_other_commas_part_numbers(text: str, numbers: list[str]) -> None:
    assert [token.text for token in lex(text) if token.kind == "num"] == numbers


@pytest.mark.parametrize("text", ["1 x", "1\tx", r"1\,x", r"1\ x", r"1\quad x", "1~x", r"1$ $x"])
def test_notes_the_space_before_a_token(text: str) -> None:
    assert [token.spaced for token in lex(text)] == [False, True]
    assert [token.spaced for token in lex("1x")] == [False, False]


def test_refuses_texts_that_are_too_long() -> None:
    assert len(lex("x" + " " * (MAX_CHARS - 1))) == 1
    with pytest.raises(NotMath, match=f"longer than {MAX_CHARS} characters"):
        lex("x" * (MAX_CHARS + 1))
    assert len(lex("+" * MAX_TOKENS)) == MAX_TOKENS
    with pytest.raises(NotMath, match=f"more than {MAX_TOKENS} tokens"):
        lex("+" * (MAX_TOKENS + 1))


PIECES = ["1", "2", "000", " ", ",", ".", "x", "ab", "$", "{", "}", "-", r"\pi", r"\frac{1}{2}", r"\text{cm}", r"\!"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_keeps_digits_in_order(text: str) -> None:
    assert [c for c in "".join(texts(text)) if c.isdigit()] == [c for c in text if c.isdigit()]


@given(st.text(max_size=200))
def test_reads_any_text_without_another_error(text: str) -> None:
    assert all(token.text for token in lex(text))
