"""Tokens to whole answers: lists of items, items that are relations, sides that are sets or quantities."""

from __future__ import annotations

from rewardkit.equivalence.juxtaposition import CONNECTIVES, unit_follows
from rewardkit.equivalence.lexer import NotMath, Token
from rewardkit.equivalence.parser import Parser
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
    Sum,
    Symbol,
    Tuple,
    Unit,
)
from rewardkit.equivalence.units import CURRENCIES, SCALES, UNITS, combine_units, power_unit, raised_unit, read_unit

_RELATIONS = ("=", "<", ">", "≤", "≥", "≠", "≈", "∈")
_SET_OPERATORS = ("∪", "∩", "∖")
_KNOWN = frozenset(UNITS.values())
_PERCENT = frozenset(("percent", "percentage", "per cent"))


class Reader(Parser):
    """Reads whole answers: lists of items, items that are relations, sides that are sets or quantities."""

    def answer(self) -> Node:
        """The whole text."""
        node = self._listed()
        if self.is_operator("("):  # 2kπ (k ∈ ℤ)
            node = Collection((node, self.nested(self.atom)))
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
        start = self.at
        sides, operators = [self._ratio()], list[str]()
        if self.is_operator("="):
            sides[0] = self._applied(start) or sides[0]
        while self.is_operator(*_RELATIONS):
            operators.append(self.take().text)
            sides.append(self._ratio())
        if not operators:
            return sides[0]
        return Relation(tuple(sides), tuple(operators))

    builder = False

    def _applied(self, start: int) -> Node | None:
        """``P(x) =`` defines a function, whatever its letter."""
        tokens = self.tokens[start : self.at]
        if [token.kind for token in tokens] != ["sym", "op", "sym", "op"] or tokens[1].text + tokens[3].text != "()":
            return None
        name, variable = tokens[0].text, tokens[2].text
        return Call(name, (Symbol(variable),)) if len(name) == 1 and name != variable else None

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
        while self.is_operator(*_SET_OPERATORS) or (parts == [Symbol("ℝ")] and self.is_operator("-")):
            if self.is_operator("-"):
                self.tokens[self.at] = Token("op", "∖", False)
            if operator and self.peek() != operator:  # (A ∪ B) ∖ C, from the left
                parts = [SetOperation(operator, tuple(parts))]
            operator = self.take().text
            parts.append(self._quantity())
        return SetOperation(operator, tuple(parts)) if operator else parts[0]

    def _quantity(self) -> Node:
        outer, self.sign_unit = self.sign_unit, None
        value = self.expression()
        unit: Unit | None = self.sign_unit
        self.sign_unit = outer
        if not isinstance(value, EXPRESSIONS):
            if unit is not None:
                raise NotMath("a currency sign at something that is no number")
            return value
        bare = isinstance(value, Symbol)
        value, units = self._suffix(value)
        if bare and any(unit not in _KNOWN for unit in units):
            raise NotMath("words after a letter")
        if units and unit is None and self.tokens[self.at].kind == "num":
            return self._mixed_units(value, combine_units(units))
        if unit is not None:
            units = [combine_units([unit, *units]) if not units or units[0] != unit else unit]
        return Quantity(value, combine_units(units)) if units else value

    def _mixed_units(self, value: Node, unit: Unit) -> Node:
        """5 feet 3 inches."""
        rest = self._quantity()
        if not isinstance(rest, Quantity) or rest.unit.dimensions != unit.dimensions or rest.unit.factor >= unit.factor:
            raise NotMath("two quantities that make no sum")
        return Quantity(Sum((value, Product((Number(rest.unit.factor / unit.factor), rest.value)))), unit)

    def _suffix(self, value: Node) -> tuple[Node, list[Unit]]:
        """What stands in words after a value: percent, a scale, units."""
        units: list[Unit] = []
        phrase: list[str] = []
        over = False
        while True:
            kind, text, _ = self.tokens[self.at]
            if self._connective() is not None or text in CURRENCIES:
                break
            if kind in ("word", "text") or (kind == "sym" and (text in ("Omega", "μ", "Ω") or phrase or over)):
                word = text.strip(" ,.")
                self.at += 1
                if word.casefold() in _PERCENT and not phrase:
                    value = Call("percent", (value,))
                elif (scale := SCALES.get(word.casefold().removesuffix("s"))) is not None and not phrase:
                    value = Product((value, Number(scale)))
                elif self.is_operator("^") or over:
                    phrase.append(word)
                    power = self._unit_power()
                    units.append(raised_unit(" ".join(phrase), -power if over else power))
                    phrase, over = [], False
                else:
                    phrase.append(word)
            elif kind == "op" and text in ("/", "*") and (phrase or units or unit_follows(self)):
                self.at += 1
                if phrase:
                    units.append(read_unit(" ".join(phrase)))
                    phrase = []
                over = text == "/"
            elif kind == "op" and text == "(" and over:  # J/(kg·K)
                self.at += 1
                _, below = self._suffix(Number(1))
                self.expect(")")
                units.append(power_unit(combine_units(below), -1))
                over = False
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
        items = self._items()
        return items[0] if len(items) == 1 else Collection(items, braces=True)

    def _items(self) -> tuple[Node, ...]:
        """Items with commas or semicolons between them."""
        items = [self.item()]
        while self.is_operator(",", ";"):
            self.at += 1
            items.append(self.item())
        return tuple(items)

    def group(self, brackets: str) -> Node:
        """A tuple, an interval, or an expression in brackets."""
        items = self._items()
        closing = self.closing(brackets)
        if brackets == "]" or closing == "[":  # French intervals: ]0, 1[
            brackets, closing = {"]": "("}.get(brackets, brackets), {"[": ")"}.get(closing, closing)
        pair = "()" if brackets == "⟨" else brackets + closing
        if len(items) > 1:
            return Tuple(items, pair)
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
        items = self._items()
        self.bars -= 1
        if self.is_operator("|", ":"):
            self.at += 1
            condition = self._listed()
            self.builder = builder
            self.expect("\\}")
            element = items[0] if len(items) == 1 else Collection(items)
            return Builder(element, condition)
        self.builder = builder
        self.expect("\\}")
        return Collection(items, braces=True)
