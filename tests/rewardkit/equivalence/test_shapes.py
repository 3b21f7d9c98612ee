"""Specification of rewardkit.equivalence.shapes: what the policy sees in a node."""

from __future__ import annotations

from fractions import Fraction

import pytest

from rewardkit.equivalence.algebra import normal, same_form
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.shapes import (
    MAX_MEMBERS,
    assignments,
    both_signs,
    conditional,
    constant_ratio,
    in_radians,
    is_name,
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
from rewardkit.equivalence.tree import Call, Collection, Node, Number, Relation, Sum, Symbol, negative
from rewardkit.equivalence.units import DEGREE, read_unit

X, Y = Symbol("x"), Symbol("y")


def tree(text: str) -> Node:
    node = read(text).value
    assert node is not None
    return node


def alike(one: Node, other: Node) -> bool:
    """The same structure with equal expressions in it."""
    if isinstance(one, Collection) and isinstance(other, Collection):
        return len(one.items) == len(other.items) and all(map(alike, one.items, other.items))
    if isinstance(one, Relation) and isinstance(other, Relation):
        return one.operators == other.operators and all(map(alike, one.sides, other.sides))
    try:
        return same_form(one, other) is True
    except KeyError:
        return one == other


class TestBothSigns:
    @pytest.mark.parametrize(
        ("text", "values"),
        [
            (r"\pm 2", "2, -2"),
            (r"1 \pm \sqrt2", r"1+\sqrt2, 1-\sqrt2"),
            (r"1 \mp \sqrt2", r"1-\sqrt2, 1+\sqrt2"),
            (r"\frac{-b \pm c}{2}", r"\frac{-b+c}{2}, \frac{-b-c}{2}"),
            (r"x = \pm 2", "x = 2, x = -2"),
            (r"3, \pm 2", "3, 2, -2"),
            (r"\pm 1, \pm 2", "1, -1, 2, -2"),
            (r"\pm 1 \pm 1", "2, -2"),  # one sign for both
        ],
    )
    def test_of_plus_minus_are_listed(self, text: str, values: str) -> None:
        assert alike(both_signs(tree(text)), tree(values))

    def test_go_through_tuples_and_quantities(self) -> None:
        pairs = both_signs(tree(r"(\pm 1, 2)"))
        assert isinstance(pairs, Collection)
        assert len(pairs.items) == 2
        lengths = both_signs(tree(r"\pm 5\text{ cm}"))
        assert isinstance(lengths, Collection)
        assert [split_unit(item)[1] for item in lengths.items] == [read_unit("cm")] * 2

    @pytest.mark.parametrize("text", ["2", "x", "1, 2", "(1, 2)", "x = 2", r"\{1, 2\}", "5 cm", "blue", "1:2"])
    def test_leave_everything_else_as_it_is(self, text: str) -> None:
        assert both_signs(tree(text)) == tree(text)

    def test_are_listed_for_a_bounded_number_of_members(self) -> None:
        node = Collection(tuple([tree(r"\pm 1")] * 1_000))
        found = both_signs(node)
        assert isinstance(found, Collection)
        assert len(found.items) == 1_000 + MAX_MEMBERS + 1


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x", True),
        ("a_n", True),
        (r"\theta", True),
        ("f(x)", True),
        ("AB", True),
        ("|AB|", True),
        (r"\frac{AB}{CD}", True),
        ("(x, y)", True),
        ("x:y", True),
        (r"\infty", False),
        ("5", False),
        ("2x", False),
        ("x+y", False),
        ("x^2", False),
        (r"\sin x", True),
        (r"\sin 2x", False),
        ("(x, 1)", False),
        (r"\sqrt{x}", False),
    ],
)
def test_names_name_a_quantity_and_do_not_compute_one(text: str, name: bool) -> None:
    left = tree(f"{text} = 1")
    assert isinstance(left, Relation)
    assert is_name(left.sides[0]) is name


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (Y, Call("f", (X,)), True),
        (Call("f", (X,)), Y, True),
        (X, Y, False),
        (Call("f", (X,)), Call("g", (X,)), False),
        (Symbol("“area of the square”"), X, True),
        (Symbol("“volume”"), Symbol("V"), True),
        (Symbol("“width”"), Symbol("“length”"), False),
        (Symbol("lambda"), Symbol("mu"), False),
    ],
)
def test_only_functions_and_labels_may_stand_for_other_names(one: Node, other: Node, answer: bool) -> None:
    assert may_stand_for(one, other) is answer


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("5", "5"),
        ("1, 2", "1, 2"),
        (r"\{1, 2\}", "1, 2"),
        ("x = 1, 3", "1, 3"),
        ("x = 1, x = 3", "1, 3"),
        ("x = 1, y = 3", "x = 1, y = 3"),
        ("x = 1, x > 3", "x = 1, x > 3"),
        ("2x = 1, 3", "2x = 1, 3"),
    ],
)
def test_members_of_a_list_lose_the_name_that_is_common(text: str, members: str) -> None:
    node = tree(members)
    assert members_of(tree(text)) == (list(node.items) if isinstance(node, Collection) else [node])


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("x = 1, y = 2", [(X, Number(1)), (Y, Number(2))]),
        (r"x = 1 \text{ and } y = 2", [(X, Number(1)), (Y, Number(2))]),
        ("x = 1, x = 2", None),
        ("x = 1, 2", None),
        ("x = 1, y > 2", None),
        ("x = 1", None),
        ("5", None),
    ],
)
def test_assignments_give_several_names_a_value_each(text: str, pairs: list[tuple[Node, Node]] | None) -> None:
    assert assignments(tree(text)) == pairs


@pytest.mark.parametrize(
    ("text", "answer"),
    [("x > 1, x < 2", True), ("x = 1, x < 2", True), ("x = 1, x = 2", False), ("1, 2", False), ("x > 1", False)],
)
def test_a_list_of_inequalities_is_conditional(text: str, answer: bool) -> None:
    assert conditional(tree(text)) is answer


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("5 cm", "5", "cm"),
        (r"90^\circ", "90", "degrees"),
        (r"90 \text{ degrees}", "90", "degrees"),
        ("5 units", "5", None),
        (r"36\pi", r"36\pi", None),
        ("-$5", "-5", "dollars"),
    ],
)
def test_a_value_parts_from_its_unit(text: str, value: str, unit: str | None) -> None:
    found, found_unit = split_unit(tree(text))
    assert (found, found_unit) == (tree(value), None if unit is None else read_unit(unit))


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (r"50\%", "50"),
        (r"-50\%", "-50"),
        (r"10\% + 20\%", "30"),
        (r"10\% + 20", None),
        (r"10\% \cdot 20\%", None),
        ("50", None),
        (r"\sqrt{50\%}", None),
    ],
)
def test_a_mark_on_the_whole_is_taken_off(text: str, bare: str | None) -> None:
    found = without_mark(tree(text), "percent")
    assert found is None if bare is None else found is not None and same_form(found, tree(bare)) is True


def test_degrees_become_radians() -> None:
    assert same_form(in_radians(Number(180)), Symbol("π")) is True
    assert split_unit(tree(r"90^\circ")) == (Number(90), DEGREE)


def test_an_equation_moves_to_the_left() -> None:
    assert same_form(moved_left((X, Y)), Sum((X, negative(Y)))) is True


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("x < y", [("<", "x - y")]),
        ("x > y", [("<", "y - x")]),
        (r"x \ge y", [("≤", "y - x")]),
        (r"x \ne y", [("≠", "x - y")]),
        (r"0 < x \le y", [("<", "0 - x"), ("≤", "x - y")]),
    ],
)
def test_a_chain_is_its_single_inequalities(text: str, steps: list[tuple[str, str]]) -> None:
    node = tree(text)
    assert isinstance(node, Relation)
    found = single_inequalities(node)
    assert [operator for operator, _ in found] == [operator for operator, _ in steps]
    assert all(same_form(a, tree(b)) for (_, a), (_, b) in zip(found, steps, strict=True))


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("2x+4", "x+2", 2),
        ("x+2", "2x+4", Fraction(1, 2)),
        ("x-y", "y-x", -1),
        ("x+2", "x+3", None),
        ("x+2", "x", None),
        (r"\frac{x+1}{y+1}", "x+1", None),
        ("x-x", "x", None),
    ],
)
def test_proportional_forms_have_a_rational_ratio(one: str, other: str, ratio: Fraction | None) -> None:
    assert constant_ratio(normal(tree(one)), normal(tree(other))) == ratio


def test_a_plain_logarithm_may_be_natural() -> None:
    assert plain_log(tree(r"1 + \sqrt{\log x}")) is True
    assert any(map(plain_log, map(tree, (r"\ln x", r"\log_2 x", r"\lg x", "x")))) is False
    assert natural(tree(r"1 + 2\sqrt{\log x} + \log_2 x")) == tree(r"1 + 2\sqrt{\ln x} + \log_2 x")


def test_an_expression_mentions_what_is_anywhere_in_it() -> None:
    assert mentions(tree(r"1 + \sqrt{\sin(2x^2)}"), X)
    assert not mentions(tree(r"1 + \sqrt{\sin(2x^2)}"), Y)
