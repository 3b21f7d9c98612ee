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

from rewardkit import presets, schedule
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
from rewardkit.choices import Gated, MaxOf, MinOf, Product, Routed, max_of, min_of, product, route
from rewardkit.combine import Clipped, Combined, Weighted, combine
from rewardkit.contract import (
    AsyncReward,
    Batch,
    Call,
    ColumnError,
    Composite,
    Outcome,
    Part,
    Reward,
    RewardError,
    RewardFunction,
)
from rewardkit.equivalence import Answer, Budget, Verdict, equivalent, extract_answer
from rewardkit.functions import Function, Guarded, PerCompletion, reward
from rewardkit.group_length import GroupLength, group_length
from rewardkit.json_schema import JsonSchema, json_schema
from rewardkit.judge import Judge, judge
from rewardkit.keywords import Keywords, keywords
from rewardkit.language_consistency import LanguageConsistency, language_consistency, lingua_detector
from rewardkit.length import (
    CosineLength,
    LengthBand,
    SoftOverlong,
    cosine_length,
    length_band,
    soft_overlong,
)
from rewardkit.ngram_diversity import NgramDiversity, ngram_diversity
from rewardkit.reasoning_steps import ReasoningSteps, reasoning_steps
from rewardkit.regex_match import RegexMatch, regex_match
from rewardkit.repetition import RepetitionPenalty, repetition_penalty
from rewardkit.reward_model import RewardModel, reward_model
from rewardkit.shaping import Mapped, Threshold
from rewardkit.structure import SoftFormat, StrictFormat, soft_format, strict_format
from rewardkit.tag_counts import TagCount, XmlCount, tag_count, xml_count
from rewardkit.think_format import ThinkFormat, think_format
from rewardkit.truncated import Truncated, truncated

__all__ = [
    "Answer",
    "AnswerAccuracy",
    "AsyncReward",
    "Batch",
    "BoxedAccuracy",
    "Budget",
    "Call",
    "ChoiceAccuracy",
    "Clipped",
    "ColumnError",
    "Combined",
    "Composite",
    "CosineLength",
    "ExactMatch",
    "Function",
    "Gated",
    "GroupLength",
    "Guarded",
    "JsonSchema",
    "Judge",
    "Keywords",
    "LanguageConsistency",
    "LengthBand",
    "Mapped",
    "MaxOf",
    "MinOf",
    "NgramDiversity",
    "NumericAccuracy",
    "Outcome",
    "Part",
    "PerCompletion",
    "Product",
    "ReasoningSteps",
    "RegexMatch",
    "RepetitionPenalty",
    "Reward",
    "RewardError",
    "RewardFunction",
    "RewardModel",
    "Routed",
    "SoftFormat",
    "SoftOverlong",
    "StrictFormat",
    "TagCount",
    "ThinkFormat",
    "Threshold",
    "Truncated",
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
    "group_length",
    "json_schema",
    "judge",
    "keywords",
    "language_consistency",
    "length_band",
    "lingua_detector",
    "max_of",
    "min_of",
    "ngram_diversity",
    "numeric_accuracy",
    "presets",
    "product",
    "reasoning_steps",
    "regex_match",
    "repetition_penalty",
    "reward",
    "reward_model",
    "route",
    "schedule",
    "soft_format",
    "soft_overlong",
    "strict_format",
    "tag_count",
    "think_format",
    "truncated",
    "xml_count",
]
