r"""Polynomials with exact coefficients, and quotients of two of them.

The unknowns ("atoms") are named by strings: ``x`` a variable, ``π``, ``e``, ``i``, ``#7`` a prime number under a
root, ``sin[…]`` a function of a normal form. Exponents are rational; products are reduced at once
(i² = −1, √2·√2 = 2), and everything is bounded in terms and bits.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import TypeAlias

from rewardkit.equivalence.tree import simple

Rational: TypeAlias = int | Fraction
Monomial: TypeAlias = tuple[tuple[str, Rational], ...]
Polynomial: TypeAlias = dict[Monomial, Rational]

MAX_TERMS = 400
MAX_BITS = 40_000
MAX_WORK = 400_000
"""Operations on terms in all normal forms of one comparison, about half a second."""
MAX_TEXT = 40_000
"""Characters of the name of an atom; names hold names, so their length could explode."""


class _Work(threading.local):
    left = MAX_WORK


_WORK = _Work()


def new_budget() -> None:
    """A comparison begins: it may spend :data:`MAX_WORK` from here on."""
    _WORK.left = MAX_WORK


def spend(operations: int) -> None:
    """Count work; the normal forms of one comparison end when there has been too much."""
    _WORK.left -= operations
    if _WORK.left < 0:
        raise TooLarge(f"more than {MAX_WORK} operations")


class Undefined(ArithmeticError):
    """A division by zero, or another value that does not exist."""


class TooLarge(ArithmeticError):
    """A number or a polynomial beyond the limits of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """top / bottom."""

    top: Polynomial
    bottom: Polynomial


ONE: Polynomial = {(): 1}


def constant(value: Rational) -> Form:
    """A rational number as a form."""
    return Form({(): value} if value else {}, ONE)


def unknown(name: str, exponent: Rational = 1) -> Form:
    """An atom to a power as a form."""
    return Form({((name, exponent),): 1}, ONE)


def plus(a: Polynomial, b: Polynomial) -> Polynomial:
    """a + b."""
    total = dict(a)
    spend(len(b))
    for monomial, coefficient in b.items():
        value = total.get(monomial, 0) + coefficient
        if value:
            if bits(value) > MAX_BITS:
                raise TooLarge(f"more than {MAX_BITS} bits")
            total[monomial] = value
        else:
            total.pop(monomial, None)
    if len(total) > MAX_TERMS:
        raise TooLarge(f"more than {MAX_TERMS} terms")
    return total


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """a · b, every product of monomials reduced."""
    if a is ONE or b is ONE:
        return b if a is ONE else a
    if len(a) * len(b) > 4 * MAX_TERMS:
        raise TooLarge(f"more than {4 * MAX_TERMS} products of terms")
    spend(len(a) * len(b))
    total: Polynomial = {}
    for one, first in a.items():
        for two, second in b.items():
            monomial, factor = _merged(one, two)
            value = total.get(monomial, 0) + first * second * factor
            if value:
                if bits(value) > MAX_BITS:
                    raise TooLarge(f"more than {MAX_BITS} bits")
                total[monomial] = value
            else:
                total.pop(monomial, None)
    return total


def _merged(a: Monomial, b: Monomial) -> tuple[Monomial, Rational]:
    """The product of two monomials, and the rational factor that comes out of it (i² = −1, √2·√2 = 2)."""
    if not a or not b:
        return a or b, 1
    exponents = dict(a)
    for atom, exponent in b:
        exponents[atom] = exponents.get(atom, 0) + exponent
    return reduced(exponents)


def reduced(exponents: dict[str, Rational]) -> tuple[Monomial, Rational]:
    """A monomial with its atoms reduced, and the rational factor that comes out of it."""
    factor: Rational = 1
    for atom, exponent in list(exponents.items()):
        if not exponent:
            del exponents[atom]
        elif atom == "i" and not 0 < exponent < 2:
            if exponent.denominator != 1:
                continue
            turns = int(exponent) % 4
            factor *= -1 if turns >= 2 else 1
            exponents[atom] = turns % 2
            if not turns % 2:
                del exponents[atom]
        elif atom[0] == "#" and not 0 < exponent < 1:
            whole = exponent.numerator // exponent.denominator
            if abs(whole) * len(atom) * 4 > MAX_BITS:
                raise TooLarge(f"more than {MAX_BITS} bits")
            factor *= Fraction(int(atom[1:])) ** whole
            exponents[atom] = exponent - whole
            if exponent == whole:
                del exponents[atom]
        elif (
            atom.startswith("abs[")
            and exponent.denominator == 1
            and exponent % 2 == 0
            and atom[4:-1].isalpha()
            and atom != "abs[i]"
        ):
            del exponents[atom]  # |x|² = x²
            exponents[atom[4:-1]] = exponents.get(atom[4:-1], 0) + exponent
    if isinstance(factor, Fraction):
        factor = simple(factor)
    return tuple(sorted(exponents.items())), factor


def rational(form: Form) -> Rational | None:
    """The value of a form that is a rational number."""
    if form.bottom != ONE or len(form.top) > 1:
        return None
    return form.top.get((), None) if form.top else 0


def product(a: Form, b: Form) -> Form:
    """a · b."""
    return Form(times(a.top, b.top), times(a.bottom, b.bottom))


def multiply_all(forms: Iterable[Form]) -> Form:
    """The product of forms."""
    return reduce(product, forms, constant(1))


def monomial_form(exponents: dict[str, Rational]) -> Form:
    """The product of atoms to their powers."""
    monomial, factor = reduced(exponents)
    return Form({monomial: factor}, ONE)


def inverse(form: Form) -> Form:
    """1 / form; a single term goes back into the numerator."""
    if not form.top:
        raise Undefined("division by zero")
    if len(form.top) > 1:
        return Form(form.bottom, form.top)
    ((monomial, coefficient),) = form.top.items()
    power, factor = reduced({atom: -exponent for atom, exponent in monomial})
    return Form(times(form.bottom, {power: simple(Fraction(factor) / coefficient)}), ONE)


def add_all(forms: Iterable[Form]) -> Form:
    """The sum of forms over their common denominator."""
    top, bottom = dict[Monomial, Rational](), ONE
    for form in forms:
        if form.bottom == bottom:
            top = plus(top, form.top)
        else:
            top = plus(times(top, form.bottom), times(form.top, bottom))
            bottom = times(bottom, form.bottom)
    return Form(top, bottom)


def signed(form: Form) -> tuple[int, Form]:
    """A sign, and the form whose leading coefficient is positive."""
    if not form.top or form.top[min(form.top)] > 0:
        return 1, form
    return -1, Form({monomial: -c for monomial, c in form.top.items()}, form.bottom)


def primitive_part(polynomial: Polynomial) -> tuple[Rational, Polynomial]:
    """A rational factor, and the polynomial with integer coefficients that have no common divisor."""
    values = [Fraction(c) for c in polynomial.values()]
    scale = Fraction(gcd(*(v.numerator for v in values)), lcm(*(v.denominator for v in values)))
    if polynomial[min(polynomial)] < 0:
        scale = -scale
    return simple(scale), {monomial: simple(Fraction(c) / scale) for monomial, c in polynomial.items()}


def form_text(form: Form) -> str:
    """The normal form for people: ``1/2·π·3^1/2``."""
    top, bottom = (poly_text(p).replace("#", "") for p in (form.top, form.bottom))
    for text in (top, bottom):
        if len(text) > 1_000:
            return f"a form of {len(form.top) + len(form.bottom)} terms"
    return top if form.bottom == ONE else f"({top}) / ({bottom})"


def bits(value: Rational) -> int:
    """The bits of the longer one of numerator and denominator."""
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def key(form: Form) -> str:
    """The form as text, the same for equal polynomials."""
    top = poly_text(form.top)
    return top if form.bottom == ONE else f"{top}/{poly_text(form.bottom)}"


def poly_text(polynomial: Polynomial) -> str:
    """The polynomial as text, the same for equal ones."""
    terms = sorted(polynomial.items())
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1 and terms[0][0][0][1] == 1:
        return terms[0][0][0][0]
    text = "+".join(_term(monomial, coefficient) for monomial, coefficient in terms) or "0"
    if len(text) > MAX_TEXT:
        raise TooLarge(f"a name of more than {MAX_TEXT} characters")
    return text


def _term(monomial: Monomial, coefficient: Rational) -> str:
    return spelled(coefficient) + "".join(f"·{atom}" if e == 1 else f"·{atom}^{spelled(e)}" for atom, e in monomial)


def spelled(value: Rational) -> str:
    """A rational as text; a long one in hexadecimal, since Python refuses more than 4,300 decimal digits."""
    if bits(value) < 14_000:
        return str(value)
    return f"{value.numerator:#x}/{value.denominator:#x}"
