"""Whether two readings say the same: the policy, type by type. A mismatch of type is a difference.

Expressions go through the scalar rungs: rational arithmetic, normal forms, values in high precision, and
what `beyond` decides (in a worker process: sympy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise

from rewardkit.equivalence.algebra import differ_by_variable, normal, same_form
from rewardkit.equivalence.inequalities import same_solutions
from rewardkit.equivalence.numeric import Opaque, same_value, value_of
from rewardkit.equivalence.polynomials import Form, TooLarge, Undefined
from rewardkit.equivalence.reader import Reading, choice
from rewardkit.equivalence.regions import region, same_region
from rewardkit.equivalence.shapes import (
    MAX_MEMBERS,
    assignments,
    both_signs,
    conditional,
    constant_of_integration,
    constant_ratio,
    in_radians,
    is_name,
    letter_unit,
    may_stand_for,
    members_of,
    mentions,
    moved_left,
    natural,
    plain_log,
    single_inequalities,
    split_unit,
    without_mark,
)
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    ONE,
    PI,
    Builder,
    Call,
    Collection,
    Matrix,
    Node,
    Number,
    Numeral,
    Product,
    Ratio,
    Relation,
    SetOperation,
    Sum,
    Symbol,
    Tuple,
    Words,
    negative,
    quotient,
    substitute,
    symbols,
)
from rewardkit.equivalence.units import DEGREE, RADIAN

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
            self.rung = "number" if isinstance(a, Number) else "form" if isinstance(a, EXPRESSIONS) else self.rung
            return True
        a, t = both_signs(a), both_signs(t)
        if isinstance(a, Words) or isinstance(t, Words):
            self.rung = "words"
            return isinstance(a, Words) and isinstance(t, Words) and _listed_words(a) == _listed_words(t)
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
            named = assignments(one)
            if named is not None and isinstance(two, Tuple):
                return two.brackets == "()" and self._all([v for _, v in named], two.items)
        if isinstance(a, _SETS) or isinstance(t, _SETS) or conditional(a) or conditional(t):
            return self._sets(a, t)
        members, true_members = members_of(a), members_of(t)
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
            value = both_signs(named[1])
            return self.same(value, other) if relation is a else self.same(other, value)
        if isinstance(other, (Tuple, *_SETS, Collection)) or other == Symbol("ℝ"):
            return self._sets(a, t)
        return False

    def _two_relations(self, a: Relation, t: Relation) -> bool | None:
        one, two = self._defined(a), self._defined(t)
        if one is not None and two is not None:
            if one[0] == two[0]:
                return self.same(one[1], two[1])
            if may_stand_for(one[0], two[0]):
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
            return (sides[0], sides[1]) if is_name(sides[0]) else None
        if not set(operators) <= {"=", "≈"}:
            return None
        exact = [sides[0]]
        for side, operator in zip(sides[1:], operators, strict=True):
            if operator == "≈" and not (len(exact) == 1 and is_name(exact[0])):
                break
            exact.append(side)
        if len(exact) == 2 and is_name(exact[1]) and not is_name(exact[0]):
            exact.reverse()
        if is_name(exact[0]) and len(exact) > 1:
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
            return self._proportional(moved_left(a.sides), moved_left(t.sides)) is not False
        same = self._all(a.sides, t.sides)
        return same if same is not False else self._all(a.sides[::-1], t.sides)

    def _inequalities(self, a: Relation, t: Relation) -> bool | None:
        ones, twos = single_inequalities(a), single_inequalities(t)
        if len(ones) != len(twos) or not ones:
            return False
        if len(ones) == 1 and self._same_solutions(ones[0], twos[0]):
            return True
        left = list(twos)
        for operator, difference in ones:
            for index, (other, truth) in enumerate(left):
                if operator == other and self._proportional(difference, truth, positive=operator != "≠"):
                    del left[index]
                    break
            else:
                return False
        return True

    def _same_solutions(self, one: tuple[str, Node], two: tuple[str, Node]) -> bool | None:
        names = symbols(one[1]) | symbols(two[1])
        if len(names) != 1:
            return None
        try:
            forms = normal(one[1]), normal(two[1])
        except (Undefined, TooLarge):
            return None
        return same_solutions((one[0], forms[0]), (two[0], forms[1]), *names)

    def _proportional(self, a: Node, t: Node, *, positive: bool = False) -> bool:
        """Whether a = c · t for a constant c (above zero)."""
        if symbols(a) != symbols(t):
            return False
        try:
            one, two = normal(a), normal(t)
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
            if not same_value(ratio, moved):
                return False
            return not positive or bool(value_of(moved) > 0)
        except (Undefined, TooLarge, Opaque, TypeError):
            return False

    # --- scalars --------------------------------------------------------------------------------------------

    def _quantities(self, a: Node, t: Node) -> bool | None:
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
            return self.scalar(percent, true_percent)
        if percent is not None or true_percent is not None:
            if unit is not None or true_unit is not None:
                return False
            bare = self.scalar(percent or a, true_percent or t)
            return bare or self.scalar(a, t)
        same = self.scalar(a, t)
        if same is False and (unit == DEGREE) != (true_unit == DEGREE):
            one, two = (in_radians(x) if u == DEGREE else x for x, u in ((a, unit), (t, true_unit)))
            other = t if unit == DEGREE else a
            return mentions(other, PI) and self.scalar(one, two)
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
        rest, true_rest = constant_of_integration(a), constant_of_integration(t)
        if rest is not None and true_rest is not None:
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


def _listed_words(words: Words) -> list[str]:
    """Words in a list have no order: Monday and Tuesday."""
    return sorted(part.strip() for part in re.split(r",|;|\band\b|\bor\b", words.text) if part.strip())


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
