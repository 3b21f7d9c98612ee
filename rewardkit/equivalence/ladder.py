r"""Is this answer the reference answer? A ladder of rungs, cheapest first, each exact about what it claims.

==============  ===================================================================================
text            the same tokens, once layout is taken away
words, choice   plain language without regard to case; the letter of a multiple-choice answer
number          exact rational arithmetic
form            normal forms over the rationals: equal is proved, and different mostly too
values          agreement in high precision, at several points where there are variables
structure       tuples, sets, intervals, matrices, relations: member by member, by the rungs above
symbolic        sympy in a worker process that is killed when its budget ends, for integrals and the like
==============  ===================================================================================

    >>> compare(r"\frac{2}{4}", "0.5").equal, compare(r"\frac{12}{\sqrt3}", r"4\sqrt{3}").rung
    (True, 'form')
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache

from rewardkit.equivalence.budget import POOL, Budget, Reply, Request
from rewardkit.equivalence.check import Verdict, check
from rewardkit.equivalence.describe import described

_REMEMBERED_CHARS = 200
"""Verdicts about longer texts are not remembered: the memory is bounded by 4,096 · 400 characters."""


def compare(answer: str, truth: str, budget: Budget | None = None, tolerance: float | None = None) -> Verdict:
    """Compare one answer with one reference; see :func:`compare_all`."""
    return compare_all([(answer, truth)], budget, tolerance)[0]


def equivalent(answer: str, truth: str, *, tolerance: float | None = None, budget: Budget | None = None) -> Verdict:
    r"""Whether two answers are the same under the policy of docs/equivalence.md, and why.

    Args:
        answer: what was answered, LaTeX or plain, without the box around it.
        truth: the reference; the policy is symmetric but for units, percent signs and names, which the
            answer may carry where the reference does not, and the other way round.
        tolerance: the largest accepted absolute difference of two numbers; ``None`` asks for exact equality.
        budget: seconds and memory of the symbolic rung.

    Returns:
        A verdict: true where they are equal; ``.equal`` is None where that could not be decided; ``.why``
        says it in a sentence.

    Raises:
        ValueError: a tolerance that is negative or not finite.

    Example:
        >>> from rewardkit import equivalent
        >>> bool(equivalent(r"\frac{\sqrt{2}}{2}", r"1/\sqrt2")), bool(equivalent("0.333", "1/3"))
        (True, False)
        >>> print(equivalent(r"2\pi", r"\pi + \pi").why)
        equal by normal form: 2·π and 2·π
    """
    return described(answer, truth, compare(answer, truth, budget, tolerance))


def compare_all(
    pairs: Sequence[tuple[str, str]], budget: Budget | None = None, tolerance: float | None = None
) -> list[Verdict]:
    """Compare (answer, reference) pairs; only those that need it go, side by side, to the symbolic rung.

    Args:
        pairs: texts as extracted: no box around them, LaTeX or plain.
        budget: seconds and memory of one symbolic comparison.
        tolerance: the largest accepted absolute difference of two numbers; ``None``: exact.

    Returns:
        One verdict per pair, in order. Equal pairs are compared once.
    """
    exact = exact_tolerance(tolerance)
    verdicts = {pair: _checked(*pair, exact) for pair in dict.fromkeys(pairs)}
    pending = [pair for pair, verdict in verdicts.items() if verdict.rung == "symbolic" and verdict.equal is None]
    if pending:
        _decide(pending, verdicts, budget or Budget(), exact)
    return [verdicts[pair] for pair in pairs]


def exact_tolerance(tolerance: float | None) -> Fraction | None:
    """The tolerance as a fraction.

    Raises:
        ValueError: negative or not finite.
    """
    if tolerance is None:
        return None
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance}; None asks for exact equality")
    return Fraction(tolerance)


def _checked(answer: str, truth: str, tolerance: Fraction | None) -> Verdict:
    short = max(len(answer), len(truth)) <= _REMEMBERED_CHARS
    try:
        return _remembered(answer, truth, tolerance) if short else check(answer, truth, tolerance)
    except Exception as error:  # noqa: BLE001 - a defect of ours must not end a run of days; it is said, and has a status
        detail = f"{type(error).__name__}: {error}"[:300]
        warnings.warn(
            f"comparing {answer[:200]!r} with {truth[:200]!r} failed ({detail}); please report this",
            RuntimeWarning,
            stacklevel=2,
        )
        return Verdict(None, "error", detail)


_remembered = lru_cache(maxsize=4_096)(check)
_Key = tuple[tuple[str, str], Budget, Fraction | None]
_DECIDED: dict[_Key, Verdict] = {}
_DECIDED_AT_MOST = 4_096
_DECIDING = threading.Lock()
os.register_at_fork(after_in_child=_DECIDING._at_fork_reinit)  # type: ignore[attr-defined]


def _decide(
    pending: Sequence[tuple[str, str]],
    verdicts: dict[tuple[str, str], Verdict],
    budget: Budget,
    tolerance: Fraction | None,
) -> None:
    """Fill in the verdicts of the symbolic rung; decided ones are kept, oldest out first."""
    for pair in pending:
        verdicts[pair] = _DECIDED.get((pair, budget, tolerance), verdicts[pair])
    unknown = [pair for pair in pending if verdicts[pair].equal is None]
    requests = [Request(answer, truth, tolerance) for answer, truth in unknown]
    for pair, reply in zip(unknown, POOL.compare_all(requests, budget), strict=True):
        verdict = verdicts[pair] = _verdict(reply)
        if verdict.equal is not None and max(map(len, pair)) <= _REMEMBERED_CHARS:
            with _DECIDING:
                if len(_DECIDED) >= _DECIDED_AT_MOST:
                    _DECIDED.pop(next(iter(_DECIDED)))
                _DECIDED[pair, budget, tolerance] = verdict


def _verdict(reply: Reply) -> Verdict:
    if reply.timeout:
        return Verdict(None, "timeout", "the comparison ran out of time")
    if reply.error:
        return Verdict(None, "error", reply.error)
    if reply.equal is None:
        return Verdict(None, "limit", reply.detail or "sympy could not tell")
    return Verdict(reply.equal, "symbolic", reply.detail)
