"""A verdict in a sentence, with the normal forms where they decided."""

from __future__ import annotations

from dataclasses import replace

from rewardkit.equivalence.algebra import normal
from rewardkit.equivalence.check import Verdict
from rewardkit.equivalence.polynomials import TooLarge, Undefined, form_text, new_budget
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.tree import EXPRESSIONS


def described(answer: str, truth: str, verdict: Verdict) -> Verdict:
    """The verdict with the two normal forms as its detail, where both sides are expressions."""
    if verdict.rung not in ("form", "values"):
        return verdict
    forms = []
    for text in (answer, truth):
        node = read(text).value
        if not isinstance(node, EXPRESSIONS):
            return verdict
        new_budget()
        try:
            forms.append(form_text(normal(node)))
        except (Undefined, TooLarge):
            return verdict
    return replace(verdict, detail=f"{forms[0][:300]} and {forms[1][:300]}")
