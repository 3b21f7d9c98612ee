"""Stacks that pay for being right, and beyond that for nothing that a wrong answer cannot have honestly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rewardkit import (
    ExactMatch,
    LanguageConsistency,
    RewardFunction,
    answer_accuracy,
    boxed_accuracy,
    choice_accuracy,
    combine,
    exact_match,
    max_of,
    min_of,
    ngram_diversity,
    numeric_accuracy,
    presets,
    product,
    repetition_penalty,
    route,
    schedule,
    soft_format,
    soft_overlong,
    strict_format,
    tag_count,
    xml_count,
)
from rewardkit.think_format import think_format

from .data import choices, mixed, plain_sums, sums

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Sound:
    """A stack and the data that it is for."""

    what: str
    stack: RewardFunction
    data: Callable[[], Rows] = sums


def last_box(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """A plain function without a flaw for numbers."""
    golds = [gold.rpartition("#### ")[2] for gold in answer]
    found = [text.rpartition("\\boxed{")[2].partition("}")[0].strip() for text in completions]
    return [float(box == gold) for box, gold in zip(found, golds, strict=True)]


def first_letter(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Crude, but no completion has more than one first letter."""
    found = [re.search(r"[A-D]", text) for text in completions]
    return [float(letter is not None and letter[0] == gold) for letter, gold in zip(found, answer, strict=True)]


SOUND = (
    Sound("boxed", boxed_accuracy),
    Sound("boxed, bare references", boxed_accuracy, plain_sums),
    Sound("answer tag", answer_accuracy),
    Sound("last number", numeric_accuracy),
    Sound("exact", exact_match, plain_sums),
    Sound("exact in a tag", ExactMatch(tag="answer"), plain_sums),
    Sound("choice", choice_accuracy, choices),
    Sound("gated", combine(boxed_accuracy, gate=strict_format)),
    Sound("this project's recipe", presets.gsm8k_r1),
    Sound("soft format on top", boxed_accuracy + 0.5 * soft_format),
    Sound("think format on top", boxed_accuracy + 0.2 * think_format),
    Sound("tags counted on top", boxed_accuracy + 0.2 * xml_count + 0.2 * tag_count),
    Sound("a charge near the limit", boxed_accuracy + soft_overlong),
    Sound("a charge for repetition", boxed_accuracy + repetition_penalty),
    Sound("varied words on top", boxed_accuracy + 0.2 * ngram_diversity),
    Sound("one language on top", boxed_accuracy + 0.2 * LanguageConsistency(language="en")),
    Sound("product", product(boxed_accuracy, strict_format)),
    Sound("the least of two", min_of(boxed_accuracy, strict_format)),
    Sound("the greatest of two", max_of(boxed_accuracy, answer_accuracy)),
    Sound("clipped", (2 * boxed_accuracy + strict_format).clip(0.0, 2.5)),
    Sound("mapped", boxed_accuracy.map(float)),
    Sound("scheduled", boxed_accuracy + schedule.linear(1.0, 0.0, steps=10) * strict_format),
    Sound("routed", route("task", {"math": boxed_accuracy, "choice": choice_accuracy, "text": exact_match}), mixed),
    Sound("the demonstration on whole numbers", presets.willccb_gsm8k, plain_sums),
    Sound("DAPO's answer line", presets.dapo_accuracy.named("dapo"), plain_sums),
    Sound("a plain function", last_box),
    Sound("a crude one", first_letter, choices),
)
