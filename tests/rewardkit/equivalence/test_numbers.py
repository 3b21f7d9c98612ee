"""Specification of rewardkit.equivalence.numbers: exact values of numbers as people write them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.numbers import MAX_DIGITS, MAX_EXPONENT, last_number, read_number, same_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("007", Fraction(7)),
        ("-3", Fraction(-3)),
        ("+3", Fraction(3)),
        ("−3", Fraction(-3)),
        ("1.50", Fraction(3, 2)),
        (".5", Fraction(1, 2)),
        ("5.", Fraction(5)),
        ("1/2", Fraction(1, 2)),
        ("-1/2", Fraction(-1, 2)),
        ("1.5/2", Fraction(3, 4)),
        (r"\frac{1}{2}", Fraction(1, 2)),
        (r"\dfrac12", Fraction(1, 2)),
        (r"\frac{-1}{2}", Fraction(-1, 2)),
        (r"-\frac{-1}{2}", Fraction(1, 2)),
        (r"1\frac{1}{2}", Fraction(3, 2)),
        (r"-1 \frac{1}{2}", Fraction(-3, 2)),
        ("1 1/2", Fraction(3, 2)),
        ("11/2", Fraction(11, 2)),
        ("1,000", Fraction(1000)),
        ("1{,}000", Fraction(1000)),
        (r"1,\!000,\!000", Fraction(10**6)),
        ("1,234.5", Fraction(2469, 2)),
        ("5 050", Fraction(5050)),
        (r"12\,345", Fraction(12345)),
        ("$1,050", Fraction(1050)),
        (r"\$0.20", Fraction(1, 5)),
        ("-$5", Fraction(-5)),
        ("€5", Fraction(5)),
        ("2.5e3", Fraction(2500)),
        ("1E-2", Fraction(1, 100)),
        (r"2.5 \times 10^{3}", Fraction(2500)),
        (r"2\cdot10^{-3}", Fraction(1, 500)),
        (r"90^\circ", Fraction(90)),
    ],
)
def test_reads_the_exact_value(text: str, value: Fraction) -> None:
    number = read_number(text)
    assert number is not None
    assert (number.value, number.percent, number.unit) == (value, False, "")


@pytest.mark.parametrize(
    ("text", "value", "percent", "unit"),
    [
        ("50%", 50, True, ""),
        (r"50\%", 50, True, ""),
        ("50 percent", 50, True, ""),
        ("5 cm", 5, False, "cm"),
        (r"5\text{ cm}^2", 5, False, "cm^2"),
        ("10weeks", 10, False, "weeks"),
        ("18 apples", 18, False, "apples"),
        ("60 miles per hour", 60, False, "miles per hour"),
        ("25_6", 25, False, "base 6"),
        (r"25_{\text{6}}", 25, False, "base 6"),
    ],
)
def test_reads_percent_unit_and_base(text: str, value: int, percent: bool, unit: str) -> None:
    number = read_number(text)
    assert number is not None
    assert (number.value, number.percent, number.unit) == (value, percent, unit)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "five",
        "1 2",
        "1, 2",
        "2, 100",
        "1,00",
        "1,0000",
        "1.2.3",
        "1/0",
        r"\frac{1}{0}",
        "1/x",
        "5x",
        "3xy",
        "12abc",
        "5 pi",
        "2 sin x",
        "5 million",
        "5 or 6",
        "5 or more",
        "5 to 6",
        "5 percent of 80",
        "0.333...",
        r"0.\overline{3}",
        "1=1",
        "(5)",
        "٥",
        "²",
        "1e",
        f"1e{MAX_EXPONENT + 1}",
        "10^{999999999}",
        "1e999999999",
        "1" * (MAX_DIGITS + 1),
        "1" * 5_000_000,
        "nan",
        "inf",
        "0x10",
        "1_000",
    ],
    ids=lambda text: text[:20],
)
def test_is_none_for_anything_else(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("answer", "truth", "same"),
    [
        ("0.5", "1/2", True),
        ("50%", "0.5", True),
        ("0.5", "50%", True),
        ("50", "50%", True),
        ("0.333", "1/3", False),
        ("33.3%", "1/3", False),
        ("5 cm", "5", True),
        ("5", "5 cm", True),
        ("5 miles", "5 mile", True),
        ("10 cm", "10 miles", False),
        ("5 cm", "5 cm^2", False),
        ("5 km", "5 kms", False),
        ("25_6", "25_7", False),
        ("25_6", "25_{6}", True),
        ("25_6", "26_6", False),
        ("5", "-5", False),
    ],
)
def test_same_number_is_the_same_quantity(answer: str, truth: str, same: bool) -> None:
    a, t = read_number(answer), read_number(truth)
    assert a is not None
    assert t is not None
    assert same_number(a, t) is same


rationals = st.fractions(max_denominator=10**6).filter(lambda f: abs(f) < 10**12)


@given(rationals, st.sampled_from(["{n}/{d}", r"\frac{{{n}}}{{{d}}}", r"$\dfrac{{{n}}}{{{d}}}$"]))
def test_fractions_keep_their_value(value: Fraction, template: str) -> None:
    number = read_number(template.format(n=value.numerator, d=value.denominator))
    assert number is not None
    assert number.value == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6))
def test_decimals_keep_their_value_with_and_without_separators(value: Decimal) -> None:
    for text in (f"{value:f}", f"{value:,f}"):
        number = read_number(text)
        assert number is not None
        assert number.value == Fraction(value)


@given(st.integers(0, 10**9), st.integers(1, 50), st.integers(1, 50))
def test_a_mixed_number_adds_its_fraction(whole: int, a: int, b: int) -> None:
    top, bottom = min(a, b), max(a, b) + 1
    for text in (rf"{whole}\frac{{{top}}}{{{bottom}}}", f"{whole} {top}/{bottom}"):
        number = read_number(text)
        assert number is not None
        assert number.value == whole + Fraction(top, bottom)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("So 3 boxes cost $1,050.50 in all.", Fraction(2101, 2)),
        ("It is 18.", 18),
        ("x=-5", -5),
        ("3-5", 5),
        ("from 2 to 1/2", Fraction(1, 2)),
        (r"$\frac{3}{4}$", Fraction(3, 4)),
        (r"about 50\%", 50),
        ("v2 is 7", 7),
        ("2, 100", 100),
    ],
)
def test_last_number_is_the_last_one_written(text: str, value: Fraction) -> None:
    number = last_number(text)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize("text", ["", "none", "v2", "٥"])
def test_last_number_is_none_without_one(text: str) -> None:
    assert last_number(text) is None


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    read_number(text)
    last_number(text)
