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

import importlib
from typing import TYPE_CHECKING

from rewardkit import schedule
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
    completion_text,
)
from rewardkit.equivalence import Answer, Budget, Verdict, equivalent, extract_answer
from rewardkit.functions import Function, PerCompletion, reward
from rewardkit.group_length import GroupLength, group_length
from rewardkit.guarding import Guarded
from rewardkit.keywords import Keywords, keywords
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
from rewardkit.shaping import Mapped, Threshold
from rewardkit.structure import SoftFormat, StrictFormat, soft_format, strict_format
from rewardkit.tag_counts import TagCount, XmlCount, tag_count, xml_count
from rewardkit.think_format import ThinkFormat, think_format
from rewardkit.truncated import Truncated, truncated

if TYPE_CHECKING:  # loaded when first used, see below
    from rewardkit import presets
    from rewardkit.judging.judge import Judge, judge
    from rewardkit.judging.reward_model import RewardModel, reward_model
    from rewardkit.language import LanguageConsistency, language_consistency, lingua_detector
    from rewardkit.report import Report
    from rewardkit.sandbox.code_tests import CodeTests, code_tests
    from rewardkit.schemas import JsonSchema, json_schema
    from rewardkit.spec import from_spec, load_spec, save_spec, to_spec
    from rewardkit.testing import check_reward

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
    "CodeTests",
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
    "Report",
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
    "check_reward",
    "choice_accuracy",
    "code_tests",
    "combine",
    "completion_text",
    "cosine_length",
    "equivalent",
    "exact_match",
    "extract_answer",
    "from_spec",
    "group_length",
    "json_schema",
    "judge",
    "keywords",
    "language_consistency",
    "length_band",
    "lingua_detector",
    "load_spec",
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
    "save_spec",
    "schedule",
    "soft_format",
    "soft_overlong",
    "strict_format",
    "tag_count",
    "think_format",
    "to_spec",
    "truncated",
    "xml_count",
]

_LATER = {
    "CodeTests": "sandbox.code_tests",
    "JsonSchema": "schemas",
    "Judge": "judging.judge",
    "LanguageConsistency": "language",
    "Report": "report",
    "RewardModel": "judging.reward_model",
    "check_reward": "testing",
    "code_tests": "sandbox.code_tests",
    "from_spec": "spec",
    "json_schema": "schemas",
    "judge": "judging.judge",
    "language_consistency": "language",
    "lingua_detector": "language",
    "load_spec": "spec",
    "reward_model": "judging.reward_model",
    "save_spec": "spec",
    "to_spec": "spec",
}
"""Names whose modules are loaded when first used: what few sessions need does not slow the import for all. None of
these modules has the name of what it holds: importing it would put it in the place of the reward."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "presets":
            return importlib.import_module("rewardkit.presets")
        if name not in _LATER:
            raise AttributeError(f"module 'rewardkit' has no attribute {name!r}")
        module = importlib.import_module(f"rewardkit.{_LATER[name]}")
        globals().update({other: getattr(module, other) for other, home in _LATER.items() if home == _LATER[name]})
        return globals()[name]

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
