"""Specification of rewardkit.equivalence.numeric: agreement in high precision, at points that count."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

from rewardkit.equivalence.numeric import MAX_MAGNITUDE, Opaque, same_value, value_of
from rewardkit.equivalence.polynomials import TooLarge, Undefined
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.tree import Node, Symbol


def tree(text: str) -> Node:
    node = read(text).value
    assert node is not None
    return node


def agree(one: str, other: str) -> bool | None:
    verdict = same_value(tree(one), tree(other))
    assert same_value(tree(other), tree(one)) is verdict
    return verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
        (r"\tan\frac{\pi}{8}", r"\sqrt2-1"),
        (r"\arctan 1", r"\frac{\pi}{4}"),
        (r"\arctan\frac12+\arctan\frac13", r"\frac{\pi}{4}"),
        (r"\cos 36^\circ", r"\frac{1+\sqrt5}{4}"),
        (r"\sin^2 x+\cos^2 x", "1"),
        (r"\sin 2x", r"2\sin x\cos x"),
        (r"\cosh^2 x-\sinh^2 x", "1"),
        (r"\ln(x^2)", r"2\ln|x|"),
        (r"\frac{1}{1+\frac{1}{x}}", r"\frac{x}{x+1}"),
        (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
        ("(n+1)!", r"(n+1)\cdot n!"),
        (r"e^{i\pi}", "-1"),
        (r"e^{ix}", r"\cos x+i\sin x"),
        (r"\max(x, y)", r"\frac{x+y+|x-y|}{2}"),
        (r"\lfloor x+1\rfloor", r"\lfloor x\rfloor+1"),
        (r"\sum_{k=1}^n k", r"\frac{n(n+1)}{2}"),
        (r"\sum_{k=0}^n \binom{n}{k}", "2^n"),
        (r"\prod_{k=1}^n k", "n!"),
        (r"\sum_{k=1}^n kx", r"x\frac{n(n+1)}{2}"),
        ("(-1)^n", "(-1)^{n+2}"),
        (r"\cos n\pi", "(-1)^n"),
        ("f(x)+f(y)", "f(y)+f(x)"),
        (r"\sqrt[3]{x}\sqrt[3]{x^2}", "x"),
        (r"\sqrt{x-1}\sqrt{x-1}", "x-1"),  # real only above 1
    ],
)
def test_equal_values_agree_at_every_point(one: str, other: str) -> None:
    assert agree(one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\sqrt2", "1.4142135623730951"),
        (r"\sqrt{3+2\sqrt2}", r"\sqrt2-1"),
        (r"\sin 2x", r"2\sin x"),
        (r"\sqrt{x^2}", "x"),  # they part below zero
        (r"\arcsin(\sin x)", "x"),
        ("|x|", "x"),
        (r"\lfloor x\rfloor", "x"),
        ("(-1)^n", "(-1)^{n+1}"),
        (r"\sum_{k=1}^n k", r"\frac{n(n-1)}{2}"),
        ("f(x+y)", "f(x)+f(y)"),
        ("f(x)", "g(x)"),
        ("f(2x)", "2f(x)"),
        ("e^{ix}", r"\cos x-i\sin x"),
        (r"\ln(-x)", r"\ln x"),
        ("10^{-20}", "0"),
    ],
)
def test_different_values_part_at_one_point(one: str, other: str) -> None:
    assert agree(one, other) is False


@pytest.mark.parametrize("digits", [20, 40, 60, 90])
@pytest.mark.parametrize("expression", [r"\sin x", "e^x", r"\sqrt{x^2+1}", r"\sin 1", r"\ln 2"])
def test_a_tiny_summand_is_not_lost(expression: str, digits: int) -> None:
    assert agree(f"{expression}+10^{{-{digits}}}", expression) is False


@pytest.mark.parametrize("size", [100, 1_000])
def test_constants_in_full_count_to_their_last_digit(size: int) -> None:
    large = 10**size
    assert agree(rf"\sin 1+{large}", rf"\sin 1+{large + 1}") is False
    assert agree(rf"\sin 1+{large}", rf"{large}+\sin 1") is True
    assert agree(rf"\sin 1+\frac{{1}}{{{large}}}", r"\sin 1") is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\ln(-x^2-1)", "1"),  # it is never real: then complex points count
        (r"\sqrt{-x^2-1}", r"-i\sqrt{x^2+1}"),
    ],
)
def test_points_that_leave_the_reals_count_where_there_are_no_others(one: str, other: str) -> None:
    assert agree(one, other) is False
    assert agree(r"\sqrt{-x^2-1}", r"i\sqrt{x^2+1}") is True


def test_points_that_leave_the_reals_do_not_count_where_there_are_others() -> None:
    assert agree(r"\ln(x^2)", r"2\ln x") is True  # they part only where ln x is not real


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (r"\int_0^1 x\,dx", "an integral"),
        (r"\lim_{x \to 0} x", "a limit"),
        (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", "an infinite sum"),
        (r"\prod_{k=1}^{\infty} k", "an infinite prod"),
        (r"\sum_{k=1}^{1000} \sin k", "a sum of more than"),
    ],
)
def test_what_has_no_rule_is_opaque(text: str, problem: str) -> None:
    with pytest.raises(Opaque, match=problem):
        value_of(tree(text))


@pytest.mark.parametrize("text", ["0^{-1}", r"\infty", "x", r"\frac{1}{\sin 0}", "(-1)!"])
def test_what_does_not_exist_is_undefined(text: str) -> None:
    with pytest.raises(Undefined):
        value_of(tree(text))


@pytest.mark.parametrize(
    "text",
    [
        "9^{9^{9^9}}",
        f"2^{{{MAX_MAGNITUDE + 1}}}",
        f"2^{{-{MAX_MAGNITUDE + 2}}}",
        "e^{10^6}",
        "100000!",
        r"\sin(10^{30})",
        r"\cosh(10^{6})",
        r"\Gamma(10^6)",
    ],
)
def test_every_step_is_bounded_before_it_is_done(text: str) -> None:
    with pytest.raises(TooLarge):
        value_of(tree(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2^{10}", 1024.0),
        (r"\sqrt2", math.sqrt(2)),
        (r"\sqrt[3]{-8}", -2.0),
        ("(-8)^{2/3}", 4.0),
        (r"\pi", math.pi),
        ("e", math.e),
        (r"\sin 30^\circ", 0.5),
        (r"50\%", 0.5),
        (r"\log 1000", 3.0),
        (r"\log_2 8", 3.0),
        (r"\ln 2", math.log(2)),
        (r"\arctan 1", math.atan(1)),
        (r"\lceil 2.5 \rceil", 3.0),
        ("7!!", 105.0),
        ("0^0", 1.0),
        (r"\sum_{k=1}^{10} k", 55.0),
    ],
)
def test_constants_have_values(text: str, value: float) -> None:
    assert float(value_of(tree(text)).real) == pytest.approx(value, rel=1e-15)


def test_a_constant_that_does_not_exist_is_an_error_and_a_symbol_a_variable() -> None:
    with pytest.raises(Undefined):
        same_value(tree(r"\frac{1}{\sin 0}"), tree("1"))
    assert same_value(Symbol("q"), Symbol("q")) is True


def test_the_index_of_a_series_hides_a_variable_of_its_name() -> None:
    assert agree(r"k+\sum_{k=1}^{3} k^2", "k+14") is True
    assert agree(r"k\sum_{k=1}^{3} k^2", r"14\cdot k") is True


def test_threads_do_not_disturb_each_others_precision() -> None:
    pairs = [(r"\sin x+10^{-60}", r"\sin x"), (r"\sin 2x", r"2\sin x\cos x")] * 20
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda pair: agree(*pair), pairs))
    assert verdicts == [False, True] * 20
