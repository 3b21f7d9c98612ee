r"""Number literals to exact values: thousands separators, decimals, exponents, repeating decimals, bases.

Mixed numbers too: a whole number with a proper fraction right after it (``2\frac12``, ``2 1/2``).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from rewardkit.equivalence.commands import fraction
from rewardkit.equivalence.lexer import NotMath, Token
from rewardkit.equivalence.tree import Node, Number, Numeral, simple

if TYPE_CHECKING:
    from rewardkit.equivalence.parser import Parser

MAX_DIGITS = 5_000
"""Longer numerals are compared as text."""
MAX_EXPONENT = 5_000


def number(p: Parser, token: Token, *, mixed: bool = True) -> Node:
    """The value of a literal that has just been read, with what belongs to it."""
    literal = token.text
    if not literal.isascii() or len(literal) > 2 * MAX_DIGITS:
        raise NotMath("a number with too many digits, or digits of another script")
    if literal.isdigit():
        if p.is_operator("_"):
            return based(p, literal)
        return _mixed(p, integer(literal)) if mixed else Number(integer(literal))
    if literal.endswith(".") and p.is_operator("."):
        raise NotMath("an ellipsis")
    mantissa, _, power = literal.replace("E", "e").partition("e")
    digits = "".join(c for c in mantissa if c.isdigit() or c == ".")
    if "." in digits and p.peek() in ("overline", "dot") and not power:
        return _repeating(p, digits)
    if len(power) > 5 or abs(int(power or 0)) > MAX_EXPONENT:
        raise NotMath("a number with too large an exponent")
    if "." not in digits and not power:
        return _mixed(p, integer(digits)) if mixed else Number(integer(digits))
    return Number(simple(decimal(digits) * Fraction(10) ** int(power or 0)))


def decimal(digits: str) -> Fraction:
    """The value of digits with at most one point."""
    whole, _, places = digits.partition(".")
    return Fraction(integer(whole + places), 10 ** len(places))


def integer(digits: str) -> int:
    """An integer of up to :data:`MAX_DIGITS` digits; Python itself refuses more than 4,300 at once."""
    if len(digits) > MAX_DIGITS:
        raise NotMath("a number with too many digits")
    if len(digits) <= 4_000:
        return int(digits or "0")
    return int(digits[:-4_000]) * 10**4_000 + int(digits[-4_000:])


def _mixed(p: Parser, whole: int) -> Node:
    first, second, third = (p.tokens[min(p.at + k, len(p.tokens) - 1)] for k in range(3))
    proper, length = None, 0
    if first.kind == "num" and first.spaced and second.text == "/" and third.kind == "num":
        proper, length = _proper(first.text, third.text), 3
    elif first.text == "{" and third.text == "over":  # 1{4 \\over 5}
        proper, length = _proper(second.text, p.tokens[min(p.at + 3, len(p.tokens) - 1)].text), 5
    if proper is not None:
        p.at += length
        return Number(simple(whole + proper))
    if first == ("cmd", "frac", first.spaced) and _plain_fraction(p):
        start, tokens = p.at, p.tokens
        p.at, p.tokens = p.at + 1, list(tokens)
        part = fraction(p)
        if isinstance(part, Number) and 0 < part.value < 1 and not p.is_operator("^"):
            return Number(simple(Fraction(whole + part.value)))
        p.at, p.tokens = start, tokens
    return Number(whole)


def _proper(top: str, bottom: str) -> Fraction | None:
    """A fraction between 0 and 1 of two short literals."""
    if not (top.isdigit() and bottom.isdigit() and (top + bottom).isascii() and len(top + bottom) < 20):
        return None
    return Fraction(int(top), int(bottom)) if int(top) < int(bottom) else None


def _plain_fraction(p: Parser) -> bool:
    r"""Whether \frac is followed by two numbers, in braces or bare."""
    kinds = "".join("n" if t.kind == "num" else t.text[:1] for t in p.tokens[p.at + 1 : p.at + 7])
    return kinds.startswith(("{n}{n}", "{n}n", "n{n}", "nn", "n"))


def _repeating(p: Parser, digits: str) -> Node:
    r"""0.1\overline{6}."""
    p.at += 1
    period = p.raw_script()
    if not (period.isdigit() and period.isascii() and len(period) < 100):
        raise NotMath("a repeating decimal without digits under the bar")
    places = len(digits.partition(".")[2])
    tail = Fraction(int(period), (10 ** len(period) - 1) * 10**places)
    return Number(simple(decimal(digits) + tail))


_BASES = {
    name: str(base) for base, name in enumerate("two three four five six seven eight nine ten eleven twelve".split(), 2)
} | {"sixteen": "16"}


def based(p: Parser, digits: str) -> Node:
    """``25_{6}``: digits in a base."""
    p.at += 1
    base = p.raw_script().strip("()")
    base = _BASES.get(base, base)
    if not (base.isdigit() and base.isascii() and len(base) < 3 and 2 <= int(base) <= 36):
        raise NotMath(f"{base[:50]!r} is no base")
    if int(max(digits)) >= int(base):
        raise NotMath(f"{digits[:50]} has digits that base {base} has not")
    return Number(integer(digits)) if int(base) == 10 else Numeral(digits.lstrip("0") or "0", int(base))
