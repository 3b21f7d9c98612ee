"""Specification of rewardkit.equivalence.units: exact factors within a kind, and kinds that never mix."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rewardkit.equivalence.lexer import NotMath
from rewardkit.equivalence.units import CURRENCIES, combine_units, is_unit, raised_unit, read_unit

METER = read_unit("m")


@pytest.mark.parametrize(
    ("large", "small", "factor"),
    [
        ("km", "m", 1000),
        ("m", "cm", 100),
        ("cm", "mm", 10),
        ("inch", "cm", Fraction(254, 100)),
        ("foot", "inches", 12),
        ("yard", "feet", 3),
        ("mile", "yards", 1760),
        ("kg", "grams", 1000),
        ("pound", "ounces", 16),
        ("pound", "kg", Fraction("0.45359237")),
        ("minute", "seconds", 60),
        ("hour", "min", 60),
        ("day", "hours", 24),
        ("week", "days", 7),
        ("year", "months", 12),
        ("liter", "mL", 1000),
        ("liter", "cubic decimeters", 1),
        ("square meter", "square centimeters", 100**2),
        ("cubic yard", "cubic feet", 3**3),
        ("km/h", "m/h", 1000),
        ("m/s", "km/h", Fraction(3600, 1000)),
        ("mph", "miles per hour", 1),
        ("kilojoule", "newton meter", 1000),
        ("newton", "kg m/s^2", 1),
        ("dollar", "cents", 100),
    ],
)
def test_knows_how_many_of_one_unit_another_is(large: str, small: str, factor: Fraction) -> None:
    one, other = read_unit(large), read_unit(small)
    assert (one.dimensions, one.factor / other.factor) == (other.dimensions, factor)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("miles", "mile"),
        ("Meters", "meter"),
        ("CM", "cm"),
        ("sq ft", "square feet"),
        ("ft^2", "square feet"),
        ("ft2", "ft^2"),
        ("cubic metres", "m^3"),
        ("apples", "apple"),
        ("Apples", "apples"),
        ("miles per hour", "mi/h"),
        ("dollars per hour", "dollar/hr"),
        ("square units", "units"),
        ("chocolate bars", "chocolate bar"),
    ],
)
def test_reads_the_names_of_one_unit_alike(one: str, other: str) -> None:
    assert read_unit(one) == read_unit(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m", "kg"),
        ("m", "square meters"),
        ("m^2", "m^3"),
        ("m/s", "m"),
        ("dollars", "euros"),
        ("pounds", "GBP"),
        ("am", "pm"),
        ("degrees", "radians"),
        ("years", "days"),  # a year has no fixed number of days
        ("apples", "pears"),
        ("apples", "red apples"),
        ("apples", "units"),
    ],
)
def test_keeps_kinds_apart(one: str, other: str) -> None:
    assert read_unit(one).dimensions != read_unit(other).dimensions


@pytest.mark.parametrize("words", ["or more", "to go", "squared", "times", "if x", "and a half", "more apples"])
def test_refuses_words_that_change_the_number(words: str) -> None:
    with pytest.raises(NotMath, match="is no unit"):
        read_unit(words)


@pytest.mark.parametrize(
    ("name", "known"), [("cm", True), ("feet", True), ("hours", True), ("x", False), ("xy", False), ("apples", False)]
)
def test_knows_units_of_measurement_by_name(name: str, known: bool) -> None:
    assert is_unit(name) is known


def test_a_plain_unit_has_no_dimension() -> None:
    assert (read_unit("units").factor, read_unit("units").dimensions) == (1, ())


def test_units_multiply_and_cancel() -> None:
    assert combine_units([METER, METER]) == raised_unit("m", 2) == read_unit("m^2")
    assert combine_units([METER, raised_unit("s", -1)]) == read_unit("m/s")
    assert combine_units([METER, raised_unit("m", -1)]) == read_unit("units")
    assert raised_unit("km", 2).factor == 1000**2
    assert combine_units([]) == read_unit("unit")


def test_a_currency_sign_is_its_currency() -> None:
    assert {
        "\\$": read_unit("dollars"),
        "€": read_unit("euros"),
        "£": read_unit("GBP"),
        "¥": read_unit("yen"),
        "₹": read_unit("rupees"),
        "¢": read_unit("cents"),
    } == CURRENCIES
