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
from rewardkit.equivalence.lexer import MAX_CHARS, NotMath, Token, lex
from rewardkit.equivalence.tree import (
    Collection,
    Node,
    Number,
    Relation,
    Symbol,
    Words,
    simple,
)

_INTEGER = re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|\d{1,400})", re.ASCII)
_DECIMAL = re.compile(r"[-+]?\d{0,100}\.\d{1,100}", re.ASCII)
_FRACTION = re.compile(r"(-?)\\[dt]?frac\{(-?\d{1,100})\}\{(\d{1,100})\}|(-?)(\d{1,100})/(\d{1,100})", re.ASCII)
_PUNCTUATION = " \t\n.,;:!?\"'()*"
_CHOICE = re.compile(r"\(?([A-Z])[.):]\s*(\S.*)?|\(([A-Z])\)\s*(\S.*)?", re.DOTALL)
_OTHER_CHOICE = re.compile(r"(?<![A-Za-z\\])[A-Z](?![A-Za-z])|\bor\b|\band\b")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says: its tokens as one string, and the value; or why there is none."""

    form: str
    value: Node | None
    problem: str = ""
    raw_unit: bool = False


def read(text: str) -> Reading:
    """What a text says. Read once and remembered, in memories whose size is bounded."""
    if len(text) <= 200:
        return _short(text)
    if len(text) <= MAX_CHARS:
        return _long(text) if len(text) <= 2_000 else _read(text)
    return Reading(text.strip(), None, f"longer than {MAX_CHARS} characters")


def _read(text: str) -> Reading:
    text = text.strip()
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
    while tokens and tokens[-1].text in (".", ",", ";", ":") and not _ellipsis(tokens):
        tokens.pop()
    form = canonical(tokens)
    if not form:
        return Reading("", None, "nothing is written there")
    words = _words(tokens)
    if words is not None:
        return Reading(form, words)
    reader = Reader(tokens)
    try:
        return Reading(form, reader.answer(), raw_unit=reader.raw_unit)
    except NotMath as problem:
        labelled = _labelled(tokens)
        return Reading(form, labelled, "" if labelled else str(problem))


_short = lru_cache(maxsize=4_096)(_read)
_long = lru_cache(maxsize=128)(_read)


def _needless_brace(tokens: list[Token], at: int) -> bool:
    """Whether a brace holds a single token: x^{2} is x^2."""
    text = tokens[at].text
    if text == "{":
        return at + 2 < len(tokens) and tokens[at + 2].text == "}" and tokens[at + 1].text not in ("{", "}")
    return text == "}" and at >= 2 and tokens[at - 2].text == "{" and tokens[at - 1].text not in ("{", "}")


_SEPARATORS = str.maketrans("", "", " ,{}\\!;:~\t\n")


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


_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,9}", re.ASCII)


def canonical(tokens: list[Token]) -> str:
    """The tokens as one string: equal for texts that differ in layout alone."""
    tokens = [t for k, t in enumerate(tokens) if not _needless_brace(tokens, k)]
    parts: list[str] = []
    wordy = False
    previous = ""
    for kind, text, spaced in tokens:
        if kind in ("word", "text") or (kind == "sym" and wordy):
            if parts and (spaced or wordy):
                parts.append(" ")
            wordy = True
        else:
            wordy = False
            if kind == "num":
                if previous == "num":  # 1 1/2 is not 11/2
                    parts.append(" ")
                text = text.translate(_SEPARATORS)
        previous = kind
        parts.append(text)
    return "".join(parts)


def choice(text: str) -> str | None:
    """The letter of a multiple-choice answer that carries more than the letter: ``(C) 42``, ``C. x = 42``."""
    if len(text) > 500:
        return None
    match = _CHOICE.fullmatch(_STYLE.sub(" ", text).strip(" $.}"))
    if match is None:
        return None
    letter, rest = match.group(1) or match.group(3), match.group(2) or match.group(4) or ""
    return None if _OTHER_CHOICE.search(rest) else letter


_STYLE = re.compile(r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox|boxed)\s*\{|[{}]|\\[ ,;!]|\\quad")


def _ellipsis(tokens: list[Token]) -> bool:
    return tokens[-1].text == "." and len(tokens) > 1 and tokens[-2].text.endswith(".")


def _words(tokens: list[Token]) -> Words | None:
    """Plain language: nothing but words, at least one of them no symbol or function."""
    if not any((kind == "text" and len(text) > 1) or kind == "word" for kind, text, _ in tokens):
        return None
    letters = 0
    for kind, text, spaced in tokens:
        if kind == "text" or (kind == "word" and text not in _MATHS):
            letters += 1
        elif (kind == "sym" and (spaced or len(tokens) > 2) and text.isascii() and letters) or (
            kind == "op" and text in ".,!?-'\"/:"
        ):
            continue
        else:
            return None
    if len(tokens) == 1 and tokens[0].kind == "text" and tokens[0].text in _MATHS:
        return None
    text = " ".join(canonical(tokens).casefold().split()).strip(_PUNCTUATION)
    return Words(text) if letters and text else None


_MATHS = frozenset(("sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "exp", "sqrt", "max", "min", "gcd", "lcm"))


def _labelled(tokens: list[Token]) -> Node | None:
    """``label = value`` where the label is nothing that can be parsed."""
    texts = [token.text for token in tokens]
    if texts.count("=") != 1:
        return None
    at = texts.index("=")
    label, rest = tokens[:at], tokens[at + 1 :]
    if not rest or not any(token.kind in ("word", "text", "sym") for token in label):
        return None
    try:
        value = Reader(rest).answer()
    except NotMath:
        return None
    return Relation((Symbol("label " + canonical(label)), value), ("=",))
