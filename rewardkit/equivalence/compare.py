"""Whether two readings say the same: the policy, type by type. A mismatch of type is a difference.

Expressions go through the scalar rungs: rational arithmetic, normal forms, values in high precision, and
what `beyond` decides (in a worker process: sympy).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise

from rewardkit.equivalence.algebra import normal
from rewardkit.equivalence.inequalities import same_solutions
from rewardkit.equivalence.plain_language import choice
from rewardkit.equivalence.polynomials import TooLarge, Undefined
from rewardkit.equivalence.reader import Reading
from rewardkit.equivalence.regions import both_regions, same_region
from rewardkit.equivalence.scalars import Scalars
from rewardkit.equivalence.shapes import (
    MAX_MEMBERS,
    applied,
    assignments,
    bare_items,
    both_signs,
    conditional,
    distinct,
    is_name,
    may_stand_for,
    members_of,
    moved_left,
    natural_order,
    single_inequalities,
    unmatched,
)
from rewardkit.equivalence.three_valued import all_of
from rewardkit.equivalence.tree import (
    EXPRESSIONS,
    ONE,
    Builder,
    Collection,
    Matrix,
    Node,
    Number,
    Numeral,
    Product,
    Ratio,
    Relation,
    SetOperation,
    Symbol,
    Tuple,
    Words,
    quotient,
    symbols,
)

_SETS = (SetOperation, Builder)


_RUNGS = {Number: "number", Words: "words", **dict.fromkeys(EXPRESSIONS[1:], "form")}
MAX_COMPARED = 30
"""Members of a list that are compared pair by pair; those with equal normal forms do not count."""


class Comparison:
    """One comparison of an answer with a reference."""

    def __init__(
        self, tolerance: Fraction | None = None, beyond: Callable[[Node, Node], bool | None] | None = None
    ) -> None:
        self.scalars = Scalars(tolerance, beyond)
        self._in_list = False

    def same(self, a: Node, t: Node) -> bool | None:
        """Whether answer and truth are the same; ``None`` where it could not be decided."""
        if a == t:
            self.scalars.rung = _RUNGS.get(type(a), self.scalars.rung)
            return True
        a, t = both_signs(a), both_signs(t)
        if isinstance(a, Words) or isinstance(t, Words):
            self.scalars.rung = "words"
            return _same_words(a, t)
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
        return self.scalars.quantities(a, t)

    # --- structures -----------------------------------------------------------------------------------------

    def _all(self, answers: Sequence[Node], truths: Sequence[Node]) -> bool | None:
        if len(answers) != len(truths):
            return False
        return all_of(self.same(a, t) for a, t in zip(answers, truths, strict=True))

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
            items = bare_items(ratio)
            fraction = isinstance(other, Number) and isinstance(other.value, Fraction)
            if items is None or len(items) != 2 or ratio.clock or not fraction:
                return False
            return self.scalars.equal(quotient(*items), other)
        same = self._all(a.items, t.items)
        if same is not False or (a.clock and t.clock) or len(a.items) != len(t.items):
            return same
        return self._scaled(bare_items(a), bare_items(t))

    def _scaled(self, answers: Sequence[Node] | None, truths: Sequence[Node] | None) -> bool | None:
        """Whether two ratios are multiples of each other: all a_i t_k = a_k t_i, and not all zero."""
        if answers is None or truths is None or any(all(i == Number(0) for i in side) for side in (answers, truths)):
            return False
        pairs = combinations(list(zip(answers, truths, strict=True)), 2)
        return all_of(self.scalars.equal(Product((a, u)), Product((b, t))) for (a, t), (b, u) in pairs)

    def _sets(self, a: Node, t: Node) -> bool | None:
        regions = both_regions(a, t)
        return self._parts(a, t) if regions is None else same_region(*regions, self.scalars.equal)

    def _parts(self, a: Node, t: Node) -> bool | None:
        """Sets that are no sets of reals, part by part."""
        if isinstance(a, SetOperation) and isinstance(t, SetOperation) and a.operator == t.operator:
            return self._all(a.parts, t.parts) if a.operator == "∖" else self._matched(a.parts, t.parts)
        if isinstance(a, Builder) and isinstance(t, Builder):
            return self._all((a.element, a.condition), (t.element, t.condition))
        return False

    def _collections(self, a: Node, t: Node) -> bool | None:
        for one, two in ((a, t), (t, a)):
            named = assignments(one)
            if named is not None and isinstance(two, (Tuple, Collection)) and assignments(two) is None:
                return self._named_values(named, two, reverse=one is t)
        if isinstance(a, _SETS) or isinstance(t, _SETS) or conditional(a) or conditional(t):
            regions = both_regions(a, t)
            if regions is not None:
                return same_region(*regions, self.scalars.equal)
            if not (isinstance(a, Collection) and isinstance(t, Collection)):
                return self._parts(a, t)
        if isinstance(a, Collection) and isinstance(t, Collection) and _other_logic(a, t):
            return False
        members, true_members = members_of(a), members_of(t)
        if self._in_list and isinstance(a, Collection) != isinstance(t, Collection):
            return False
        if isinstance(a, Collection) != isinstance(t, Collection) and len(members) == len(true_members) == 1:
            return Symbol("∅") not in (*members, *true_members) and self.same(members[0], true_members[0])
        if not (isinstance(a, Collection) and isinstance(t, Collection)):
            return False
        if a.braces or t.braces:
            members, true_members = distinct(members), distinct(true_members)
        return self._matched(members, true_members)

    def _named_values(self, named: list[tuple[Node, Node]], values: Node, *, reverse: bool) -> bool | None:
        """``x = 2, y = 3`` for (2, 3) or "2, 3": in the order of the letters, or as given where words name them."""
        if (isinstance(values, Tuple) and values.brackets != "()") or (
            isinstance(values, Collection) and values.braces
        ):
            return False
        assert isinstance(values, (Tuple, Collection))
        if all(isinstance(name, Symbol) and not name.name.startswith("“") for name, _ in named):
            named = sorted(named, key=lambda pair: natural_order(repr(pair[0])))
        mine = [value for _, value in named]
        return self._all(values.items, mine) if reverse else self._all(mine, values.items)

    def _matched(self, answers: Sequence[Node], truths: Sequence[Node]) -> bool | None:
        """Whether the members pair off, in any order; equal normal forms first, since that is cheap."""
        if len(answers) != len(truths):
            return False
        if len(answers) > MAX_MEMBERS:
            self.scalars.undecided = f"more than {MAX_MEMBERS} members"
            return None
        rest, left = unmatched(answers, truths)
        if len(rest) > MAX_COMPARED:
            self.scalars.undecided = f"more than {MAX_COMPARED} members whose normal forms differ"
            return None
        outer, self._in_list = self._in_list, True
        try:
            return self._paired(rest, left)
        finally:
            self._in_list = outer

    def _paired(self, answers: Sequence[Node], truths: Sequence[Node]) -> bool | None:
        """Whether all members find a partner: augmenting paths, since 50% may be 50 and 0.5."""
        verdicts: dict[tuple[int, int], bool | None] = {}
        partner: dict[int, int] = {}

        def place(answer: int, tried: set[int]) -> bool:
            for truth in range(len(truths)):
                if (answer, truth) not in verdicts:
                    verdicts[answer, truth] = self.same(answers[answer], truths[truth])
                if verdicts[answer, truth] and truth not in tried:
                    tried.add(truth)
                    if truth not in partner or place(partner[truth], tried):
                        partner[truth] = answer
                        return True
            return False

        for answer in range(len(answers)):
            if not place(answer, set()):
                unsure = any(verdicts.get((answer, truth)) is None for truth in range(len(truths)))
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
            if not self._in_list and may_stand_for(one[0], two[0]):
                return self.same(one[1], two[1])
        operators = {*a.operators, *t.operators}
        if operators <= {"="}:
            return self._equations(a, t)
        regions = both_regions(a, t)
        if regions is not None:
            return same_region(*regions, self.scalars.equal)
        return self._inequalities(a, t)

    def _defined(self, relation: Relation) -> tuple[Node, Node] | None:
        r"""Name and value of ``x = 5``, ``f(x) = 2x``, ``x \in [0, 1]``, ``2 + 3 = 5``, ``x = \sqrt2 \approx 1.41``."""
        sides, operators = relation.sides, relation.operators
        if operators == ("∈",):
            element_of = is_name(sides[0]) and (not isinstance(sides[1], EXPRESSIONS) or sides[1] == Symbol("ℝ"))
            return (sides[0], sides[1]) if element_of else None
        if not set(operators) <= {"=", "≈"}:
            return None
        exact = [sides[0]]
        for side, operator in zip(sides[1:], operators, strict=True):
            if operator == "≈" and not (len(exact) == 1 and is_name(exact[0])):
                break
            exact.append(side)
        if len(exact) == 2 and is_name(exact[1]) and not is_name(exact[0]):
            exact.reverse()
        while len(exact) > 2 and is_name(exact[0]) and is_name(exact[1]):  # x = y = 5
            del exact[0]
        if is_name(exact[0]) and len(exact) > 1:
            name, values = exact[0], exact[1:]
            if symbols(name) & symbols(values[0]) and not applied(name):
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
            return self.scalars.proportional(moved_left(a.sides), moved_left(t.sides))
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
                if operator == other and self.scalars.proportional(difference, truth, positive=operator != "≠"):
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


def _other_logic(a: Collection, t: Collection) -> bool:
    """x = 2 and y = 3 is not x = 2 or y = 3."""
    return "or" in (a.joiner, t.joiner) and a.joiner != t.joiner and (_several_names(a) or _several_names(t))


def _several_names(node: Collection) -> bool:
    """Whether relations of a list are about different variables."""
    relations = [item for item in node.items if isinstance(item, Relation)]
    return len({frozenset(n for side in r.sides for n in symbols(side)) for r in relations}) > 1


def _same_words(a: Node, t: Node) -> bool:
    if isinstance(a, Words) and isinstance(t, Words):
        joiners = [set(re.findall(r"\b(?:and|or)\b", words.text)) for words in (a, t)]
        return _listed_words(a) == _listed_words(t) and (joiners[0] == joiners[1] or set() in joiners)
    words, other = (a, t) if isinstance(a, Words) else (t, a)
    return isinstance(words, Words) and other == Symbol("∅") and words.text in _NOTHING


_NOTHING = frozenset(
    ("no solution", "no solutions", "no real solution", "no real solutions", "empty set", "the empty set")
)


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
