"""The last rung: what the other rungs hold no rule for (integrals, limits, unbounded sums), decided by sympy.

Called only inside a worker process with limits. Expressions are built node by node from our own trees; no
text reaches sympy except as the name of a symbol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rewardkit.equivalence.tree import Call, Node, Number, Power, Product, Sum, Symbol

DIGITS = 50
_AGREE = 35
"""Constants that sympy cannot prove equal are equal when they agree to this many digits of :data:`DIGITS`."""


def symbolic_equal(a: Node, b: Node) -> bool | None:
    """Whether two expressions are equal; ``None`` where sympy cannot tell."""
    import sympy

    _SYMBOLS.clear()
    one, two = _built(a).doit(), _built(b).doit()
    difference = one - two
    if difference == 0:
        return True
    if not (one.is_finite is not False and two.is_finite is not False):
        return bool(one == two)
    if not difference.free_symbols:
        return _same_constant(difference, one, two)
    difference = sympy.simplify(difference)
    if difference == 0:
        return True
    points = ({s: sympy.Rational(3 + 4 * k + 5 * n, 7) for k, s in enumerate(_names(difference))} for n in range(3))
    for point in points:
        values = [side.subs(point) for side in (difference, one, two)]
        same = _same_constant(*values)
        if same is not True:
            return same
    return None  # agreement at points is no proof, and no other rung takes it up from here


def _same_constant(difference: Any, one: Any, two: Any) -> bool | None:
    gap, scale = abs(difference.evalf(DIGITS)), abs(one.evalf(DIGITS)) + abs(two.evalf(DIGITS))
    if not (gap.is_number and scale.is_number and gap.is_finite and scale.is_finite):
        return None
    return bool(gap <= scale * 10**-_AGREE)


def _names(expression: Any) -> list[Any]:
    return sorted(expression.free_symbols, key=str)


def _built(node: Node) -> Any:
    return _BUILDERS[type(node)](node)


def _symbol(node: Symbol) -> Any:
    import sympy

    constants = {"π": sympy.pi, "e": sympy.E, "i": sympy.I, "∞": sympy.oo}
    return constants.get(node.name) or sympy.Symbol(_neutral(node.name), real=True)


_SYMBOLS: dict[str, str] = {}


def _neutral(name: str) -> str:
    """v0, v1, …: sympy makes code of names here and there, so no name comes from a text."""
    return _SYMBOLS.setdefault(name, f"v{len(_SYMBOLS)}")


def _number(node: Number) -> Any:
    import sympy

    return sympy.Rational(node.value.numerator, node.value.denominator)


def _sum(node: Sum) -> Any:
    import sympy

    return sympy.Add(*map(_built, node.terms))


def _product(node: Product) -> Any:
    import sympy

    return sympy.Mul(*map(_built, node.factors))


def _power(node: Power) -> Any:
    import sympy

    base, exponent = _built(node.base), _built(node.exponent)
    if exponent.is_Rational and exponent.q > 1 and exponent.q % 2:  # the real root
        return sympy.real_root(base, exponent.q) ** exponent.p
    return sympy.Pow(base, exponent)


def _call(node: Call) -> Any:
    import sympy

    args = [_built(arg) for arg in node.args]
    if node.name in ("sum", "prod"):
        body, variable, low, high = args
        return (sympy.Sum if node.name == "sum" else sympy.Product)(body, (variable, low, high))
    if node.name == "int":
        return sympy.Integral(args[0], args[1] if len(args) == 2 else tuple(args[1:]))
    if node.name == "lim":
        return sympy.Limit(*args)
    name = _NAMES.get(node.name, node.name)
    function: Any = getattr(sympy, name) if node.name in _KNOWN else sympy.Function(_neutral(f"function {node.name}"))
    if name == "log" and node.name != "ln":
        return sympy.log(args[0]) / sympy.log(args[1] if len(args) == 2 else 10)
    if node.name == "percent":
        return args[0] / 100
    if node.name == "degree":
        return args[0] * sympy.pi / 180
    return function(*args)


_NAMES = {
    "ln": "log", "lg": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arccot": "acot", "abs": "Abs",
    "arcsec": "asec", "arccsc": "acsc", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh", "binom": "binomial",
    "ceil": "ceiling", "max": "Max", "min": "Min", "sgn": "sign", "Re": "re", "Im": "im",
}  # fmt: skip
_KNOWN = frozenset(_NAMES) | frozenset(
    "sin cos tan cot sec csc sinh cosh tanh coth log factorial factorial2 gamma zeta erf floor gcd lcm arg".split()
)
_BUILDERS: Mapping[type, Callable[..., Any]] = {
    Number: _number,
    Symbol: _symbol,
    Sum: _sum,
    Product: _product,
    Power: _power,
    Call: _call,
}


def warm_up() -> None:
    """Load what comparisons need, so that the first real one is inside its budget."""
    x, infinity = Symbol("x"), Symbol("∞")
    square = Power(x, Number(2))
    for node in (
        Call("int", (square, x, Number(0), Number(1))),
        Call("int", (Call("sin", (x,)), x)),
        Call("sum", (square, x, Number(1), Symbol("n"))),
        Call("sum", (Power(Call("factorial", (x,)), Number(-1)), x, Number(0), infinity)),
        Call("int", (Call("sin", (square,)), x, Number(0), infinity)),
        Call("lim", (Product((Call("sin", (x,)), Power(x, Number(-1)))), x, Number(0))),
    ):
        symbolic_equal(node, x)
