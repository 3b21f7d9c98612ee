"""Whether two expressions or quantities are equal: exact numbers, normal forms, values, and what lies beyond."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from rewardkit.equivalence.algebra import differ_by_variable, normal, same_form
from rewardkit.equivalence.numeric import Opaque, same_value, value_of
from rewardkit.equivalence.polynomials import Form, TooLarge, Undefined
from rewardkit.equivalence.shapes import (
    constant_of_integration,
    constant_ratio,
    in_radians,
    letter_unit,
    mentions,
    natural,
    plain_log,
    split_unit,
    without_mark,
)
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    INFINITY,
    PI,
    Call,
    Node,
    Number,
    Product,
    Sum,
    Symbol,
    children,
    negative,
    quotient,
    substitute,
    symbols,
)
from rewardkit.equivalence.units import DEGREE, RADIAN

_CONSTANT = Symbol("C")


class Scalars:
    """The scalar rungs of one comparison, and how far they had to go."""

    def __init__(self, tolerance: Fraction | None, beyond: Callable[[Node, Node], bool | None] | None) -> None:
        self._tolerance = tolerance
        self._beyond = beyond
        self.rung = "structure"
        self.undecided = ""
        self.needs_symbolic = False

    def quantities(self, a: Node, t: Node) -> bool | None:
        """Whether two values are equal, with their units, percent signs and degrees."""
        a, unit = split_unit(a)
        t, true_unit = split_unit(t)
        if unit is None and true_unit is not None:
            a, unit = letter_unit(a)
        elif true_unit is None and unit is not None:
            t, true_unit = letter_unit(t)
        if unit is not None and true_unit is not None and unit != true_unit:
            if {unit.dimensions, true_unit.dimensions} == {DEGREE.dimensions, RADIAN.dimensions}:
                a, t = (in_radians(x) if u == DEGREE else x for x, u in ((a, unit), (t, true_unit)))
            elif unit.dimensions != true_unit.dimensions:
                return False
            else:
                a = Product((Number(unit.factor / true_unit.factor), a))
        percent, true_percent = without_mark(a, "percent"), without_mark(t, "percent")
        if percent is not None and true_percent is not None:
            return self.equal(percent, true_percent)
        if percent is not None or true_percent is not None:
            if (percent is None and unit is not None) or (true_percent is None and true_unit is not None):
                return False  # 20% is not $0.20
            bare = self.equal(percent or a, true_percent or t)
            return bare or self.equal(a, t)
        same = self.equal(a, t)
        if same is False and (unit == DEGREE) != (true_unit == DEGREE):
            one, two = (in_radians(x) if u == DEGREE else x for x, u in ((a, unit), (t, true_unit)))
            other = t if unit == DEGREE else a
            return mentions(other, PI) and self.equal(one, two)
        return same

    def equal(self, a: Node, t: Node) -> bool | None:
        """Whether two expressions are equal."""
        if not (isinstance(a, EXPRESSIONS) and isinstance(t, EXPRESSIONS)):
            return False
        if isinstance(a, Number) and isinstance(t, Number):
            self.rung = "number" if self.rung == "structure" else self.rung
            if self._tolerance is not None:
                return abs(Fraction(a.value) - t.value) <= self._tolerance
            return a.value == t.value
        rest, true_rest = constant_of_integration(a), constant_of_integration(t)
        if rest is not None and true_rest is not None and (mentions(a, _CONSTANT) or mentions(t, _CONSTANT)):
            return self._differ_by_constant(rest, true_rest)
        verdict = self._decided(a, t)
        if verdict is False and (plain_log(a) or plain_log(t)):  # \log without a base: ten, else e
            return self._decided(natural(a), natural(t))
        return verdict

    def _differ_by_constant(self, a: Node, t: Node) -> bool | None:
        """Two antiderivatives without their constants."""
        gap: Node = Sum((a, negative(t)))
        moved = gap
        for index, name in enumerate(sorted(symbols(gap))):
            moved = substitute(moved, name, Sum((Symbol(name), Number(Fraction(3 + index, 17)))))
        return self._decided(gap, moved)

    def _decided(self, a: Node, t: Node) -> bool | None:
        if _infinite(a) or _infinite(t):
            return False  # equal trees have been found before; ∞ − ∞ is nothing
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

    def proportional(self, a: Node, t: Node, *, positive: bool = False) -> bool:
        """Whether a = c · t for a constant c (above zero)."""
        if symbols(a) != symbols(t) or not symbols(a):
            return False
        try:
            one, two = normal(a), normal(t)
            if any(form.top.keys() <= {()} for form in (one, two)):  # 0 = 0 and 0 = 1 are no multiples of an equation
                return False
            constant = constant_ratio(one, two)
            if constant is not None:
                return constant > 0 or not positive
            constant = constant_ratio(Form(one.top, {(): 1}), Form(two.top, {(): 1}))
            if constant is not None and not positive:
                return True
        except (Undefined, TooLarge):
            return False
        ratio = quotient(a, t)
        moved = ratio
        for index, name in enumerate(sorted(symbols(a))):
            moved = substitute(moved, name, Number(Fraction(17 + 4 * index, 13)))
        try:
            value = value_of(moved)
            if abs(value) < 1e-30 or abs(value) > 1e30 or not same_value(ratio, moved):
                return False
            return not positive or bool(value > 0)
        except (Undefined, TooLarge, Opaque, TypeError):
            return False


def _infinite(node: Node) -> bool:
    """Whether an expression computes with infinity, other than as a bound."""
    if node in (INFINITY, negative(INFINITY)):
        return False
    stack = [node]
    while stack:
        top = stack.pop()
        if top == INFINITY:
            return True
        if not (isinstance(top, Call) and top.name in ("sum", "prod", "int", "lim")):
            stack.extend(children(top))
    return False
