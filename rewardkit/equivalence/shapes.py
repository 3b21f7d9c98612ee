"""What the policy sees in a node: both values of a ±, names and what they stand for, members, units, signs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise

from rewardkit.equivalence.algebra import normal
from rewardkit.equivalence.polynomials import Form, TooLarge, Undefined, key
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    MINUS_ONE,
    ONE,
    PI,
    PLUS_MINUS,
    Call,
    Collection,
    Node,
    Number,
    Power,
    Product,
    Quantity,
    Ratio,
    Relation,
    Sum,
    Symbol,
    Tuple,
    Unit,
    is_unknown_function,
    negative,
    rebuilt,
    substitute,
    symbols,
    walk,
)
from rewardkit.equivalence.units import DEGREE, UNITS, combine_units, raised_unit

MAX_MEMBERS = 200


def both_signs(node: Node) -> Node:
    """``a ± b`` as the list of its two values."""
    if isinstance(node, EXPRESSIONS):
        if not mentions(node, PLUS_MINUS):
            return node
        return Collection(tuple(substitute(node, "±", sign) for sign in (ONE, MINUS_ONE)))
    match node:
        case Relation(sides, operators):
            signs = [both_signs(side) for side in sides]
            if any(isinstance(new, Collection) and old != new for new, old in zip(signs, sides, strict=True)):
                pairs = [
                    tuple(new.items[k] if isinstance(new, Collection) and new != old else old
                          for new, old in zip(signs, sides, strict=True))
                    for k in range(2)
                ]  # fmt: skip
                return Collection(tuple(Relation(pair, operators) for pair in pairs))
        case Quantity(value, unit):
            values = both_signs(value)
            if isinstance(values, Collection):
                return Collection(tuple(Quantity(item, unit) for item in values.items))
        case Tuple(items, brackets):
            expanded = [both_signs(item) for item in items]
            if expanded != list(items) and not any(isinstance(i, Collection) for i in items):
                return Collection(
                    tuple(
                        Tuple(tuple(e.items[k] if isinstance(e, Collection) else e for e in expanded), brackets)
                        for k in range(2)
                    )
                )
        case Collection(items, joiner, braces):
            spread: list[Node] = []
            for item in items[: MAX_MEMBERS + 1]:
                new = both_signs(item)
                spread.extend(new.items if isinstance(new, Collection) and new != item else [item])
            return Collection((*spread, *items[MAX_MEMBERS + 1 :]), joiner, braces)
        case _:
            pass
    return node


def mentions(node: Node, symbol: Symbol) -> bool:
    """Whether an expression holds a symbol."""
    return symbol in walk(node)


def is_name(node: Node) -> bool:
    """Whether a side only names a quantity: a letter, f(x), \\sin A, AB, |AB|, \\frac{AB}{CD}, (x, y)."""
    match node:
        case Symbol(name):
            return name != "∞"
        case Call(name, args):
            return applied(node) or (len(args) == 1 and name not in ("degree", "percent") and is_name(args[0]))
        case Product(factors):
            return len(factors) <= 5 and all(is_name(f) for f in factors)
        case Power(base, Number(-1)):
            return is_name(base)
        case Tuple(items):
            return all(isinstance(item, Symbol) for item in items)
        case Ratio(items):
            return all(is_name(item) for item in items)
        case _:
            return False


def applied(node: Node) -> bool:
    """Whether a node is an unknown function of something: f(x), g'(2), f^{-1}(x)."""
    return isinstance(node, Call) and is_unknown_function(node.name)


def may_stand_for(one: Node, two: Node) -> bool:
    """Whether two names may stand for the same: y and f(x); a name in words and a letter."""
    labels = [isinstance(n, Symbol) and n.name.startswith("“") for n in (one, two)]
    letters = [isinstance(n, Symbol) and not label for n, label in zip((one, two), labels, strict=True)]
    if any(labels):
        return any(letters)
    return (applied(one) and letters[1]) or (applied(two) and letters[0])


def members_of(node: Node) -> list[Node]:
    """The members of a list; ``x = 1, 3`` and ``x = 1, x = 3`` have the members 1 and 3."""
    if not isinstance(node, Collection):
        return [node]
    items = list(node.items)
    first = items[0]
    if not (isinstance(first, Relation) and first.operators == ("=",) and is_name(first.sides[0])):
        return items
    name = first.sides[0]
    values: list[Node] = []
    for item in items:
        if isinstance(item, Relation):
            if item.operators != ("=",) or item.sides[0] != name:
                return items
            values.append(item.sides[1])
        else:
            values.append(item)
    return values


def assignments(node: Node) -> list[tuple[Node, Node]] | None:
    """name and value of each item of ``x = 1, y = 2``, where the names differ."""
    if not isinstance(node, Collection):
        return None
    pairs: list[tuple[Node, Node]] = []
    for item in node.items:
        if not (isinstance(item, Relation) and item.operators == ("=",) and is_name(item.sides[0])):
            return None
        pairs.append((item.sides[0], item.sides[1]))
    return pairs if len({name for name, _ in pairs}) == len(pairs) > 1 else None


def conditional(node: Node) -> bool:
    """Whether a list is one of inequalities."""
    return isinstance(node, Collection) and any(
        isinstance(item, Relation) and not set(item.operators) <= {"=", "≈"} for item in node.items
    )


def split_unit(node: Node) -> tuple[Node, Unit | None]:
    """The value and its unit, ``None`` without one; "units" says nothing."""
    if isinstance(node, Quantity):
        value, unit = split_unit(node.value)
        if not node.unit.dimensions:
            return value, unit
        return value, node.unit if unit is None else combine_units([unit, node.unit])  # 30° north of east
    bare = without_mark(node, "degree")
    return (node, None) if bare is None else (bare, DEGREE)


def letter_unit(node: Node) -> tuple[Node, Unit | None]:
    """``5 m`` as a quantity, for where the other side has a unit; elsewhere the letter is a variable."""
    match node:
        case Product((Number() as value, Symbol(name))) if name in UNITS:
            return value, UNITS[name]
        case Product((Number() as value, Power(Symbol(name), Number(2 | 3 as power)))) if name in UNITS:
            return value, raised_unit(name, int(power))
        case _:
            return node, None


def without_mark(node: Node, mark: str) -> Node | None:
    """A percentage or an angle in degrees without its sign; ``None`` where it has none."""
    match node:
        case Call(name, args):
            return args[0] if name == mark else None
        case Product(factors):
            bare = [without_mark(f, mark) for f in factors]
            if sum(b is not None for b in bare) == 1 and all(
                b is not None or f == MINUS_ONE for f, b in zip(factors, bare, strict=True)
            ):
                return Product(tuple(f if b is None else b for f, b in zip(factors, bare, strict=True)))
        case Sum(terms):
            bare = [without_mark(t, mark) for t in terms]
            if all(b is not None for b in bare):
                return Sum(tuple(b for b in bare if b is not None))
        case _:
            pass
    return None


def in_radians(node: Node) -> Node:
    """An angle in degrees as one in radians."""
    return Product((node, PI, Power(Number(180), MINUS_ONE)))


def moved_left(sides: Sequence[Node]) -> Node:
    """left − right."""
    return Sum((sides[0], negative(sides[1])))


def single_inequalities(relation: Relation) -> list[tuple[str, Node]]:
    """The inequalities of a chain, each as difference < 0, ≤ 0, = 0 or ≠ 0; none where a side is no expression."""
    steps: list[tuple[str, Node]] = []
    for pair, operator in zip(pairwise(relation.sides), relation.operators, strict=True):
        if not all(isinstance(side, EXPRESSIONS) for side in pair) or operator not in ("<", ">", "≤", "≥", "≠", "="):
            return []
        if operator in (">", "≥"):
            operator, pair = {">": "<", "≥": "≤"}[operator], (pair[1], pair[0])
        steps.append((operator, moved_left(pair)))
    return steps


def constant_ratio(one: Form, two: Form) -> Fraction | None:
    """c where one = c · two for a rational c."""
    if not one.top or not two.top:
        return None
    lead = min(one.top)
    if len(one.top) != len(two.top) or lead not in two.top or one.bottom != two.bottom:
        return None
    ratio = Fraction(one.top[lead]) / two.top[lead]
    return ratio if all(two.top.get(m, 0) * ratio == c for m, c in one.top.items()) else None


def constant_of_integration(node: Node) -> Node | None:
    """``F(x) + C`` without the C; ``None`` for anything else."""
    if not isinstance(node, Sum):
        return None
    rest = [term for term in node.terms if term not in _CONSTANTS_OF_INTEGRATION]
    if len(rest) != len(node.terms) - 1 or any(mentions(node, c) for node in rest for c in _CONSTANTS_OF_INTEGRATION):
        return None
    if any(isinstance(n, Call) and n.name in ("int", "lim", "sum", "prod") for n in walk(node)):
        return None
    bare = rest[0] if len(rest) == 1 else Sum(tuple(rest))
    return bare if len(symbols(bare)) == 1 and min(symbols(bare)).islower() else None


_CONSTANTS_OF_INTEGRATION = (Symbol("C"), Symbol("c"))


def plain_log(node: Node) -> bool:
    """Whether an expression has a logarithm without a base."""
    return any(isinstance(n, Call) and n.name == "log" and len(n.args) == 1 for n in walk(node))


def natural(node: Node) -> Node:
    """\\log read as the natural logarithm."""
    match node:
        case Call("log", (argument,)):
            return Call("ln", (natural(argument),))
        case _:
            return rebuilt(node, natural)


def bare_items(ratio: Ratio) -> list[Node] | None:
    """The items of a ratio as expressions, a unit that all of them have left out; ``None`` where that fails."""
    split = [split_unit(item) for item in ratio.items]
    values = [value for value, _ in split]
    one_unit = len({unit for _, unit in split}) == 1
    return values if one_unit and all(isinstance(value, EXPRESSIONS) for value in values) else None


def unmatched(answers: Sequence[Node], truths: Sequence[Node]) -> tuple[list[Node], list[Node]]:
    """The members of two lists that have no counterpart with the same normal form."""
    waiting: dict[str, list[int]] = {}
    for index, truth in enumerate(truths):
        waiting.setdefault(_form_key(truth), []).append(index)
    rest: list[Node] = []
    taken: set[int] = set()
    for answer in answers:
        found = waiting.get(_form_key(answer))
        if found:
            taken.add(found.pop())
        else:
            rest.append(answer)
    return rest, [truth for index, truth in enumerate(truths) if index not in taken]


def distinct(members: Sequence[Node]) -> list[Node]:
    """The members without those whose normal form has occurred: a set has no member twice."""
    return list({_form_key(member): member for member in members}.values())


def _form_key(node: Node) -> str:
    if isinstance(node, EXPRESSIONS):
        with suppress(Undefined, TooLarge):
            return key(normal(node))
    return repr(node)


def natural_order(name: str) -> list[tuple[int, str]]:
    """A key that sorts x_2 before x_10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d{1,9})", name)]
