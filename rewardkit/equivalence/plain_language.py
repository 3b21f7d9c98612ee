"""Answers in words, the letters of multiple choice, and the labels of quantities."""

from __future__ import annotations

import re

from rewardkit.equivalence.canonical import canonical
from rewardkit.equivalence.function_names import FUNCTIONS
from rewardkit.equivalence.lexer import Token
from rewardkit.equivalence.tree import Node, Symbol, Words
from rewardkit.equivalence.units import DENIALS, NO_UNIT, is_word, words_in

_PUNCTUATION = " \t\n.,;:!?\"'()*"
_CHOICE = re.compile(r"\(?\s?([A-J])\s?[.):](?:\s+(\S.*))?", re.DOTALL)
_OTHER_CHOICE = re.compile(r"(?<![A-Za-z\\])[A-J](?![A-Za-z])|\b(?:or|and)\b")
_STYLE = re.compile(
    r"\\(?:text|textbf|textrm|textit|mathrm|mathbf|mbox|boxed)\s*\{|[{}]|\\[ ,;!()\[\]]|\*\*"
    r"|\\(?:quad|displaystyle|left|right|large|Large|bf|rm)(?![a-zA-Z])"
)
_ALL_REALS = frozenset(
    ("all real numbers", "all reals", "the real numbers", "the set of all real numbers", "any real number")
)


def plain_words(tokens: list[Token]) -> Node | None:
    """Plain language: nothing but words, at least one of them no symbol or function."""
    if not any((kind == "text" and len(text) > 1) or kind == "word" for kind, text, _ in tokens):
        return None
    letters = 0
    for kind, text, spaced in tokens:
        if text in FUNCTIONS and kind in ("text", "word"):
            return None
        if kind == "text" or kind == "word":
            letters += 1
        elif (kind == "sym" and (spaced or len(tokens) > 2) and text.isascii() and letters) or (
            kind == "op" and text in ".,!?-'\"/:" and (text != "!" or spaced or tokens[-1].text == "!")
        ):
            continue
        else:
            return None
    runs = [text for kind, text, _ in tokens if kind in ("word", "text")]
    if all(kind != "text" for kind, _, _ in tokens) and not any(map(is_word, runs)):
        return None
    text = " ".join(canonical(tokens).casefold().split()).strip(_PUNCTUATION)
    if text in _ALL_REALS:
        return Symbol("ℝ")
    return Words(text) if letters and text else None


def choice(text: str) -> str | None:
    """The letter of a multiple-choice answer that carries more than the letter: ``(C) 42``, ``C. x = 42``."""
    if len(text) > 500:
        return None
    match = _CHOICE.fullmatch(_STYLE.sub(" ", text).strip(" $.}"))
    if match is None:
        return None
    letter, rest = match.group(1), match.group(2) or ""
    return None if _OTHER_CHOICE.search(rest) or DENIALS & words_in(rest) else letter


def is_label(tokens: list[Token]) -> bool:
    """Words that name something, or a letter with brackets: P(X = 2)."""
    words = set[str]().union(*(words_in(token.text) for token in tokens if token.kind != "sym"))
    if not tokens or words & NO_UNIT:
        return False
    if all(token.kind in ("word", "text", "sym") for token in tokens):
        return True
    inner = tokens[2:-1]
    return (
        tokens[0].kind == "sym"
        and len(tokens) > 3
        and tokens[1].text == "("
        and tokens[-1].text == ")"
        and all(t.kind in ("word", "text", "sym", "num") or t.text in "∩∪|=,<>≤≥_{}'+-" for t in inner)
    )
