"""Functions of forms: exact values where they are known, otherwise an atom named by function and argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb, factorial, gcd, lcm, prod

from rewardkit.equivalence.polynomials import (
    ONE,
    Form,
    Polynomial,
    Rational,
    Undefined,
    bits,
    constant,
    inverse,
    key,
    plus,
    product,
    rational,
    signed,
    spend,
    unknown,
)
from rewardkit.equivalence.powers import rational_factors

MAX_FACTORIAL = 3_000


def apply(name: str, forms: Sequence[Form]) -> Form:
    """The form of a function of forms."""
    if name in ("percent", "degree"):
        unit: Polynomial = {(): Fraction(1, 100)} if name == "percent" else {(("π", 1),): Fraction(1, 180)}
        return product(forms[0], Form(unit, ONE))
    values = [rational(form) for form in forms]
    if all(value is not None for value in values) and name in _EXACT:
        exact = _EXACT[name](*[value for value in values if value is not None])
        if exact is not None:
            return constant(exact)
    if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        return _trigonometric(name, forms[0])
    if name == "ln":
        return _logarithm(forms[0])
    if name in ("log", "lg"):
        base = _logarithm(forms[1]) if len(forms) == 2 else _logarithm(constant(10))
        return product(_logarithm(forms[0]), inverse(base))
    if name in ("abs", "cosh", "sech"):
        forms = [signed(forms[0])[1]]
    return unknown(f"{name}[{';'.join(map(key, forms))}]")


def _trigonometric(name: str, argument: Form) -> Form:
    if name in ("sin", "cos"):
        turn = _turn(argument)
        if turn is not None:
            exact = _sine(turn if name == "sin" else turn + Fraction(1, 2))
            if exact is not None:
                return exact
        sign, argument = signed(argument)
        form = unknown(f"{name}[{key(argument)}]")
        return form if name == "cos" or sign > 0 else product(form, constant(-1))
    sine, cosine = _trigonometric("sin", argument), _trigonometric("cos", argument)
    if name in ("tan", "cot"):
        return product(sine, inverse(cosine)) if name == "tan" else product(cosine, inverse(sine))
    return inverse(cosine if name == "sec" else sine)


def _turn(argument: Form) -> Fraction | None:
    """How many π an angle is, where that is rational."""
    if not argument.top:
        return Fraction(0)
    if argument.bottom != ONE or list(argument.top) != [(("π", 1),)]:
        return None
    return Fraction(argument.top[("π", 1),])


def _sine(turn: Fraction) -> Form | None:
    """sin(turn · π) for multiples of π/12 and π/10."""
    turn %= 2
    negative = turn >= 1
    turn %= 1
    if turn > Fraction(1, 2):
        turn = 1 - turn
    value = _SINES.get(turn)
    if value is None:
        return None
    return product(value, constant(-1)) if negative else value


def _surd(*terms: tuple[Rational, tuple[int, ...]]) -> Form:
    """Σ coefficient · √(product of primes)."""
    half = Fraction(1, 2)
    return Form({tuple((f"#{prime}", half) for prime in primes): c for c, primes in terms}, ONE)


_HALF, _QUARTER = Fraction(1, 2), Fraction(1, 4)
_SINES: dict[Fraction, Form] = {
    Fraction(0): Form({}, ONE),
    Fraction(1, 12): _surd((_QUARTER, (2, 3)), (-_QUARTER, (2,))),
    Fraction(1, 10): _surd((_QUARTER, (5,)), (-_QUARTER, ())),
    Fraction(1, 6): _surd((_HALF, ())),
    Fraction(1, 4): _surd((_HALF, (2,))),
    Fraction(3, 10): _surd((_QUARTER, (5,)), (_QUARTER, ())),
    Fraction(1, 3): _surd((_HALF, (3,))),
    Fraction(5, 12): _surd((_QUARTER, (2, 3)), (_QUARTER, (2,))),
    Fraction(1, 2): _surd((1, ())),
}


def _logarithm(argument: Form) -> Form:
    """ln of a positive constant as a sum of logarithms of primes; of anything else as an atom."""
    if not argument.top:
        raise Undefined("the logarithm of zero")
    if argument.bottom == ONE and len(argument.top) == 1:
        ((monomial, coefficient),) = argument.top.items()
        if coefficient > 0 and bits(coefficient) <= 400 and all(a[0] == "#" or a in ("e", "π") for a, _ in monomial):
            terms: Polynomial = {}
            for prime, count in rational_factors(coefficient):
                terms = plus(terms, {((f"ln[{prime}]", 1),): count})
            for atom, exponent in monomial:
                terms = plus(terms, {() if atom == "e" else ((f"ln[{atom.lstrip('#')}]", 1),): exponent})
            return Form(terms, ONE)
    return unknown(f"ln[{key(argument)}]")


def _factorial(n: Rational) -> Rational | None:
    if n.denominator != 1 or n > MAX_FACTORIAL:
        return None
    if n < 0:
        raise Undefined("the factorial of a negative number")
    spend(int(n))
    return factorial(int(n))


def _double_factorial(n: Rational) -> Rational | None:
    if n.denominator != 1 or not 0 <= n <= MAX_FACTORIAL:
        return None
    return prod(range(int(n), 0, -2))


def _binomial(n: Rational, k: Rational) -> Rational | None:
    if n.denominator != 1 or k.denominator != 1 or not 0 <= n <= 10_000 or min(k, n - k) > MAX_FACTORIAL:
        return None
    return comb(int(n), int(k)) if k >= 0 else 0


def _whole(function: Callable[..., int]) -> Callable[..., Rational | None]:
    def exact(*values: Rational) -> Rational | None:
        spend(sum(bits(v) for v in values))
        return function(*map(int, values)) if all(v.denominator == 1 for v in values) else None

    return exact


_EXACT: dict[str, Callable[..., Rational | None]] = {
    "factorial": _factorial,
    "factorial2": _double_factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": lambda x: x.numerator // x.denominator,
    "ceil": lambda x: -(-x.numerator // x.denominator),
    "max": lambda *x: max(x),
    "min": lambda *x: min(x),
    "gcd": _whole(gcd),
    "lcm": _whole(lcm),
}
