"""math-verify's verdicts as outcomes, for the originals that are defined by them."""

from __future__ import annotations

from collections.abc import Sequence

from rewardkit.contract import Outcome, judged
from rewardkit.presets.math_verify_process import MATH_VERIFY, Verdict


def accuracies(check: str, texts: Sequence[str], truths: Sequence[str | None], column: str) -> list[Outcome]:
    """1.0 where the answer is the reference, else 0.0; ``None`` where the reference is missing or unreadable.

    Args:
        check: how to call math-verify, one of ``math_verify_worker.CHECKS``.
        texts: where to look for the answers.
        truths: the references, one for each text.
        column: where they came from.
    """
    pairs = [(truth, text) for truth, text in zip(truths, texts, strict=True) if truth is not None]
    verdicts = iter(MATH_VERIFY.verdicts(check, pairs))
    return [_outcome(Verdict() if truth is None else next(verdicts), column) for truth in truths]


def _outcome(verdict: Verdict, column: str) -> Outcome:
    if verdict.error:
        return Outcome(0.0, "timeout" if verdict.timeout else "error", verdict.error, gold_column=column)
    if verdict.truth is None:
        detail = "math-verify reads nothing in the reference"
        return Outcome(None, "unparseable_ground_truth", detail, gold_column=column)
    if verdict.answer is None:
        return Outcome(0.0, "no_answer", "no formula found", gold=verdict.truth, gold_column=column)
    return judged(verdict.equal, extracted=verdict.answer, gold=verdict.truth, gold_column=column)
