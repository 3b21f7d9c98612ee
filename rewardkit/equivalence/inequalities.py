"""Whether two polynomial inequalities in one variable have the same solutions, by the signs between their roots."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

from rewardkit.equivalence.evaluation import local_context
from rewardkit.equivalence.polynomials import Form

MAX_DEGREE = 16
_NEAR = Fraction(1, 10**24)
"""Roots are computed to 60 digits; double ones are right to half of them."""


def same_solutions(one: tuple[str, Form], two: tuple[str, Form], name: str) -> bool | None:
    """Whether ``p < 0`` and ``q < 0`` (or ≤, ≠) hold for the same reals; ``None`` for other than polynomials.

    Args:
        one, two: operator and left side, the right side being zero.
        name: the variable.
    """
    p, q = _coefficients(one[1], name), _coefficients(two[1], name)
    if p is None or q is None or len(p) < 2 or len(q) < 2:
        return None
    roots, other_roots = _real_roots(p), _real_roots(q)
    if roots is None or other_roots is None:
        return None
    points: list[Fraction] = sorted([*roots, *other_roots])
    ends = [points[0] - 1, *points, points[-1] + 1] if points else [Fraction(0)]
    between = [(a + b) / 2 for a, b in pairwise(ends) if b - a > _NEAR] or [Fraction(0)]
    for middle in between:
        if _holds(one[0], _sign(p, middle)) != _holds(two[0], _sign(q, middle)):
            return False
    for x in points:
        signs = [
            0 if any(abs(x - r) <= _NEAR * max(Fraction(1), abs(x)) for r in own) else _sign(polynomial, x)
            for own, polynomial in ((roots, p), (other_roots, q))
        ]
        if _holds(one[0], signs[0]) != _holds(two[0], signs[1]):
            return False
    return True


def _coefficients(form: Form, name: str) -> list[Fraction] | None:
    """From the highest power down; the denominator must be a number."""
    if len(form.bottom) != 1 or () not in form.bottom:
        return None
    powers: dict[int, Fraction] = {}
    for monomial, coefficient in form.top.items():
        exponent = dict(monomial).get(name, 0)
        if any(atom != name for atom, _ in monomial) or exponent.denominator != 1 or not 0 <= exponent <= MAX_DEGREE:
            return None
        powers[int(exponent)] = Fraction(coefficient) / form.bottom[()]
    return [powers.get(k, Fraction(0)) for k in range(max(powers, default=0), -1, -1)]


def _real_roots(coefficients: list[Fraction]) -> list[Fraction] | None:
    if len(coefficients) < 2:
        return []
    from mpmath.libmp import NoConvergence

    scale, context = max(abs(c) for c in coefficients), local_context()
    context.prec = 200
    try:
        roots = context.polyroots(
            [context.mpf((c / scale).numerator) / (c / scale).denominator for c in coefficients], extraprec=120
        )
    except (NoConvergence, OverflowError, ZeroDivisionError):
        return None
    return [_exact(root.real) for root in roots if abs(root.imag) < float(_NEAR)]


def _exact(value: Any) -> Fraction:
    sign, mantissa, exponent, _ = value._mpf_
    return Fraction((-1) ** sign * int(mantissa)) * Fraction(2) ** int(exponent)


def _sign(coefficients: list[Fraction], x: Fraction) -> int:
    value = Fraction(0)
    for coefficient in coefficients:
        value = value * x + coefficient
    return (value > 0) - (value < 0)


def _holds(operator: str, sign: int) -> bool:
    return {"<": sign < 0, "≤": sign <= 0, "≠": sign != 0, "=": sign == 0}[operator]
