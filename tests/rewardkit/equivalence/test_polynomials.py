"""Specification of rewardkit.equivalence.polynomials, .powers and .functions: exact, reduced, bounded."""

from __future__ import annotations

from fractions import Fraction
from itertools import count, islice
from math import comb, factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewardkit.equivalence.functions import MAX_FACTORIAL, apply
from rewardkit.equivalence.polynomials import (
    MAX_BITS,
    MAX_TERMS,
    ONE,
    Form,
    Polynomial,
    Rational,
    TooLarge,
    Undefined,
    add_all,
    bits,
    constant,
    form_text,
    inverse,
    key,
    plus,
    primitive_part,
    product,
    rational,
    reduced,
    signed,
    times,
    unknown,
)
from rewardkit.equivalence.powers import factors, raised, raised_to_form

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
X, Y, PI, E, J = map(unknown, ("x", "y", "π", "e", "i"))
ROOT2, ROOT3 = unknown("#2", HALF), unknown("#3", HALF)
ZERO, MINUS = constant(0), constant(-1)


def same(a: Form, b: Form) -> bool:
    return times(a.top, b.bottom) == times(b.top, a.bottom)


def minus(a: Form, b: Form) -> Form:
    return add_all([a, product(MINUS, b)])


def power(atom: str, exponent: Rational) -> Polynomial:
    return {((atom, exponent),): 1}


class TestPolynomials:
    def test_add_term_by_term_and_keep_no_zeros(self) -> None:
        assert plus({(): 1, (("x", 1),): 2}, {(): 3, (("x", 1),): -2}) == {(): 4}
        assert plus({}, power("x", 1)) == power("x", 1)

    def test_multiply_every_term_with_every_other(self) -> None:
        one, other = {(("x", 1),): 1, (): 1}, {(("x", 1),): 1, (): -1}
        assert times(one, other) == {(("x", 2),): 1, (): -1}

    @pytest.mark.parametrize(
        ("exponents", "monomial", "factor"),
        [
            ({"x": 0}, (), 1),
            ({"y": 1, "x": 2}, (("x", 2), ("y", 1)), 1),
            ({"i": 1}, (("i", 1),), 1),
            ({"i": 2}, (), -1),
            ({"i": 3}, (("i", 1),), -1),
            ({"i": 4}, (), 1),
            ({"i": -1}, (("i", 1),), -1),
            ({"i": 103}, (("i", 1),), -1),
            ({"#2": HALF}, (("#2", HALF),), 1),
            ({"#2": 1}, (), 2),
            ({"#2": Fraction(3, 2)}, (("#2", HALF),), 2),
            ({"#2": -HALF}, (("#2", HALF),), HALF),
            ({"#2": -3}, (), Fraction(1, 8)),
            ({"#3": Fraction(-4, 3)}, (("#3", Fraction(2, 3)),), Fraction(1, 9)),
            ({"abs[x]": 2}, (("x", 2),), 1),
            ({"abs[x]": 4, "x": -4}, (("x", 0),), 1),
            ({"abs[x]": 1}, (("abs[x]", 1),), 1),
        ],
    )
    def test_reduce_the_powers_of_i_of_roots_and_of_absolute_values(
        self, exponents: dict[str, Rational], monomial: tuple[tuple[str, Rational], ...], factor: Rational
    ) -> None:
        found, rest = reduced(exponents)
        assert (tuple(m for m in found if m[1]), rest) == (tuple(m for m in monomial if m[1]), factor)

    def test_are_bounded_in_terms_and_bits(self) -> None:
        many = {(("x", k),): 1 for k in range(1, MAX_TERMS + 1)}
        assert len(plus(many, {})) == MAX_TERMS
        with pytest.raises(TooLarge, match=f"more than {MAX_TERMS} terms"):
            plus(many, {(): 1})
        with pytest.raises(TooLarge, match="products of terms"):
            times(many, dict(list(many.items())[:5]))
        with pytest.raises(TooLarge, match=f"more than {MAX_BITS} bits"):
            reduced({"#2": Fraction(2 * MAX_BITS + 1, 2)})

    def test_have_a_primitive_part(self) -> None:
        polynomial = {(): Fraction(-2, 3), (("x", 1),): Fraction(4, 9)}
        scale, primitive = primitive_part(polynomial)
        assert (scale, primitive) == (Fraction(-2, 9), {(): 3, (("x", 1),): -2})
        assert times({(): scale}, primitive) == polynomial


class TestForms:
    def test_of_rationals_are_rational(self) -> None:
        assert [rational(constant(v)) for v in (0, 3, HALF)] == [0, 3, HALF]
        assert rational(X) is rational(ROOT2) is rational(inverse(add_all([X, constant(1)]))) is None

    def test_add_over_a_common_denominator(self) -> None:
        total = add_all([inverse(X), inverse(Y)])
        assert same(total, product(add_all([X, Y]), inverse(product(X, Y))))
        assert add_all([]).top == {}

    def test_have_an_inverse_where_they_are_not_zero(self) -> None:
        assert same(product(X, inverse(X)), constant(1))
        assert inverse(constant(Fraction(2, 3))).top == {(): Fraction(3, 2)}
        assert inverse(ROOT2).top == {(("#2", HALF),): HALF}
        assert inverse(J).top == {(("i", 1),): -1}
        with pytest.raises(Undefined, match="division by zero"):
            inverse(ZERO)
        with pytest.raises(Undefined, match="division by zero"):
            inverse(minus(X, X))

    def test_have_a_sign(self) -> None:
        one, two = minus(X, Y), minus(Y, X)
        assert (signed(one)[0], signed(one)[1].top) == (-signed(two)[0], signed(two)[1].top)
        assert signed(ZERO) == (1, ZERO)

    def test_are_written_for_people(self) -> None:
        assert form_text(product(constant(HALF), product(PI, ROOT3))) == "1/2·3^1/2·π"
        assert form_text(ZERO) == "0"
        assert form_text(product(X, inverse(add_all([X, constant(1)])))) == "(x) / (1+1·x)"
        assert form_text(Form({(("x", k),): 1 for k in range(1, 301)}, ONE)) == "a form of 301 terms"

    def test_have_one_key_however_they_were_made(self) -> None:
        assert key(add_all([X, Y])) == key(add_all([Y, X])) != key(product(X, Y))
        assert key(inverse(add_all([X, Y]))) != key(add_all([X, Y]))

    def test_count_their_bits(self) -> None:
        assert [bits(v) for v in (0, 1, -8, Fraction(1, 1024))] == [1, 1, 4, 11]


class TestPowers:
    @pytest.mark.parametrize(
        ("base", "exponent", "value"),
        [
            (constant(2), 10, constant(1024)),
            (constant(2), -2, constant(Fraction(1, 4))),
            (constant(4), HALF, constant(2)),
            (constant(8), Fraction(2, 3), constant(4)),
            (constant(Fraction(4, 9)), HALF, constant(Fraction(2, 3))),
            (constant(Fraction(1, 4)), -HALF, constant(2)),
            (constant(12), HALF, product(constant(2), ROOT3)),
            (constant(HALF), HALF, product(constant(HALF), ROOT2)),
            (constant(6), HALF, product(ROOT2, ROOT3)),
            (constant(4), Fraction(1, 4), ROOT2),
            (constant(-8), THIRD, constant(-2)),
            (constant(-8), Fraction(2, 3), constant(4)),
            (constant(-32), Fraction(-1, 5), constant(-HALF)),
            (constant(-4), HALF, product(constant(2), J)),
            (constant(-4), Fraction(3, 2), product(constant(-8), J)),
            (ZERO, 2, ZERO),
            (X, 3, Form(power("x", 3), ONE)),
            (X, HALF, Form(power("x", HALF), ONE)),
            (Form(power("x", 2), ONE), HALF, Form(power("abs[x]", 1), ONE)),
            (Form(power("x", 2), ONE), Fraction(3, 2), Form(power("abs[x]", 3), ONE)),
            (Form(power("x", 3), ONE), THIRD, X),
            (Form(power("x", 6), ONE), THIRD, Form(power("x", 2), ONE)),
            (Form(power("x", 4), ONE), HALF, Form(power("x", 2), ONE)),
            (Form(power("π", 2), ONE), HALF, PI),
            (add_all([X, constant(1)]), 2, Form({(("x", 2),): 1, (("x", 1),): 2, (): 1}, ONE)),
            (J, 5, J),
            (ROOT2, 3, product(constant(2), ROOT2)),
        ],
    )
    def test_are_exact(self, base: Form, exponent: Rational, value: Form) -> None:
        assert same(raised(base, exponent), value)

    def test_of_sums_square_to_the_sum(self) -> None:
        base = add_all([X, ROOT2])
        root = raised(base, HALF)
        assert not same(root, base)
        assert same(raised(product(constant(4), base), HALF), product(constant(2), root))

    def test_of_zero_exist_unless_negative(self) -> None:
        for exponent in (-1, -HALF):
            with pytest.raises(Undefined, match="division by zero"):
                raised(ZERO, exponent)

    def test_too_large_to_work_out_stay_atoms_that_are_told_apart(self) -> None:
        one, two = raised(constant(2), 10**9), raised(constant(2), 10**9 + 1)
        assert (same(one, raised(constant(2), 10**9)), same(one, two)) == (True, False)
        sums = [raised(add_all([X, constant(1)]), n) for n in (1_000, 1_001)]
        assert all(len(form.top) == 1 for form in sums)
        assert not same(*sums)

    @pytest.mark.parametrize("number", [1, 2, 97, 360, 1009, 1009**2, 2**200, 997 * 1009**3, 10**20, 2 * 3 * 5 * 7])
    def test_factors_multiply_to_the_number(self, number: int) -> None:
        total = 1
        for base, order in factors(number):
            total *= base**order
        assert total == number

    def test_with_symbolic_exponents_fall_apart(self) -> None:
        n = unknown("n")
        assert same(raised_to_form(constant(4), n), raised_to_form(constant(2), add_all([n, n])))
        assert same(
            raised_to_form(constant(2), add_all([n, constant(1)])), product(constant(2), raised_to_form(constant(2), n))
        )
        assert same(
            raised_to_form(constant(6), n), product(raised_to_form(constant(2), n), raised_to_form(constant(3), n))
        )
        assert same(product(raised_to_form(E, X), raised_to_form(E, product(MINUS, X))), constant(1))
        assert not same(raised_to_form(MINUS, n), constant(1))

    @given(st.fractions(0, 10**6, max_denominator=10**4), st.integers(2, 6))
    def test_a_root_raised_again_is_the_number(self, value: Fraction, order: int) -> None:
        assert same(raised(raised(constant(value), Fraction(1, order)), order), constant(value))


def angle(turn: Fraction) -> Form:
    return product(constant(turn), PI)


class TestFunctions:
    @pytest.mark.parametrize(
        ("name", "values", "result"),
        [
            ("factorial", (5,), factorial(5)),
            ("factorial", (0,), 1),
            ("factorial2", (7,), 7 * 5 * 3),
            ("factorial2", (0,), 1),
            ("binom", (5, 2), 10),
            ("binom", (5, 7), 0),
            ("binom", (5, -1), 0),
            ("binom", (10_000, 2), comb(10_000, 2)),
            ("abs", (-3,), 3),
            ("floor", (Fraction(-5, 2),), -3),
            ("ceil", (Fraction(-5, 2),), -2),
            ("floor", (7,), 7),
            ("max", (1, HALF, 3), 3),
            ("min", (1, HALF, 3), HALF),
            ("gcd", (12, 18), 6),
            ("lcm", (4, 6), 12),
            ("percent", (50,), HALF),
            ("log", (8, 2), 3),
            ("log", (8, 4), Fraction(3, 2)),
            ("log", (1000, 10), 3),
            ("log", (Fraction(1, 9), 3), -2),
            ("ln", (1,), 0),
        ],
    )
    def test_of_rationals_are_exact(self, name: str, values: tuple[Rational, ...], result: Rational) -> None:
        assert same(apply(name, [constant(v) for v in values]), constant(result))

    @pytest.mark.parametrize(
        ("turn", "sine"),
        [
            (Fraction(0), ZERO),
            (Fraction(1, 6), constant(HALF)),
            (Fraction(1, 4), product(constant(HALF), ROOT2)),
            (Fraction(1, 3), product(constant(HALF), ROOT3)),
            (Fraction(1, 2), constant(1)),
            (Fraction(5, 6), constant(HALF)),
            (Fraction(1), ZERO),
            (Fraction(7, 6), constant(-HALF)),
            (Fraction(3, 2), MINUS),
            (Fraction(25, 6), constant(HALF)),
            (Fraction(-1, 6), constant(-HALF)),
        ],
    )
    def test_sines_of_known_angles_are_exact(self, turn: Fraction, sine: Form) -> None:
        assert same(apply("sin", [angle(turn)]), sine)
        assert same(apply("cos", [angle(HALF - turn)]), sine)

    @pytest.mark.parametrize("turn", [Fraction(k, 12) for k in range(24)])
    def test_sine_and_cosine_of_known_angles_have_square_sum_one(self, turn: Fraction) -> None:
        squares = [raised(apply(name, [angle(turn)]), 2) for name in ("sin", "cos")]
        assert rational(add_all(squares)) == 1

    def test_the_sine_of_18_degrees_is_that_of_the_pentagon(self) -> None:
        sine = apply("sin", [angle(Fraction(1, 10))])
        # 4x² + 2x − 1 = 0
        assert rational(add_all([product(constant(4), raised(sine, 2)), product(constant(2), sine), MINUS])) == 0

    def test_sine_is_odd_and_cosine_even(self) -> None:
        negative = product(MINUS, X)
        assert same(apply("sin", [negative]), product(MINUS, apply("sin", [X])))
        assert same(apply("cos", [negative]), apply("cos", [X]))
        assert same(apply("tan", [negative]), product(MINUS, apply("tan", [X])))
        assert same(apply("abs", [negative]), apply("abs", [X]))

    @pytest.mark.parametrize(
        ("name", "turn"), [("tan", HALF), ("sec", HALF), ("cot", Fraction(0)), ("csc", Fraction(1))]
    )
    def test_quotients_of_sine_and_cosine_have_poles(self, name: str, turn: Fraction) -> None:
        with pytest.raises(Undefined):
            apply(name, [angle(turn)])

    def test_logarithms_of_positive_rationals_are_sums_over_primes(self) -> None:
        def ln(value: Rational) -> Form:
            return apply("ln", [constant(value)])

        assert same(ln(6), add_all([ln(2), ln(3)]))
        assert same(ln(8), product(constant(3), ln(2)))
        assert same(ln(HALF), product(MINUS, ln(2)))
        assert same(apply("ln", [ROOT2]), product(constant(HALF), ln(2)))
        assert same(apply("ln", [raised(E, 3)]), constant(3))
        assert same(apply("ln", [product(E, constant(2))]), add_all([ln(2), constant(1)]))
        assert not same(ln(2), ln(3))
        assert not same(ln(-2), ln(2))

    def test_logarithms_of_zero_and_in_base_one_do_not_exist(self) -> None:
        for arguments in ([ZERO], [constant(2), constant(1)]):
            with pytest.raises(Undefined):
                apply("log" if len(arguments) == 2 else "ln", arguments)
        with pytest.raises(Undefined):
            apply("factorial", [constant(-1)])

    def test_beyond_the_limits_are_atoms(self) -> None:
        large = apply("factorial", [constant(MAX_FACTORIAL + 1)])
        assert rational(large) is None
        assert same(large, apply("factorial", [constant(MAX_FACTORIAL + 1)]))
        assert not same(large, apply("factorial", [constant(MAX_FACTORIAL + 2)]))
        assert rational(apply("factorial", [constant(MAX_FACTORIAL)])) == factorial(MAX_FACTORIAL)

    def test_of_anything_else_are_atoms_named_by_name_and_argument(self) -> None:
        atoms = [apply(n, [a]) for n in ("f", "g", "arctan") for a in (X, Y)]
        assert len({key(atom) for atom in atoms}) == len(atoms)
        assert same(apply("f", [add_all([X, Y])]), apply("f", [add_all([Y, X])]))


def test_small_prime_factors_are_prime() -> None:
    primes = list(islice((n for n in count(2) if factors(n) == ((n, 1),)), 10))
    assert primes == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
