"""Specification of rewardkit.group_length: shorter than the group, as in Kimi k1.5."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import ColumnError, GroupLength, Reward, group_length


def given_verdicts(completions: list[str], verdict: list[float | None], **columns: Any) -> list[float | None]:
    """A plain function of the contract that says what the column `verdict` says."""
    return list(verdict)


def tokens(*counts: int) -> list[list[int]]:
    return [[7] * count for count in counts]


def scored(verdicts: list[float | None], *lengths: int, size: int | None = None) -> list[float | None]:
    reward = GroupLength(correctness=given_verdicts, num_generations=size or len(lengths))
    return reward([""] * len(lengths), verdict=verdicts, completion_ids=tokens(*lengths))


CONFIGURED = (
    group_length,
    GroupLength(correctness=rewardkit.exact_match, num_generations=8, unit="words", name="brevity"),
)


@pytest.mark.parametrize(
    ("verdicts", "lengths", "values"),
    [
        ([1.0, 1.0, 1.0], (10, 20, 50), (0.5, 0.5 - 10 / 40, -0.5)),
        ([0.0, 0.0, 0.0], (10, 20, 50), (0.0, 0.0, -0.5)),
        ([0.0, 0.0, 1.0], (0, 75, 100), (0.0, 0.5 - 75 / 100, -0.5)),
        ([1.0, 0.0], (30, 30), (0.0, 0.0)),
        ([1.0], (30,), (0.0,)),
        ([0.5, 0.51], (1, 1), (0.0, 0.0)),
    ],
)
def test_is_half_minus_the_place_within_the_group_and_only_a_loss_where_wrong(
    verdicts: list[float | None], lengths: tuple[int, ...], values: tuple[float, ...]
) -> None:
    assert scored(verdicts, *lengths) == list(values)


@pytest.mark.parametrize(("verdict", "value"), [(0.51, 0.5), (1.0, 0.5), (0.5, 0.0), (0.0, 0.0), (-1.0, 0.0)])
def test_more_than_one_half_is_right(verdict: float, value: float) -> None:
    assert scored([verdict, 1.0], 1, 2)[0] == value


def test_shortest_and_longest_are_those_of_the_group_and_not_of_the_call() -> None:
    assert scored([1.0] * 4, 1, 2, 100, 200, size=2) == [0.5, -0.5, 0.5, -0.5]
    assert scored([1.0] * 4, 1, 2, 100, 201, size=4)[1] == 0.5 - 1 / 200


def test_groups_go_by_the_number_of_the_call_or_by_the_prompts() -> None:
    reward = GroupLength(correctness=given_verdicts)
    columns = {"verdict": [1.0] * 4, "completion_ids": tokens(1, 2, 3, 5)}
    assert reward([""] * 4, num_generations=2, **columns) == [0.5, -0.5, 0.5, -0.5]
    by_prompt = [0.5, 0.5 - 1 / 2, -0.5, 0.0]
    assert reward([""] * 4, prompts=["p", "p", "p", "q"], **columns) == by_prompt


def test_a_completion_that_is_not_scored_still_has_a_length_in_its_group() -> None:
    assert scored([None, 1.0, 1.0], 0, 10, 20) == [None, 0.5 - 10 / 20, -0.5]
    assert scored([None, 1.0, 1.0], 30, 10, 20) == [None, 0.5, 0.5 - 10 / 20]


def test_judges_the_boxed_answer_unless_told_otherwise() -> None:
    completions = [r"\boxed{2}", r"I say \boxed{2}", r"I say \boxed{3}", ""]
    assert group_length(completions, prompts=["p"] * 4, answer="2") == [0.5 - 9 / 15, -0.5, -0.5, 0.0]


@pytest.mark.parametrize(
    ("unit", "places"), [("words", (1, 3, 2)), ("characters", (9, 5, 8)), (None, (9, 5, 8)), (str.__len__, (9, 5, 8))]
)
def test_counts_words_characters_or_what_a_function_counts(unit: Any, places: tuple[int, ...]) -> None:
    low, high = min(places), max(places)
    reward = GroupLength(correctness=given_verdicts, num_generations=3, unit=unit)
    values = reward(["aaaaaaaaa", "a a a", "aaaa aaa"], verdict=[1.0] * 3)
    assert values == [0.5 - (place - low) / (high - low) for place in places]


def test_keeps_the_status_of_the_verdict_and_says_the_length() -> None:
    columns = {"prompts": ["p"] * 3, "answer": "2"}
    report = group_length.explain([r"\boxed{2}", r"\boxed{33}", ""], **columns)
    assert [outcome.status for outcome in report] == ["correct", "wrong", "no_answer"]
    assert [outcome.detail.rpartition("; ")[2] for outcome in report] == [
        "9 characters",
        "10 characters",
        "0 characters",
    ]


def test_says_right_or_wrong_for_a_plain_function_and_not_scored_for_none() -> None:
    reward = GroupLength(correctness=given_verdicts, num_generations=3)
    outcomes = reward.explain([""] * 3, verdict=[1.0, 0.0, None])
    assert [outcome.status for outcome in outcomes] == ["correct", "wrong", "not_scored"]


def test_a_plain_function_and_its_reward_make_equal_rewards() -> None:
    wrapped = rewardkit.Function(function=given_verdicts)
    assert GroupLength(correctness=given_verdicts) == GroupLength(correctness=wrapped)


def test_giving_up_costs_nothing_and_a_bare_guess_that_is_right_earns_most_as_the_docstring_says() -> None:
    honest, guess, nothing = r"2 and 2 are 4, thus \boxed{4}", r"\boxed{4}", ""
    values = group_length([honest, guess, nothing], prompts=["2+2"] * 3, answer="4")
    assert values == [-0.5, 0.5 - len(guess) / len(honest), 0.0]
    assert group_length([honest, guess], prompts=["2+2"] * 2, answer="4") == [-0.5, 0.5]


@given(rows=st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=50)
def test_stays_in_its_range_and_a_wrong_answer_never_earns(rows: list[tuple[bool, int]]) -> None:
    values = scored([float(right) for right, _ in rows], *(length for _, length in rows))
    for (right, _), value in zip(rows, values, strict=True):
        assert value is not None
        assert -0.5 <= value <= (0.5 if right else 0.0)


@given(rows=st.lists(st.tuples(st.booleans(), st.integers(0, 50)), min_size=2, max_size=8))
@settings(deadline=None, max_examples=50)
def test_among_equal_verdicts_shorter_is_never_worse(rows: list[tuple[bool, int]]) -> None:
    values = scored([float(right) for right, _ in rows], *(length for _, length in rows))
    paid = [(right, length, value or 0.0) for (right, length), value in zip(rows, values, strict=True)]
    for right, length, value in paid:
        assert all(value >= theirs for same, longer, theirs in paid if same == right and longer >= length)


def test_messages_score_as_their_text() -> None:
    texts = [r"\boxed{2}", r"It is \boxed{2}", r"\boxed{3}", "\ud800\x00"]
    messages = [[{"role": "assistant", "content": text}] for text in texts]
    reward = GroupLength(num_generations=4)
    assert reward(messages, answer="2") == reward(texts, answer="2")


def test_a_million_characters_are_measured() -> None:
    values = group_length(["a" * 1_000_000, r"\boxed{2}"], prompts=["p", "p"], answer="2")
    assert values == [-0.5, 0.5]


def test_groups_that_nothing_tells_are_an_error_and_not_a_score() -> None:
    with pytest.raises(ColumnError, match="num_generations"):
        group_length(["a", "b"], answer="2")


def test_a_missing_ground_truth_is_an_error_and_not_a_score() -> None:
    with pytest.raises(ColumnError, match="no ground truth"):
        group_length(["a", "b"], prompts=["p", "p"])


def test_tokens_without_completion_ids_raise_with_the_remedy() -> None:
    with pytest.raises(ColumnError, match="no column 'completion_ids'; pass the token ids"):
        GroupLength(unit="tokens", num_generations=1)(["a"], answer="2")


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), vars(rewardkit).copy()) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: GroupLength(num_generations=0), ValueError, "num_generations .* got 0"),
        (lambda: GroupLength(num_generations=2.0), ValueError, "num_generations .* got 2.0"),
        (lambda: GroupLength(unit="letters"), ValueError, "unit='letters' is unknown"),
        (lambda: GroupLength(correctness=1.0), TypeError, "1.0"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value(
    make: Callable[[], Reward], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make()
