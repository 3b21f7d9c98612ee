"""The last rung: two LaTeX expressions compared by math-verify, called only inside a killable worker.

Source of the comparison: Math-Verify (Hugging Face), with its LaTeX reader alone; its reader of plain
expressions goes through ``parse_expr``, which evaluates text, and is never used.
"""

from __future__ import annotations


def symbolic_equal(answer: str, truth: str) -> bool | None:
    """Whether two LaTeX expressions are equal by math-verify; ``None`` where one cannot be parsed."""
    from math_verify import LatexExtractionConfig, parse, verify

    reader = [LatexExtractionConfig(boxed_match_priority=0)]
    sides = []
    for text in (truth, answer):
        parsed = parse(rf"\boxed{{{text}}}", reader, fallback_mode="no_fallback", parsing_timeout=None)
        if not parsed:
            return None
        sides.append(parsed)
    return bool(verify(sides[0], sides[1], timeout_seconds=None, raise_on_error=True))


def warm_up() -> None:
    """Load sympy and the grammar, so that the first real comparison is inside its budget."""
    for answer, truth in ((r"\sqrt{8}", r"2\sqrt{2}"), ("(1, 2]", "[1, 2]"), ("x + 1", "1 + x")):
        symbolic_equal(answer, truth)
