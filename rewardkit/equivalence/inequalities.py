"""Whether two polynomial inequalities in one variable have the same solutions, by the signs between their roots."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from rewardkit.equivalence.evaluation import local_context
from rewardkit.equivalence.polynomials import Form

MAX_DEGREE = 16
_NEAR = 1e-12


def same_solutions(one: tuple[str, Form], two: tuple[str, Form], name: str) -> bool | None:
    """Whether ``p < 0`` and ``q < 0`` (or ≤, ≠) hold for the same reals; ``None`` for other than polynomials.

    Args:
        one, two: operator and left side, the right side being zero.
        name: the variable.
    """
    polynomials = [_coefficients(form, name) for _, form in (one, two)]
    if None in polynomials:
        return None
    p, q = (polynomial for polynomial in polynomials if polynomial is not None)
    roots = [_real_roots(polynomial) for polynomial in (p, q)]
    if roots[0] is None or roots[1] is None:
        return None
    points: list[float] = sorted([*roots[0], *roots[1]])
    ends = [points[0] - 1, *points, points[-1] + 1] if points else [0.0]
    between = [Fraction(a) / 2 + Fraction(b) / 2 for a, b in pairwise(ends) if b - a > _NEAR] or [Fraction(0)]
    for middle in between:
        if _holds(one[0], _sign(p, middle)) != _holds(two[0], _sign(q, middle)):
            return False
    for x in points:
        signs = [
            0 if any(abs(x - r) <= _NEAR * max(1.0, abs(x)) for r in own) else _sign(polynomial, Fraction(x))
            for own, polynomial in ((roots[0], p), (roots[1], q))
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


def _real_roots(coefficients: list[Fraction]) -> list[float] | None:
    if len(coefficients) < 2:
        return []
    from mpmath.libmp import NoConvergence

    scale, context = max(abs(c) for c in coefficients), local_context()
    context.prec = 80
    try:
        roots = context.polyroots(
            [context.mpf((c / scale).numerator) / (c / scale).denominator for c in coefficients], extraprec=120
        )
    except (NoConvergence, OverflowError, ZeroDivisionError):
        return None
    return [float(root.real) for root in roots if abs(root.imag) < _NEAR]


def _sign(coefficients: list[Fraction], x: Fraction) -> int:
    value = Fraction(0)
    for coefficient in coefficients:
        value = value * x + coefficient
    return (value > 0) - (value < 0)


def _holds(operator: str, sign: int) -> bool:
    return {"<": sign < 0, "≤": sign <= 0, "≠": sign != 0, "=": sign == 0}[operator]
