"""The value of an expression at one point, by mpmath, with every operation bounded before it is done."""

from __future__ import annotations

import re
import threading
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rewardkit.equivalence.algebra import MAX_SERIES
from rewardkit.equivalence.polynomials import TooLarge, Undefined
from rewardkit.equivalence.tree import (
    INFINITY,
    Call,
    E,
    Node,
    Number,
    Power,
    Product,
    Sum,
    Symbol,
    is_unknown_function,
    symbols,
)

if TYPE_CHECKING:
    from mpmath.ctx_mp import MPContext

MAX_MAGNITUDE = 20_000
"""Bits before or behind the point of any intermediate value."""
MAX_STEPS = 20_000
"""Operations of one evaluation; a series counts every term."""
IMAGINARY = "imaginary part of "


class Opaque(ArithmeticError):
    """The expression holds something that this module does not evaluate, e.g. an integral."""


class _NotWhole(Undefined):
    """A series whose bounds are no integers at this point."""


def text_hash(text: str) -> int:
    """A number that depends on a text alone."""
    return zlib.crc32(text.encode(errors="backslashreplace"))


_LOCAL = threading.local()


def local_context() -> MPContext:
    """mpmath's precision is a property of a context; every thread has its own."""
    context = getattr(_LOCAL, "context", None)
    if context is None:
        from mpmath.ctx_mp import MPContext

        context = _LOCAL.context = MPContext()
    return context


class Evaluation:
    """The values of expressions at one point, in one precision."""

    def __init__(self, point: Mapping[str, tuple[int, int]], bits: int) -> None:
        self.context = local_context()
        self.context.prec = bits
        self.magnitude = 0
        self.smallest = 0
        self.left_the_reals = False
        self._steps = 0
        parts = {name: self.context.ldexp(top, -shift) for name, (top, shift) in point.items()}
        self._values = {name: part for name, part in parts.items() if not name.startswith(IMAGINARY)}
        for name, part in parts.items():
            if name.startswith(IMAGINARY):
                plain = name.removeprefix(IMAGINARY)
                self._values[plain] = self.context.mpc(self._values[plain], part)

    def value(self, node: Node) -> Any:
        """The value of an expression."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TooLarge(f"more than {MAX_STEPS} operations")
        value = self._RULES[type(node)](self, node)
        if value:
            magnitude = self.context.mag(value)
            if not isinstance(magnitude, int):
                raise Undefined("a value that is infinite or none")
            if abs(magnitude) > MAX_MAGNITUDE:
                raise TooLarge("a value with too many digits")
            if magnitude < self.smallest and not isinstance(node, Sum):  # a sum may be small by cancellation
                self.smallest = magnitude
        return value

    def lossy(self, value: Any) -> Any:
        """A value that goes where digits are lost: a sum, a function, an exponent."""
        if value:
            self.magnitude = max(self.magnitude, int(self.context.mag(value)))
        return value

    def _number(self, node: Number) -> Any:
        return self.context.mpf(node.value.numerator) / node.value.denominator

    def _symbol(self, node: Symbol) -> Any:
        name = node.name
        if name in self._values:
            return self._values[name]
        if name == "π":
            return +self.context.pi
        if name == "e":
            return +self.context.e
        if name == "i":
            return self.context.mpc(0, 1)
        raise Undefined(f"{name} has no value")

    def _sum(self, node: Sum) -> Any:
        total = self.lossy(self.value(node.terms[0]))
        for term in node.terms[1:]:
            total = total + self.lossy(self.value(term))
        return total

    def _product(self, node: Product) -> Any:
        total = self.value(node.factors[0])
        for factor in node.factors[1:]:
            total = total * self.value(factor)
        return total

    def _power(self, node: Power) -> Any:
        context, exponent = self.context, node.exponent
        power = self.lossy(self.value(exponent))
        if node.base == E:
            return self._exp(power)
        base = self.value(node.base)
        if not base:
            if power == 0:
                return context.mpf(1)
            if isinstance(power, context.mpc) or power < 0:
                raise Undefined("division by zero")
            return context.mpf(0)
        if (abs(context.mag(base)) + 1) * (abs(power) + 1) > MAX_MAGNITUDE * 4:
            raise TooLarge("a power with too many digits")
        if isinstance(exponent, Number) and isinstance(base, context.mpf):
            top, bottom = exponent.value.numerator, exponent.value.denominator
            if bottom == 1:
                return base ** int(top)
            if base < 0 and bottom % 2:  # the real root
                root = context.root(-base, bottom) ** top
                return root if top % 2 == 0 else -root
            if bottom == 2:
                return self._watched(context.sqrt(base), base) ** top
        return self._watched(context.power(base, power), base)

    def _exp(self, power: Any) -> Any:
        if abs(power) > MAX_MAGNITUDE:
            raise TooLarge("a power with too many digits")
        return self.context.exp(power)

    def _watched(self, value: Any, *inputs: Any) -> Any:
        """Note where real inputs give a value that is not real."""
        mpc = self.context.mpc
        if isinstance(value, mpc) and not any(isinstance(x, mpc) for x in inputs):
            self.left_the_reals = True
        return value

    def _call(self, node: Call) -> Any:
        name, context = node.name, self.context
        if name in ("sum", "prod"):
            return self._series(node)
        if name in ("int", "lim"):
            raise Opaque({"int": "an integral", "lim": "a limit"}[name])
        args = [self.lossy(self.value(arg)) for arg in node.args]
        if is_unknown_function(name):  # any function: one that has no relation to others
            seed = text_hash(name) % 97 + 1
            return sum(context.cos(arg * seed / (7 + k)) * (k + 2) for k, arg in enumerate(args))
        function = _FUNCTIONS.get(name)
        if function is None:
            raise Opaque(name)
        if name in _BOUNDED and any(abs(arg) > _BOUNDED[name] for arg in args):
            raise TooLarge(f"{name} of a large number")
        try:
            return self._watched(function(context, *args), *args)
        except (ValueError, ZeroDivisionError, TypeError, OverflowError) as error:
            raise Undefined(f"{name}: {error}") from error

    def _series(self, node: Call) -> Any:
        body, variable, low, high = node.args
        if INFINITY in (low, high):
            raise Opaque(f"an infinite {node.name}")
        assert isinstance(variable, Symbol)
        if any(re.search(rf"_.*\b{re.escape(variable.name)}\b", name) for name in symbols(body)):
            raise TooLarge(f"a {node.name} of indexed terms")
        first, last = self.value(low), self.value(high)
        if any(isinstance(bound, self.context.mpc) or not self.context.isint(bound) for bound in (first, last)):
            raise _NotWhole(node.name)
        if last - first > MAX_SERIES:
            raise Opaque(f"a {node.name} of more than {MAX_SERIES} terms")
        before = self._values.get(variable.name)
        total = self.context.mpf(0 if node.name == "sum" else 1)
        for k in range(int(first), int(last) + 1):
            self._values[variable.name] = self.context.mpf(k)
            term = self.value(body)
            total = total + term if node.name == "sum" else total * term
        if before is not None:
            self._values[variable.name] = before
        else:
            self._values.pop(variable.name, None)
        return total

    _RULES: Mapping[type, Callable[..., Any]] = {
        Number: _number,
        Symbol: _symbol,
        Sum: _sum,
        Product: _product,
        Power: _power,
        Call: _call,
    }


def _log(context: MPContext, x: Any, base: Any = 10) -> Any:
    return context.log(x) / context.log(base)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{name: (lambda c, x, _n=name: getattr(c, _n)(x)) for name in
       ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch", "erf", "gamma")},
    **{f"arc{name}": (lambda c, x, _n=f"a{name}": getattr(c, _n)(x)) for name in
       ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth", "sech", "csch")},
    "ln": lambda c, x: c.log(x),
    "log": _log,
    "lg": _log,
    "abs": lambda c, x: abs(x),
    "arg": lambda c, x: c.arg(x),
    "Re": lambda c, x: c.re(x),
    "Im": lambda c, x: c.im(x),
    "sgn": lambda c, x: c.sign(x),
    "floor": lambda c, x: c.floor(x),
    "ceil": lambda c, x: c.ceil(x),
    "percent": lambda c, x: x / 100,
    "degree": lambda c, x: x * c.pi / 180,
    "factorial": lambda c, x: c.gamma(x + 1),
    "factorial2": lambda c, x: c.fac2(x),
    "binom": lambda c, n, k: c.binomial(n, k),
    "max": lambda c, *x: max(x),
    "min": lambda c, *x: min(x),
}  # fmt: skip
_BOUNDED = {
    **dict.fromkeys(("sin", "cos", "tan", "cot", "sec", "csc"), 2**60),
    **dict.fromkeys(("sinh", "cosh", "tanh", "coth", "sech", "csch", "erf"), MAX_MAGNITUDE),
    **dict.fromkeys(("factorial", "factorial2", "gamma", "binom"), 1000),
}
"""The largest argument, so that the result and its precision stay within bounds."""
