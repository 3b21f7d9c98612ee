"""The contract as a test: one call that tries a reward in every way in which a trainer may call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from rewardkit.testing.checks import CHECKS, COMPARING, REMEDIES
from rewardkit.testing.hostile import HOSTILE
from rewardkit.testing.report import ContractCheck, ContractReport, ContractViolation
from rewardkit.testing.rows import rows_of
from rewardkit.testing.subject import Subject
from rewardkit.testing.trial import Trial, Verdict


def check_reward(
    fn: Callable[..., Any],
    *,
    completions: Any = None,
    prompts: Any = None,
    deterministic: bool = True,
    batch_invariant: bool = True,
    message_invariant: bool = True,
    picklable: bool = True,
    threads: bool = True,
    examples: Mapping[str, str] = HOSTILE,
    raise_on_failure: bool = True,
    **columns: Any,
) -> ContractReport:
    r"""Check that a reward keeps the contract; see :data:`rewardkit.testing.checks.CHECKS` for the clauses.

    Every call gets copies by keyword. A clause is judged beside the first call: the values must be the same to
    1e-6 in another order, one by one, as messages, after pickling, from four threads. A failure is named once:
    what follows from another failure is marked "-", not judged.

    Args:
        fn: any callable of the contract, synchronous or asynchronous.
        completions: strings or message lists that it can score; made up around the references unless given.
        prompts: one per completion.
        deterministic: ``False`` for a reward that samples (a judge): values are not compared.
        batch_invariant: ``False`` for a reward that compares the completions of a group: rows are never taken
            out of their batch.
        message_invariant: ``False`` for a reward that takes one format only: that of `completions`.
        picklable: ``False`` for a lambda, or a function inside of another.
        threads: ``False`` for a reward that is only ever called from one thread.
        examples: the completions that must not make it raise, by name; ``{**HOSTILE, "mine": "..."}`` adds one.
        raise_on_failure: ``False`` gives the report alone.
        **columns: lists with one value per completion; all else is passed to every call as it is. A column
            that has the name of an argument here goes in by ``functools.partial(fn, ...)``.

    Returns:
        The verdict on every clause.

    Raises:
        ContractViolation: clauses are broken; all of them, each with its smallest example and its remedy.
        TypeError, ValueError: `fn` is not callable, or completions, prompts and columns do not fit.

    Example:
        >>> from rewardkit import boxed_accuracy
        >>> from rewardkit.testing import check_reward
        >>> check_reward(boxed_accuracy, ground_truth=["42", "1/2"]).passed
        True
        >>> report = check_reward(lambda completions, **columns: [len(completions)], raise_on_failure=False)
        >>> print(report["length"])
        length: 1 value for 8 completions
            Remedy: return a list with one value per completion, None where it does not apply
    """
    __tracebackhide__ = True  # pytest shows the line of the test, not this one
    switches = {
        "deterministic": deterministic,
        "batch_invariant": batch_invariant,
        "message_invariant": message_invariant,
        "picklable": picklable,
        "threads": threads,
    }
    subject, rows = Subject(fn), rows_of(completions, prompts, columns)
    try:
        started = perf_counter()
        base = subject.score(rows.arguments())
        trial = Trial(subject, rows, examples, switches, base, perf_counter() - started)
        for check in CHECKS:
            trial.done.append(_judged(trial, check.__name__, check))
    finally:
        subject.close()
    report = ContractReport(subject.name, tuple(trial.done))
    if raise_on_failure and not report.passed:
        raise ContractViolation(report)
    return report


def _judged(trial: Trial, name: str, check: Callable[[Trial], Verdict]) -> ContractCheck:
    if not trial.switches.get(name, True):
        return ContractCheck(name, None, "switched off")
    if trial.base.raised and name not in ("call", "picklable"):
        return ContractCheck(name, None, "not judged: the call raises")
    if name in COMPARING and not trial.comparable:
        return ContractCheck(name, None, "not judged: one call does not tell what another gives")
    passed, detail, *own = check(trial)
    return ContractCheck(name, passed, detail, "".join(own or [REMEDIES[name]]) if passed is False else "")
