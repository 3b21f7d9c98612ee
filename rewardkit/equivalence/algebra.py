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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, gcd, lcm, prod
from typing import TypeAlias

from rewardkit.equivalence.tree import (
    PI,
    Call,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    simple,
    substitute,
    symbols,
)

Rational: TypeAlias = int | Fraction
Monomial: TypeAlias = tuple[tuple[str, Rational], ...]
Polynomial: TypeAlias = dict[Monomial, Rational]

MAX_TERMS = 400
MAX_BITS = 40_000
MAX_FACTORIAL = 3_000
MAX_SERIES = 200
_SMALL_PRIMES = [p for p in range(2, 1_000) if all(p % q for q in range(2, int(p**0.5) + 1))]


class Undefined(ArithmeticError):
    """A division by zero, or another value that does not exist."""


class TooLarge(ArithmeticError):
    """A number or a polynomial beyond the limits of this module."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """top / bottom."""

    top: Polynomial
    bottom: Polynomial


_ONE: Polynomial = {(): 1}


def same_form(a: Node, b: Node) -> bool | None:
    """Whether two expressions are equal, by proof; ``None`` where normal forms do not tell."""
    left, right = normal(a), normal(b)
    if left.bottom == right.bottom:
        if left.top == right.top:
            return True
        polynomials = [left.top, right.top, left.bottom]
    else:
        one, two = _times(left.top, right.bottom), _times(right.top, left.bottom)
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
        if form.bottom == _ONE and independent(form.top) and names & {atom for m in form.top for atom, _ in m}:
            return True
    return False


def rational(form: Form) -> Rational | None:
    """The value of a form that is a rational number."""
    if form.bottom != _ONE or len(form.top) > 1:
        return None
    return form.top.get((), None) if form.top else 0


def normal(node: Node) -> Form:
    """The normal form of an expression.

    Raises:
        Undefined: division by zero.
        TooLarge: beyond :data:`MAX_TERMS` terms or :data:`MAX_BITS` bits.
    """
    return _RULES[type(node)](node)


# --- polynomials ------------------------------------------------------------------------------------------------


def _constant(value: Rational) -> Form:
    return Form({(): value} if value else {}, _ONE)


def _atom(name: str, exponent: Rational = 1) -> Form:
    return Form({((name, exponent),): 1}, _ONE)


def _plus(a: Polynomial, b: Polynomial) -> Polynomial:
    total = dict(a)
    for monomial, coefficient in b.items():
        value = total.get(monomial, 0) + coefficient
        if value:
            total[monomial] = value
        else:
            total.pop(monomial, None)
    if len(total) > MAX_TERMS:
        raise TooLarge(f"more than {MAX_TERMS} terms")
    return total


def _times(a: Polynomial, b: Polynomial) -> Polynomial:
    if a is _ONE or b is _ONE:
        return b if a is _ONE else a
    if len(a) * len(b) > 4 * MAX_TERMS:
        raise TooLarge(f"more than {4 * MAX_TERMS} products of terms")
    total: Polynomial = {}
    for one, first in a.items():
        for two, second in b.items():
            monomial, factor = _merged(one, two)
            value = total.get(monomial, 0) + first * second * factor
            if value:
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
    return _reduced(exponents)


def _reduced(exponents: dict[str, Rational]) -> tuple[Monomial, Rational]:
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
        elif atom.startswith("abs[") and exponent.denominator == 1 and exponent % 2 == 0 and atom[4:-1].isalpha():
            del exponents[atom]  # |x|² = x²
            exponents[atom[4:-1]] = exponents.get(atom[4:-1], 0) + exponent
    if isinstance(factor, Fraction):
        factor = simple(factor)
    return tuple(sorted(exponents.items())), factor


def _product(a: Form, b: Form) -> Form:
    return Form(_times(a.top, b.top), _times(a.bottom, b.bottom))


def _inverse(form: Form) -> Form:
    if not form.top:
        raise Undefined("division by zero")
    if len(form.top) > 1:
        return Form(form.bottom, form.top)
    ((monomial, coefficient),) = form.top.items()
    power, factor = _reduced({atom: -exponent for atom, exponent in monomial})
    return Form(_times(form.bottom, {power: simple(Fraction(factor) / coefficient)}), _ONE)


def _sum(forms: Iterable[Form]) -> Form:
    top, bottom = dict[Monomial, Rational](), _ONE
    for form in forms:
        if form.bottom == bottom:
            top = _plus(top, form.top)
        else:
            top = _plus(_times(top, form.bottom), _times(form.top, bottom))
            bottom = _times(bottom, form.bottom)
    return Form(top, bottom)


# --- powers -----------------------------------------------------------------------------------------------------


def _power(node: Power) -> Form:
    base, exponent = normal(node.base), normal(node.exponent)
    value = rational(exponent)
    if value is None:
        return _raised_to_form(base, exponent)
    return _raised(base, value)


def _raised(base: Form, exponent: Rational) -> Form:
    """base ^ exponent for a rational exponent."""
    if exponent == 1:
        return base
    if not base.top:
        if exponent < 0:
            raise Undefined("division by zero")
        return _constant(0 if exponent else 1)
    if exponent < 0:
        return _raised(_inverse(base), -exponent)
    if exponent.denominator == 1:
        whole = int(exponent)
        return Form(_whole_power(base.top, whole), _whole_power(base.bottom, whole))
    return _product(_root_power(base.top, exponent), _inverse(_root_power(base.bottom, exponent)))


def _whole_power(base: Polynomial, exponent: int) -> Polynomial:
    if base is _ONE or exponent == 0:
        return _ONE
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        if abs(coefficient) != 1 and exponent * _bits(coefficient) > MAX_BITS:
            return {tuple(sorted((*monomial, (f"power[{coefficient}]", exponent)))): 1}
        power, factor = _reduced({atom: e * exponent for atom, e in monomial})
        sign = coefficient if exponent % 2 else coefficient * coefficient
        value = sign if abs(coefficient) == 1 else coefficient**exponent
        return {power: value * factor}
    if exponent > 64 or len(base) ** exponent > 40 * MAX_TERMS:
        scale, primitive = _primitive(base)
        return _times(_whole_power({(): scale}, exponent), {((f"({_text(primitive)})[", exponent),): 1})
    result = base
    for bit in bin(exponent)[3:]:
        result = _times(result, result)
        if bit == "1":
            result = _times(result, base)
    return result


def _bits(value: Rational) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _root_power(base: Polynomial, exponent: Rational) -> Form:
    """base ^ exponent for a positive fraction: rational factors come out of the root, variables where they may."""
    if base is _ONE:
        return Form(_ONE, _ONE)
    odd_root = exponent.denominator % 2 == 1
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        result = _constant_root(coefficient, exponent)
        for atom, power in monomial:
            result = _product(result, _atom_root(atom, power, exponent, odd_root))
        return result
    scale, primitive = _primitive(base)
    if scale < 0 and not odd_root:
        scale, primitive = -scale, {monomial: -c for monomial, c in primitive.items()}
    name, whole = f"({_text(primitive)})[", int(exponent)
    root = _atom(name, exponent)
    if whole and len(primitive) <= 3 and whole <= 3:
        root = Form(_times(_whole_power(primitive, whole), {((name, exponent - whole),): 1}), _ONE)
    return _product(_constant_root(scale, exponent), root)


def _atom_root(atom: str, power: Rational, exponent: Rational, odd_root: bool) -> Form:
    if atom[0] == "#" or atom in ("π", "e") or odd_root:
        raised, factor = _reduced({atom: power * exponent})
        return Form({raised: factor}, _ONE)
    if atom == "i":
        return _atom(f"root[{atom},{power}]", exponent)
    if power.denominator == 1 and power % 2 == 0:
        if "[" in atom:
            return _atom(f"abs[{atom}]", power * exponent)
        raised, factor = _reduced({f"abs[{atom}]": power * exponent})
        return Form({raised: factor}, _ONE)
    return _atom(atom, power * exponent)


def _constant_root(value: Rational, exponent: Rational) -> Form:
    """A rational to a fraction: primes with exponents between 0 and 1; the real root of odd order."""
    if value == 1:
        return Form(_ONE, _ONE)
    if value < 0:
        root = _constant_root(-value, exponent)
        if exponent.denominator % 2 == 1:
            return root if exponent.numerator % 2 == 0 else _product(root, _constant(-1))
        if exponent.denominator == 2:
            power, factor = _reduced({"i": exponent.numerator})
            return _product(root, Form({power: factor}, _ONE))
        return _product(root, _atom("root[-1]", exponent))
    if _bits(value) > 400:
        return _atom(f"root[{value}]", exponent)
    exponents: dict[str, Rational] = {}
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        for prime, count in _factors(number):
            name = f"#{prime}"
            exponents[name] = exponents.get(name, 0) + sign * count * exponent
    monomial, factor = _reduced(exponents)
    return Form({monomial: factor}, _ONE)


@lru_cache(maxsize=4_096)
def _factors(number: int) -> tuple[tuple[int, int], ...]:
    """The prime factors below 1,000, and what is left as one factor (a power where it is one)."""
    found = []
    for prime in _SMALL_PRIMES:
        if prime * prime > number:
            break
        count = 0
        while number % prime == 0:
            number //= prime
            count += 1
        if count:
            found.append((prime, count))
    if number > 1:
        for order in (6, 5, 4, 3, 2):
            root = _whole_root(number, order)
            if root**order == number:
                return (*found, (root, order))
        found.append((number, 1))
    return tuple(found)


def _whole_root(number: int, order: int) -> int:
    """The integer part of a root, by Newton's method."""
    root = 1 << -(-number.bit_length() // order)
    while True:
        better = ((order - 1) * root + number // root ** (order - 1)) // order
        if better >= root:
            return root
        root = better


def _raised_to_form(base: Form, exponent: Form) -> Form:
    """base ^ (a + b + …) as base^a · base^b · …"""
    if exponent.bottom != _ONE or len(exponent.top) > 20:
        return _atom(f"power[{_key(base)},{_key(exponent)}]")
    result = _constant(1)
    for monomial, coefficient in exponent.top.items():
        if not monomial:
            result = _product(result, _raised(base, coefficient))
            continue
        name = _text({monomial: 1})
        for polynomial, sign in ((base.top, 1), (base.bottom, -1)):
            if polynomial != _ONE:
                result = _product(result, _base_power(polynomial, name, sign * coefficient))
    return result


def _base_power(base: Polynomial, exponent: str, count: Rational) -> Form:
    """base ^ (exponent · count): positive rationals fall apart into primes, 4^x = 2^(2x)."""
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        if coefficient > 0 and _bits(coefficient) <= 400:
            exponents: dict[str, Rational] = {}
            for number, sign in ((coefficient.numerator, 1), (coefficient.denominator, -1)):
                for prime, power in _factors(number):
                    exponents[f"{prime}^[{exponent}]"] = sign * power * count
            for atom, raised in monomial:
                if raised.denominator != 1 or (raised != 1 and atom not in ("e", "π")):
                    break
                exponents[f"{atom}^[{exponent}]"] = raised * count
            else:
                return Form({tuple(sorted((a, e) for a, e in exponents.items() if e)): 1}, _ONE)
    return _atom(f"({_text(base)})^[{exponent}]", count)


# --- functions --------------------------------------------------------------------------------------------------


def _call(node: Call) -> Form:
    name, args = node.name, node.args
    if name in ("sum", "prod"):
        return _series(node)
    if name in ("int", "lim"):
        return _opaque(node)
    forms = [normal(arg) for arg in args]
    if name in ("percent", "degree"):
        unit = Form({(): Fraction(1, 100)}, _ONE) if name == "percent" else normal(_DEGREE)
        return _product(forms[0], unit)
    values = [rational(form) for form in forms]
    if all(value is not None for value in values) and name in _EXACT:
        exact = _EXACT[name](*[value for value in values if value is not None])
        if exact is not None:
            return _constant(exact)
    if name in ("sin", "cos", "tan", "cot", "sec", "csc"):
        return _trigonometric(name, forms[0])
    if name == "ln":
        return _logarithm(forms[0])
    if name in ("log", "lg"):
        base = _logarithm(forms[1]) if len(forms) == 2 else _logarithm(_constant(10))
        return _product(_logarithm(forms[0]), _inverse(base))
    if name in ("abs", "cosh", "sech"):
        forms[0] = _signed(forms[0])[1]
    return _atom(f"{name}[{';'.join(map(_key, forms))}]")


_DEGREE = Product((PI, Power(Number(180), Number(-1))))


def _opaque(node: Call) -> Form:
    """An atom for a series, an integral or a limit: equal where body and bounds are, whatever the index is called."""
    body, variable, *bounds = node.args
    if isinstance(variable, Symbol) and bounds:
        body = substitute(body, variable.name, Symbol("§"))
    return _atom(f"{node.name}[{';'.join(_key(normal(arg)) for arg in (body, *(bounds or [variable])))}]")


def _series(node: Call) -> Form:
    body, variable, low, high = node.args
    first, last = rational(normal(low)), rational(normal(high))
    if first is None or last is None or first.denominator != 1 or last.denominator != 1 or last - first > MAX_SERIES:
        return _opaque(node)
    assert isinstance(variable, Symbol)
    forms = [normal(substitute(body, variable.name, Number(k))) for k in range(int(first), int(last) + 1)]
    if node.name == "sum":
        return _sum(forms)
    result = _constant(1)
    for form in forms:
        result = _product(result, form)
    return result


def _trigonometric(name: str, argument: Form) -> Form:
    if name in ("sin", "cos"):
        turn = _turn(argument)
        if turn is not None:
            exact = _sine(turn if name == "sin" else turn + Fraction(1, 2))
            if exact is not None:
                return normal(exact)
        sign, argument = _signed(argument)
        form = _atom(f"{name}[{_key(argument)}]")
        return form if name == "cos" or sign > 0 else _product(form, _constant(-1))
    sine, cosine = _trigonometric("sin", argument), _trigonometric("cos", argument)
    if name in ("tan", "cot"):
        return _product(sine, _inverse(cosine)) if name == "tan" else _product(cosine, _inverse(sine))
    return _inverse(cosine if name == "sec" else sine)


def _turn(argument: Form) -> Fraction | None:
    """How many π an angle is, where that is rational."""
    if not argument.top:
        return Fraction(0)
    if argument.bottom != _ONE or list(argument.top) != [(("π", 1),)]:
        return None
    return Fraction(argument.top[("π", 1),])


def _sine(turn: Fraction) -> Node | None:
    """sin(turn · π) for multiples of π/12 and π/10."""
    turn %= 2
    negative = turn >= 1
    turn %= 1
    if turn > Fraction(1, 2):
        turn = 1 - turn
    value = _SINES.get(turn)
    if value is None:
        return None
    return Product((Number(-1), value)) if negative else value


def _root(number: Rational) -> Node:
    return Power(Number(number), Number(Fraction(1, 2)))


def _surd(*terms: tuple[Rational, int]) -> Node:
    return Sum(tuple(Product((Number(c), _root(radicand))) for c, radicand in terms))


_QUARTER = Fraction(1, 4)
_SINES: dict[Fraction, Node] = {
    Fraction(0): Number(0),
    Fraction(1, 12): _surd((_QUARTER, 6), (-_QUARTER, 2)),
    Fraction(1, 10): _surd((_QUARTER, 5), (-_QUARTER, 1)),
    Fraction(1, 6): Number(Fraction(1, 2)),
    Fraction(1, 4): _surd((Fraction(1, 2), 2)),
    Fraction(3, 10): _surd((_QUARTER, 5), (_QUARTER, 1)),
    Fraction(1, 3): _surd((Fraction(1, 2), 3)),
    Fraction(5, 12): _surd((_QUARTER, 6), (_QUARTER, 2)),
    Fraction(1, 2): Number(1),
}


def _logarithm(argument: Form) -> Form:
    """ln of a positive constant as a sum of logarithms of primes; of anything else as an atom."""
    if not argument.top:
        raise Undefined("the logarithm of zero")
    if argument.bottom == _ONE and len(argument.top) == 1:
        ((monomial, coefficient),) = argument.top.items()
        if coefficient > 0 and _bits(coefficient) <= 400 and all(a[0] == "#" or a in ("e", "π") for a, _ in monomial):
            terms: Polynomial = {}
            for number, sign in ((coefficient.numerator, 1), (coefficient.denominator, -1)):
                for prime, count in _factors(number):
                    terms = _plus(terms, {((f"ln[{prime}]", 1),): sign * count})
            for atom, exponent in monomial:
                terms = _plus(terms, {() if atom == "e" else ((f"ln[{atom.lstrip('#')}]", 1),): exponent})
            return Form(terms, _ONE)
    return _atom(f"ln[{_key(argument)}]")


def _factorial(n: Rational) -> Rational | None:
    if n.denominator != 1 or n > MAX_FACTORIAL:
        return None
    if n < 0:
        raise Undefined("the factorial of a negative number")
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
        return function(*map(int, values)) if all(v.denominator == 1 for v in values) else None

    return exact


_EXACT: dict[str, Callable[..., Rational | None]] = {
    "factorial": _factorial,
    "factorial2": _double_factorial,
    "binom": _binomial,
    "abs": abs,
    "floor": lambda x: x.numerator // x.denominator,
    "ceil": lambda x: -(-x.numerator // x.denominator),
    "max": max,
    "min": min,
    "gcd": _whole(gcd),
    "lcm": _whole(lcm),
}


# --- keys -------------------------------------------------------------------------------------------------------


def _signed(form: Form) -> tuple[int, Form]:
    """A sign, and the form whose leading coefficient is positive."""
    if not form.top or form.top[min(form.top)] > 0:
        return 1, form
    return -1, Form({monomial: -c for monomial, c in form.top.items()}, form.bottom)


def _primitive(polynomial: Polynomial) -> tuple[Rational, Polynomial]:
    """A rational factor, and the polynomial with integer coefficients that have no common divisor."""
    values = [Fraction(c) for c in polynomial.values()]
    scale = Fraction(gcd(*(v.numerator for v in values)), lcm(*(v.denominator for v in values)))
    if polynomial[min(polynomial)] < 0:
        scale = -scale
    return simple(scale), {monomial: simple(Fraction(c) / scale) for monomial, c in polynomial.items()}


def form_text(form: Form) -> str:
    """The normal form for people: ``1/2·π·3^1/2``."""
    top, bottom = (_text(p).replace("#", "") for p in (form.top, form.bottom))
    for text in (top, bottom):
        if len(text) > 1_000:
            return f"a form of {len(form.top) + len(form.bottom)} terms"
    return top if form.bottom == _ONE else f"({top}) / ({bottom})"


def _key(form: Form) -> str:
    top = _text(form.top)
    return top if form.bottom == _ONE else f"{top}/{_text(form.bottom)}"


def _text(polynomial: Polynomial) -> str:
    """The polynomial as text, the same for equal ones."""
    terms = sorted(polynomial.items())
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1 and terms[0][0][0][1] == 1:
        return terms[0][0][0][0]
    return (
        "+".join(
            f"{c}{''.join(f'·{atom}' if e == 1 else f'·{atom}^{e}' for atom, e in monomial)}" for monomial, c in terms
        )
        or "0"
    )


_RULES: dict[type, Callable[..., Form]] = {
    Number: lambda node: _constant(node.value),
    Symbol: lambda node: _atom(node.name),
    Sum: lambda node: _sum(map(normal, node.terms)),
    Product: lambda node: _factors_product(node.factors),
    Power: _power,
    Call: _call,
}


def _factors_product(factors: tuple[Node, ...]) -> Form:
    result = normal(factors[0])
    for factor in factors[1:]:
        result = _product(result, normal(factor))
    return result
