"""Specification of rewardkit.audit.gain: the component through which one completion earned more than another."""

from __future__ import annotations

import pytest

from rewardkit import (
    CosineLength,
    Keywords,
    LengthBand,
    Reward,
    boxed_accuracy,
    combine,
    max_of,
    numeric_accuracy,
    product,
    soft_format,
    xml_count,
)
from rewardkit.audit.gain import through

WORDS = Keywords(words=["abracadabra"], value=1.0, cap=1.0)
SOFT = "<think>1</think><answer>2</answer>"
BAND = LengthBand(steps={0: 0.0, 5: 1.0})


@pytest.mark.parametrize(
    ("stack", "more", "less", "component"),
    [
        (boxed_accuracy, r"\boxed{2}", r"\boxed{3}", "boxed_accuracy"),
        (boxed_accuracy + WORDS, r"\boxed{3} abracadabra", r"\boxed{3}", "keywords"),
        (boxed_accuracy + 0.1 * WORDS + BAND, "abracadabra a b c d e", "", "length_band"),
        (combine(boxed_accuracy, -1.0 * WORDS), r"\boxed{3}", r"\boxed{3} abracadabra", "keywords"),
        ((boxed_accuracy + 5.0 * WORDS).clip(0.0, 1.5), "abracadabra", "", "keywords"),
        (2.0 * (boxed_accuracy + WORDS).named("inner"), "abracadabra", "", "inner.raw/keywords"),
        (product(numeric_accuracy, soft_format), SOFT, "2", "soft_format"),
        (max_of(boxed_accuracy, numeric_accuracy), "2", "3", "numeric_accuracy"),
        (WORDS.map(float, name="mapped"), "abracadabra", "", "keywords.raw"),
        (boxed_accuracy + CosineLength(max_length=10), "x" * 10, "", "cosine_length"),
        (soft_format + xml_count, SOFT, SOFT, "soft_format"),
    ],
)  # fmt: skip
def test_names_the_component_that_gained_most(stack: Reward, more: str, less: str, component: str) -> None:
    outcomes = stack.explain([more, less], answer="2").outcomes
    assert through([(outcomes[0], outcomes[1])], stack.__name__) == component


def test_gains_are_added_up_over_the_pairs() -> None:
    stack = BAND + 0.4 * WORDS
    one, two, none = stack.explain(["a b c d e f", "abracadabra", ""]).outcomes
    assert through([(two, none)], stack.__name__) == "keywords"
    assert through([(two, none)] * 2 + [(one, none)], stack.__name__) == "length_band"


def test_nothing_at_all_is_the_stack_itself() -> None:
    assert through([], "stack") == "stack"
