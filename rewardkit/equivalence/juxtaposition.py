"""What may follow a factor without a sign of multiplication (2x, x(x+1)), and what is a unit or a condition there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rewardkit.equivalence.function_names import FUNCTIONS
from rewardkit.equivalence.tree import Node, Number, Symbol, symbols
from rewardkit.equivalence.units import is_unit, is_word

if TYPE_CHECKING:
    from rewardkit.equivalence.parser import Parser

CONNECTIVES = frozenset(("and", "or"))


def unit_follows(p: Parser) -> bool:
    """Whether the slash belongs to a unit: 5 m / s."""
    token = p.tokens[p.at + 1]
    return token.kind == "text" and len(token.text) <= 4 and is_unit(token.text)


def juxtaposed(p: Parser, before: Node) -> bool:
    """Whether the next token starts another factor."""
    kind, text, spaced = p.tokens[p.at]
    if kind == "num":
        previous = p.tokens[p.at - 1]
        return previous.kind not in ("num", "sym", "word", "text") and previous.text not in ("%", "°")
    if kind == "sym":
        if text == "Omega" and isinstance(before, Number):
            return False
        return not (p.integrals and text == "d" and p.tokens[p.at + 1].kind == "sym")
    if kind == "word":
        if text == "min" and isinstance(before, Number) and p.tokens[p.at + 1].text not in ("(", "{", "\\{"):
            return False
        if text in FUNCTIONS or glued(text) is not None:
            return True
        if text in CONNECTIVES or (p.integrals and text[0] == "d"):
            return False
        if is_unit(text) and not p.letters and not p.inside:
            p.raw_unit = True
            return False
        return len(text) < 5 and not (spaced and is_word(text) and not isinstance(before, Symbol))
    if kind == "text":
        if text == "min" and isinstance(before, Number):
            return False
        if text in FUNCTIONS:
            return True
        return not (len(text) > 1 or (is_unit(text) and not symbols(before)) or p.integrals)
    if kind == "op":
        if text == "(" and _condition_follows(p):
            return False
        if text == "[" and not _closes(p):
            return False
        return text in ("(", "[", "{", "\\{", "⌊", "⌈") or (text == "|" and not p.bars)
    return kind == "begin" or (kind == "cmd" and text not in ("over", "choose", "mod", "pmod", "bmod"))


def _closes(p: Parser) -> bool:
    """Whether the square bracket that comes next is closed by another one, as in 2[x + 1], unlike in ]0, 1[."""
    depth = 0
    for token in p.tokens[p.at : p.at + 300]:
        depth += (token.text == "[") - (token.text == "]")
        if depth == 0:
            return True
    return False


def _condition_follows(p: Parser) -> bool:
    """Whether brackets hold a relation: 2kπ (k ∈ ℤ)."""
    depth = braces = 0
    for token in p.tokens[p.at : p.at + 40]:
        depth += (token.text == "(") - (token.text == ")")
        braces += (token.text == "{") - (token.text == "}")
        if depth == 0:
            return False
        if braces == 0 and token.kind == "op" and token.text in ("∈", "=", "<", ">", "≤", "≥", "≠"):
            return True
    return False


def glued(word: str) -> str | None:
    """The function in ``sinx``."""
    name = word[:-1]
    return name if name in FUNCTIONS and len(name) > 1 and len(word) < 8 else None
