r"""Normal forms: an expression as a quotient of two polynomials with exact coefficients.

The unknowns of the polynomials ("atoms") are variables, π, e, i, prime numbers under a root, and functions of
normal forms. Equal normal forms prove equality. Where all atoms are independent (variables with integer
exponents, roots of primes, π, e, i), different normal forms prove inequality too: products of roots of
distinct primes are linearly independent over the rationals (Besicovitch 1940), e and π are transcendental.

    >>> from rewardkit.equivalence.reader import read
    >>> same_form(read(r"\frac{12}{\sqrt{3}}").value, read(r"4\sqrt3").value)
    True
    >>> same_form(read(r"(x+1)^2").value, read("x^2+1").value)
    False
"""

from __future__ import annotations

import re
from collections.abc import Callable

from rewardkit.equivalence.functions import apply
from rewardkit.equivalence.polynomials import (
    ONE,
    Form,
    Polynomial,
    TooLarge,
    Undefined,
    add_all,
    constant,
    key,
    multiply_all,
    rational,
    spend,
    times,
    unknown,
)
from rewardkit.equivalence.powers import raised, raised_to_form
from rewardkit.equivalence.tree import Call, Node, Number, Power, Product, Sum, Symbol, children, substitute, symbols

MAX_SERIES = 200


def same_form(a: Node, b: Node) -> bool | None:
    """Whether two expressions are equal, by proof; ``None`` where normal forms do not tell."""
    left, right = normal(a), normal(b)
    if left.bottom == right.bottom:
        if left.top == right.top:
            return True
        polynomials = [left.top, right.top, left.bottom]
    else:
        one, two = times(left.top, right.bottom), times(right.top, left.bottom)
        if one == two:
            return True
        polynomials = [one, two]
    return False if all(independent(p) for p in polynomials) else None


def independent(polynomial: Polynomial) -> bool:
    """Whether all atoms are independent of each other, so that the polynomial is zero only if it is empty."""
    for monomial in polynomial:
        for atom, exponent in monomial:
            if "[" in atom or (atom[0] == "#" and len(atom) > 7):
                return False
            if exponent.denominator != 1 and atom[0] != "#" and atom != "e" and atom != "π":
                return False
    return True


def differ_by_variable(a: Node, b: Node) -> bool:
    """Whether one side provably depends on a variable that the other does not mention at all."""
    for one, other in ((a, b), (b, a)):
        names = symbols(one) - symbols(other)
        if not names:
            continue
        try:
            form = normal(one)
        except (Undefined, TooLarge):
            continue
        if form.bottom == ONE and independent(form.top) and names & {atom for m in form.top for atom, _ in m}:
            return True
    return False


def normal(node: Node) -> Form:
    """The normal form of an expression.

    Raises:
        Undefined: division by zero.
        TooLarge: beyond the terms or bits of :mod:`.polynomials`.
    """
    spend(20)
    return _RULES[type(node)](node)


def _power(node: Power) -> Form:
    base, exponent = normal(node.base), normal(node.exponent)
    value = rational(exponent)
    if value is None:
        return raised_to_form(base, exponent)
    return raised(base, value)


def _call(node: Call) -> Form:
    if node.name in ("sum", "prod"):
        return _series(node)
    if node.name in ("int", "lim"):
        return _opaque(node)
    return apply(node.name, [normal(arg) for arg in node.args])


def _opaque(node: Call) -> Form:
    """An atom for a series, an integral or a limit: equal where body and bounds are, whatever the index is called."""
    body, variable, *bounds = node.args
    if isinstance(variable, Symbol) and bounds:
        body = _reindexed(substitute(body, variable.name, Symbol("§")), variable.name)
    return unknown(f"{node.name}[{';'.join(key(normal(arg)) for arg in (body, *(bounds or [variable])))}]")


def _reindexed(node: Node, index: str) -> Node:
    """The terms a_k of a series with another letter as index."""
    for name in symbols(node):
        base, _, script = name.partition("_")
        renamed = re.sub(rf"(?<![a-zA-Z]){re.escape(index)}(?![a-zA-Z])", "§", script)
        if renamed != script:
            node = substitute(node, name, Symbol(f"{base}_{renamed}"))
    return node


def _series(node: Call) -> Form:
    body, variable, low, high = node.args
    first, last = rational(normal(low)), rational(normal(high))
    if first is None or last is None or first.denominator != 1 or last.denominator != 1:
        return _opaque(node)
    if last - first > MAX_SERIES // 10 ** (2 * _series_within(body)):
        return _opaque(node)
    if not isinstance(variable, Symbol):  # its letter is the index of another series around this one
        return _opaque(node)
    forms = [normal(substitute(body, variable.name, Number(k))) for k in range(int(first), int(last) + 1)]
    return add_all(forms) if node.name == "sum" else multiply_all(forms)


def _series_within(node: Node) -> int:
    """How deep series are nested in an expression."""
    below = max(map(_series_within, children(node)), default=0)
    return below + (isinstance(node, Call) and node.name in ("sum", "prod"))


_RULES: dict[type, Callable[..., Form]] = {
    Number: lambda node: constant(node.value),
    Symbol: lambda node: unknown(node.name),
    Sum: lambda node: add_all(map(normal, node.terms)),
    Product: lambda node: multiply_all(map(normal, node.factors)),
    Power: _power,
    Call: _call,
}
