"""Whether two readings say the same: the policy, type by type. A mismatch of type is a difference.

Expressions go through the scalar rungs: rational arithmetic, normal forms, values in high precision, and
what `beyond` decides (in a worker process: sympy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

from rewardkit.equivalence.algebra import differ_by_variable, normal, same_form
from rewardkit.equivalence.numeric import Opaque, same_value, value_of
from rewardkit.equivalence.polynomials import Form, TooLarge, Undefined
from rewardkit.equivalence.reader import Reading, choice
from rewardkit.equivalence.regions import region, same_region
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    MINUS_ONE,
    ONE,
    PI,
    PLUS_MINUS,
    UNKNOWN_FUNCTIONS,
    Builder,
    Call,
    Collection,
    Matrix,
    Node,
    Number,
    Numeral,
    Power,
    Product,
    Quantity,
    Ratio,
    Relation,
    SetOperation,
    Sum,
    Symbol,
    Tuple,
    Unit,
    Words,
    children,
    negative,
    quotient,
    substitute,
    symbols,
)
from rewardkit.equivalence.units import DEGREE, RADIAN

MAX_MEMBERS = 200
_SETS = (SetOperation, Builder)


class Comparison:
    """One comparison of an answer with a reference."""

    def __init__(
        self, tolerance: Fraction | None = None, beyond: Callable[[Node, Node], bool | None] | None = None
    ) -> None:
        self._tolerance = tolerance
        self._beyond = beyond
        self.rung = "structure"
        self.undecided = ""
        self.needs_symbolic = False

    def same(self, a: Node, t: Node) -> bool | None:
        """Whether answer and truth are the same; ``None`` where it could not be decided."""
        if a == t:
            return True
        a, t = _expanded(a), _expanded(t)
        if isinstance(a, Words) or isinstance(t, Words):
            self.rung = "words"
            return a == t
        if isinstance(a, Relation) or isinstance(t, Relation):
            return self._relations(a, t)
        if isinstance(a, Collection) or isinstance(t, Collection):
            return self._collections(a, t)
        if isinstance(a, _SETS) or isinstance(t, _SETS) or Symbol("ℝ") in (a, t):
            return self._sets(a, t)
        if isinstance(a, Tuple) or isinstance(t, Tuple):
            same_kind = isinstance(a, Tuple) and isinstance(t, Tuple) and a.brackets == t.brackets
            return same_kind and self._all(a.items, t.items)  # type: ignore[union-attr]
        if isinstance(a, Matrix) or isinstance(t, Matrix):
            return self._matrices(a, t)
        if isinstance(a, Ratio) or isinstance(t, Ratio):
            return self._ratios(a, t)
        if isinstance(a, Numeral) or isinstance(t, Numeral):
            return False
        return self._quantities(a, t)

    # --- structures -----------------------------------------------------------------------------------------

    def _all(self, answers: Sequence[Node], truths: Sequence[Node]) -> bool | None:
        if len(answers) != len(truths):
            return False
        verdict: bool | None = True
        for a, t in zip(answers, truths, strict=True):
            equal = self.same(a, t)
            if equal is False:
                return False
            verdict = verdict if equal else None
        return verdict

    def _matrices(self, a: Node, t: Node) -> bool | None:
        if not (isinstance(a, Matrix) and isinstance(t, Matrix)):
            return False
        if len(a.rows) != len(t.rows) or len(a.rows[0]) != len(t.rows[0]):
            return False
        return self._all([e for row in a.rows for e in row], [e for row in t.rows for e in row])

    def _ratios(self, a: Node, t: Node) -> bool | None:
        if not (isinstance(a, Ratio) and isinstance(t, Ratio)):
            ratio, other = (a, t) if isinstance(a, Ratio) else (t, a)
            assert isinstance(ratio, Ratio)
            plain = len(ratio.items) == 2 and not ratio.clock and isinstance(other, Number)
            fraction = plain and isinstance(other, Number) and isinstance(other.value, Fraction)
            return fraction and self.scalar(quotient(*ratio.items), other)
        same = self._all(a.items, t.items)
        if same is not False or a.clock or t.clock or len(a.items) != len(t.items):
            return same
        items = (*a.items, *t.items)
        if not all(isinstance(item, EXPRESSIONS) for item in items):
            return False
        crossed = [
            (Product((x, t.items[0])), Product((y, a.items[0]))) for x, y in zip(a.items[1:], t.items[1:], strict=True)
        ]
        return self._every(self.scalar(x, y) for x, y in crossed)

    def _every(self, verdicts: object) -> bool | None:
        result: bool | None = True
        for verdict in verdicts:  # type: ignore[attr-defined]
            if verdict is False:
                return False
            result = result if verdict else None
        return result

    def _sets(self, a: Node, t: Node) -> bool | None:
        one, two = region(a), region(t)
        if one is not None and two is not None:
            return same_region(one, two, self.scalar)
        if isinstance(a, SetOperation) and isinstance(t, SetOperation) and a.operator == t.operator:
            return self._all(a.parts, t.parts) if a.operator == "∖" else self._matched(a.parts, t.parts)
        if isinstance(a, Builder) and isinstance(t, Builder):
            return self._all((a.element, a.condition), (t.element, t.condition))
        return False

    def _collections(self, a: Node, t: Node) -> bool | None:
        for one, two in ((a, t), (t, a)):
            named = _assignments(one)
            if named is not None and isinstance(two, Tuple):
                return two.brackets == "()" and self._all([v for _, v in named], two.items)
        if isinstance(a, _SETS) or isinstance(t, _SETS) or _conditional(a) or _conditional(t):
            return self._sets(a, t)
        members, true_members = _members(a), _members(t)
        if isinstance(a, Collection) != isinstance(t, Collection) and len(members) == len(true_members) == 1:
            return self.same(members[0], true_members[0])
        if not (isinstance(a, Collection) and isinstance(t, Collection)):
            return False
        return self._matched(members, true_members)

    def _matched(self, answers: Sequence[Node], truths: Sequence[Node]) -> bool | None:
        """Whether the members pair off, in any order."""
        if len(answers) != len(truths) or len(answers) > MAX_MEMBERS:
            return False if len(answers) != len(truths) else None
        left = list(truths)
        unsure = False
        for answer in answers:
            for index, truth in enumerate(left):
                equal = self.same(answer, truth)
                if equal:
                    del left[index]
                    break
                unsure |= equal is None
            else:
                return None if unsure else False
        return True

    # --- relations ------------------------------------------------------------------------------------------

    def _relations(self, a: Node, t: Node) -> bool | None:
        if isinstance(a, Relation) and isinstance(t, Relation):
            return self._two_relations(a, t)
        relation, other = (a, t) if isinstance(a, Relation) else (t, a)
        assert isinstance(relation, Relation)
        named = self._defined(relation)
        if named is not None:
            value = _expanded(named[1])
            return self.same(value, other) if relation is a else self.same(other, value)
        if isinstance(other, (Tuple, *_SETS, Collection)) or other == Symbol("ℝ"):
            return self._sets(a, t)
        return False

    def _two_relations(self, a: Relation, t: Relation) -> bool | None:
        one, two = self._defined(a), self._defined(t)
        if one is not None and two is not None:
            if one[0] == two[0]:
                return self.same(one[1], two[1])
            if _alias(one[0], two[0]):
                return self.same(one[1], two[1])
        operators = {*a.operators, *t.operators}
        if operators <= {"="}:
            return self._equations(a, t)
        regions = region(a), region(t)
        if regions[0] is not None and regions[1] is not None:
            return same_region(regions[0], regions[1], self.scalar)
        return self._inequalities(a, t)

    def _defined(self, relation: Relation) -> tuple[Node, Node] | None:
        r"""Name and value of ``x = 5``, ``f(x) = 2x``, ``x \in [0, 1]``, ``2 + 3 = 5``, ``x = \sqrt2 \approx 1.41``."""
        sides, operators = relation.sides, relation.operators
        if operators == ("∈",):
            return (sides[0], sides[1]) if _is_name(sides[0]) else None
        if not set(operators) <= {"=", "≈"}:
            return None
        exact = [sides[0]]
        for side, operator in zip(sides[1:], operators, strict=True):
            if operator == "≈" and not (len(exact) == 1 and _is_name(exact[0])):
                break
            exact.append(side)
        if len(exact) == 2 and _is_name(exact[1]) and not _is_name(exact[0]):
            exact.reverse()
        if _is_name(exact[0]) and len(exact) > 1:
            name, values = exact[0], exact[1:]
            if symbols(name) & symbols(values[0]) - {""} and not isinstance(name, Call):
                return None
        else:
            name, values = ONE, exact
            if any(not isinstance(value, EXPRESSIONS) or symbols(value) for value in values):
                return None
        for left, right in pairwise(values):
            if self.same(left, right) is not True:
                return None
        return name, values[-1]

    def _equations(self, a: Relation, t: Relation) -> bool | None:
        if len(a.sides) != len(t.sides):
            return False
        if len(a.sides) > 2:
            return self._all(a.sides, t.sides)
        if all(isinstance(side, EXPRESSIONS) for side in (*a.sides, *t.sides)):
            return self._proportional(_difference(a.sides), _difference(t.sides)) is not False
        same = self._all(a.sides, t.sides)
        return same if same is not False else self._all(a.sides[::-1], t.sides)

    def _inequalities(self, a: Relation, t: Relation) -> bool | None:
        ones, twos = _steps(a), _steps(t)
        if len(ones) != len(twos):
            return False
        left = list(twos)
        for operator, difference in ones:
            for index, (other, truth) in enumerate(left):
                if operator == other and self._proportional(difference, truth, positive=operator != "≠"):
                    del left[index]
                    break
            else:
                return False
        return True

    def _proportional(self, a: Node, t: Node, *, positive: bool = False) -> bool:
        """Whether a = c · t for a constant c (above zero)."""
        if symbols(a) != symbols(t):
            return False
        try:
            one, two = normal(a), normal(t)
            constant = _constant_ratio(one, two)
            if constant is not None:
                return constant > 0 or not positive
            constant = _constant_ratio(Form(one.top, {(): 1}), Form(two.top, {(): 1}))
            if constant is not None and not positive:
                return True
        except (Undefined, TooLarge):
            return False
        ratio = quotient(a, t)
        moved = ratio
        for index, name in enumerate(sorted(symbols(a))):
            moved = substitute(moved, name, Number(Fraction(17 + 4 * index, 13)))
        try:
            if not same_value(ratio, moved):
                return False
            return not positive or bool(value_of(moved) > 0)
        except (Undefined, TooLarge, Opaque, TypeError):
            return False

    # --- scalars --------------------------------------------------------------------------------------------

    def _quantities(self, a: Node, t: Node) -> bool | None:
        a, unit = _measured(a)
        t, true_unit = _measured(t)
        if unit is not None and true_unit is not None and unit != true_unit:
            if {unit.dimensions, true_unit.dimensions} == {DEGREE.dimensions, RADIAN.dimensions}:
                a, t = (_in_radians(x) if u == DEGREE else x for x, u in ((a, unit), (t, true_unit)))
            elif unit.dimensions != true_unit.dimensions:
                return False
            else:
                a = Product((Number(unit.factor / true_unit.factor), a))
        percent, true_percent = _without(a, "percent"), _without(t, "percent")
        if percent is not None and true_percent is not None:
            return self.scalar(percent, true_percent)
        if percent is not None or true_percent is not None:
            bare = self.scalar(percent or a, true_percent or t)
            return bare or self.scalar(a, t)
        same = self.scalar(a, t)
        if same is False and (unit == DEGREE) != (true_unit == DEGREE):
            one, two = (_in_radians(x) if u == DEGREE else x for x, u in ((a, unit), (t, true_unit)))
            other = t if unit == DEGREE else a
            return _mentions(other, PI) and self.scalar(one, two)
        return same

    def scalar(self, a: Node, t: Node) -> bool | None:
        """Whether two expressions are equal."""
        if not (isinstance(a, EXPRESSIONS) and isinstance(t, EXPRESSIONS)):
            return self.same(a, t)
        if isinstance(a, Number) and isinstance(t, Number):
            self.rung = "number" if self.rung == "structure" else self.rung
            if self._tolerance is not None:
                return abs(Fraction(a.value) - t.value) <= self._tolerance
            return a.value == t.value
        verdict = self._decided(a, t)
        if verdict is False and (_plain_log(a) or _plain_log(t)):  # \log without a base: ten, else e
            return self._decided(_natural(a), _natural(t))
        return verdict

    def _decided(self, a: Node, t: Node) -> bool | None:
        try:
            if self._tolerance is not None and not (symbols(a) | symbols(t)):
                self.rung = "values"
                return bool(abs(value_of(a) - value_of(t)) <= float(self._tolerance))
            self.rung = "form"
            verdict = same_form(a, t)
            if verdict is None:
                self.rung = "values"
                verdict = same_value(a, t)
            if verdict is None:
                self.undecided = "too few points where both sides exist"
            return verdict
        except Undefined:
            return False
        except (TooLarge, Opaque) as error:
            if differ_by_variable(a, t):
                return False
            self.undecided = str(error)
            if isinstance(error, TooLarge):
                return None
            if self._beyond is not None:
                self.rung = "symbolic"
                return self._beyond(a, t)
            self.needs_symbolic = True
            return None


def same_choice(answer: str, a: Reading, truth: str, t: Reading) -> bool | None:
    """Whether a lettered choice with its text is the letter asked for; ``None`` where neither side is one."""
    letters = [
        reading.value.name
        if isinstance(reading.value, Symbol) and len(reading.value.name) == 1 and reading.value.name.isupper()
        else choice(text)
        for text, reading in ((answer, a), (truth, t))
    ]
    if None in letters or (isinstance(a.value, Symbol) and isinstance(t.value, Symbol)):
        return None
    return letters[0] == letters[1]


# --- parts of the policy ----------------------------------------------------------------------------------------


def _expanded(node: Node) -> Node:
    """``a ± b`` as the list of its two values."""
    if isinstance(node, EXPRESSIONS):
        if not _mentions(node, PLUS_MINUS):
            return node
        return Collection(tuple(substitute(node, "±", sign) for sign in (ONE, MINUS_ONE)))
    match node:
        case Relation(sides, operators):
            signs = [_expanded(side) for side in sides]
            if any(isinstance(new, Collection) and old != new for new, old in zip(signs, sides, strict=True)):
                pairs = [
                    tuple(new.items[k] if isinstance(new, Collection) and new != old else old
                          for new, old in zip(signs, sides, strict=True))
                    for k in range(2)
                ]  # fmt: skip
                return Collection(tuple(Relation(pair, operators) for pair in pairs))
        case Quantity(value, unit):
            values = _expanded(value)
            if isinstance(values, Collection):
                return Collection(tuple(Quantity(item, unit) for item in values.items))
        case Tuple(items, brackets):
            expanded = [_expanded(item) for item in items]
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
                new = _expanded(item)
                spread.extend(new.items if isinstance(new, Collection) and new != item else [item])
            return Collection((*spread, *items[MAX_MEMBERS + 1 :]), joiner, braces)
        case _:
            pass
    return node


def _mentions(node: Node, symbol: Symbol) -> bool:
    stack = [node]
    while stack:
        top = stack.pop()
        if top == symbol:
            return True
        stack.extend(children(top))
    return False


def _is_name(node: Node) -> bool:
    """Whether a side only names a quantity: a letter, f(x), AB, |AB|, \\frac{AB}{CD}, (x, y)."""
    match node:
        case Symbol(name):
            return name != "∞"
        case Call(name, args):
            return name in UNKNOWN_FUNCTIONS or (name in ("abs", "norm") and _is_name(args[0]))
        case Product(factors):
            return len(factors) <= 4 and all(_is_name(f) for f in factors)
        case Power(base, Number(-1)):
            return _is_name(base)
        case Tuple(items) | Ratio(items):
            return all(isinstance(item, Symbol) for item in items)
        case _:
            return False


def _alias(one: Node, two: Node) -> bool:
    """Whether two names may stand for the same: y and f(x), a label in words and anything."""
    labels = [isinstance(n, Symbol) and (n.name.startswith("label ") or len(n.name) > 5) for n in (one, two)]
    functions = [isinstance(n, Call) for n in (one, two)]
    return any(labels) or functions[0] != functions[1]


def _members(node: Node) -> list[Node]:
    """The members of a list; ``x = 1, 3`` and ``x = 1, x = 3`` have the members 1 and 3."""
    if not isinstance(node, Collection):
        return [node]
    items = list(node.items)
    first = items[0]
    if not (isinstance(first, Relation) and first.operators == ("=",) and _is_name(first.sides[0])):
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


def _assignments(node: Node) -> list[tuple[Node, Node]] | None:
    """name and value of each item of ``x = 1, y = 2``, where the names differ."""
    if not isinstance(node, Collection):
        return None
    pairs: list[tuple[Node, Node]] = []
    for item in node.items:
        if not (isinstance(item, Relation) and item.operators == ("=",) and _is_name(item.sides[0])):
            return None
        pairs.append((item.sides[0], item.sides[1]))
    return pairs if len({name for name, _ in pairs}) == len(pairs) > 1 else None


def _conditional(node: Node) -> bool:
    """Whether a list is one of inequalities."""
    return isinstance(node, Collection) and any(
        isinstance(item, Relation) and not set(item.operators) <= {"=", "≈"} for item in node.items
    )


def _measured(node: Node) -> tuple[Node, Unit | None]:
    if isinstance(node, Quantity):
        value, unit = _measured(node.value)
        return (value, None) if not node.unit.dimensions else (value, node.unit if unit is None else unit)
    bare = _without(node, "degree")
    return (node, None) if bare is None else (bare, DEGREE)


def _without(node: Node, mark: str) -> Node | None:
    """A percentage or an angle in degrees without its sign; ``None`` where it has none."""
    match node:
        case Call(name, args):
            return args[0] if name == mark else None
        case Product(factors):
            bare = [_without(f, mark) for f in factors]
            if sum(b is not None for b in bare) == 1:
                return Product(tuple(f if b is None else b for f, b in zip(factors, bare, strict=True)))
        case Sum(terms):
            bare = [_without(t, mark) for t in terms]
            if all(b is not None for b in bare):
                return Sum(tuple(b for b in bare if b is not None))
        case _:
            pass
    return None


def _in_radians(node: Node) -> Node:
    return Product((node, PI, Power(Number(180), MINUS_ONE)))


def _difference(sides: Sequence[Node]) -> Node:
    return Sum((sides[0], negative(sides[1])))


def _steps(relation: Relation) -> list[tuple[str, Node]]:
    """The inequalities of a chain, each as difference < 0, ≤ 0, = 0 or ≠ 0."""
    steps: list[tuple[str, Node]] = []
    for pair, operator in zip(pairwise(relation.sides), relation.operators, strict=True):
        if not all(isinstance(side, EXPRESSIONS) for side in pair):
            return [("", ONE)]
        if operator in (">", "≥"):
            operator, pair = {">": "<", "≥": "≤"}[operator], (pair[1], pair[0])
        steps.append((operator, _difference(pair)))
    return steps


def _constant_ratio(one: Form, two: Form) -> Fraction | None:
    """c where one = c · two for a rational c."""
    if not one.top or not two.top:
        return None
    lead = min(one.top)
    if len(one.top) != len(two.top) or lead not in two.top or one.bottom != two.bottom:
        return None
    ratio = Fraction(one.top[lead]) / two.top[lead]
    return ratio if all(two.top.get(m, 0) * ratio == c for m, c in one.top.items()) else None


def _plain_log(node: Node) -> bool:
    return any(isinstance(n, Call) and n.name == "log" and len(n.args) == 1 for n in _walk(node))


def _walk(node: Node) -> list[Node]:
    found = [node]
    for n in found:
        found.extend(children(n))
    return found


def _natural(node: Node) -> Node:
    """\\log read as the natural logarithm."""
    match node:
        case Call(name, args):
            args = tuple(map(_natural, args))
            return Call("ln" if name == "log" and len(args) == 1 else name, args)
        case Sum(terms):
            return Sum(tuple(map(_natural, terms)))
        case Product(factors):
            return Product(tuple(map(_natural, factors)))
        case Power(base, exponent):
            return Power(_natural(base), _natural(exponent))
        case _:
            return node
