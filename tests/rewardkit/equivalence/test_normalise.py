"""Specification of rewardkit.equivalence.normalise: one spelling for one thing, and never for two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.normalise import MAX_CHARS, is_words, normal_form

PIECES = ["1", "2", "000", " ", ",", ".", "x", "ab", "$", "{", "}", "-"]
PIECES += [r"\pi", r"\frac{1}{2}", r"\text{cm}", r"\,", r"\!"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("$5$", "5"),
        ("$$5$$", "5"),
        (r"\(5\)", "5"),
        (r"\[5\]", "5"),
        (" 5. ", "5"),
        ("5,", "5"),
        (r"\dfrac{1}{2}", r"\frac{1}{2}"),
        (r"\tfrac12", r"\frac12"),
        (r"\left( 1, 2 \right)", "(1,2)"),
        (r"x \leq 3", r"x \leqslant 3"),
        (r"x \le 3", r"x\leq3"),
        (r"x ≥ 3", r"x \geqslant 3"),
        (r"\text{Blue}", "Blue"),
        (r"\mathrm{cm}", r"\text{ cm }"),
        (r"90^\circ", "90"),
        (r"90^{\circ}", "90°"),
        ("1{,}000", "1,000"),
        (r"1,\!000", "1,000"),
        (r"50\%", "50%"),
        (r"3 \cdot i", "3i"),
        ("3*pi", r"3\pi"),
        ("2√3", r"2\sqrt{3}"),
        ("−3", "-3"),
        ("５", "5"),
        (r"x\,y", "x y"),
        (r"\begin{pmatrix} 1 \\ -2 \end{pmatrix}", "\\begin{pmatrix}\n1 \\\\\n-2\n\\end{pmatrix}"),
        (r"\displaystyle \frac{1}{2}", r"\frac{1}{2}"),
        (r"\lvert x \rvert", "|x|"),
        ("(2, 100)", "(2,100)"),
    ],
)
def test_writes_two_looks_of_one_thing_alike(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1 2", "12"),
        (r"1\ 2", "12"),
        (r"1\;2", "12"),
        (r"\pi r", r"\pir"),
        (r"\pi\,r", r"\pir"),
        (r"\pi\!r", r"\pir"),
        ("1 1/2", "11/2"),
        ("2, 100", "2,100"),
        ("x", "X"),
        ("0.333...", "0.333"),
        (r"2 \cdot \frac{1}{2}", r"2\frac{1}{2}"),
        (r"\log_2 8", r"\log_28"),
        ("(1,2]", "[1,2]"),
        ("a b", "ab"),
        ("-5", "5"),
        ("1.5", "15"),
        (r"\begin{pmatrix} 1 \\ -2 \end{pmatrix}", r"\begin{pmatrix} 1 & -2 \end{pmatrix}"),
    ],
)
def test_keeps_two_things_apart(one: str, other: str) -> None:
    assert normal_form(one) != normal_form(other)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_keeps_digits_and_letters_in_order(text: str) -> None:
    def kept(s: str) -> str:
        return "".join(c for c in s.replace(r"\text", "") if c.isalnum())

    assert kept(normal_form(text)) == kept(text)


@given(st.text())
def test_never_raises_and_ends_trimmed(text: str) -> None:
    assert normal_form(text) == normal_form(text).strip().rstrip(";,")


def test_leaves_very_long_texts_as_they_are() -> None:
    text = "$ " * MAX_CHARS
    assert normal_form(text) is text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("blue", True),
        ("Blue car", True),
        ("mother-in-law's", True),
        ("Ελλάδα", True),
        ("x", False),
        ("x-y", False),
        ("5 cars", False),
        (r"\pi", False),
        ("", False),
        ("a_b", False),
    ],
)
def test_words_are_letters_with_more_than_single_symbols(text: str, words: bool) -> None:
    assert is_words(text) is words
