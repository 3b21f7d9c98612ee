"""What an answer can be: numbers and expressions, and the structures that hold them.

Every node is an immutable value. The parser (:mod:`.parser`) makes them, :mod:`.algebra` and :mod:`.numeric`
decide about expressions, :mod:`.compare` about everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from rewardkit.equivalence.lexer import NotMath


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational."""

    value: int | Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A variable by its name (``x``, ``a_n``, ``alpha``), or a constant: ``π``, ``e``, ``i``, ``∞``, ``±``."""

    name: str


@dataclass(frozen=True, slots=True)
class Sum:
    """terms[0] + terms[1] + …"""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """factors[0] · factors[1] · …"""

    factors: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """base ^ exponent; quotients and roots are powers too."""

    base: Node
    exponent: Node


@dataclass(frozen=True, slots=True)
class Call:
    """A named function of its arguments: ``sin``, ``ln``, ``factorial``, ``abs``, an unknown ``f``."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Tuple:
    """Ordered items in brackets: a tuple, a point, or with two items an interval."""

    items: tuple[Node, ...]
    brackets: str = "()"


@dataclass(frozen=True, slots=True)
class Collection:
    """Unordered items: a set in braces, or a list joined by commas, "and" or "or"."""

    items: tuple[Node, ...]
    joiner: str = ","
    braces: bool = False


@dataclass(frozen=True, slots=True)
class SetOperation:
    """parts[0] op parts[1] op …, where op is ``∪``, ``∩`` or ``∖``."""

    operator: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Builder:
    """``{element | condition}``."""

    element: Node
    condition: Node


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of equal length."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """sides[0] operators[0] sides[1] operators[1] sides[2] …: an equation, an inequality, a chain of them."""

    sides: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """``a : b : c``; `clock` where it is written like a time of day."""

    items: tuple[Node, ...]
    clock: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of measurement: how many of the base units it is, and which."""

    factor: Fraction
    dimensions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with its unit."""

    value: Node
    unit: Unit


@dataclass(frozen=True, slots=True)
class Numeral:
    """Digits in a base other than ten, as written."""

    digits: str
    base: int


@dataclass(frozen=True, slots=True)
class Words:
    """Plain language, in lower case and with single spaces."""

    text: str


Node: TypeAlias = (
    Number
    | Symbol
    | Sum
    | Product
    | Power
    | Call
    | Tuple
    | Collection
    | SetOperation
    | Builder
    | Matrix
    | Relation
    | Ratio
    | Quantity
    | Numeral
    | Words
)
EXPRESSIONS = (Number, Symbol, Sum, Product, Power, Call)

ONE, MINUS_ONE, HALF = Number(1), Number(-1), Number(Fraction(1, 2))
PI, E, IMAGINARY_UNIT = Symbol("π"), Symbol("e"), Symbol("i")
INFINITY, PLUS_MINUS = Symbol("∞"), Symbol("±")
CONSTANTS = frozenset({"π", "e", "i", "∞"})
UNKNOWN_FUNCTIONS = frozenset("fgh")
"""Letters that are functions where brackets follow at once."""


def is_unknown_function(name: str) -> bool:
    """Whether a call is one of a function that only has a letter: f, g', f_n, P, f^-1."""
    base = name.removesuffix("^-1").rstrip("'").partition("_")[0]
    return len(base) == 1


def negative(node: Node) -> Node:
    """−node."""
    return Number(-node.value) if isinstance(node, Number) else Product((MINUS_ONE, node))


def quotient(top: Node, bottom: Node) -> Node:
    """top / bottom; exact where both are integers."""
    if isinstance(top, Number) and isinstance(bottom, Number) and bottom.value and _short(top) and _short(bottom):
        return Number(simple(Fraction(top.value) / bottom.value))
    return Product((top, Power(bottom, MINUS_ONE)))


def _short(number: Number) -> bool:
    return max(number.value.numerator.bit_length(), number.value.denominator.bit_length()) < 10_000


def simple(value: Fraction) -> int | Fraction:
    """An integer where the fraction is one: its arithmetic is ten times faster."""
    return value.numerator if value.denominator == 1 else value


def expressions(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """The nodes, all of which must be expressions.

    Raises:
        NotMath: one is a set, a tuple, a relation or the like.
    """
    found = tuple(nodes)
    for node in found:
        if not isinstance(node, EXPRESSIONS):
            raise NotMath(f"a {type(node).__name__.casefold()} inside an expression")
    return found


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below an expression."""
    match node:
        case Sum(below) | Product(below) | Call(_, below):
            return below
        case Power(base, exponent):
            return (base, exponent)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """An expression and everything below it."""
    stack = [node]
    while stack:
        top = stack.pop()
        yield top
        stack.extend(children(top))


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """The expression with `change` applied to the nodes directly below it."""
    match node:
        case Sum(terms):
            return Sum(tuple(map(change, terms)))
        case Product(factors):
            return Product(tuple(map(change, factors)))
        case Power(base, exponent):
            return Power(change(base), change(exponent))
        case Call(function, args):
            return Call(function, tuple(map(change, args)))
        case _:
            return node


def substitute(node: Node, name: str, value: Node) -> Node:
    """The expression with every occurrence of a symbol replaced."""
    match node:
        case Symbol(found):
            return value if found == name else node
        case Call("sum" | "prod" | "int" | "lim" as series, (body, Symbol(bound), *bounds)) if bound == name:
            return Call(series, (body, Symbol(bound), *(substitute(b, name, value) for b in bounds)))
        case _:
            return rebuilt(node, lambda below: substitute(below, name, value))


def symbols(node: Node) -> set[str]:
    """The names of the free variables of an expression, constants left out."""
    return _names(node) - CONSTANTS


def _names(node: Node) -> set[str]:
    match node:
        case Symbol(name):
            return {name}
        case Call("sum" | "prod" | "int" | "lim", (body, Symbol(bound), *bounds)):
            free = _names(body) - {bound} if bounds else _names(body)  # the result of ∫ f dx depends on x
            return free.union(*map(_names, bounds))
        case _:
            return set[str]().union(*map(_names, children(node)))
