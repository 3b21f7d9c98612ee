"""Agreement of two expressions in high precision, at several points where they have variables.

Values are computed by mpmath with 160 bits; an agreement is confirmed with 480 bits and as many more as the
constants and intermediate values have, so that ``\\sin x + 10^{-60}`` is not ``\\sin x``. Variables are real:
a point where a root or logarithm leaves the real numbers does not count, unless there are no others.
Every operation is bounded before it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rewardkit.equivalence.evaluation import IMAGINARY, MAX_MAGNITUDE, Evaluation, Opaque, text_hash
from rewardkit.equivalence.polynomials import TooLarge, Undefined
from rewardkit.equivalence.tree import IMAGINARY_UNIT, Call, Node, Number, symbols, walk

MAX_GAMMA_BITS = 700
"""Extra bits of precision where there are factorials or other functions that mpmath computes slowly."""
_SLOW = frozenset(("factorial", "factorial2", "gamma", "binom", "erf"))
"""Functions whose cost explodes with the precision."""
_OF_COMPLEX = frozenset(("abs", "arg", "Re", "Im", "norm"))
_STEPS = frozenset(("floor", "ceil"))
_BITS, _AGREE = 160, 80
_CONFIRM_BITS, _CONFIRM_AGREE = 480, 320
_NEEDED = 3


def same_value(a: Node, b: Node) -> bool | None:
    """Whether two expressions agree; ``None`` where too few points count.

    Raises:
        Opaque: an integral, a limit, an unbounded sum.
        TooLarge: a value beyond :data:`MAX_MAGNITUDE`.
        Undefined: a constant that does not exist.
    """
    names = sorted(symbols(a) | symbols(b))
    if not names:
        difference = _Difference(a, b, {})
        return difference.agrees() and difference.confirmed()
    if _complex(a, b, names):
        return _everywhere(a, b, names)
    real = list(_agreements(a, b, _real_points(names)))
    if real and not real[-1][0]:
        return False
    stepped = _holds_call(a, _STEPS) or _holds_call(b, _STEPS)  # they may differ at whole numbers only
    if stepped or len(real) < _NEEDED:  # a series up to n, (-1)^n
        real += list(_agreements(a, b, _whole_points(names)))
        if real and not real[-1][0]:
            return False
    if len(real) >= _NEEDED:
        return real[0][1].confirmed()
    if real:
        return None
    return _everywhere(a, b, names, real=True)


def _everywhere(a: Node, b: Node, names: list[str], *, real: bool = False) -> bool | None:
    """Agreement at complex points; or at real ones where the values are complex."""
    points = _real_points(names)
    found = list(_agreements(a, b, points if real else _turned(points), real_only=False))
    if not found:
        return None
    return found[-1][0] and len(found) >= _NEEDED and found[0][1].confirmed()


def _turned(points: Iterator[dict[str, tuple[int, int]]]) -> Iterator[dict[str, tuple[int, int]]]:
    for point in points:
        turned = dict(point)
        for index, (name, (size, shift)) in enumerate(point.items()):
            turned[IMAGINARY + name] = (size * (index + 3) // (index + 2), shift)
        yield turned


def _complex(a: Node, b: Node, names: list[str]) -> bool:
    """Whether variables are complex: i or a variable z or w beside |…|, Re, Im or arg."""
    unknown = bool({"z", "w"} & set(names)) or IMAGINARY_UNIT in walk(a) or IMAGINARY_UNIT in walk(b)
    return unknown and (_holds_call(a, _OF_COMPLEX) or _holds_call(b, _OF_COMPLEX))


def value_of(node: Node) -> Any:
    """A constant as an mpmath number with 160 bits."""
    return Evaluation({}, _BITS).value(node)


def _agreements(
    a: Node, b: Node, points: Iterator[Mapping[str, tuple[int, int]]], *, real_only: bool = True
) -> Iterator[tuple[bool, _Difference]]:
    """Whether the two agree at each point that counts, up to the first where they do not."""
    for point in points:
        difference = _Difference(a, b, point)
        try:
            agrees = difference.agrees()
        except (Undefined, TooLarge):
            continue
        if real_only and difference.left_the_reals:
            continue
        yield agrees, difference
        if not agrees:
            return


def _real_points(names: list[str]) -> Iterator[dict[str, tuple[int, int]]]:
    """Points as rationals p/2^40: positive, negative, mixed, small, and large ones (up to 10, |x − 10| is 10 − x)."""
    for low, high, signs in (
        (0.3, 2.7, "+"), (0.3, 2.7, "+"), (0.3, 2.7, "-"), (0.1, 0.9, "±"), (0.3, 2.7, "∓"), (3, 9, "+"),
        (0.1, 0.9, "+"), (0.05, 0.5, "-"), (0.05, 0.5, "+"), (0.3, 1.9, "±"), (20, 90, "±"), (2e3, 9e3, "+"),
        (2e3, 9e3, "-"), (2e6, 9e6, "∓"),
    ):  # fmt: skip
        point: dict[str, tuple[int, int]] = {}
        for index, name in enumerate(names):
            share = text_hash(f"{name} {low} {high} {signs} {len(point)}") / 2**32
            size = int((low + (high - low) * share) * 2**40) | 1
            negative = signs == "-" or ((signs == "±") == (index % 2 == 0) and signs in "±∓")
            point[name] = (-size if negative else size, 40)
        yield point


def _whole_points(names: list[str]) -> Iterator[dict[str, tuple[int, int]]]:
    for shift in range(8):
        yield {name: (2 + shift + 3 * index + shift * index, 0) for index, name in enumerate(names)}


class _Difference:
    """Both sides at one point."""

    def __init__(self, a: Node, b: Node, point: Mapping[str, tuple[int, int]]) -> None:
        self._a, self._b, self._point = a, b, point
        self._magnitude = self._smallest = 0
        self.left_the_reals = False

    def agrees(self) -> bool:
        return self._within(_BITS, _AGREE)

    def confirmed(self) -> bool:
        extra = 4 * (self._magnitude - self._smallest) + _constant_bits(self._a) + _constant_bits(self._b)
        limit = MAX_GAMMA_BITS if _holds_call(self._a, _SLOW) or _holds_call(self._b, _SLOW) else MAX_MAGNITUDE
        if extra > limit:
            raise TooLarge(f"constants of more than {limit} bits")
        return self._within(_CONFIRM_BITS + extra, _CONFIRM_AGREE + extra)

    def _within(self, bits: int, agree: int) -> bool:
        evaluation = Evaluation(self._point, bits)
        one, two = (evaluation.lossy(evaluation.value(side)) for side in (self._a, self._b))
        self.left_the_reals = evaluation.left_the_reals
        self._magnitude, self._smallest = evaluation.magnitude, evaluation.smallest
        difference = one - two
        return not difference or evaluation.context.mag(difference) < evaluation.magnitude - agree


def _holds_call(node: Node, names: frozenset[str]) -> bool:
    return any(isinstance(below, Call) and below.name in names for below in walk(node))


def _constant_bits(node: Node) -> int:
    values = [below.value for below in walk(node) if isinstance(below, Number)]
    return sum(value.numerator.bit_length() + value.denominator.bit_length() for value in values)


__all__ = ["MAX_GAMMA_BITS", "MAX_MAGNITUDE", "Opaque", "same_value", "value_of"]
