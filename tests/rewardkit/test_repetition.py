"""Specification of rewardkit.repetition: the share of n-grams that are not new."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import ColumnError, RepetitionPenalty, Reward, repetition_penalty

CONFIGURED = (
    repetition_penalty,
    RepetitionPenalty(ngram_size=1, max_penalty=-0.5, unit="tokens", name="stutter"),
)


class Array:
    """As a trainer's tensor: its elements are objects that never compare equal as dictionary keys."""

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Any:
        return iter([object() for _ in self.ids])

    def tolist(self) -> list[int]:
        return self.ids


@pytest.mark.parametrize(
    ("text", "unique", "total"),
    [
        ("a b c", 1, 1),
        ("a b c d", 2, 2),
        ("a b c a b c", 3, 4),
        ("a A a\nA", 1, 2),
        ("no " * 102, 1, 100),
        ("a b c  a b c", 3, 4),
    ],
)
def test_is_the_share_of_repeated_trigrams_of_lower_cased_words(text: str, unique: int, total: int) -> None:
    assert repetition_penalty([text]) == [(1 - unique / total) * -1.0]
    assert RepetitionPenalty(max_penalty=-0.3)([text]) == [(1 - unique / total) * -0.3]


@pytest.mark.parametrize("text", ["", " ", "a", "a a", "\n a\ta "])
def test_a_text_shorter_than_one_ngram_earns_nothing(text: str) -> None:
    (outcome,) = repetition_penalty.explain([text])
    assert (outcome.value, outcome.detail) == (0.0, "fewer than 3 words")


def test_no_repetition_is_a_plain_zero_without_a_sign() -> None:
    (value,) = repetition_penalty(["every word is new"])
    assert value == 0.0
    assert math.copysign(1.0, value) == 1.0


@pytest.mark.parametrize(("size", "unique", "total"), [(1, 2, 5), (2, 2, 4), (3, 2, 3), (5, 1, 1)])
def test_takes_any_ngram_size(size: int, unique: int, total: int) -> None:
    assert RepetitionPenalty(ngram_size=size)(["x y x y x"]) == [(1 - unique / total) * -1.0]


@pytest.mark.parametrize("ids", [[1, 2, 1, 2, 1], Array([1, 2, 1, 2, 1])])
def test_counts_token_ids_whatever_the_text_says(ids: Any) -> None:
    reward = RepetitionPenalty(ngram_size=2, unit="tokens")
    assert reward(["all words are new here"], completion_ids=[ids]) == [(1 - 2 / 4) * -1.0]


def test_tokens_without_completion_ids_raise_with_the_remedy() -> None:
    with pytest.raises(ColumnError, match="no column 'completion_ids'; pass the token ids"):
        RepetitionPenalty(unit="tokens")(["a"])


def test_says_how_many_ngrams_are_unique() -> None:
    assert repetition_penalty.explain(["a b c a b c"])[0].detail == "3 of 4 3-grams are unique"


@given(words=st.lists(st.sampled_from("abc"), max_size=40), size=st.integers(1, 5))
@settings(deadline=None)
def test_equals_a_plain_count_and_is_the_same_for_words_tokens_and_messages(words: list[str], size: int) -> None:
    ngrams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    expected = (1 - len(set(ngrams)) / len(ngrams)) * -1.0 if ngrams else 0.0
    by_words = RepetitionPenalty(ngram_size=size)
    by_tokens = RepetitionPenalty(ngram_size=size, unit="tokens")
    text = " ".join(words)
    assert by_words([text]) == [expected]
    assert by_words([[{"role": "assistant", "content": text}]]) == [expected]
    assert by_tokens([""], completion_ids=[[ord(word) for word in words]]) == [expected]


@given(text=st.text())
@settings(deadline=None)
def test_any_text_scores_within_the_penalty_and_zero(text: str) -> None:
    (value,) = RepetitionPenalty(ngram_size=1, max_penalty=-2.0)([text])
    assert value is not None
    assert -2.0 < value <= 0.0


def test_a_million_equal_words_cost_one_pass() -> None:
    total = 1_000_000 - 3 + 1
    assert repetition_penalty(["a " * 1_000_000]) == [(1 - 1 / total) * -1.0]


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), vars(rewardkit).copy()) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RepetitionPenalty(ngram_size=0), "ngram_size .* got 0"),
        (lambda: RepetitionPenalty(ngram_size=2.5), "ngram_size .* got 2.5"),
        (lambda: RepetitionPenalty(max_penalty=1.0), "max_penalty .* got 1.0; it is added"),
        (lambda: RepetitionPenalty(max_penalty=-math.inf), "max_penalty .* got -inf"),
        (lambda: RepetitionPenalty(unit="characters"), "unit='characters' is unknown"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(make: Callable[[], Reward], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
