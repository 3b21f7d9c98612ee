r"""Text to what it says: a number, an expression, a tuple, a set, a relation, a quantity, a word.

>>> read(r"\left(1, \frac12\right]").value
Tuple(items=(Number(value=1), Number(value=Fraction(1, 2))), brackets='(]')
>>> read("12 square feet").value.unit == read(r"12\text{ ft}^2").value.unit
True
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from rewardkit.equivalence.answers import Reader
from rewardkit.equivalence.canonical import canonical
from rewardkit.equivalence.lexer import MAX_CHARS, NotMath, Token, lex
from rewardkit.equivalence.parser import quoted
from rewardkit.equivalence.plain_language import is_label, plain_words
from rewardkit.equivalence.tree import (
    Collection,
    Node,
    Number,
    Relation,
    Symbol,
    simple,
)

_INTEGER = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3}){1,100}|\d{1,400})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?\d{0,100}\.\d{1,100}", re.ASCII)
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(-?\d{1,100})\}\{(\d{1,100})\}|(-?)(\d{1,100})/(\d{1,100})", re.ASCII)

_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,9}", re.ASCII)
MAX_FRAMES = 8
"""Boxes in boxes that are opened."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says: its tokens as one string, and the value; or why there is none."""

    form: str
    value: Node | None
    problem: str = ""
    ambiguous: bool = False


def read(text: str) -> Reading:
    """What a text says. Read once and remembered, in memories whose size is bounded."""
    if len(text) <= 200:
        return _short(text)
    if len(text) <= MAX_CHARS:
        return _long(text) if len(text) <= 2_000 else _read(text)
    return Reading(text.strip(), None, f"longer than {MAX_CHARS} characters")


def _read(text: str) -> Reading:
    text = _opened(text.strip())
    if _INTEGER.fullmatch(text):
        text = text.replace(",", "")
        return Reading(text, Number(int(text)))
    if _DECIMAL.fullmatch(text):
        return Reading(text, Number(simple(Fraction(text))))
    if fraction := _FRACTION.fullmatch(text):
        sign, top, bottom = (g for g in fraction.groups() if g is not None)
        if int(bottom):
            value = Fraction(int(top), int(bottom))
            return Reading(text, Number(simple(-value if sign else value)))
    try:
        tokens = lex(text)
    except NotMath as problem:
        return Reading(text, None, str(problem))
    while tokens and tokens[-1].text in (".", ",", ";", ":", "\\\\") and not _ellipsis(tokens):
        tokens.pop()
    if tokens and tokens[-1].kind == "num" and tokens[-1].text.endswith("."):
        tokens[-1] = tokens[-1]._replace(text=tokens[-1].text[:-1])
    form = canonical(tokens)
    if not form:
        return Reading("", None, "nothing is written there")
    if tokens[0].text == "≈":
        del tokens[0]
    words = plain_words(tokens)
    if words is not None:
        return Reading(form, words)
    reader = Reader(tokens)
    try:
        return Reading(form, reader.answer(), ambiguous=reader.raw_unit or reader.applied)
    except NotMath as problem:
        labelled = _labelled(tokens)
        return Reading(form, labelled, "" if labelled else str(problem))
    except RecursionError:
        return Reading(form, None, "nested too deeply")


_short = lru_cache(maxsize=4_096)(_read)
_long = lru_cache(maxsize=128)(_read)


def _opened(text: str) -> str:
    """The text without what only frames it: a box, bold marks, an equals sign in front."""
    for _ in range(MAX_FRAMES):
        if not text.startswith(("\\boxed", "\\fbox", "**")):
            break
        inner = text[2:-2] if text.startswith("**") and text.endswith("**") and len(text) > 4 else _unboxed(text)
        if inner is None:
            break
        text = inner.strip()
    return text[1:] if text.startswith("=") else text


def _unboxed(text: str) -> str | None:
    """The content where one box holds all of the text."""
    start = text.find("{")
    depth = 0
    for at in range(start, len(text)) if start > 0 else ():
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[start + 1 : at] if at == len(text) - 1 and not text[6:start].strip("d ") else None
    return None


def as_list(text: str) -> Node | None:
    """The list that a number with plain commas may be: 70,110."""
    if not _COMMAS.fullmatch(text):
        return None
    return Collection(tuple(Number(int(part)) for part in text.split(",")))


def as_letters(text: str) -> Node | None:
    """The product of letters that a word or a unit may be: xy, 2mg."""
    try:
        return Reader(lex(text), letters=True).answer()
    except NotMath:
        return None


def _labelled(tokens: list[Token]) -> Node | None:
    """``label = value`` where the label is nothing that can be parsed."""
    depth, at = 0, -1
    for index, token in enumerate(tokens):
        depth += (token.text in ("(", "{")) - (token.text in (")", "}"))
        if token.text == "=" and depth == 0 and at < 0:
            at = index
    label, rest = tokens[: max(at, 0)], tokens[at + 1 :]
    if not rest or not is_label(label):
        return None
    try:
        value = Reader(rest).answer()
    except NotMath:
        return None
    return Relation((Symbol(quoted(canonical(label))), value), ("=",))


def _ellipsis(tokens: list[Token]) -> bool:
    return tokens[-1].text == "." and len(tokens) > 1 and tokens[-2].text.endswith(".")
