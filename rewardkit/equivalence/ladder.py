r"""Is this answer the reference answer? A ladder of checks, cheapest first, each exact about what it claims.

1. text: the same normal form (:mod:`.normalise`);
2. words: both are plain language; then they are equal when they read the same in lower case, else not;
3. number: both are rational numbers (:mod:`.numbers`); then exact arithmetic decides;
4. symbolic: math-verify in a worker that is killed when its budget ends (:mod:`.budget`).

    >>> compare(r"\frac{2}{4}", "0.5")
    Verdict(equal=True, rung='number', detail='1/2 = 1/2')
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from rewardkit.equivalence.budget import POOL, Budget, Reply
from rewardkit.equivalence.normalise import MAX_CHARS, is_words, normal_form
from rewardkit.equivalence.numbers import Number, read_number, same_number

MAX_SYMBOLIC_CHARS = 1_000
"""A longer answer is not given to the symbolic rung; the longest golds of MATH are a third of it."""

Rung = Literal["text", "words", "number", "symbolic", "limit", "timeout", "error", "unparseable"]


@dataclass(frozen=True)
class Verdict:
    """Whether answer and reference are equal (``None``: could not be decided), by which rung, and why."""

    equal: bool | None
    rung: Rung
    detail: str = ""


def compare(answer: str, truth: str, budget: Budget | None = None) -> Verdict:
    """Compare one answer with one reference; see :func:`compare_all`."""
    return compare_all([(answer, truth)], budget)[0]


def compare_all(pairs: Sequence[tuple[str, str]], budget: Budget | None = None) -> list[Verdict]:
    """Compare (answer, reference) pairs; only those that need it go, side by side, to the symbolic rung.

    Args:
        pairs: texts as extracted: no box around them, LaTeX or plain.
        budget: seconds and memory of one symbolic comparison.

    Returns:
        One verdict per pair, in order. Equal pairs are compared once.
    """
    budget = budget or Budget()
    verdicts = {pair: _exact(*pair) for pair in dict.fromkeys(pairs)}
    pending = [pair for pair, verdict in verdicts.items() if verdict is None]
    for pair in pending:
        verdicts[pair] = _REMEMBERED.get((pair, budget))
    unknown = [pair for pair in pending if verdicts[pair] is None]
    if unknown:
        normal = [(normal_form(answer), normal_form(truth)) for answer, truth in unknown]
        for pair, reply in zip(unknown, POOL.compare_all(normal, budget), strict=True):
            verdicts[pair] = _remember((pair, budget), _verdict(reply))
    return [verdict for pair in pairs if (verdict := verdicts[pair]) is not None]


def _exact(answer: str, truth: str) -> Verdict | None:
    """The rungs that need no symbolic work; ``None`` where they do not decide."""
    if max(len(answer), len(truth)) > MAX_CHARS:  # too large to be remembered
        return _exact_verdict(answer, truth)
    return _remembered_exact(answer, truth)


@lru_cache(maxsize=4_096)
def _remembered_exact(answer: str, truth: str) -> Verdict | None:
    return _exact_verdict(answer, truth)


def _exact_verdict(answer: str, truth: str) -> Verdict | None:
    a, t = normal_form(answer), normal_form(truth)
    if a == t and a:
        return Verdict(True, "text", a[:200])
    if not a:
        return Verdict(False, "text", "the answer is empty")
    if is_words(a) and is_words(t):
        return Verdict(a.casefold() == t.casefold(), "words", f"{a[:200]!r} and {t[:200]!r}")
    number, true_number = read_number(answer), read_number(truth)
    if number is not None and true_number is not None:
        same = same_number(number, true_number)
        return Verdict(same, "number", f"{_show(number)} {'=' if same else '≠'} {_show(true_number)}")
    if max(len(a), len(t)) > MAX_SYMBOLIC_CHARS:
        return Verdict(False, "limit", f"longer than {MAX_SYMBOLIC_CHARS} characters and not the same text")
    return None


def _show(number: Number) -> str:
    return f"{number.value}{'%' if number.percent else ''}{f' {number.unit}' if number.unit else ''}"


def _verdict(reply: Reply) -> Verdict:
    if reply.timeout:
        return Verdict(None, "timeout", "the comparison ran out of time")
    if reply.error:
        return Verdict(None, "error", reply.error)
    if reply.equal is None:
        return Verdict(False, "unparseable", "not the same text, and one side is not an expression")
    return Verdict(reply.equal, "symbolic", "by math-verify")


_REMEMBERED: dict[tuple[tuple[str, str], Budget], Verdict] = {}
_REMEMBER_AT_MOST = 16_384
_REMEMBERING = threading.Lock()


def _remember(key: tuple[tuple[str, str], Budget], verdict: Verdict) -> Verdict:
    """Keep decided verdicts, oldest out first: a group of completions often repeats an answer."""
    if verdict.equal is not None:
        with _REMEMBERING:
            if len(_REMEMBERED) >= _REMEMBER_AT_MOST:
                _REMEMBERED.pop(next(iter(_REMEMBERED)))
            _REMEMBERED[key] = verdict
    return verdict
