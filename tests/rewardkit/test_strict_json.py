"""Specification of rewardkit.strict_json: JSON as the standard has it, with limits."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.strict_json import MAX_DEPTH, MAX_DIGITS, strict_json

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda below: st.lists(below) | st.dictionaries(st.text(), below), max_leaves=8)


@given(value=values)
@settings(deadline=None, max_examples=60)
def test_what_json_writes_is_read_back(value: Any) -> None:
    assert strict_json(json.dumps(value)) == value


@given(text=st.text(alphabet='[]{}",:\\1eE+-. \n"Nan', max_size=30))
@settings(deadline=None, max_examples=100)
def test_any_text_is_read_or_a_value_error(text: str) -> None:
    try:
        value = strict_json(text)
    except ValueError:
        return
    assert json.loads(text) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"x": -Infinity}'])
def test_constants_that_are_no_json_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no number of JSON"):
        strict_json(text)


@pytest.mark.parametrize("text", ['{"x": 1, "x": 1}', '[{"y": {"x": 1, "z": 0, "x": 2}}]', '{"x": 1, "\\u0078": 2}'])
def test_a_name_that_occurs_twice_in_an_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the name 'x' occurs more than once"):
        strict_json(text)


def test_the_same_name_in_two_objects_is_not_twice() -> None:
    assert strict_json('[{"x": 1}, {"x": {"x": 2}}]') == [{"x": 1}, {"x": {"x": 2}}]


@pytest.mark.parametrize("open_close", ["[]", '{"x":}'])
def test_nesting_is_bounded_exactly(open_close: str) -> None:
    opening, closing = open_close[:-1], open_close[-1]
    deepest = opening * MAX_DEPTH + ("1" if "x" in opening else "") + closing * MAX_DEPTH
    assert strict_json(deepest)
    with pytest.raises(ValueError, match=f"nested more than {MAX_DEPTH} levels deep"):
        strict_json(f"[{deepest}]")


@pytest.mark.parametrize("text", ["[" * 1000 + "]" * 1000, '"\\' + "[" * 1000, '"\\"' + "[" * 1000 + '"', "[" * 1000])
def test_brackets_in_a_string_are_no_nesting(text: str) -> None:
    assert strict_json(json.dumps([text])) == [text]


def test_a_million_open_brackets_are_refused_and_not_followed() -> None:
    with pytest.raises(ValueError, match="nested more than"):
        strict_json("[" * 1_000_000)


@pytest.mark.parametrize("sign", ["", "-"])
def test_an_integer_is_read_up_to_the_digits_that_a_float_can_hold(sign: str) -> None:
    longest = sign + "9" * MAX_DIGITS
    assert strict_json(longest) == int(longest)
    assert math.isfinite(float(int(longest)))
    with pytest.raises(ValueError, match="an integer of 3"):
        strict_json(longest + "0")


def test_a_decimal_beyond_a_float_is_refused_and_one_too_small_is_zero() -> None:
    with pytest.raises(ValueError, match="the number 1e999 is too large"):
        strict_json("[1e999]")
    assert strict_json("1e-999") == 0.0
