"""Specification of rewardkit.equivalence.written: numbers in running text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.written import is_number, last_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("So 3 boxes cost $1,050.50 in all.", "1,050.50"),
        ("It is 18.", "18"),
        ("x=-5", "-5"),
        ("from 2 to 1/2", "1/2"),
        (r"$\frac{3}{4}$", r"\frac{3}{4}"),
        (r"$\dfrac{3}{4}$", r"\frac{3}{4}"),
        (r"about 50\%", "50%"),
        ("about 50%", "50%"),
        ("1{,}000 of them", "1,000"),
        ("v2 is 7", "7"),
        ("2, 100", "100"),
        ("1.5e3", "1.5e3"),
        (r"3 \times 10^{8} of them", r"3 \times 10^{8}"),
        ("3 * 10^8", "3 * 10^8"),
        ("it is .5", ".5"),
        ("Version 1.2.", "1.2"),
        ("first 7, then nothing", "7"),
    ],
)
def test_last_number_is_the_last_one_written(text: str, number: str) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize("text", ["", "none", "v2", "٥", "x_1"])
def test_last_number_is_none_without_one(text: str) -> None:
    assert last_number(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", True),
        ("-7", True),
        ("7.5", True),
        ("1/2", True),
        (r"\frac{1}{2}", True),
        (r"2\frac12", True),
        ("50%", True),
        ("-50%", True),
        (r"90^\circ", True),
        ("$5", True),
        ("5 cm", True),
        ("18 apples", True),
        (r"3 \times 10^8", True),
        ("3 million", True),
        (r"\pi", False),
        (r"\sqrt{2}", False),
        ("2x", False),
        ("x = 7", False),
        ("6, 7", False),
        ("seven", False),
        ("7 or more", False),
        ("25_6", False),
        ("(1, 2)", False),
        (r"2\cdot\frac{1}{0}", False),
        ("", False),
    ],
)
def test_a_number_is_one_rational_with_its_unit(text: str, number: bool) -> None:
    assert is_number(text) is number


@given(st.text(max_size=200))
def test_finds_numbers_in_any_text_without_an_error(text: str) -> None:
    found = last_number(text)
    assert found is None or is_number(found) or "/0" in found or "{0" in found
    is_number(text)


def test_reads_only_the_end_of_megabytes() -> None:
    started = time.process_time()
    assert last_number("1," * 2_500_000) == "1"
    assert last_number("5" + " " * 5_000_000) is None
    assert time.process_time() - started < 5
