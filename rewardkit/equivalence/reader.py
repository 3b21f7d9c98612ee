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

from rewardkit.equivalence.lexer import MAX_CHARS, NotMath, Token, lex
from rewardkit.equivalence.parser import CONNECTIVES, Parser
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    Builder,
    Call,
    Collection,
    Node,
    Number,
    Product,
    Quantity,
    Ratio,
    Relation,
    SetOperation,
    Symbol,
    Tuple,
    Unit,
    Words,
    simple,
)
from rewardkit.equivalence.units import CURRENCIES, SCALES, combine_units, power_unit, read_unit

_RELATIONS = ("=", "<", ">", "≤", "≥", "≠", "≈", "∈")
_SET_OPERATORS = ("∪", "∩", "∖")
_PERCENT = frozenset(("percent", "percentage", "per cent"))
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
    try:
        return Reading(form, Reader(tokens).answer())
    except NotMath as problem:
        labelled = _labelled(tokens)
        return Reading(form, labelled, "" if labelled else str(problem))


_short = lru_cache(maxsize=4_096)(_read)
_long = lru_cache(maxsize=128)(_read)


_SEPARATORS = str.maketrans("", "", " ,{}\\!;:~\t\n")


def as_list(text: str) -> Node | None:
    """The list that a number with plain commas may be: 70,110."""
    if not _COMMAS.fullmatch(text):
        return None
    return Collection(tuple(Number(int(part)) for part in text.split(",")))


_COMMAS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,9}", re.ASCII)


def canonical(tokens: list[Token]) -> str:
    """The tokens as one string: equal for texts that differ in layout alone."""
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


class Reader(Parser):
    """Reads whole answers: lists of items, items that are relations, sides that are sets or quantities."""

    def answer(self) -> Node:
        """The whole text."""
        node = self._listed()
        if self.at != len(self.tokens) - 1:
            raise NotMath(f"{self.peek()[:50]!r} was not expected there")
        return node

    def _listed(self) -> Node:
        items = [self.item()]
        joiner = ","
        while self._separated():
            joiner = self._joiner() or joiner
            items.append(self.item())
        return items[0] if len(items) == 1 else Collection(tuple(items), joiner)

    def _separated(self) -> bool:
        return self.is_operator(",", ";", "and", "or") or self._connective() is not None

    def _connective(self) -> str | None:
        kind, text, _ = self.tokens[self.at]
        word = text.casefold().strip(" ,")
        return word if kind in ("word", "text") and word in CONNECTIVES else None

    def _joiner(self) -> str:
        """Consume a comma, a connective, or a comma with a connective."""
        joiner = ""
        if self.is_operator(",", ";"):
            self.at += 1
        word = self._connective() or (self.peek() if self.is_operator("and", "or") else None)
        if word is not None:
            self.at += 1
            joiner = word
        return joiner

    def item(self) -> Node:
        """A relation, or one side of it."""
        return self.nested(self._relation)

    def _relation(self) -> Node:
        sides, operators = [self._ratio()], list[str]()
        while self.is_operator(*_RELATIONS):
            operators.append(self.take().text)
            sides.append(self._ratio())
        if not operators:
            return sides[0]
        return Relation(tuple(sides), tuple(operators))

    builder = False

    def _ratio(self) -> Node:
        items, start = [self._sets()], self.at - 1
        while not self.builder and self.is_operator(":"):
            self.at += 1
            items.append(self._sets())
        if len(items) == 1:
            return items[0]
        literals = [token.text for token in self.tokens[start : self.at] if token.kind == "num"]
        clock = len(literals) == len(items) and len(literals[1]) == 2
        return Ratio(tuple(items), clock)

    def _sets(self) -> Node:
        parts = [self._quantity()]
        operator = ""
        while self.is_operator(*_SET_OPERATORS):
            if operator and self.peek() != operator:  # (A ∪ B) ∖ C, from the left
                parts = [SetOperation(operator, tuple(parts))]
            operator = self.take().text
            parts.append(self._quantity())
        return SetOperation(operator, tuple(parts)) if operator else parts[0]

    def _quantity(self) -> Node:
        money, self.money = self.money, None
        value = self.expression()
        unit: Unit | None = self.money
        self.money = money
        if not isinstance(value, EXPRESSIONS):
            if unit is not None:
                raise NotMath("a currency sign at something that is no number")
            return value
        value, units = self._suffix(value)
        if unit is not None:
            units = [combine_units([unit, *units]) if not units or units[0] != unit else unit]
        return Quantity(value, combine_units(units)) if units else value

    def _suffix(self, value: Node) -> tuple[Node, list[Unit]]:
        """What stands in words after a value: percent, a scale, units."""
        units: list[Unit] = []
        phrase: list[str] = []
        over = False
        while True:
            kind, text, _ = self.tokens[self.at]
            if self._connective() is not None or text in CURRENCIES:
                break
            if kind in ("word", "text") or (kind == "sym" and phrase and not over):
                word = text.strip(" ,.")
                self.at += 1
                if word.casefold() in _PERCENT and not phrase:
                    value = Call("percent", (value,))
                elif word.casefold() in SCALES and not phrase:
                    value = Product((value, Number(SCALES[word.casefold()])))
                elif self.is_operator("^") or over:
                    phrase.append(word)
                    power = self._unit_power()
                    unit = power_unit(read_unit(" ".join(phrase)), -power if over else power)
                    units.append(unit)
                    phrase, over = [], False
                else:
                    phrase.append(word)
            elif kind == "op" and text in ("/", "*") and (phrase or units or self._unit_follows()):
                self.at += 1
                if phrase:
                    units.append(read_unit(" ".join(phrase)))
                    phrase = []
                over = text == "/"
            elif kind == "op" and text == "." and phrase:
                self.at += 1
            else:
                break
        if over:
            raise NotMath("a unit that ends in a slash")
        if phrase:
            units.append(read_unit(" ".join(phrase)))
        return value, units

    def _unit_power(self) -> int:
        if not self.is_operator("^"):
            return 1
        self.at += 1
        power = self.script()
        if isinstance(power, Number) and isinstance(power.value, int) and abs(power.value) <= 10:
            return power.value
        raise NotMath("a power of a unit that is no small integer")

    def expression_or_item(self) -> Node:
        r"""In a LaTeX group anything may stand: {1, 2}, {x > 3}."""
        first = self.item()
        if not self.is_operator(",", ";"):
            return first
        items = [first]
        while self.is_operator(",", ";"):
            self.at += 1
            items.append(self.item())
        return Collection(tuple(items), braces=True)

    def group(self, brackets: str) -> Node:
        """A tuple, an interval, or an expression in brackets."""
        items = [self.item()]
        while self.is_operator(",", ";"):
            self.at += 1
            items.append(self.item())
        closing = self.closing(brackets)
        if brackets == "]" or closing == "[":  # French intervals: ]0, 1[
            brackets, closing = {"]": "("}.get(brackets, brackets), {"[": ")"}.get(closing, closing)
        pair = "()" if brackets == "⟨" else brackets + closing
        if len(items) > 1:
            return Tuple(tuple(items), pair)
        if pair not in ("()", "[]"):
            raise NotMath("one value between brackets of two kinds")
        return items[0]

    def special(self, text: str) -> Node:
        """A set in braces, or the empty set."""
        if text != "\\{":
            raise NotMath(f"{text!r} where a value was expected")
        if self.is_operator("\\}"):
            self.at += 1
            return Symbol("∅")
        builder, self.builder = self.builder, True
        self.bars += 1  # a bar ends the element, it opens no absolute value
        items = [self.item()]
        while self.is_operator(",", ";"):
            self.at += 1
            items.append(self.item())
        self.bars -= 1
        if self.is_operator("|", ":"):
            self.at += 1
            condition = self._listed()
            self.builder = builder
            self.expect("\\}")
            element = items[0] if len(items) == 1 else Collection(tuple(items))
            return Builder(element, condition)
        self.builder = builder
        self.expect("\\}")
        return Collection(tuple(items), braces=True)
