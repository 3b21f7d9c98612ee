"""JSON from a model, read strictly and with limits."""

from __future__ import annotations

import json
import math
from typing import Any

MAX_DEPTH = 64
"""Levels of nesting: what walks the value in Python stays far below the limit of 1000 frames."""

MAX_DIGITS = 308
"""Digits of an integer: a longer one may be larger than the largest float."""


def strict_json(text: str) -> Any:
    """The value of a JSON text in which no name occurs twice in an object and every number is finite.

    Args:
        text: untrusted, but of bounded length: the time is linear in it.

    Raises:
        ValueError: the text is not that, is nested more than :data:`MAX_DEPTH` levels deep, or has an
            integer of more than :data:`MAX_DIGITS` digits.

    Example:
        >>> strict_json('{"x": [1, 2.5]}')
        {'x': [1, 2.5]}
        >>> strict_json('{"x": 1, "x": 2}')
        Traceback (most recent call last):
        ValueError: the name 'x' occurs more than once in an object
    """
    if _depth(text) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    return json.loads(
        text, object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal, parse_constant=_constant
    )


def _depth(text: str) -> int:
    """The most brackets open at once, those in strings apart; counted first, so that no parser recurses deeper."""
    depth = deepest = 0
    quoted = escaped = False
    for character in text:
        if quoted:
            quoted = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
        else:
            quoted = character == '"'
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ValueError(f"the name {name[:40]!r} occurs more than once in an object")
        values[name] = value
    return values


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits)} characters")
    return int(digits)


def _decimal(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
