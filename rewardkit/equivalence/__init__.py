"""Answer equivalence: extract an answer, then decide whether it is the reference, exactly and in bounded time."""

from rewardkit.equivalence.budget import Budget
from rewardkit.equivalence.check import Verdict
from rewardkit.equivalence.extract import Answer, boxes, extract_answer, last_boxed, reference_answer
from rewardkit.equivalence.ladder import compare, compare_all, equivalent

__all__ = [
    "Answer",
    "Budget",
    "Verdict",
    "boxes",
    "compare",
    "compare_all",
    "equivalent",
    "extract_answer",
    "last_boxed",
    "reference_answer",
]
