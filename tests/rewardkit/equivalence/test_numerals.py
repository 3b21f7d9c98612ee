"""Specification of rewardkit.equivalence.numerals: exact values of numbers as people write them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.answers import Reader
from rewardkit.equivalence.check import check
from rewardkit.equivalence.lexer import NotMath, lex
from rewardkit.equivalence.numerals import MAX_DIGITS, MAX_EXPONENT, decimal, integer
from rewardkit.equivalence.tree import Node, Number, Numeral


def parsed(text: str) -> Node:
    return Reader(lex(text)).answer()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("007", 7),
        ("-3", -3),
        ("+3", 3),
        ("1.50", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", 5),
        ("1,000", 1000),
        ("1{,}000", 1000),
        (r"1,\!000,\!000", 10**6),
        (r"12\,345", 12345),
        ("5 050", 5050),
        ("1,234.5", Fraction(12345, 10)),
        ("2.5e3", 2500),
        ("1E-2", Fraction(1, 100)),
        ("1,000e2", 10**5),
        (r"\frac{1}{2}", Fraction(1, 2)),
        (r"\frac12", Fraction(1, 2)),
        ("1/2", Fraction(1, 2)),
        ("1.5/2", Fraction(3, 4)),
        ("4/2", 2),
        (f"1e{MAX_EXPONENT}", 10**MAX_EXPONENT),
        (f"1e-{MAX_EXPONENT}", Fraction(1, 10**MAX_EXPONENT)),
        ("1" + "0" * (MAX_DIGITS - 1), 10 ** (MAX_DIGITS - 1)),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)
def test_literals_have_exact_values(text: str, value: int | Fraction) -> None:
    assert parsed(text) == Number(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"2\frac12", Fraction(5, 2)),
        (r"2\frac{1}{2}", Fraction(5, 2)),
        (r"2 \frac{1}{2}", Fraction(5, 2)),
        ("2 1/2", Fraction(5, 2)),
        ("-2 1/2", Fraction(-5, 2)),
        (r"-1\frac34", Fraction(-7, 4)),
        ("11/2", Fraction(11, 2)),
    ],
)
def test_a_whole_number_with_a_proper_fraction_is_mixed(text: str, value: Fraction) -> None:
    assert parsed(text) == Number(value)


@pytest.mark.parametrize("text", [r"2\frac32", r"2\frac{x}{2}", r"2\cdot\frac12", r"2(1/2)"])
def test_any_other_product_with_a_fraction_is_a_product(text: str) -> None:
    assert not isinstance(parsed(text), Number)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"0.\overline{3}", Fraction(1, 3)),
        (r"0.1\overline{6}", Fraction(1, 10) + Fraction(6, 90)),
        (r"1.\overline{09}", 1 + Fraction(9, 99)),
        (r"0.\overline{142857}", Fraction(1, 7)),
        (r"0.\overline{9}", 1),
        (r"12.5\overline{0}", Fraction(25, 2)),
        (r"-0.\overline{6}", Fraction(-2, 3)),
    ],
)
def test_a_bar_repeats_its_digits(text: str, value: Fraction) -> None:
    assert parsed(text) == Number(value)


@pytest.mark.parametrize(
    ("text", "digits", "base"),
    [
        ("25_6", "25", 6),
        ("25_{6}", "25", 6),
        (r"25_{\text{6}}", "25", 6),
        ("(1101)_2", "1101", 2),
        ("0011_2", "11", 2),
        ("0_2", "0", 2),
        ("77_{36}", "77", 36),
    ],
)
def test_a_subscript_is_a_base(text: str, digits: str, base: int) -> None:
    assert parsed(text) == Numeral(digits, base)


def test_base_ten_is_no_other_base() -> None:
    assert parsed("25_{10}") == Number(25)


@pytest.mark.parametrize(
    "text",
    [
        "1 2",
        "1.2.3",
        "1 3/2",
        "0.333...",
        "29_6",
        "2_2",
        "25_1",
        "25_{37}",
        "25_{x}",
        "25_{066}",
        "٥",
        "²",
        r"0.\overline{x}",
        r"0.\overline{}",
        f"1e{MAX_EXPONENT + 1}",
        f"1e-{MAX_EXPONENT + 1}",
        "1e999999999",
        "1" * (MAX_DIGITS + 1),
        "0." + "1" * MAX_DIGITS,
    ],
    ids=lambda text: text[:20],
)
def test_refuses_what_is_no_number_or_too_long_for_one(text: str) -> None:
    with pytest.raises(NotMath):
        parsed(text)


def test_integers_longer_than_python_reads_are_read_in_two_parts() -> None:
    for digits in (4_000, 4_001, 4_301, MAX_DIGITS):
        assert integer("9" * digits) == 10**digits - 1
    assert decimal("12.50") == Fraction(25, 2)


rationals = st.fractions(max_denominator=10**6).filter(lambda f: abs(f) < 10**12)


@given(rationals, st.sampled_from(["{n}/{d}", r"\frac{{{n}}}{{{d}}}", r"$\dfrac{{{n}}}{{{d}}}$"]))
def test_fractions_keep_their_value(value: Fraction, template: str) -> None:
    assert parsed(template.format(n=value.numerator, d=value.denominator)) == Number(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**15, places=6))
def test_decimals_keep_their_value_with_and_without_separators(value: Decimal) -> None:
    for text in (f"{value:f}", f"{value:,f}"):
        assert parsed(text) == Number(Fraction(value))


@given(st.integers(0, 10**9), st.integers(1, 50), st.integers(1, 50))
def test_a_mixed_number_adds_its_fraction(whole: int, a: int, b: int) -> None:
    top, bottom = min(a, b), max(a, b) + 1
    for text in (rf"{whole}\frac{{{top}}}{{{bottom}}}", f"{whole} {top}/{bottom}"):
        assert parsed(text) == Number(whole + Fraction(top, bottom))


@pytest.mark.parametrize(
    "text", [r"7{1\over", r"7{1\over}", r"7{\over 2}", r"7{1\over x}", "7 1/", r"7\frac", r"7\frac1"]
)
def test_half_a_mixed_number_is_read_or_refused_without_an_exception(text: str) -> None:
    assert check(text, "7").equal is not True
