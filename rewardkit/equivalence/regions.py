r"""Sets of real numbers as intervals with exact ends: unions, intersections, inequalities, conditions.

>>> from rewardkit.equivalence.reader import read
>>> one, two = (region(read(text).value) for text in (r"x \ge 3 \text{ or } x < 1", r"(-\infty,1)\cup[3,\infty)"))
>>> one.variable, one.intervals == two.intervals
('x', True)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import pairwise, product

from rewardkit.equivalence.algebra import normal
from rewardkit.equivalence.numeric import Opaque, same_value, value_of
from rewardkit.equivalence.polynomials import Rational, TooLarge, Undefined
from rewardkit.equivalence.three_valued import all_of
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    INFINITY,
    Builder,
    Call,
    Collection,
    Node,
    Number,
    Power,
    Product,
    Relation,
    SetOperation,
    Sum,
    Symbol,
    Tuple,
    is_unknown_function,
    negative,
    quotient,
    symbols,
)

MAX_PARTS = 100
_FLIPPED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


@dataclass(frozen=True, slots=True)
class End:
    """One end of an interval: where it is, exactly and as a float, and whether it belongs to the interval."""

    at: Node
    value: float
    closed: bool


@dataclass(frozen=True, slots=True)
class Region:
    """Disjoint intervals in ascending order, and the variable they restrict where one is named."""

    variable: str | None
    intervals: tuple[tuple[End, End], ...]


_LOWEST, _HIGHEST = End(negative(INFINITY), float("-inf"), False), End(INFINITY, float("inf"), False)
_EVERYTHING = ((_LOWEST, _HIGHEST),)


class _NotARegion(ValueError):
    pass


def region(node: Node) -> Region | None:
    """The set of reals that a node is or describes; ``None`` where it is something else."""
    try:
        variable, intervals = _read(node)
    except (_NotARegion, Undefined, TooLarge, Opaque, OverflowError):
        return None
    return Region(variable, tuple(intervals))


def both_regions(a: Node, b: Node) -> tuple[Region, Region] | None:
    """Two nodes as regions, where both are some."""
    one = region(a)
    two = None if one is None else region(b)
    return None if one is None or two is None else (one, two)


_Parts = list[tuple[End, End]]


def _read(node: Node) -> tuple[str | None, _Parts]:
    match node:
        case Tuple(items, brackets) if len(items) == 2 and all(isinstance(item, EXPRESSIONS) for item in items):
            low, high = _end(items[0], brackets[0] == "["), _end(items[1], brackets[1] == "]")
            return None, _nonempty(low, high)
        case Collection(items, _, True):
            return None, _united([(end, end) for end in (_end(item, True) for item in items)])
        case Collection(items) if all(isinstance(item, Tuple) and _bounded_by(item) for item in items):
            return None, _united([interval for item in items for interval in _read(item)[1]])
        case Collection(items, joiner):
            return _conditions(items, joiner)
        case SetOperation(operator, parts):
            return _operation(operator, parts)
        case Builder(Symbol(name), condition):
            variable, intervals = _read(condition)
            return (None, intervals) if variable in (None, name) else _fail()
        case Builder(Relation((Symbol(name), domain), ("∈",)), condition):
            variable, intervals = _read(condition)
            return (None, _intersected(_read(domain)[1], intervals)) if variable in (None, name) else _fail()
        case Symbol("ℝ"):
            return None, list(_EVERYTHING)
        case Symbol("∅"):
            return None, []
        case Relation():
            return _relation(node)
    return _fail()


def _bounded_by(item: Tuple) -> bool:
    """Whether a pair can only be an interval: an infinite end, or brackets of two kinds."""
    return len(item.items) == 2 and (
        item.brackets in ("(]", "[)") or any(i == INFINITY or i == negative(INFINITY) for i in item.items)
    )


def _fail() -> tuple[str | None, _Parts]:
    raise _NotARegion


def _conditions(items: tuple[Node, ...], joiner: str) -> tuple[str | None, _Parts]:
    if not all(isinstance(item, Relation) for item in items) or len(items) > MAX_PARTS:
        raise _NotARegion
    read = [_read(item) for item in items]
    names = {name for name, _ in read}
    if len(names) != 1:
        raise _NotARegion
    parts = [intervals for _, intervals in read]
    both = reduce(_intersected, parts)
    if joiner == "or" or (joiner == "," and not both):
        both = _united([interval for part in parts for interval in part])
    return names.pop(), both


def _operation(operator: str, parts: tuple[Node, ...]) -> tuple[str | None, _Parts]:
    if len(parts) > MAX_PARTS:
        raise _NotARegion
    read = [_read(part) for part in parts]
    names = {name for name, _ in read if name is not None}
    if len(names) > 1:
        raise _NotARegion
    sets = [intervals for _, intervals in read]
    if operator == "∪":
        total = _united([interval for part in sets for interval in part])
    elif operator == "∩":
        total = reduce(_intersected, sets)
    else:
        total = reduce(lambda a, b: _intersected(a, _complement(b)), sets)
    return (names.pop() if names else None), total


def _relation(node: Relation) -> tuple[str | None, _Parts]:
    if len(node.operators) == 1 and node.operators[0] == "∈":
        variable, (_, intervals) = node.sides[0], _read(node.sides[1])
        return (variable.name, intervals) if isinstance(variable, Symbol) else _fail()
    parts: _Parts = list(_EVERYTHING)
    names = set[str]()
    for (left, right), operator in zip(pairwise(node.sides), node.operators, strict=True):
        name, intervals = _solved(left, operator, right)
        names.add(name)
        parts = _intersected(parts, intervals)
    if len(names) != 1:
        raise _NotARegion
    return names.pop(), parts


def _solved(left: Node, operator: str, right: Node) -> tuple[str, _Parts]:
    """The solutions of a linear relation in one variable, or of one in its absolute value."""
    if not (isinstance(left, EXPRESSIONS) and isinstance(right, EXPRESSIONS)):
        raise _NotARegion
    left, right = _named(left), _named(right)
    names = symbols(left) | symbols(right)
    if len(names) != 1:
        raise _NotARegion
    (name,) = names
    variable = Symbol(name)
    for one, sign, other in ((left, operator, right), (right, _FLIPPED.get(operator, operator), left)):
        if isinstance(one, Call) and one.name == "abs" and not symbols(other):
            return name, _within(one.args[0], sign, other)
        if one == variable and not symbols(other):
            return name, _compared(sign, _end(other, True))
    slope, start = _line(Sum((left, negative(right))), name)
    end = quotient(negative(start), slope)
    if isinstance(slope, Number) and slope.value < 0:
        operator = _FLIPPED.get(operator, operator)
    return name, _compared(operator, _end(end, True))


def _compared(operator: str, point: End) -> _Parts:
    """The numbers that stand in a relation to a point."""
    at, value = point.at, point.value
    match operator:
        case "<" | "≤":
            return _nonempty(_LOWEST, End(at, value, operator == "≤")) if value > _LOWEST.value else []
        case ">" | "≥":
            return _nonempty(End(at, value, operator == "≥"), _HIGHEST) if value < _HIGHEST.value else []
        case "=":
            return [(point, point)]
        case "≠":
            return _complement([(point, point)])
    raise _NotARegion


def _within(argument: Node, operator: str, distance: Node) -> _Parts:
    """|argument| < distance, and the like, for an argument that is linear."""
    if operator not in _FLIPPED or _end(distance, True).value <= 0:
        raise _NotARegion
    inner = {"<": "<", "≤": "≤", ">": "≤", "≥": "<"}[operator]
    (_, above), (_, below) = (
        _solved(argument, sign, end) for sign, end in ((inner, distance), (_FLIPPED[inner], negative(distance)))
    )
    inside = _intersected(above, below)
    return inside if operator in ("<", "≤") else _complement(inside)


def _named(node: Node) -> Node:
    """0 < f(x) < 1 restricts a quantity whose name is f(x)."""
    match node:
        case Call(name) if is_unknown_function(name):
            return Symbol(repr(node))
        case Sum(terms):
            return Sum(tuple(map(_named, terms)))
        case Product(factors):
            return Product(tuple(map(_named, factors)))
        case _:
            return node


def _line(difference: Node, name: str) -> tuple[Node, Node]:
    """slope and start of slope · x + start, where the slope is rational."""
    form = normal(difference)
    if len(form.bottom) != 1 or () not in form.bottom:
        raise _NotARegion
    slope = form.top.get(((name, 1),))
    rest = {monomial: c for monomial, c in form.top.items() if monomial != ((name, 1),)}
    if slope is None or any(atom == name or "[" in atom for monomial in rest for atom, _ in monomial):
        raise _NotARegion
    terms = [
        Product((Number(c), *(_power(atom, exponent) for atom, exponent in monomial))) if monomial else Number(c)
        for monomial, c in rest.items()
    ]
    start = terms[0] if len(terms) == 1 else Sum(tuple(terms)) if terms else Number(0)
    return Number(slope), start


def _power(atom: str, exponent: Rational) -> Node:
    return Power(Number(int(atom[1:])) if atom[0] == "#" else Symbol(atom), Number(exponent))


def _end(node: Node, closed: bool) -> End:
    if node == INFINITY:
        return _HIGHEST
    if isinstance(node, Product) and INFINITY in node.factors and len(node.factors) == 2:
        return _LOWEST
    if not isinstance(node, EXPRESSIONS) or symbols(node):
        raise _NotARegion
    if isinstance(node, Number):
        return End(node, float(node.value), closed)
    value = value_of(node)
    if hasattr(value, "imag") and value.imag:
        raise _NotARegion
    return End(node, float(value.real), closed)


def _near(a: End, b: End) -> bool:
    """Whether two ends are the same: exactly where they are rational, else by their values in high precision."""
    if a.at == b.at:
        return True
    if isinstance(a.at, Number) and isinstance(b.at, Number):
        return a.at.value == b.at.value
    if abs(a.value - b.value) <= 1e-9 * min(abs(a.value), abs(b.value)) + 1e-30 < float("inf"):
        return same_value(a.at, b.at) is True
    return False


def _below(a: End, b: End) -> bool:
    """Whether one end lies below another."""
    if isinstance(a.at, Number) and isinstance(b.at, Number):
        return a.at.value < b.at.value
    return a.value < b.value


def _place(end: End) -> Fraction | float:
    return Fraction(end.at.value) if isinstance(end.at, Number) else end.value


def _nonempty(low: End, high: End) -> _Parts:
    if _near(low, high):
        return [(low, high)] if low.closed and high.closed else []
    return [(low, high)] if _below(low, high) else []


def _united(parts: _Parts) -> _Parts:
    """The union of intervals: sorted, those that touch joined."""
    total: _Parts = []
    for low, high in sorted(parts, key=lambda part: (_place(part[0]), not part[0].closed)):
        if total:
            last_low, last_high = total[-1]
            touches = _near(low, last_high)
            if (touches and (low.closed or last_high.closed)) or (not touches and _below(low, last_high)):
                total[-1] = (last_low, _further(last_high, high))
                continue
        total.append((low, high))
    return total


def _further(a: End, b: End) -> End:
    if _near(a, b):
        return a if a.closed else b
    return a if _below(b, a) else b


def _intersected(a: _Parts, b: _Parts) -> _Parts:
    if len(a) * len(b) > MAX_PARTS**2:
        raise _NotARegion
    total: _Parts = []
    for (low, high), (other_low, other_high) in product(a, b):
        if _near(low, other_low):
            inner_low = low if not low.closed else other_low
        else:
            inner_low = other_low if _below(low, other_low) else low
        if _near(high, other_high):
            inner_high = high if not high.closed else other_high
        else:
            inner_high = high if _below(high, other_high) else other_high
        total.extend(_nonempty(inner_low, inner_high))
    return total


def _complement(parts: _Parts) -> _Parts:
    total: _Parts = []
    low = _LOWEST
    for part_low, part_high in _united(parts):
        if part_low.value > float("-inf"):
            total.extend(_nonempty(low, End(part_low.at, part_low.value, not part_low.closed)))
        low = End(part_high.at, part_high.value, not part_high.closed)
    if low.value < float("inf"):
        total.append((low, _HIGHEST))
    return total


def same_region(a: Region, b: Region, same: Callable[[Node, Node], bool | None]) -> bool | None:
    """Whether two regions have the same intervals, ends compared by `same`."""
    if None not in (a.variable, b.variable) and a.variable != b.variable:
        return False
    if len(a.intervals) != len(b.intervals):
        return False
    pairs = [
        (end, other)
        for one, two in zip(a.intervals, b.intervals, strict=True)
        for end, other in zip(one, two, strict=True)
    ]
    return all_of(end.closed == other.closed and (end.at == other.at or same(end.at, other.at)) for end, other in pairs)
