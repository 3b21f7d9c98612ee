"""Specification of rewardkit.audit.bench: references found, rows drawn, the form of an honest answer chosen."""

from __future__ import annotations

from typing import Any

import pytest

from rewardkit import (
    BoxedAccuracy,
    ColumnError,
    GroupLength,
    NgramDiversity,
    RewardFunction,
    boxed_accuracy,
    choice_accuracy,
    combine,
    cosine_length,
    exact_match,
    route,
    strict_format,
)
from rewardkit.audit.bench import Bench, prepare

from .data import choices, mixed, sums
from .planted import benefit_of_the_doubt

DEFAULTS: dict[str, Any] = {
    "sample": None, "seed": 0, "step": 0, "template": None, "answer_key": None, "prompt_key": None, "company": 3,
}  # fmt: skip


def bench(reward: RewardFunction, dataset: Any, **changes: Any) -> Bench:
    return prepare(reward, dataset, **(DEFAULTS | changes))


@pytest.mark.parametrize(
    ("stack", "columns", "key"),
    [
        (boxed_accuracy, {"label": ["1"], "answer": ["2"]}, "answer"),
        (boxed_accuracy, {"ground_truth": [None], "answer": ["2"]}, "answer"),
        (BoxedAccuracy(answer_key="label"), {"label": ["1"], "answer": ["2"]}, "label"),
    ],
)
def test_references_are_where_the_stack_reads_them(stack: RewardFunction, columns: Any, key: str) -> None:
    ready = bench(stack, columns)
    assert (ready.key, ready.golds) == (key, {0: (columns[key][0],)})
    assert ready.structure.answer_keys[0] == key


def test_prompts_are_in_the_first_usual_column() -> None:
    assert bench(boxed_accuracy, {"question": ["a?"], "answer": ["1"]}).prompt(0) == "a?"
    assert bench(boxed_accuracy, {"text": ["a?"], "answer": ["1"]}).prompt(0) == ""
    assert bench(boxed_accuracy, {"text": ["a?"], "answer": ["1"]}, prompt_key="text").prompt(0) == "a?"


def test_columns_that_are_not_there_are_refused_with_those_that_are() -> None:
    with pytest.raises(ColumnError, match=r"no references: expected the column 'gold', the data set has answer"):
        bench(boxed_accuracy, sums(), answer_key="gold")
    with pytest.raises(ColumnError, match=r"no prompts: expected the column 'text'.*prompt_key="):
        bench(boxed_accuracy, sums(), prompt_key="text")


def test_the_sample_keeps_the_order_of_the_rows() -> None:
    rows = bench(boxed_accuracy, sums(40), sample=7, seed=3).rows
    assert len(rows) == 7
    assert list(rows) == sorted(rows)
    assert bench(boxed_accuracy, sums(5), sample=7).rows == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("stack", "company", "group"),
    [
        (boxed_accuracy, 3, 1),
        (GroupLength(), 3, 3),
        (GroupLength(), 1, 1),
        (GroupLength(num_generations=8), 3, 8),
        (GroupLength(num_generations=2), 3, 4),
        (GroupLength(num_generations=4) + NgramDiversity(within="group", num_generations=6), 3, 12),
    ],
)
def test_groups_are_whole_for_every_member(stack: RewardFunction, company: int, group: int) -> None:
    assert bench(stack, sums(4), company=company).scorer.group == group


def test_right_and_wrong_answers_have_one_form() -> None:
    ready = bench(choice_accuracy, choices(4))
    assert [(ready.right_answer(row), ready.wrong_answer(row)) for row in ready.rows] == [
        ("D", "A"),
        ("A", "B"),
        ("B", "C"),
        ("C", "D"),
    ]


def test_each_kind_of_row_has_a_form() -> None:
    ready = bench(route("task", {"math": boxed_accuracy, "choice": choice_accuracy, "text": exact_match}), mixed())
    assert len(ready.structures) == 3
    assert ready.layout(0).form == r"\boxed{{answer}}"
    assert ready.layout(30).frame == "{body}"
    assert ready.wrong_answer(30) == "Athens"  # another row's: a town for a town


@pytest.mark.parametrize(
    ("stack", "form"),
    [
        (cosine_length, "…\n\\boxed{…}"),  # a bare box is shorter and earns more, but not by half
        (exact_match, "…"),  # with a reasoning nothing is right
        ((2 * boxed_accuracy + strict_format).clip(0.0, 2.5), "<think>\n…\n</think>\n<answer>\n\\boxed{…}\n</answer>"),
        (benefit_of_the_doubt, "<think>\n…\n</think>\n<answer>\n…\n</answer>"),  # elsewhere all earn the same
        (combine(boxed_accuracy), "…\n\\boxed{…}"),
    ],
)
def test_the_form_pays_right_most_of_those_that_tell_it_from_wrong(stack: RewardFunction, form: str) -> None:
    rows = [{**row, "answer": row["answer"].rpartition(" ")[2]} for row in sums(8)]
    assert bench(stack, rows).forms == (form,)


def test_without_a_usable_reference_there_is_still_a_form() -> None:
    assert bench(boxed_accuracy, {"answer": [" ", None]}).forms == ("…\n\\boxed{…}",)
