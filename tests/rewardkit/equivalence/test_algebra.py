"""Specification of rewardkit.equivalence.algebra: forms prove equality, and inequality of independent atoms."""

from __future__ import annotations

import pytest

from rewardkit.equivalence.algebra import MAX_SERIES, differ_by_variable, independent, normal, same_form
from rewardkit.equivalence.polynomials import TooLarge, Undefined
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.tree import Node


def tree(text: str) -> Node:
    node = read(text).value
    assert node is not None
    return node


def decided(one: str, other: str) -> bool | None:
    verdict = same_form(tree(one), tree(other))
    assert same_form(tree(other), tree(one)) is verdict
    return verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{12}{\sqrt{3}}", r"4\sqrt3"),
        (r"\sqrt{8}", r"2\sqrt2"),
        (r"\frac{1}{\sqrt3-1}", r"\frac{\sqrt3+1}{2}"),
        (r"(\sqrt2+\sqrt3)^2", r"5+2\sqrt6"),
        (r"\sqrt[3]{-8}", "-2"),
        (r"(-8)^{2/3}", "4"),
        (r"\sqrt[3]{x^3}", "x"),
        (r"\sqrt{x^2}", "|x|"),
        (r"\sqrt[4]{x^4}", "|x|"),
        (r"|x|^2", "x^2"),
        (r"\sqrt{x}^2", "x"),
        ("(x+1)^2", "x^2+2x+1"),
        ("(x-y)(x+y)", "x^2-y^2"),
        (r"\frac{x^2-1}{x-1}", "x+1"),
        (r"\frac1x+\frac1y", r"\frac{x+y}{xy}"),
        ("4^x", "2^{2x}"),
        ("2^{n+1}", r"2 \cdot 2^n"),
        ("e^{x+y}", "e^x e^y"),
        (r"\frac{1}{e^x}", "e^{-x}"),
        ("i^2", "-1"),
        ("(1+i)^2", "2i"),
        (r"\frac{1}{i}", "-i"),
        (r"\ln 6", r"\ln 2+\ln 3"),
        (r"\log_2 8", "3"),
        (r"\ln e^3", "3"),
        (r"\sin\frac{\pi}{6}", r"\frac12"),
        (r"\cos\frac{\pi}{12}", r"\frac{\sqrt6+\sqrt2}{4}"),
        (r"\tan\frac{\pi}{3}", r"\sqrt3"),
        (r"\sin 30^\circ", r"\frac12"),
        (r"\tan x", r"\frac{\sin x}{\cos x}"),
        ("f(x+y)", "f(y+x)"),
        ("5!", "120"),
        (r"\sum_{k=1}^{10} k", "55"),
        (r"\prod_{k=1}^{5} k", "5!"),
        (r"\sum_{k=3}^{1} k", "0"),
        (r"\prod_{k=3}^{1} k", "1"),
        (r"\int_0^1 x\,dx", r"\int_0^1 y\,dy"),
        (r"\int (x+1)\,dx", r"\int (1+x)\,dx"),
        (r"\sum_{k=1}^n k^2", r"\sum_{j=1}^n j \cdot j"),
        (r"2^{-1000}", r"\frac{1}{2^{1000}}"),
        (r"\infty", r"+\infty"),
    ],
)
def test_equal_normal_forms_prove_equality(one: str, other: str) -> None:
    assert decided(one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x", "y"),
        ("x", "X"),
        ("x^2", "x"),
        ("(x+1)^2", "x^2+1"),
        (r"\sqrt2", r"\sqrt3"),
        (r"\sqrt2+\sqrt3", r"\sqrt5"),
        (r"\sqrt2", "1.4142135623730951"),
        (r"\pi", r"\frac{22}{7}"),
        (r"e^2", r"e^3"),
        ("3+4i", "3-4i"),
        ("10^{-20}", "0"),
        ("1+10^{-20}", "1"),
        (r"\frac{1}{2^{1000}}", r"\frac{1}{2^{1001}}"),
        (r"\frac{1}{x}", "x"),
        (r"\frac{x}{y}", r"\frac{y}{x}"),
        (r"\sqrt[3]{2}", r"\sqrt{2}"),
        (r"\frac{1}{x-1}", r"\frac{1}{1-x}"),
    ],
)
def test_different_forms_of_independent_atoms_prove_inequality(one: str, other: str) -> None:
    assert decided(one, other) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\sin^2 x+\cos^2 x", "1"),  # equal
        (r"\sin 2x", r"\sin x"),  # different
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),  # equal: a root of a sum is no independent atom
        (r"\sqrt{x^2}", "x"),  # an absolute value and what it is of
        (r"\sqrt{x}", "x"),
        (r"\ln x", "x"),
        ("2^n", "n"),
        (r"(-1)^{1/4}", "i"),
        (r"\pi^{e}", r"e^{\pi}"),
        (r"\sqrt{1000003}", r"\sqrt{1000005}"),  # factors that were not searched for
    ],
)
def test_other_different_forms_prove_nothing(one: str, other: str) -> None:
    assert decided(one, other) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("x+1", True),
        (r"\sqrt2+\pi", True),
        ("i", True),
        (r"\sqrt{\pi}", True),
        (r"\sqrt{x}", False),
        (r"\sin x", False),
        (r"\ln 2", False),
        ("2^n", False),
        ("|x|", False),
        (r"\sqrt{x+1}", False),
    ],
)
def test_atoms_are_independent_where_no_relation_can_hold_between_them(text: str, answer: bool) -> None:
    assert independent(normal(tree(text)).top) is answer


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("x", "1", True),
        ("x+y", "x", True),
        ("x-x", "1", False),  # it only mentions x
        (r"\sin x", "1", False),  # no proof
        ("x", "2x", False),
        ("1", "2", False),
        (r"\int_0^1 t\,dt", "1", False),
        (r"\int_0^1 t\,dt", "x", True),
    ],
)
def test_a_variable_of_one_side_alone_proves_inequality(one: str, other: str, answer: bool) -> None:
    assert differ_by_variable(tree(one), tree(other)) is answer
    assert differ_by_variable(tree(other), tree(one)) is answer


@pytest.mark.parametrize(
    "text",
    [
        r"\frac{1}{0}",
        r"\frac{0}{0}",
        r"\frac{1}{x-x}",
        "0^{-1}",
        r"\ln 0",
        r"\log_1 5",
        r"\tan\frac{\pi}{2}",
        "(-3)!",
        r"\frac{1}{\sin \pi}",
        r"\frac{1}{2-\sqrt4}",
    ],
)
def test_what_does_not_exist_has_no_form(text: str) -> None:
    with pytest.raises(Undefined):
        normal(tree(text))


@pytest.mark.parametrize("text", ["(a+b+c+d+e+f)^4(g+h+j+k+l)^4", r"\prod_{k=1}^{12} (x^{2^k}+y)"])
def test_forms_are_bounded_in_terms(text: str) -> None:
    with pytest.raises(TooLarge):
        normal(tree(text))


@pytest.mark.parametrize("text", ["2^{10^9}", "9^{9^{9^9}}", "(x+1)^{1000}", "10000!", r"\binom{10^9}{10^8}"])
def test_powers_beyond_the_limits_keep_their_names(text: str) -> None:
    assert decided(text, text) is True
    assert decided(text, f"{text}+1") is not True


def test_longer_series_than_the_limit_are_atoms() -> None:
    short, long = (rf"\sum_{{k=1}}^{{{n}}} k" for n in (MAX_SERIES, MAX_SERIES + 2))
    assert decided(short, str(MAX_SERIES * (MAX_SERIES + 1) // 2)) is True
    assert decided(long, str((MAX_SERIES + 2) * (MAX_SERIES + 3) // 2)) is None


def test_opaque_calls_are_told_apart_by_body_and_bounds() -> None:
    integral = r"\int_0^1 e^{-x^2}\,dx"
    for other in (r"\int_0^2 e^{-x^2}\,dx", r"\int_0^1 e^{-x^3}\,dx", r"\int e^{-x^2}\,dx", r"\lim_{x\to 0} e^{-x^2}"):
        assert decided(integral, other) is None
