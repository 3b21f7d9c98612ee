"""Answer equivalence: extract an answer, then decide whether it is the reference, exactly and in bounded time."""

from rewardkit.equivalence.budget import Budget
from rewardkit.equivalence.extract import last_boxed, reference_answer
from rewardkit.equivalence.ladder import Verdict, compare, compare_all

__all__ = ["Budget", "Verdict", "compare", "compare_all", "last_boxed", "reference_answer"]
