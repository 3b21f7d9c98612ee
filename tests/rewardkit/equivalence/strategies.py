"""Answers as people and models write them, layout that means nothing, rewritings, and noise, for Hypothesis."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Texts = SearchStrategy[str]


def _written(form: str, *parts: SearchStrategy[Any]) -> Texts:
    """A form with its parts filled in: ``_written("({}, {})", a, b)``."""
    return st.tuples(*parts).map(lambda values: form.format(*values))


def _one(*texts: str) -> Texts:
    return st.sampled_from(texts)


# --- numbers --------------------------------------------------------------------------------------------------------

small = st.integers(1, 30)
integers = st.one_of(st.integers(-50, 50), st.integers(-(10**30), 10**30)).map(str)
decimals = st.one_of(
    st.decimals(-1000, 1000, places=2).map(str),
    _written("{}0.{:03d}", _one("", "-"), st.integers(0, 999)),
    _written(".{}", small),
)
fractions = st.one_of(
    _written(r"{}\frac{{{}}}{{{}}}", _one("", "-"), st.integers(0, 300), st.integers(1, 300)),
    _written(r"\frac{}{}", st.integers(1, 9), st.integers(1, 9)),
    _written("{}/{}", st.integers(-99, 99), small),
)
mixed = st.tuples(small, small, small, _one(r"{}\frac{{{}}}{{{}}}", "{} {}/{}", r"-{}\frac{{{}}}{{{}}}")).map(
    lambda parts: parts[3].format(parts[0], min(parts[1:3]), max(parts[1:3]) + 1)
)
scientific = st.one_of(
    _written(
        r"{}.{:02d} {} 10^{{{}}}",
        st.integers(1, 9),
        st.integers(0, 99),
        _one(r"\times", r"\cdot"),
        st.integers(-40, 40),
    ),
    _written("{}.{}e{}", st.integers(1, 9), small, st.integers(-40, 40)),
)
thousands = st.tuples(st.integers(10**3, 10**12), _one(",", "{,}", r"\,", " ", r",\!")).map(
    lambda parts: f"{parts[0]:,}".replace(",", parts[1])
)
repeating = _written(r"{}.{}\overline{{{}}}", st.integers(0, 20), _one("", "0", "12"), small)
plain_numbers = st.one_of(integers, decimals, fractions, mixed, scientific, thousands, repeating)

# --- expressions ----------------------------------------------------------------------------------------------------

variables = _one("x", "y", "n", "t", "r", r"\theta", r"\alpha", "a_n", "x_1", "N_0", "k", "A", "C", "N", "R")
roots = st.one_of(
    _written(r"{}\sqrt{{{}}}", _one("", "2", "3", "-"), small),
    _written(r"\sqrt[{}]{{{}}}", st.integers(3, 5), small),
    _written(r"\frac{{{}+\sqrt{{{}}}}}{{{}}}", st.integers(-9, 9), small, small),
    _written(r"\frac{{{}}}{{\sqrt{{{}}}}}", small, small),
)
multiples_of_pi = st.one_of(_written(r"{}\pi", small), _written(r"-\frac{{{}\pi}}{{{}}}", small, small))
powers = st.one_of(
    _written("{}^{{{}}}", small, st.integers(-20, 40)),
    _written("{}^{{\\frac{{{}}}{{{}}}}}", small, small, small),
    _written("{}^{}", variables, st.integers(2, 9)),
    _written("e^{{{}{}}}", st.integers(-5, 5), variables),
)
polynomials = st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(0, 5)), min_size=1, max_size=4).map(
    lambda terms: "".join(f"{c:+d}x^{e}" if e else f"{c:+d}" for c, e in terms).removeprefix("+")
)
rational_functions = _written(r"\frac{{{}}}{{x^2+{}}}", polynomials, small)
trigonometric = st.one_of(
    _written(r"\{} {}", _one("sin", "cos", "tan"), variables),
    _written(r"\{}^2({}x)", _one("sin", "cos"), small),
    _written(r"\{}\left(\frac{{{}\pi}}{{{}}}\right)", _one("sin", "cos"), small, small),
    _written(r"\arctan\frac{{{}}}{{{}}}", small, small),
)
logarithms = st.one_of(
    _written(r"\ln {}", st.integers(2, 99)),
    _written(r"\log_{{{}}} {}", st.integers(2, 9), st.integers(2, 99)),
    _written(r"\ln({}^2+{})", variables, small),
)
complex_numbers = _written("{}{:+d}i", st.integers(-20, 20), st.integers(-20, 20).filter(bool))
combinatorial = st.one_of(
    _written(r"\binom{{{}}}{{{}}}", small, small),
    _written("{}!", small),
    _written(r"\sum_{{k=1}}^{{{}}} k^{}", small, st.integers(1, 4)),
    _written("|{}-{}|", variables, small),
)
_leaves = st.one_of(
    integers, fractions, roots, multiples_of_pi, powers, polynomials, rational_functions, trigonometric, logarithms,
    complex_numbers, combinatorial, variables,
)  # fmt: skip
_nonzero = st.one_of(
    small.map(str), variables, multiples_of_pi, _written("x^2+{}", small), _written("{}-{}i", small, small)
)
expressions = st.one_of(
    _leaves,
    _written("({}){}({})", _leaves, _one("+", "-", r"\cdot "), _leaves),
    _written("({})({})", _leaves, _leaves),
    _written(r"\frac{{{}}}{{{}}}", _leaves, _nonzero),
    _written("({})/({})", _leaves, _nonzero),
    _written(r"\sqrt{{{}}}", _leaves),
)

# --- what carries a sign or a unit ----------------------------------------------------------------------------------

percentages = _written("{}{}", st.one_of(integers, decimals, fractions), _one(r"\%", "%", r"\text{ percent}"))
units = _written(
    "{}{}",
    st.one_of(integers, decimals, fractions, multiples_of_pi),
    _one(r"\text{ cm}", r"\text{ m}^2", r"\text{ km/h}", " miles", r"\,\mathrm{kg}", " apples", r"\text{ hours}"),
)
currency = st.one_of(
    _written(r"\${}", st.one_of(thousands, st.integers(0, 999), st.decimals(0, 99, places=2))),
    _written("{} dollars", small),
    _written("€{}", small),
)
degrees = _written("{}{}", st.integers(-360, 360), _one(r"^\circ", r"^{\circ}", "°", " degrees"))
plus_minus = st.one_of(_written(r"{}\pm {}", integers, roots), _written(r"\pm {}", fractions))
bases = _written("{}_{{{}}}", st.integers(0, 10**6).map(lambda n: f"{n:b}"), st.integers(2, 9))
ratios = st.one_of(
    _written("{}:{}", small, small),
    _written("{}:{}:{}", small, small, small),
    st.tuples(small, small, _one(r"\text{ cm}", " kg", " apples")).map(lambda p: f"{p[0]}{p[2]}:{p[1]}{p[2]}"),
    _written(r"\${}:\${}", small, small),
)
towers = _written("{}^{{{}^{{{}}}}}", small, st.one_of(small.map(str), powers), small)

# --- structures -----------------------------------------------------------------------------------------------------

_plain = st.one_of(
    integers.filter(lambda n: len(n) < 4), fractions, roots, multiples_of_pi, polynomials, variables, percentages
)
tuples = st.lists(_plain, min_size=2, max_size=4).map(lambda items: f"({', '.join(items)})")
intervals = st.tuples(st.integers(-20, 20), small, _one("(", "["), _one(")", "]")).map(
    lambda parts: f"{parts[2]}{parts[0]}, {parts[0] + parts[1]}{parts[3]}"
)
half_lines = st.one_of(
    _written(r"(-\infty, {}{}", st.integers(-20, 20), _one(")", "]")),
    _written(r"{}{}, \infty)", _one("(", "["), st.integers(-20, 20)),
)
unions = _written(r"{} \cup {}", st.one_of(intervals, half_lines), st.one_of(intervals, half_lines))
sets = st.lists(_plain, min_size=1, max_size=4).map(lambda items: rf"\{{{', '.join(items)}\}}")
lists = st.one_of(
    st.lists(_plain, min_size=2, max_size=4).map(", ".join),
    _written(r"{} \text{{ or }} {}", _plain, _plain),
    _written("x={}, x={}", fractions, fractions),
)
matrices = st.tuples(
    st.lists(st.lists(_plain, min_size=2, max_size=2), min_size=1, max_size=3), _one("pmatrix", "bmatrix")
).map(lambda m: rf"\begin{{{m[1]}}}" + r" \\ ".join(" & ".join(row) for row in m[0]) + rf"\end{{{m[1]}}}")
equations = st.one_of(
    _written("{} = {}", variables, st.one_of(plain_numbers, polynomials)),
    _written("y = {}", polynomials),
    _written("{} = {}", polynomials, polynomials),
    polynomials.map(lambda p: f"{p} = {p}"),
    _written("x^2+y^2={}", small),
    _written("f(x) = {}", polynomials),
)
_order = _one("<", ">", r"\le ", r"\geq ", "≤")
inequalities = st.one_of(
    _written("{}{}{}", variables, _order, fractions),
    _written("{} < x \\le {}", st.integers(-20, 0), small),
    _written(r"x \neq {}", integers),
    _written("{}x{:+d} {} {}", small, st.integers(-9, 9), _order, integers),
)
choices = st.tuples(
    _one("{}", "({})", r"\text{{({})}}", "{}.", r"\textbf{{({})}}", "({}) 42", r"\textbf{{({})}} 42", "{}. x = 7"),
    _one(*"ABCDE"),
).map(lambda parts: parts[0].format(parts[1]))
words = st.one_of(
    _one(
        "Evelyn", "no solution", r"\text{even}", r"\text{not even}", "blue car", "Tuesday", r"\text{hyperbola}", "yes"
    ),
    st.lists(st.text(string.ascii_lowercase, min_size=6, max_size=9), min_size=1, max_size=3).map(" ".join),
)
special = _one(
    r"\infty", r"-\infty", r"\emptyset", r"\mathbb{R}", r"\{\}", r"\mathbb{R}\setminus\{0\}", r"\{x \mid x>2\}"
)

structures = st.one_of(tuples, intervals, half_lines, unions, sets, lists, matrices)
relations = st.one_of(equations, inequalities)
marked = st.one_of(percentages, units, currency, degrees, plus_minus, bases, ratios, towers)
verbal = st.one_of(choices, words, special)
answers = st.one_of(plain_numbers, expressions, marked, structures, relations, verbal)

# --- layout that means nothing --------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """A change of layout, and whether it may be made to answers that are no expressions."""

    name: str
    apply: Callable[[str], str]
    anywhere: bool = True


def _replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        for old, new in pairs:
            text = text.replace(old, new)
        return text

    return apply


LAYOUTS = (
    Layout("dollars", lambda t: f"${t}$"),
    Layout("parens of TeX", lambda t: rf"\({t}\)"),
    Layout("spaces", lambda t: f"  {t}\n"),
    # "$A.$." has two full stops: that is an ellipsis, or a slip, but no layout.
    Layout("full stop", lambda t: t if re.search(r"\.[\s$\\)]*$", t) else t + "."),
    Layout("displaystyle", lambda t: rf"\displaystyle {t}"),
    Layout("left and right", lambda t: t if r"\left" in t else _replaced(("(", r"\left("), (")", r"\right)"))(t)),
    Layout("dfrac", _replaced((r"\frac", r"\dfrac"))),
    Layout("tfrac", _replaced((r"\frac", r"\tfrac"))),
    Layout("thin spaces", _replaced((" + ", r"\,+\,"), ("=", r"\,=\;"), (", ", r",\ "))),
    Layout("spaced signs", _replaced(("=", " = "), (r"\cup", r" \cup "))),
    Layout("unicode minus", lambda t: t if "e-" in t else t.replace("-", "−")),
    Layout("unicode names", _replaced((r"\pi", "π"), (r"\theta", "θ"), (r"\alpha", "α"), (r"\infty", "∞"))),
    Layout(
        "unicode signs", _replaced((r"\times", "×"), (r"\cdot", "·"), (r"\pm", "±"), (r"\cup", "∪"), (r"\le ", "≤"))
    ),
    Layout("unicode roots", _replaced((r"\sqrt{", "√{"))),
    Layout("unicode degrees", _replaced((r"^{\circ}", "°"), (r"^\circ", "°"))),
    Layout("full width", lambda t: t.translate({ord(c): ord(c) + 0xFEE0 for c in "0123456789=()"})),
    Layout("braces", lambda t: f"{{{t}}}", False),
    # In brackets a plain comma is one of a list: (1,234) is a pair, 1,234 a number.
    Layout("brackets", lambda t: t if re.search(r"\d,\d{3}", t) else f"({t})", False),
    Layout("plus", lambda t: t if t[:1] in "-+" else f"+{t}", False),
)
anywhere = st.lists(
    st.sampled_from([layout for layout in LAYOUTS if layout.anywhere]), min_size=1, max_size=3, unique=True
)
at_expressions = st.lists(st.sampled_from(LAYOUTS), min_size=1, max_size=3, unique=True)


def laid_out(text: str, layouts: list[Layout]) -> str:
    """The text with changes of layout: dollars after those of the inside, and the full stop outside the dollars."""
    frames = ("dollars", "parens of TeX", "full stop", "spaces")
    for layout in sorted(layouts, key=lambda layout: frames.index(layout.name) if layout.name in frames else -1):
        text = layout.apply(text)
    return text


# --- rational arithmetic with an evaluator of its own ---------------------------------------------------------------


class Rational(NamedTuple):
    """A rational expression as text, and its value: ``None`` where it divides by zero or is huge."""

    text: str
    value: Fraction | None


_rational_leaves = st.one_of(
    st.integers(0, 30).map(lambda n: Rational(str(n), Fraction(n))),
    st.integers(0, 999).map(lambda n: Rational(f"{n / 100:.2f}", Fraction(n, 100))),
    st.tuples(st.integers(0, 20), small).map(lambda p: Rational(r"\frac{%d}{%d}" % p, Fraction(*p))),  # noqa: UP031
)
_OPERATORS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "({}) + ({})": lambda a, b: a + b,
    "({})-({})": lambda a, b: a - b,
    r"({}) \cdot ({})": lambda a, b: a * b,
    r"({})\times({})": lambda a, b: a * b,
    "({})({})": lambda a, b: a * b,
    "({})*({})": lambda a, b: a * b,
    r"\frac{{{}}}{{{}}}": lambda a, b: a / b,
    r"\dfrac{{{}}}{{{}}}": lambda a, b: a / b,
    "({})/({})": lambda a, b: a / b,
    r"({}) \div ({})": lambda a, b: a / b,
    "-({})+({})": lambda a, b: b - a,
}


def _combined(parts: tuple[Rational, Rational, str]) -> Rational:
    a, b, form = parts
    text = form.format(a.text, b.text)
    if a.value is None or b.value is None:
        return Rational(text, None)
    try:
        value = _OPERATORS[form](a.value, b.value)
    except ZeroDivisionError:
        return Rational(text, None)
    return Rational(text, value if value.denominator < 10**40 else None)


def _squared(parts: tuple[Rational, int]) -> Rational:
    base, power = parts
    defined = base.value is not None and (base.value or power > 0)
    return Rational(f"({base.text})^{{{power}}}", base.value**power if defined and base.value is not None else None)


rationals: SearchStrategy[Rational] = st.recursive(
    _rational_leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner, st.sampled_from(sorted(_OPERATORS))).map(_combined),
        st.tuples(inner, st.integers(-3, 4).filter(bool)).map(_squared),
    ),
    max_leaves=7,
)

# --- polynomials as trees, for an oracle that builds its own objects from them -------------------------------------

Tree = Any
"""An int, a name, or (operator, left, right) with the operators + - * and ^ (whose right side is an int)."""

trees: SearchStrategy[Tree] = st.recursive(
    st.one_of(st.integers(-6, 6), st.sampled_from(["x", "y"])),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*"), inner, inner), st.tuples(st.just("^"), inner, st.integers(1, 3))
    ),
    max_leaves=6,
)


def latex(tree: Tree) -> str:
    """A tree as LaTeX, with brackets around every operand."""
    if isinstance(tree, tuple):
        operator, left, right = tree
        if operator == "^":
            return f"({latex(left)})^{{{right}}}"
        return f"({latex(left)}){'' if operator == '*' else operator}({latex(right)})"
    return str(tree)


# --- the same written in another way --------------------------------------------------------------------------------

_signed = st.integers(-30, 30)


def _paired(left: str, right: str, *parts: SearchStrategy[Any]) -> SearchStrategy[tuple[str, str]]:
    return st.tuples(*parts).map(lambda values: (left.format(*values), right.format(*values)))


def _decimal_pair(parts: tuple[int, int, int]) -> tuple[str, str]:
    top, twos, fives = parts
    value = Fraction(top, 2**twos * 5**fives)
    places = max(twos, fives)
    digits = f"{abs(top) * 10**places // (2**twos * 5**fives):0{places + 1}d}"
    text = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}".rstrip(".")
    return ("-" if top < 0 else "") + text, rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _multiplied_out(parts: tuple[int, int, int]) -> tuple[str, str]:
    a, b, c = parts
    return f"{c}(x{a:+d})(x{b:+d})", f"{c}x^2{c * (a + b):+d}x{c * a * b:+d}"


def _widened(parts: tuple[int, int, int]) -> tuple[str, str]:
    top, bottom, factor = parts
    return rf"\frac{{{top}}}{{{bottom}}}", rf"\frac{{{top * factor}}}{{{bottom * factor}}}"


rewritings: SearchStrategy[tuple[str, str]] = st.one_of(
    _paired("({0})+({1})", "({1})+({0})", expressions, expressions),
    _paired("({0})({1})", r"({1}) \cdot ({0})", _leaves, _leaves),
    _paired("({0})-({1})", "-(({1})-({0}))", expressions, expressions),
    _paired(r"\frac{{{0}}}{{{1}}}", r"({0}) \cdot ({1})^{{-1}}", expressions, _nonzero),
    _paired(
        r"\frac{{{0}}}{{{1}}}", r"\frac{{({0}) \cdot ({2})}}{{({1}) \cdot ({2})}}", expressions, _nonzero, _nonzero
    ),
    _paired("({0})(({1})+({2}))", r"({0})({1})+({0})({2})", _leaves, _leaves, _leaves),
    _paired("(x+({0}))(x+({1}))", "x^2+(({0})+({1}))x+({0})({1})", _leaves, _leaves),
    _paired(r"\sqrt{{{0}^2 \cdot {1}}}", r"{0}\sqrt{{{1}}}", small, small),
    _paired(
        r"\frac{{1}}{{\sqrt{{{0}}}+{1}}}",
        r"\frac{{\sqrt{{{0}}}-{1}}}{{{0}-{1}^2}}",
        st.sampled_from([2, 3, 5, 7]),
        small,
    ),
    _paired(r"\ln {0}+\ln {1}", r"\ln({0} \cdot {1})", small, small),
    _paired(r"\sin({0}x)\cos({0}x)", r"\frac{{\sin(2\cdot {0} x)}}{{2}}", small),
    _paired("e^{{{0}x}}e^{{{1}x}}", "e^{{({0}+({1}))x}}", _signed, _signed),
    _paired("({0}+{1}i)({0}-{1}i)", "{0}^2+{1}^2", small, small),
    st.tuples(_signed, st.integers(0, 5), st.integers(0, 5)).map(_decimal_pair),
    st.tuples(_signed, _signed, small).map(_multiplied_out),
    st.tuples(_signed, small, st.integers(-9, 9).filter(bool)).map(_widened),
)

# --- expressions written as tightly as LaTeX allows, with values of their own ----------------------------------------

tight: SearchStrategy[Tree] = st.recursive(
    st.one_of(st.sampled_from("xyb"), st.integers(2, 3)),
    lambda inner: st.one_of(
        st.tuples(st.sampled_from("+-*/^"), inner, inner), st.tuples(st.just("√"), inner, st.just(0))
    ),
    max_leaves=4,
)


def tightly(tree: Tree) -> str:
    """A tree as people write LaTeX: brackets only where they are needed, letters side by side."""
    match tree:
        case ("+" | "-" as sign, left, right):
            other = tightly(right)
            return f"{tightly(left)}{sign}{f'({other})' if _precedence(right) < 2 else other}"
        case ("*", left, right):
            factors = [f"({tightly(side)})" if _precedence(side) < 2 else tightly(side) for side in (left, right)]
            return factors[0] + (r" \cdot " if factors[1][0].isdigit() else "") + factors[1]
        case ("/", left, right):
            return rf"\frac{{{tightly(left)}}}{{{tightly(right)}}}"
        case ("^", left, right):
            base = tightly(left)
            return f"{base if _precedence(left) > 3 else f'({base})'}^{{{tightly(right)}}}"
        case ("√", inside, _):
            return rf"\sqrt{{{tightly(inside)}}}"
        case _:
            return str(tree)


def _precedence(tree: Tree) -> int:
    return {"+": 1, "-": 1, "*": 2, "/": 3, "^": 3, "√": 3}[tree[0]] if isinstance(tree, tuple) else 4


def value_at(tree: Tree, point: dict[str, float]) -> float:
    """The value of a tree.

    Raises:
        ArithmeticError: there is none, or it is no real number.
    """
    if not isinstance(tree, tuple):
        return point[tree] if isinstance(tree, str) else float(tree)
    operator, one, two = tree[0], value_at(tree[1], point), value_at(tree[2], point)
    if (operator == "√" or (operator == "^" and not two.is_integer())) and one <= 0:
        raise ArithmeticError("a root or power that may leave the real numbers")
    match operator:
        case "+":
            return one + two
        case "-":
            return one - two
        case "*":
            return one * two
        case "/":
            return one / two
        case "^":
            return float(one**two)
        case _:
            return math.sqrt(one)


# --- noise ----------------------------------------------------------------------------------------------------------

TOKENS = (
    r"\frac \dfrac \sqrt \left( \right) \left[ \right] \{ \} { } ( ) [ ] | ^ _ + - * / = < > ! % , ; : . ' $ & \\ "
    r"\cdot \times \pm \mp \le \ne \in \cup \cap \setminus \infty \pi \theta e i x y n 0 1 2 10 0.5 1e9 1,000 "
    r"\sin \cos \ln \log \arcsin \exp \gcd \min \binom \sum_{k=1}^{ \prod \int_0^1 dx \lim_{x\to0} \lfloor \rfloor "
    r"\overline \vec \mathrm{ \text{ \mathbf{ \begin{pmatrix} \end{pmatrix} \text{and} or cm \text{percent} miles "
    r"^\circ \% \$ € ° π √ ² ½ ≤ ∞ ∪ − × … \boxed{ \fbox{ </think> #### \, \! \quad ~ \mathbb{R} \emptyset "
    r"\choose \over _2 _{10} )_{10} _{16} f( ^{-1} abs( |x| \ldots 4^{4^{ ^{2^{2 cm:10 :\$5 x=x 10^{5000}"
).split()
soup = st.lists(st.sampled_from(TOKENS), max_size=25).map("".join)
spaced_soup = st.lists(st.sampled_from(TOKENS), max_size=25).map(" ".join)
characters = st.text(st.characters(), max_size=40)
noise = st.one_of(soup, spaced_soup, characters, st.lists(st.one_of(answers, soup), max_size=3).map("".join))
