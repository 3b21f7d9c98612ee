"""Rewards and their arguments as code: how they print, and what an argument must be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, fields
from typing import Any

from rewardkit.batch import short


def changed_fields(instance: Any) -> Iterator[str]:
    """The fields of a dataclass that differ from their defaults, as arguments; the name last."""
    for f in sorted(fields(instance), key=lambda f: f.name == "name"):
        value = getattr(instance, f.name)
        default = f.default_factory() if f.default_factory is not MISSING else f.default
        if f.repr and value != default:
            yield f"{f.name}={as_code(value)}"


def as_code(value: object) -> str:
    """A value as it is written in code: a function by its dotted name, an infinity, all else by its repr."""
    if isinstance(value, float) and math.isinf(value):
        return f"float('{value}')"
    name = getattr(value, "__qualname__", None)
    if not callable(value) or name is None:
        return repr(value)
    module = getattr(value, "__module__", None)
    return name if module in (None, "builtins", "__main__") else f"{module}.{name}"


def number(name: str, value: Any) -> float:
    """An argument as a float.

    Raises:
        TypeError: it is no number.
    """
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"{name} must be a number, got {short(value)}")
    return float(value)
