"""Specification of rewardkit.audit.structure: what the members of a stack say about themselves."""

from __future__ import annotations

from typing import Any

import pytest

from rewardkit import (
    AnswerAccuracy,
    BoxedAccuracy,
    ChoiceAccuracy,
    CosineLength,
    ExactMatch,
    GroupLength,
    Keywords,
    LengthBand,
    NgramDiversity,
    Reward,
    SoftOverlong,
    StrictFormat,
    boxed_accuracy,
    combine,
    numeric_accuracy,
    presets,
    reward,
    route,
    soft_format,
    strict_format,
)
from rewardkit.audit.structure import USUAL_TAGS, Structure, read_structure
from rewardkit.functions import Function
from rewardkit.judging.judge import Judge
from rewardkit.think_format import think_format
from rewardkit.truncated import Truncated


def plain(completions: list[str], **kwargs: Any) -> list[float]:
    return [0.0] * len(completions)


@reward
def single(completion: str) -> float:
    return 0.0


@pytest.mark.parametrize(
    ("stack", "field", "value"),
    [
        (strict_format, "tag_sets", (("think", "answer"),)),
        (think_format, "tag_sets", (("think",),)),
        (boxed_accuracy, "tag_sets", ()),
        (AnswerAccuracy(tag="final"), "tag_sets", (("final",),)),
        (ExactMatch(tag="final") + LengthBand(section="plan"), "tag_sets", (("plan", "final"),)),
        (ChoiceAccuracy(tag=None, section="pick"), "tag_sets", (("pick",),)),
        (soft_format + StrictFormat(tags=["a", "b", "c"]), "tag_sets", (("think", "answer"), ("a", "b", "c"))),
        (Function(function=plain), "tag_sets", USUAL_TAGS),
        (BoxedAccuracy(answer_key="solution").gate(strict_format), "answer_keys", ("solution",)),
        (ChoiceAccuracy(options="XYZ"), "options", ("X", "Y", "Z")),
        (2.0 * Keywords(words=["row", "sum"]), "words", ("row", "sum")),
        (LengthBand(steps={0: 0.0, 20: 0.5}), "lengths", ((0, "words"), (20, "words"))),
        (CosineLength(max_length=800, unit="characters"), "lengths", ((800, "characters"),)),
        (SoftOverlong(max_length=512, cache=64), "lengths", ((512, "tokens"),)),
        (presets.open_r1_cosine, "lengths", ((1000, "characters"),)),
        (LengthBand(steps={0: 0.0, 9: 1.0}, unit=len), "lengths", ((0, "words"), (9, "words"))),
        (Judge(scale=(1, 5)), "scores", (5.0,)),
        (GroupLength(num_generations=4) + NgramDiversity(within="group"), "group_sizes", (4, 0)),
        (NgramDiversity(), "group_sizes", ()),
        (route("task", {"a": boxed_accuracy, "b": numeric_accuracy}), "route_columns", ("task",)),
        (Truncated(eos_token_ids=[2, 7]), "end_tokens", (2, 7)),
        (boxed_accuracy.map(float), "equivalence", True),
        (numeric_accuracy, "equivalence", False),
        (boxed_accuracy + strict_format, "opaque", False),
        (combine(boxed_accuracy, plain), "opaque", True),
        (single, "opaque", True),
        (presets.trl_think_format, "opaque", True),
    ],
)
def test_reads(stack: Reward, field: str, value: object) -> None:
    assert getattr(read_structure(stack), field) == value


def test_tags_are_those_of_the_honest_answer_else_the_first_known() -> None:
    assert read_structure(StrictFormat(tags=["plan", "final"])).tags == ("plan", "final")
    assert Structure().tags == ("think", "answer")


def test_of_an_opaque_stack_there_are_more_forms_to_try() -> None:
    assert len(read_structure(boxed_accuracy).layouts) == 1
    others = read_structure(Function(function=plain)).layouts[1:]
    assert {layout.tags for layout in others} == set(USUAL_TAGS)
