"""One answer against one reference, without a process: read both, compare, say why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from rewardkit.equivalence.compare import Comparison, same_choice
from rewardkit.equivalence.polynomials import new_budget
from rewardkit.equivalence.reader import Reading, as_letters, as_list, read
from rewardkit.equivalence.tree import Collection, Node, Product, Quantity, Words


@dataclass(frozen=True)
class Verdict:
    """Whether answer and reference are equal (``None``: could not be decided), by which rung, and why."""

    equal: bool | None
    rung: str
    detail: str = ""

    def __bool__(self) -> bool:
        return self.equal is True

    @property
    def why(self) -> str:
        """The verdict in a sentence."""
        verb = {True: "equal", False: "different", None: "undecided"}[self.equal]
        by = {"form": "normal form", "values": "values in high precision"}.get(self.rung, self.rung)
        return f"{verb} by {by}: {self.detail}"


def check(
    answer: str,
    truth: str,
    tolerance: Fraction | None = None,
    beyond: Callable[[Node, Node], bool | None] | None = None,
) -> Verdict:
    """The verdict; its rung is "symbolic" and equal is None where only `beyond` could tell."""
    answer, truth = answer.strip(), truth.strip()
    if answer == truth and answer:
        return Verdict(True, "text", answer[:200])
    a, t = read(answer), read(truth)
    if not a.form:
        return Verdict(False, "text", "the answer is empty")
    if a.form == t.form:
        return Verdict(True, "text", a.form[:200])
    picked = same_choice(answer, a, truth, t)
    if picked is not None:
        return Verdict(picked, "choice", f"{answer[:200]!r} and {truth[:200]!r}")
    if a.value is None or t.value is None:
        return _unread(a, t)
    node, true_node = a.value, t.value
    if node != true_node and "," in answer + truth:
        lists = as_list(answer), as_list(truth)  # 70,110 may be two numbers
        if isinstance(lists[0] or node, Collection) and isinstance(lists[1] or true_node, Collection):
            node, true_node = lists[0] or node, lists[1] or true_node
    new_budget()
    comparison = Comparison(tolerance, beyond)
    try:
        equal = comparison.same(node, true_node)
        if not equal and (_may_be_letters(a, t) or _may_be_letters(t, a)):
            letters = (as_letters(answer) or node, as_letters(truth) or true_node)
            equal = comparison.same(*letters)
    except RecursionError:
        return Verdict(None, "limit", "nested too deeply")
    scalars = comparison.scalars
    detail = scalars.undecided if equal is None else f"{a.form[:200]} {'=' if equal else '≠'} {t.form[:200]}"
    rung = scalars.rung
    if equal is None:
        rung = "symbolic" if scalars.needs_symbolic else "limit"
    return Verdict(equal, rung, detail)


def _may_be_letters(one: Reading, other: Reading) -> bool:
    """Whether a word or a unit is a product of letters where the other side is an expression: xy, 2mg."""
    if isinstance(one.value, Words):
        short = len(one.form) <= 4 and one.form.isascii() and one.form.isalpha()
        pair = len(one.form) == 2 and not set(one.form.casefold()) & set("eiou")  # "no" and "on" are words
        return short and (isinstance(other.value, Product) or (isinstance(other.value, Words) and pair))
    return one.ambiguous and not other.ambiguous and not isinstance(other.value, Quantity)


_MATHS = set("0123456789=<>+*/^_{}[]()|\\≤≥≠")
"""Where one of these occurs, the case of letters counts."""


def _unread(a: Reading, t: Reading) -> Verdict:
    if a.form.casefold() == t.form.casefold() and not _MATHS & set(a.form):
        return Verdict(True, "words", a.form[:200])
    if a.value is None:
        return Verdict(False, "unparseable", f"{a.form[:200]!r}: {a.problem}")
    return Verdict(False, "unparseable reference", f"{t.form[:200]!r} is only equal to itself: {t.problem}")
