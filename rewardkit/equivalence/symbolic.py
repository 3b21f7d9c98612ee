"""The last rung: two LaTeX expressions compared by math-verify, called only inside a killable worker.

Source of the comparison: Math-Verify (Hugging Face), with its LaTeX reader alone; its reader of plain
expressions goes through ``parse_expr``, which evaluates text, and is never used. Two of its liberties are
taken back: it lowers the case of symbols (R^2 - r^2 would be 0) and rounds constants to six decimals.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial
from typing import Any

DIGITS = 50
"""Constants that are not rational are equal when they agree to this many digits."""


def symbolic_equal(answer: str, truth: str) -> bool | None:
    """Whether two LaTeX expressions are equal; ``None`` where one cannot be parsed."""
    if not (_balanced(answer) and _balanced(truth)):  # the text could close our box and open others
        return None
    parse, verify = _math_verify()
    sides = [parse(rf"\boxed{{{text}}}") for text in (truth, answer)]
    if not all(sides):
        return None
    same = _same_constant(sides[0][0], sides[1][0])
    return bool(verify(sides[0], sides[1])) if same is None else same


@lru_cache(maxsize=1)
def _math_verify() -> tuple[Any, Any]:
    """Its parser and its comparison, without their limits in time, which are signals."""
    import math_verify
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig

    keep_case = ConversionConfig(lowercase_symbols=False)
    parser = math_verify.parser
    parser.latex2sympy = partial(parser.latex2sympy, conversion_config=keep_case)
    reader = [math_verify.LatexExtractionConfig(boxed_match_priority=0)]
    parse = partial(parser.parse, extraction_config=reader, fallback_mode="no_fallback", parsing_timeout=None)
    return parse, partial(math_verify.verify, timeout_seconds=None, raise_on_error=True)


def _same_constant(truth: Any, answer: Any) -> bool | None:
    """Whether two numbers are the same, exactly or to :data:`DIGITS` digits; ``None`` if one is no number."""
    from sympy import Expr

    if not all(isinstance(side, Expr) and not side.free_symbols for side in (truth, answer)):
        return None
    t, a = truth.doit(), answer.doit()
    if not (t.is_number and a.is_number and t.is_finite and a.is_finite):
        return None
    if t.is_Rational and a.is_Rational:
        return bool(t == a)
    difference, scale = abs((t - a).evalf(DIGITS)), abs(t.evalf(DIGITS))
    return bool(difference <= scale * 10 ** (10 - DIGITS))


def _balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"\\.|[{}]", text):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def warm_up() -> None:
    """Load sympy and the grammar, so that the first real comparison is inside its budget."""
    for answer, truth in ((r"\sqrt{8}", r"2\sqrt{2}"), ("(1, 2]", "[1, 2]"), ("x + 1", "1 + x")):
        symbolic_equal(answer, truth)
