r"""Exact rational numbers as people write them.

Integers, decimals, fractions, mixed numbers, percent, thousands separators, scientific notation, currency
signs and a unit in words. Nothing is rounded: ``0.333`` is not ``1/3``.

    >>> read_number(r"1\frac{1}{2}").value, read_number("1,234.50").value, read_number("2.5e3").value
    (Fraction(3, 2), Fraction(2469, 2), Fraction(2500, 1))
    >>> same_number(read_number("50%"), read_number("0.5")), same_number(read_number("5 cm"), read_number("5 miles"))
    (True, False)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rewardkit.equivalence.normalise import MAX_CHARS, normal_form

MAX_DIGITS = 400
"""Longer numerals are compared as text: no arithmetic is done on a number that a completion can blow up."""
MAX_EXPONENT = 400

_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?: \d{3})+(?!\d)|\d+)(?:\.\d*)?|\.\d+"
_LITERAL = re.compile(_UNSIGNED)
_SIGN = re.compile(r"[+-]?[$€£¥]?[+-]?")
_TEX_FRACTION = re.compile(r"\\frac(?:\{([+-]?[\d.,]+)\}|(\d))(?:\{([+-]?[\d.,]+)\}|(\d))")
_POWER = re.compile(r"(?:[eE]|(?:\\times|\\cdot|\*|x)10\^)(?:\{([+-]?\d+)\}|([+-]?\d+))")
_BASE = re.compile(r"_\{?(\d{1,2})\}?")
_UNIT = re.compile(
    r"(?: (?:[^\W\d_]{3,}|[^\W\d_]{2,} per)(?:[ /][^\W\d_]+)*"
    r"| ?(?:[mcdk]m|[mk]g|m[lL]|ml|m?s|[kM]?Hz|k?W|k?J|[kMG]b|[kMG]B|in|ft|yd|mi|lb|oz|hr|mph|kph|AM|PM|am|pm"
    r"|(?:second|minute|hour|day|week|month|year|met(?:er|re)|lit(?:er|re)|gram|mile|degree|dollar|cent|unit)s?))"
    r"(?![a-zA-Z])(?:\^\{?[23]\}?)?"
)
_NO_UNIT = re.compile(
    r"(?:hundred|thousand|million|billion|trillion|dozen|half|halves|percent|percentage"
    r"|(?:third|fourth|quarter|fifth|sixth|eighth|tenth)s?|squared|cubed|factorial|choose|plus|minus|times|mod"
    r"|and|but|not|nor|either|neither|maybe|a?sin|a?cos|a?tan|cot|sec|csc|sinh|cosh|tanh|log|exp|lim|max|min|gcd"
    r"|lcm|det|alpha|beta|gamma|delta|theta|lambda|sigma|omega|phi)\b|.*\b(?:and|or|to|than|if|else|times|not)\b"
)
"""Words after a number that make it another number, or no number."""


@dataclass(frozen=True)
class Number:
    """An exact value as written: ``50%`` has the value 50 and is percent; the unit may be empty."""

    value: Fraction
    percent: bool = False
    unit: str = ""


def same_number(answer: Number, truth: Number, *, tolerance: Fraction = Fraction(0)) -> bool:
    """Whether two readings name the same quantity, up to an absolute difference of `tolerance`.

    A percent sign divides by 100; it may be left out on one side (``50`` for ``50%``). A unit or the base of
    a numeral may be left out as well, but a different one is wrong.
    """
    if answer.unit and truth.unit and _singular(answer.unit) != _singular(truth.unit):
        return False
    if abs(answer.value - truth.value) <= tolerance:
        return True
    if answer.percent == truth.percent:
        return False
    a, t = (n.value / 100 if n.percent else n.value for n in (answer, truth))
    return abs(a - t) <= tolerance


def _singular(unit: str) -> str:
    return unit[:-1] if len(unit) > 3 and unit.endswith("s") else unit


def read_number(text: str) -> Number | None:
    """The number that the whole text is, or ``None``."""
    return None if len(text) > MAX_CHARS else _read_number(text)


@lru_cache(maxsize=4_096)
def _read_number(text: str) -> Number | None:
    text = normal_form(text)
    if not text or len(text) > MAX_DIGITS or not any(c.isdigit() for c in text):
        return None
    if not text.isascii() and any(c.isdigit() and not c.isascii() for c in text):
        return None
    sign = _SIGN.match(text)
    assert sign is not None  # every part of the pattern is optional
    value, at = _magnitude(text, sign.end())
    if value is None:
        return None
    if power := _POWER.match(text, at):
        exponent = int(power.group(1) or power.group(2))
        if abs(exponent) > MAX_EXPONENT:
            return None
        value, at = value * Fraction(10) ** exponent, power.end()
    percent, unit, at = _suffix(text, at)
    if at != len(text):
        return None
    return Number(-value if sign.group().count("-") == 1 else value, percent, unit)


def _magnitude(text: str, at: int) -> tuple[Fraction | None, int]:
    """The unsigned number at a position: a literal, a fraction, a mixed number; and where it ends."""
    if fraction := _TEX_FRACTION.match(text, at):
        return _tex_fraction(fraction), fraction.end()
    first = _LITERAL.match(text, at)
    if first is None:
        return None, at
    whole, at = _literal(first), first.end()
    if fraction := _TEX_FRACTION.match(text, at):  # 1\frac{1}{2}
        part = _tex_fraction(fraction)
        mixed = part is not None and whole.denominator == 1 and 0 <= part < 1
        return (whole + part if mixed and part is not None else None), fraction.end()
    if text.startswith(" ", at) and (numerator := _LITERAL.match(text, at + 1)):  # 1 1/2
        part, end = _divided(text, numerator)
        mixed = part is not None and whole.denominator == 1 and 0 < part < 1 and "/" in text[at:end]
        return (whole + part if mixed and part is not None else None), end
    return _divided(text, first)


def _divided(text: str, numerator: re.Match[str]) -> tuple[Fraction | None, int]:
    """A literal, or a literal over a literal."""
    top, at = _literal(numerator), numerator.end()
    if not text.startswith("/", at):
        return top, at
    denominator = _LITERAL.match(text, at + 1)
    if denominator is None:
        return None, at
    bottom = _literal(denominator)
    return (top / bottom if bottom else None), denominator.end()


def _literal(match: re.Match[str]) -> Fraction:
    return Fraction(match.group().replace(",", "").replace(" ", "").rstrip(".") or "0")


def _tex_fraction(match: re.Match[str]) -> Fraction | None:
    parts = [g for g in match.groups() if g is not None]
    literals = [_LITERAL.fullmatch(p.lstrip("+-")) for p in parts]
    if literals[0] is None or literals[1] is None:
        return None
    top, bottom = _literal(literals[0]), _literal(literals[1])
    negative = sum(p.startswith("-") for p in parts) == 1
    return (-top if negative else top) / bottom if bottom else None


def _suffix(text: str, at: int) -> tuple[bool, str, int]:
    """A percent sign, a base, or a unit in words after a number."""
    if text.startswith("%", at):
        return True, "", at + 1
    if base := _BASE.match(text, at):
        return False, f"base {base.group(1)}", base.end()
    unit = _UNIT.match(text, at)
    if unit is None:
        return False, "", at
    name = unit.group().strip().casefold()
    if name in ("percent", "percentage"):
        return True, "", unit.end()
    if _NO_UNIT.match(name):
        return False, "", at
    return False, name, unit.end()


_WRITTEN = re.compile(rf"(?<![\w.])[+-]?(?:{_TEX_FRACTION.pattern}|(?:{_UNSIGNED})(?:/\d+|{_POWER.pattern})?)%?")


def last_number(text: str) -> Number | None:
    """The last number written in a running text, or ``None``.

    Only the last 10,000 characters are read.

    Example:
        >>> last_number("So 3 boxes cost $1,050.50 in all.").value
        Fraction(2101, 2)
    """
    tail = text[-10_000:].replace("{,}", ",").replace(r"\%", "%").replace(r"\dfrac", r"\frac")
    found = None
    for match in _WRITTEN.finditer(tail):
        found = match.group()
    return None if found is None else read_number(found)
