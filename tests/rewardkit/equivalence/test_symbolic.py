"""Specification of rewardkit.equivalence.symbolic: integrals, limits, infinite series; on trees, never on text."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from rewardkit.equivalence.symbolic import symbolic_equal
from rewardkit.equivalence.tree import (
    HALF,
    INFINITY,
    MINUS_ONE,
    PI,
    Call,
    E,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    negative,
    quotient,
)

X, Y, N, K = map(Symbol, "xynk")
ZERO, ONE, TWO, THREE = map(Number, range(4))


def power(base: Node, exponent: int) -> Node:
    return Power(base, Number(exponent))


def integral(body: Node, *bounds: Node, over: Symbol = X) -> Node:
    return Call("int", (body, over, *bounds))


def series(body: Node, low: Node, high: Node, name: str = "sum") -> Node:
    return Call(name, (body, K, low, high))


def limit(body: Node, at: Node) -> Node:
    return Call("lim", (body, X, at))


GAUSS = Power(E, negative(power(X, 2)))


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (integral(power(X, 2), ZERO, ONE), Number(Fraction(1, 3))),
        (integral(power(Y, 2), ZERO, ONE, over=Y), Number(Fraction(1, 3))),
        (integral(power(X, 2), ZERO, N), Product((Number(Fraction(1, 3)), power(N, 3)))),
        (integral(power(X, 2)), Product((Number(Fraction(1, 3)), power(X, 3)))),
        (integral(Call("cos", (X,))), Call("sin", (X,))),
        (integral(Power(X, MINUS_ONE), ONE, E), ONE),
        (integral(GAUSS, negative(INFINITY), INFINITY), Power(PI, HALF)),
        (integral(Power(E, negative(X)), ZERO, INFINITY), ONE),
        (series(power(K, -2), ONE, INFINITY), quotient(power(PI, 2), Number(6))),
        (series(power(TWO, 0), ONE, N), N),
        (series(Power(HALF, K), ZERO, INFINITY), TWO),
        (series(K, ONE, N), Product((HALF, N, Sum((N, ONE))))),
        (series(Power(Call("factorial", (K,)), MINUS_ONE), ZERO, INFINITY), E),
        (series(K, ONE, Number(5), "prod"), Number(math.factorial(5))),
        (limit(quotient(Call("sin", (X,)), X), ZERO), ONE),
        (limit(Power(X, MINUS_ONE), INFINITY), ZERO),
        (limit(Power(Sum((ONE, Power(X, MINUS_ONE))), X), INFINITY), E),
        (limit(power(X, 2), Number(3)), Number(9)),
    ],
)
def test_integrals_series_and_limits_have_values(node: Node, value: Node) -> None:
    assert symbolic_equal(node, value) is True
    assert symbolic_equal(value, node) is True


@pytest.mark.parametrize(
    ("node", "other"),
    [
        (integral(power(X, 2), ZERO, ONE), HALF),
        (integral(power(X, 2), ZERO, ONE), Number(Fraction(333_333_333, 10**9))),
        (integral(X), integral(power(X, 2))),
        (integral(X), X),
        (integral(GAUSS, negative(INFINITY), INFINITY), PI),
        (series(power(K, -2), ONE, INFINITY), quotient(PI, Number(6))),
        (series(Power(HALF, K), ZERO, INFINITY), ONE),
        (series(K, ONE, N), power(N, 2)),
        (limit(quotient(Call("sin", (X,)), X), ZERO), ZERO),
        (limit(X, INFINITY), ZERO),
        (series(K, ONE, INFINITY), ONE),
    ],
)
def test_different_values_are_told_apart(node: Node, other: Node) -> None:
    assert symbolic_equal(node, other) is False
    assert symbolic_equal(other, node) is False


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (Power(Number(-8), Number(Fraction(1, 3))), Number(-2)),
        (Power(Number(-8), Number(Fraction(2, 3))), Number(4)),
        (Call("log", (Number(100),)), TWO),
        (Call("log", (Number(8), TWO)), THREE),
        (Call("ln", (E,)), ONE),
        (Call("percent", (Number(50),)), HALF),
        (Call("sin", (Call("degree", (Number(30),)),)), HALF),
        (Call("arctan", (ONE,)), quotient(PI, Number(4))),
        (Call("binom", (Number(5), TWO)), Number(10)),
        (Call("abs", (Number(-3),)), THREE),
        (Call("ceil", (HALF,)), ONE),
        (Call("floor", (HALF,)), ZERO),
        (Call("max", (ONE, TWO)), TWO),
        (Call("zeta", (TWO,)), quotient(power(PI, 2), Number(6))),
        (Call("gamma", (HALF,)), Power(PI, HALF)),
        (power(Symbol("i"), 2), MINUS_ONE),
        (Call("f", (Sum((X, Y)),)), Call("f", (Sum((Y, X)),))),
    ],
)
def test_functions_mean_what_they_mean_on_the_other_rungs(node: Node, value: Node) -> None:
    assert symbolic_equal(node, value) is True


def test_the_same_infinity_is_equal_and_another_is_not() -> None:
    assert symbolic_equal(limit(X, INFINITY), INFINITY) is True
    assert symbolic_equal(limit(negative(X), INFINITY), INFINITY) is False
    assert symbolic_equal(series(K, ONE, INFINITY), INFINITY) is True


def test_a_variable_is_real() -> None:
    assert symbolic_equal(Power(power(X, 2), HALF), Call("abs", (X,))) is True
    assert symbolic_equal(Power(power(X, 2), HALF), X) is not True


def test_a_name_reaches_sympy_as_a_name_alone() -> None:
    hostile = Symbol("__import__('os').system('true')")
    assert symbolic_equal(hostile, ONE) is False
    assert symbolic_equal(Sum((hostile, ONE)), Sum((ONE, hostile))) is True
