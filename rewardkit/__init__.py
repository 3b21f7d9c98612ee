r"""Reward functions for training language models: composable, weighted, clipped, and explained.

Every reward follows one contract, ``reward(completions=..., prompts=..., **columns) -> list[float | None]``,
and is used as it is in a REPL or by a trainer:

    >>> from rewardkit import boxed_accuracy, combine, soft_format
    >>> boxed_accuracy([r"\boxed{1/2}"], ground_truth=["0.5"])
    [1.0]
    >>> stack = combine(boxed_accuracy, soft_format, weights=[2.0, 0.5])
    >>> stack([r"<think>1 + 1</think><answer>\boxed{2}</answer>"], answer="2")
    [2.5]
    >>> print(stack)
    combine(BoxedAccuracy(), SoftFormat(), weights=(2.0, 0.5))
"""

from rewardkit import presets
from rewardkit._version import __version__
from rewardkit.accuracy import (
    AnswerAccuracy,
    BoxedAccuracy,
    ChoiceAccuracy,
    ExactMatch,
    NumericAccuracy,
    answer_accuracy,
    boxed_accuracy,
    choice_accuracy,
    exact_match,
    numeric_accuracy,
)
from rewardkit.combine import Clipped, Combined, Function, Weighted, combine
from rewardkit.contract import Batch, ColumnError, Outcome, Part, Reward, RewardError, RewardFunction
from rewardkit.equivalence import Answer, Budget, Verdict, equivalent, extract_answer
from rewardkit.keywords import Keywords, keywords
from rewardkit.length import (
    CosineLength,
    LengthBand,
    SoftOverlong,
    cosine_length,
    length_band,
    soft_overlong,
)
from rewardkit.repetition import RepetitionPenalty, repetition_penalty
from rewardkit.structure import SoftFormat, StrictFormat, soft_format, strict_format
from rewardkit.tag_counts import TagCount, XmlCount, tag_count, xml_count

__all__ = [
    "Answer",
    "AnswerAccuracy",
    "Batch",
    "BoxedAccuracy",
    "Budget",
    "ChoiceAccuracy",
    "Clipped",
    "ColumnError",
    "Combined",
    "CosineLength",
    "ExactMatch",
    "Function",
    "Keywords",
    "LengthBand",
    "NumericAccuracy",
    "Outcome",
    "Part",
    "RepetitionPenalty",
    "Reward",
    "RewardError",
    "RewardFunction",
    "SoftFormat",
    "SoftOverlong",
    "StrictFormat",
    "TagCount",
    "Verdict",
    "Weighted",
    "XmlCount",
    "__version__",
    "answer_accuracy",
    "boxed_accuracy",
    "choice_accuracy",
    "combine",
    "cosine_length",
    "equivalent",
    "exact_match",
    "extract_answer",
    "keywords",
    "length_band",
    "numeric_accuracy",
    "presets",
    "repetition_penalty",
    "soft_format",
    "soft_overlong",
    "strict_format",
    "tag_count",
    "xml_count",
]
