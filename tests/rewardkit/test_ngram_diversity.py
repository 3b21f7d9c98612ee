"""Specification of rewardkit.ngram_diversity: distinct n-grams, alone and within the group."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import ColumnError, NgramDiversity, Reward, ngram_diversity

PAIR = NgramDiversity(within="group", num_generations=2)

CONFIGURED = (
    ngram_diversity,
    NgramDiversity(ngram_size=3, unit="tokens", within="group", num_generations=4, name="variety"),
)


class TestWithinTheCompletion:
    @pytest.mark.parametrize(
        ("text", "distinct", "total"),
        [
            ("a b", 1, 1),
            ("a b c", 2, 2),
            ("a b a b", 2, 3),
            ("a A  a\nA", 1, 3),
            ("no " * 101, 1, 100),
        ],
    )
    def test_is_distinct_bigrams_over_all_bigrams_of_lower_cased_words(
        self, text: str, distinct: int, total: int
    ) -> None:
        assert ngram_diversity([text]) == [distinct / total]

    @pytest.mark.parametrize(("size", "distinct", "total"), [(1, 2, 5), (2, 2, 4), (3, 2, 3), (5, 1, 1)])
    def test_takes_any_ngram_size(self, size: int, distinct: int, total: int) -> None:
        assert NgramDiversity(ngram_size=size)(["x y x y x"]) == [distinct / total]

    @pytest.mark.parametrize("text", ["", " ", "a", "\na\t"])
    def test_a_text_shorter_than_one_ngram_earns_nothing(self, text: str) -> None:
        (outcome,) = ngram_diversity.explain([text])
        assert (outcome.value, outcome.detail) == (0.0, "fewer than 2 words")

    def test_counts_token_ids_whatever_the_text_says(self) -> None:
        reward = NgramDiversity(unit="tokens")
        assert reward(["a", "b"], completion_ids=[[1, 2, 1, 2], []]) == [2 / 3, 0.0]

    def test_is_one_minus_the_share_that_the_repetition_penalty_takes(self) -> None:
        text = "so it is so it is so"
        penalty = rewardkit.RepetitionPenalty(ngram_size=2)([text])[0]
        (value,) = ngram_diversity([text])
        assert penalty is not None
        assert value == pytest.approx(1 + penalty, abs=1e-15)

    def test_needs_no_groups(self) -> None:
        assert NgramDiversity(num_generations=2)(["a b"]) == [1.0]

    @given(words=st.lists(st.sampled_from("abc"), max_size=40), size=st.integers(1, 5))
    @settings(deadline=None, max_examples=50)
    def test_equals_a_plain_count_in_words_tokens_and_messages(self, words: list[str], size: int) -> None:
        ngrams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
        expected = len(set(ngrams)) / len(ngrams) if ngrams else 0.0
        by_words, text = NgramDiversity(ngram_size=size), " ".join(words)
        assert by_words([text]) == by_words([[{"role": "assistant", "content": text}]]) == [expected]
        by_tokens = NgramDiversity(ngram_size=size, unit="tokens")
        assert by_tokens([""], completion_ids=[[ord(word) for word in words]]) == [expected]

    def test_brevity_earns_the_full_value_which_is_a_cheat_that_the_docstring_names(self) -> None:
        honest = "add two to both sides and then add two to the sum so that both sides are equal"
        assert ngram_diversity(["dunno mate"]) == [1.0]
        assert ngram_diversity([honest])[0] < 1.0  # type: ignore[operator]


class TestWithinTheGroup:
    @pytest.mark.parametrize(
        ("first", "second", "values"),
        [
            ("a b c", "x y z", (2 / 2, 2 / 2)),
            ("a b c", "a b z", (1 / 2, 1 / 2)),
            ("a b c d", "a b", (2 / 3, 0 / 1)),
            ("a b", "A  B", (0.0, 0.0)),
            ("a b a b c", "x y", (3 / 3, 1.0)),  # a, b twice: counted as one
            ("a b a b", "a b", (1 / 2, 0.0)),
            ("a b", "", (1.0, 0.0)),
        ],
    )
    def test_is_the_share_of_distinct_bigrams_that_no_other_completion_has(
        self, first: str, second: str, values: tuple[float, float]
    ) -> None:
        assert PAIR([first, second]) == list(values)

    def test_other_groups_do_not_matter(self) -> None:
        assert PAIR(["a b", "c d", "a b", "c d"]) == [1.0] * 4
        assert NgramDiversity(within="group")(["a b", "c d", "a b", "c d"], num_generations=4) == [0.0] * 4

    def test_goes_by_the_prompts_where_no_number_is_given(self) -> None:
        reward = NgramDiversity(within="group")
        assert reward(["a b", "a b", "a b"], prompts=["p", "p", "q"]) == [0.0, 0.0, None]

    def test_a_group_of_one_is_not_scored(self) -> None:
        (outcome,) = NgramDiversity(within="group", num_generations=1).explain(["a b c"])
        assert (outcome.value, outcome.status) == (None, "not_scored")
        assert outcome.detail == "a group of one has nothing to compare with"

    def test_counts_token_ids_too(self) -> None:
        reward = NgramDiversity(ngram_size=1, unit="tokens", within="group", num_generations=2)
        assert reward(["", ""], completion_ids=[[1, 2, 2], [2, 3]]) == [1 / 2, 1 / 2]

    def test_says_how_many_ngrams_are_its_own(self) -> None:
        said = PAIR.explain(["a b c", "a b z"])[0].detail
        assert said == "1 of 2 2-grams are in no other completion of the group"

    def test_groups_that_nothing_tells_are_an_error_and_not_a_score(self) -> None:
        with pytest.raises(ColumnError, match="num_generations"):
            NgramDiversity(within="group")(["a b", "c d"])

    def test_a_batch_that_is_not_whole_groups_is_refused(self) -> None:
        with pytest.raises(ColumnError, match="3 completions"):
            PAIR(["a b"] * 3)

    @given(texts=st.lists(st.lists(st.sampled_from("abc"), max_size=8).map(" ".join), min_size=2, max_size=5))
    @settings(deadline=None, max_examples=50)
    def test_equals_a_plain_comparison_with_all_the_others(self, texts: list[str]) -> None:
        own = [set(zip(t.split(), t.split()[1:], strict=False)) for t in texts]
        others: list[set[Any]] = [
            {ngram for j, theirs in enumerate(own) if j != i for ngram in theirs} for i in range(len(own))
        ]
        expected = [len(a - b) / len(a) if a else 0.0 for a, b in zip(own, others, strict=True)]
        assert NgramDiversity(within="group", num_generations=len(texts))(texts) == expected

    def test_gibberish_earns_the_full_value_which_is_a_cheat_that_the_docstring_names(self) -> None:
        assert PAIR(["qwx zzt vbn", "add two and two"]) == [1.0, 1.0]

    def test_copies_of_one_answer_earn_nothing(self) -> None:
        assert NgramDiversity(within="group", num_generations=3)(["it is four"] * 3) == [0.0] * 3


@given(text=st.text())
@settings(deadline=None, max_examples=50)
def test_any_text_scores_within_its_range(text: str) -> None:
    for value in (*ngram_diversity([text]), *PAIR([text, "a b"])):
        assert value is not None
        assert 0.0 <= value <= 1.0


def test_a_million_characters_are_one_pass() -> None:
    text = "a " * 500_000
    assert ngram_diversity([text]) == [1 / (500_000 - 1)]
    assert PAIR([text, "b c"]) == [1.0, 1.0]
    assert ngram_diversity(["a" * 1_000_000]) == [0.0]


def test_tokens_without_completion_ids_raise_with_the_remedy() -> None:
    with pytest.raises(ColumnError, match="no column 'completion_ids'; pass the token ids"):
        NgramDiversity(unit="tokens")(["a"])


@pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
def test_pickles_hashes_and_prints_as_code(reward: Reward) -> None:
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), vars(rewardkit).copy()) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: NgramDiversity(ngram_size=0), "ngram_size .* got 0"),
        (lambda: NgramDiversity(ngram_size=2.5), "ngram_size .* got 2.5"),
        (lambda: NgramDiversity(unit="characters"), "unit='characters' is unknown"),
        (lambda: NgramDiversity(within="batch"), "within='batch' is unknown"),
        (lambda: NgramDiversity(num_generations=0), "num_generations .* got 0"),
        (lambda: NgramDiversity(num_generations=2.0), "num_generations .* got 2.0"),
    ],
)
def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(make: Callable[[], Reward], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
