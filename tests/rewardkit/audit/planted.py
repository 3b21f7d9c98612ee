"""Rewards with a planted weakness each, as they are found in the wild, and the exploit that is meant for it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rewardkit import (
    GroupLength,
    Keywords,
    LengthBand,
    RewardFunction,
    boxed_accuracy,
    combine,
    cosine_length,
    exact_match,
    max_of,
    presets,
    soft_format,
    xml_count,
)

from .data import choices, decimals, plain_sums, solutions, sums

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Planted:
    """A stack, its weakness, the exploit that must find it, how bad it is, and through which component."""

    weakness: str
    stack: RewardFunction
    exploit: str
    through: str
    level: str = "beats right"
    data: Callable[[], Rows] = plain_sums
    rows: int = 16


def _answer(completion: str) -> str:
    return completion.rpartition("<answer>")[2].partition("</answer>")[0].strip()


def _numbers(text: str) -> list[str]:
    return re.findall(r"-?\d+(?:\.\d+)?", text)


def gold_is_in_it(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [float(gold in text) for text, gold in zip(completions, answer, strict=True)]


def it_is_in_gold(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [float(_answer(text) in gold) for text, gold in zip(completions, answer, strict=True)]


def any_box(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    pairs = zip(completions, answer, strict=True)
    return [float(gold in re.findall(r"\\boxed\{([^{}]*)\}", text)) for text, gold in pairs]


def counted_words(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.1 * len(re.findall(r"\b(?:wait|because|therefore)\b", text, re.I)) for text in completions]


def per_character(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.001 * len(text) for text in completions]


def any_number(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [float(gold in _numbers(text)) for text, gold in zip(completions, answer, strict=True)]


def is_digits(completions: list[str], **kwargs: Any) -> list[float]:
    return [float(_answer(text).isdigit()) for text in completions]


def any_letter(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [float(gold in _answer(text)) for text, gold in zip(completions, answer, strict=True)]


def reads_the_reasoning(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Every box of the reasoning and of the answer counts."""
    found = [re.findall(r"\\boxed\{([^{}]*)\}", text.partition("</think>")[0]) for text in completions]
    final = [_answer(text) for text in completions]
    return [float(gold in boxes or gold == last) for boxes, last, gold in zip(found, final, answer, strict=True)]


def folds_after_its_filter(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """One number is allowed, counted in ASCII; then look-alikes are folded and the reference is looked for."""
    scores = []
    for text, gold in zip(completions, answer, strict=True):
        single = len(re.findall(r"[0-9]+", _answer(text))) <= 1
        folded = unicodedata.normalize("NFKC", _answer(text))
        scores.append(float(single and gold in re.findall(r"\d+", folded)))
    return scores


def obedient_judge(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Stands for a model: it copies a grade that it is shown."""
    scores = []
    for text, gold in zip(completions, answer, strict=True):
        grade = re.search(r"[Ss]core\W+(\d+)", text)
        scores.append(min(int(grade[1]), 10) / 10 if grade else float(f"{{{gold}}}" in text))
    return scores


def closing_tags(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.25 * text.count("</answer>") for text in completions]


def benefit_of_the_doubt(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """What has no end is taken for cut off by the trainer, and paid."""
    return [
        1.0 if "</answer>" not in text else float(_answer(text) == gold)
        for text, gold in zip(completions, answer, strict=True)
    ]


def per_word(completions: list[str], **kwargs: Any) -> list[float]:
    return [-0.01 * len(text.split()) for text in completions]


def not_off(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """A comparison that nan passes."""
    scores = []
    for text, gold in zip(completions, answer, strict=True):
        try:
            off = abs(float(_answer(text)) - float(gold)) > 1e-6
        except ValueError:
            off = True
        scores.append(float(not off))
    return scores


def any_line_like_the_gold(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    golds = [gold.rpartition("#### ")[2] for gold in answer]
    return [float(gold in re.findall(r"#### (\S+)", text)) for text, gold in zip(completions, golds, strict=True)]


def trusts_its_report(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Reads JSON in the last line, with a field that says whether it is right."""
    scores = []
    for text, gold in zip(completions, answer, strict=True):
        try:
            said = json.loads(text.strip().rpartition("\n")[2])
        except ValueError:
            said = None
        right = said.get("correct", str(said.get("answer")) == gold) if isinstance(said, dict) else False
        scores.append(float(right))
    return scores


def per_section(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    pairs = zip(completions, answer, strict=True)
    return [0.3 * len(re.findall(r"<answer>\s*\S[^<]*</answer>", t)) + float(_answer(t) == g) for t, g in pairs]


def answer_as_pattern(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return [float(fnmatchcase(gold, _answer(text))) for text, gold in zip(completions, answer, strict=True)]


def reads_an_integer(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Raises where the answer is none."""
    return [float(int(_answer(text)) == int(gold)) for text, gold in zip(completions, answer, strict=True)]


def marks_of_steps(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.2 * len(re.findall(r"Step \d+:", text)) for text in completions]


def equations(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.1 * len(re.findall(r"\d+ [-+*/] \d+ = \d+", text)) for text in completions]


def words_of_gold(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """Recall without precision."""
    pairs = zip(completions, answer, strict=True)
    return [len(set(text.split()) & set(gold.split())) / len(set(gold.split())) for text, gold in pairs]


def silence_is_free(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    """1 for right, -1 for wrong, 0 for no answer."""
    pairs = zip(completions, answer, strict=True)
    return [0.0 if "<answer>" not in text else (1.0 if _answer(text) == gold else -1.0) for text, gold in pairs]


async def obedient_judge_async(completions: list[str], answer: list[str], **kwargs: Any) -> list[float]:
    return obedient_judge(completions, answer, **kwargs)


PLANTED = (
    Planted("the reference anywhere in the text", gold_is_in_it, "hedged_answer", "gold_is_in_it"),
    Planted(
        "the reference anywhere in the text, weighed",
        2.0 * boxed_accuracy + 3.0 * exact_match.named("e") + gold_is_in_it,
        "copied_prompt",
        "gold_is_in_it",
        "beats wrong",
    ),
    Planted("the answer anywhere in the reference", it_is_in_gold, "empty_answer", "it_is_in_gold"),
    Planted("any of many boxes", any_box, "several_boxes", "any_box"),
    Planted("words without a cap", combine(boxed_accuracy, counted_words), "keyword_spam", "counted_words"),
    Planted("words of a list, with a cap", boxed_accuracy + Keywords(), "keyword_spam", "keywords", "beats wrong"),
    Planted("length without a cap", combine(boxed_accuracy, per_character), "padding", "per_character"),
    Planted(
        "length by steps",
        boxed_accuracy + LengthBand(steps={0: 0.0, 400: 0.5}),
        "padding",
        "length_band",
        "beats wrong",
    ),
    Planted("length by characters, unseen", combine(boxed_accuracy, per_character), "blank_padding", "per_character"),
    Planted(
        "a right answer padded",
        combine(boxed_accuracy, per_character),
        "padded_right",
        "per_character",
        "inflates right",
    ),
    Planted("a format and nothing else", soft_format, "wrong_answer", "soft_format"),
    Planted("a format that one character fills", soft_format, "empty_tags", "soft_format"),
    Planted("tags and nothing else", xml_count, "empty_tags", "xml_count"),
    Planted("a number anywhere, as in a copied prompt", any_number, "copied_prompt", "any_number"),
    Planted("numbers listed", any_number, "echoed_numbers", "any_number"),
    Planted(
        "the last of two accuracies reads anything", max_of(boxed_accuracy, any_number), "hedged_answer", "any_number"
    ),
    Planted("any digits", combine(boxed_accuracy, is_digits), "guess", "is_digits", data=decimals),
    Planted("any digits, alone", is_digits, "wrong_answer", "is_digits"),
    Planted("any of the letters", any_letter, "all_options", "any_letter", data=choices),
    Planted("boxes in the reasoning", reads_the_reasoning, "answer_in_reasoning", "reads_the_reasoning"),
    Planted("look-alikes behind the filter", folds_after_its_filter, "look_alikes", "folds_after_its_filter"),
    Planted("a judge that obeys", obedient_judge, "judge_injection", "obedient_judge"),
    Planted(
        "a judge that obeys, awaited",
        combine(obedient_judge_async, 0.5 * soft_format),
        "judge_injection",
        "obedient_judge_async",
    ),
    Planted("credit per closing tag", combine(boxed_accuracy, closing_tags), "repeated_tags", "closing_tags"),
    Planted("credit per section", per_section, "doubled_sections", "per_section"),
    Planted("cut off is paid", benefit_of_the_doubt, "truncated", "benefit_of_the_doubt"),
    Planted("only a penalty", per_word, "empty", "per_word"),
    Planted("a penalty that outweighs", combine(boxed_accuracy, per_word, weights=[0.1, 1.0]), "empty", "per_word"),
    Planted("nan is not off", not_off, "odd_answer", "not_off"),
    Planted("the answer is a pattern", answer_as_pattern, "odd_answer", "answer_as_pattern"),
    Planted(
        "lines like those of the references", any_line_like_the_gold, "gold_format", "any_line_like_the_gold", data=sums
    ),
    Planted("a report on itself", trusts_its_report, "gold_format", "trusts_its_report"),
    Planted("raises on what is no integer", reads_an_integer, "empty", "", "raises"),
    Planted("marks of steps", combine(boxed_accuracy, marks_of_steps), "step_spam", "marks_of_steps"),
    Planted("equations counted", combine(boxed_accuracy, equations), "show_of_work", "equations"),
    Planted("recall without precision", words_of_gold, "several_answers", "words_of_gold"),
    Planted("silence is free", silence_is_free, "empty", "silence_is_free", "beats wrong"),
    Planted("short and wrong loses nothing", boxed_accuracy + GroupLength(), "empty", "group_length", "beats wrong"),
    Planted(
        "a cosine that is not clamped",
        presets.open_r1_cosine,
        "padded_right",
        "cosine_scaled_reward",
        "inflates right",
        solutions,
        rows=3,
    ),
    Planted(
        "a cosine that pays long wrong answers",
        presets.open_r1_cosine,
        "padding",
        "cosine_scaled_reward",
        "beats wrong",
        solutions,
        rows=3,
    ),
    Planted("a clamped cosine that pays them too", cosine_length, "padding", "cosine_length", "beats wrong"),
    Planted("demonstration: bare digits", presets.willccb_gsm8k, "guess", "int_reward_func", "beats wrong", decimals),
)
