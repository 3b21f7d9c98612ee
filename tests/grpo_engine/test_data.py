"""Prompts are checked by row and column, tokenised once, and drawn in an order that a number determines."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from datasets import Dataset

from grpo_engine.data import RESERVED, GroupSampler, PromptData, is_conversational, repeated_columns


def ids_of(tokenizer: Any, text: str) -> list[int]:
    return [tokenizer.convert_tokens_to_ids(c) for c in text]


@pytest.mark.parametrize("kind", [list, Dataset.from_list])
def test_a_prompt_is_read_from_a_list_and_from_a_data_set_alike(tokenizer: Any, rows: Any, kind: Any) -> None:
    data = PromptData(kind(rows), tokenizer)
    assert len(data) == len(rows)
    assert data.columns == ["prompt", "letter"]
    assert data.row(5) == rows[5]
    assert data.ids(5) == ids_of(tokenizer, rows[5]["prompt"])


def test_a_prompt_is_tokenised_once(tokenizer: Any, rows: Any) -> None:
    calls = []

    class Counting:
        def __call__(self, text: str) -> Any:
            calls.append(text)
            return tokenizer(text)

    data = PromptData(rows, Counting(), max_prompt_length=4)
    for _ in range(3):
        data.ids(0)
    assert len(calls) == len(rows)


def test_messages_go_through_the_chat_template_with_its_generation_prompt(tokenizer: Any) -> None:
    data = PromptData([{"prompt": [{"role": "user", "content": "1+2"}]}], tokenizer)
    assert data.ids(0) == ids_of(tokenizer, "1+2=")  # the template ends in "="


def test_an_answer_that_was_begun_for_the_assistant_is_continued(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "1+2"}, {"role": "assistant", "content": "ab"}]
    assert PromptData([{"prompt": messages}], tokenizer).ids(0) == ids_of(tokenizer, "1+2ab")


def test_arguments_for_the_chat_template_reach_it(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer, "chat_template", "{{ messages[0]['content'] }}{{ mode }}")
    data = PromptData([{"prompt": [{"role": "user", "content": "1"}]}], tokenizer, chat_template_kwargs={"mode": "cab"})
    assert data.ids(0) == ids_of(tokenizer, "1cab")


def test_prompts_that_are_too_long_are_left_out_and_counted_never_cut(tokenizer: Any) -> None:
    rows = [{"prompt": "1" * n, "n": n} for n in (3, 9, 5, 6, 2)]
    data = PromptData(rows, tokenizer, max_prompt_length=5)
    assert data.left_out == 2
    assert [data.row(i)["n"] for i in range(len(data))] == [3, 5, 2]
    assert [len(data.ids(i)) for i in range(len(data))] == [3, 5, 2]


def test_if_every_prompt_is_too_long_the_limit_is_named(tokenizer: Any, rows: Any) -> None:
    with pytest.raises(ValueError, match="every prompt is longer than max_prompt_length = 2 tokens; raise it"):
        PromptData(rows, tokenizer, max_prompt_length=2)


def test_a_missing_prompt_column_is_answered_with_the_columns_there_are(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="no column 'prompt'; it has answer, question"):
        PromptData([{"question": "1+1", "answer": "2"}], tokenizer)


@pytest.mark.parametrize("name", RESERVED)
def test_a_column_that_would_hide_an_argument_of_the_rewards_is_refused(tokenizer: Any, name: str) -> None:
    with pytest.raises(ValueError, match=f"column '{name}' has the name of an argument of reward functions; rename"):
        PromptData([{"prompt": "1", name: 3}], tokenizer)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7, "7"), (None, "None"), ("", "''"), ([], r"\[\]"), (["1", "2"], r"\['1', '2'\]"), ({"role": "user"}, "role")],
    ids=repr,
)
def test_a_prompt_of_the_wrong_kind_is_named_with_its_row_and_value(tokenizer: Any, value: Any, shown: str) -> None:
    data = PromptData([{"prompt": "1"}, {"prompt": value}], tokenizer)
    assert data.ids(0)
    with pytest.raises(ValueError, match=f"prompt in row 1 must be text or a list of messages, got .*{shown}"):
        data.ids(1)


def test_a_row_that_is_left_out_does_not_shift_the_row_that_an_error_names(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match="prompt in row 2 "):
        PromptData([{"prompt": "111"}, {"prompt": "1"}, {"prompt": 3}], tokenizer, max_prompt_length=2)


def test_rows_with_different_columns_are_named(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"row 1 has the columns \['prompt'\], row 0 has \['answer', 'prompt'\]"):
        PromptData([{"prompt": "1", "answer": "2"}, {"prompt": "1"}], tokenizer)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ([], "the data set is empty"),
        (iter([{"prompt": "1"}]), "a data set needs rows by index, got list_iterator; turn a stream into a list"),
        (["1+1"], "a row must be a dictionary, got str"),
    ],
    ids=["empty", "stream", "text"],
)
def test_something_that_is_no_data_set_is_refused_with_the_remedy(tokenizer: Any, data: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        PromptData(data, tokenizer)


def test_only_a_list_of_messages_is_a_conversation() -> None:
    assert is_conversational([{"role": "user", "content": "1"}])
    for other in ("1", [], ["1"], None, {"role": "user"}):
        assert not is_conversational(other)


def test_columns_are_repeated_for_each_completion_in_the_order_of_the_groups() -> None:
    rows = [{"prompt": "a", "answer": [1], "n": None}, {"prompt": "a", "answer": [2], "n": 5}]
    got = repeated_columns(rows, ["prompt", "answer", "n"], 3)
    assert got == {"answer": [[1]] * 3 + [[2]] * 3, "n": [None] * 3 + [5] * 3}


@pytest.mark.parametrize(("rows", "prompts"), [(10, 3), (10, 5), (3, 7), (1, 1)])
def test_each_epoch_has_every_row_once(rows: int, prompts: int) -> None:
    sampler = GroupSampler(rows, prompts, seed=0)
    epochs = 6
    drawn = [i for n in range(-(-rows * epochs // prompts)) for i in sampler.indices(n)]
    for epoch in range(epochs):
        assert Counter(drawn[epoch * rows : (epoch + 1) * rows]) == Counter(range(rows))


def test_the_prompts_of_a_rollout_depend_on_its_number_alone() -> None:
    straight = GroupSampler(10, 3, seed=5)
    expected = {n: straight.indices(n) for n in range(12)}
    for n in (7, 2, 11, 2, 0):
        assert GroupSampler(10, 3, seed=5).indices(n) == expected[n]
        assert straight.indices(n) == expected[n]


def test_epochs_and_seeds_are_shuffled_differently_and_the_order_of_the_data_is_kept_on_request() -> None:
    first, second = (GroupSampler(20, 20, seed=0).indices(n) for n in (0, 1))
    assert first != second
    assert first != GroupSampler(20, 20, seed=7).indices(0)
    assert first != sorted(first)
    kept = GroupSampler(4, 3, seed=0, shuffle=False)
    assert [kept.indices(n) for n in range(3)] == [[0, 1, 2], [3, 0, 1], [2, 3, 0]]
