"""Powers of forms: whole ones multiplied out within bounds, roots with their rational factors taken out."""

from __future__ import annotations

from functools import lru_cache

from rewardkit.equivalence.polynomials import (
    MAX_BITS,
    MAX_TERMS,
    ONE,
    Form,
    Polynomial,
    Rational,
    Undefined,
    bits,
    constant,
    inverse,
    key,
    monomial_form,
    poly_text,
    primitive_part,
    product,
    reduced,
    spelled,
    times,
    unknown,
)

_SMALL_PRIMES = [p for p in range(2, 1_000) if all(p % q for q in range(2, int(p**0.5) + 1))]


def raised(base: Form, exponent: Rational) -> Form:
    """base ^ exponent for a rational exponent."""
    if exponent == 1:
        return base
    if not base.top:
        if exponent < 0:
            raise Undefined("division by zero")
        return constant(0 if exponent else 1)
    if exponent.denominator == 1:
        if exponent < 0:
            base, exponent = inverse(base), -exponent
        whole = int(exponent)
        return Form(whole_power(base.top, whole), whole_power(base.bottom, whole))
    if exponent < 0:
        return inverse(raised(base, -exponent))
    if exponent.denominator % 2 == 0 and len(base.bottom) > 1 and _is_constant(base.bottom):
        return unknown(f"({key(base)})[", exponent)  # the sign of a constant below a root decides
    return product(root_power(base.top, exponent), inverse(root_power(base.bottom, exponent)))


def _is_constant(polynomial: Polynomial) -> bool:
    return all(atom[0] == "#" or atom in ("π", "e") for monomial in polynomial for atom, _ in monomial)


def whole_power(base: Polynomial, exponent: int) -> Polynomial:
    """base ^ exponent; a sum is multiplied out where that is short, else it becomes an atom."""
    if base is ONE or exponent == 0:
        return ONE
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        power, factor = reduced({atom: e * exponent for atom, e in monomial})
        if abs(coefficient) != 1 and exponent * bits(coefficient) > MAX_BITS:
            return {tuple(sorted((*power, (f"power[{spelled(coefficient)}]", exponent)))): factor}
        sign = coefficient if exponent % 2 else coefficient * coefficient
        value = sign if abs(coefficient) == 1 else coefficient**exponent
        return {power: value * factor}
    if exponent > 64 or len(base) ** exponent > 40 * MAX_TERMS:
        scale, primitive = primitive_part(base)
        return times(whole_power({(): scale}, exponent), {((f"({poly_text(primitive)})[", exponent),): 1})
    result = base
    for bit in bin(exponent)[3:]:
        result = times(result, result)
        if bit == "1":
            result = times(result, base)
    return result


def root_power(base: Polynomial, exponent: Rational) -> Form:
    """base ^ exponent for a positive fraction: rational factors come out of the root, variables where they may."""
    if base is ONE:
        return Form(ONE, ONE)
    odd_root = exponent.denominator % 2 == 1
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        if coefficient < 0 and not odd_root and not _is_constant(base):
            name = f"({poly_text({monomial: -1})})["  # √(−x) is real where x is negative
            return product(_constant_root(-coefficient, exponent), unknown(name, exponent))
        result = _constant_root(coefficient, exponent)
        for atom, power in monomial:
            result = product(result, _atom_root(atom, power, exponent, odd_root))
        return result
    scale, primitive = primitive_part(base)
    if scale < 0 and not odd_root:
        scale, primitive = -scale, {monomial: -c for monomial, c in primitive.items()}
    name, whole = f"({poly_text(primitive)})[", int(exponent)
    root = unknown(name, exponent)
    if whole and len(primitive) <= 3 and whole <= 3:
        root = Form(times(whole_power(primitive, whole), {((name, exponent - whole),): 1}), ONE)
    return product(_constant_root(scale, exponent), root)


def _atom_root(atom: str, power: Rational, exponent: Rational, odd_root: bool) -> Form:
    if atom[0] == "#" or atom in ("π", "e") or odd_root:
        return monomial_form({atom: power * exponent})
    if atom == "i":
        return unknown(f"root[{atom},{power}]", exponent)
    if power.denominator % 2 == 1 and power.numerator % 2 == 0:
        if "[" in atom:
            return unknown(f"abs[{atom}]", power * exponent)
        return monomial_form({f"abs[{atom}]": power * exponent})
    return unknown(atom, power * exponent)


def _constant_root(value: Rational, exponent: Rational) -> Form:
    """A rational to a fraction: primes with exponents between 0 and 1; the real root of odd order."""
    if value == 1:
        return Form(ONE, ONE)
    if value < 0:
        root = _constant_root(-value, exponent)
        if exponent.denominator % 2 == 1:
            return root if exponent.numerator % 2 == 0 else product(root, constant(-1))
        if exponent.denominator == 2:
            return product(root, monomial_form({"i": exponent.numerator}))
        return product(root, unknown("root[-1]", exponent))
    if bits(value) > 400:
        return unknown(f"root[{spelled(value)}]", exponent)
    exponents: dict[str, Rational] = {}
    for prime, count in rational_factors(value):
        name = f"#{prime}"
        exponents[name] = exponents.get(name, 0) + count * exponent
    return monomial_form(exponents)


def rational_factors(value: Rational) -> list[tuple[int, int]]:
    """The factors of a positive rational with their exponents, those of the denominator below zero."""
    below = ((prime, -count) for prime, count in factors(value.denominator))
    return [*factors(value.numerator), *below]


@lru_cache(maxsize=4_096)
def factors(number: int) -> tuple[tuple[int, int], ...]:
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


def raised_to_form(base: Form, exponent: Form) -> Form:
    """base ^ (a + b + …) as base^a · base^b · …"""
    if exponent.bottom != ONE or len(exponent.top) > 20:
        return unknown(f"power[{key(base)},{key(exponent)}]")
    result = constant(1)
    for monomial, coefficient in exponent.top.items():
        if not monomial:
            result = product(result, raised(base, coefficient))
            continue
        name = poly_text({monomial: 1})
        for polynomial, sign in ((base.top, 1), (base.bottom, -1)):
            if polynomial != ONE:
                result = product(result, _base_power(polynomial, name, sign * coefficient))
    return result


def _base_power(base: Polynomial, exponent: str, count: Rational) -> Form:
    """base ^ (exponent · count): positive rationals fall apart into primes, 4^x = 2^(2x)."""
    if len(base) == 1:
        ((monomial, coefficient),) = base.items()
        if coefficient > 0 and bits(coefficient) <= 400:
            exponents: dict[str, Rational] = {}
            for prime, power in rational_factors(coefficient):
                exponents[f"{prime}^[{exponent}]"] = power * count
            for atom, raised in monomial:
                if raised.denominator != 1 or (raised != 1 and atom not in ("e", "π")):
                    break
                exponents[f"{atom}^[{exponent}]"] = raised * count
            else:
                return Form({tuple(sorted((a, e) for a, e in exponents.items() if e)): 1}, ONE)
    return unknown(f"({poly_text(base)})^[{exponent}]", count)
