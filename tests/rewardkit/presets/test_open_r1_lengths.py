"""Specification of presets.open_r1_lengths: the formulas of open-r1, written out, in characters and unclamped."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from rewardkit import ColumnError, CosineLength, SoftOverlong, repetition_penalty
from rewardkit.presets import (
    OpenR1Cosine,
    OpenR1Length,
    OpenR1RepetitionPenalty,
    open_r1_cosine,
    open_r1_length,
    open_r1_repetition_penalty,
    open_r1_soft_overlong,
)

from . import originals
from .corpus import answered, documents, messages

PAIRS = answered()


@pytest.fixture(scope="module")
def right() -> list[bool | None]:
    """math-verify's verdicts on the pairs; None beside a reference that cannot be read."""
    verdicts: list[bool | None] = originals.run(originals.OPEN_R1, PAIRS)["right"]
    return verdicts


def padded(answer: str, *lengths: int) -> list[str]:
    box = rf"\boxed{{{answer}}}"
    return [box + " " * (length - len(box)) for length in lengths]


class TestCosine:
    @pytest.mark.parametrize(
        ("length", "value"),
        [
            (10, 0.5 + 0.25 * (1 + math.cos(math.pi * 0.01))),
            (500, 0.75),
            (1000, 0.5),
            (1500, 0.75),
            (2000, 1.0),  # back at the start
            (3000, 0.5),
            (4000, 1.0),
        ],
    )
    def test_of_a_right_answer_never_stops(self, length: int, value: float) -> None:
        assert open_r1_cosine(padded("18", length), solution="$18$") == [pytest.approx(value, abs=1e-12)]

    @pytest.mark.parametrize(("length", "value"), [(500, -0.75), (1000, -0.5), (1500, -0.75), (2000, -1.0)])
    def test_of_a_wrong_answer_neither(self, length: int, value: float) -> None:
        assert open_r1_cosine(padded("7", length), solution="$18$") == [pytest.approx(value, abs=1e-12)]

    def test_is_clamped_in_the_mended_reward(self) -> None:
        right, twice = padded("18", 1000, 2000)
        mended = CosineLength(max_length=1000, unit="characters")
        assert mended([right, twice], solution="$18$") == [0.5, 0.5]
        assert open_r1_cosine([right, twice], solution="$18$") == [0.5, 1.0]

    def test_pays_in_full_beside_a_reference_that_cannot_be_read(self) -> None:
        assert open_r1_cosine(["", "x" * 777, r"\boxed{1}"], solution="eighteen") == [1.0, 1.0, 1.0]
        assert open_r1_cosine([""], solution=[None]) == [1.0]

    def test_counts_characters_even_where_there_are_tokens(self) -> None:
        assert open_r1_cosine(padded("18", 2000), solution="$18$", completion_ids=[[0] * 1000]) == [1.0]

    def test_of_the_empty_completion_is_the_least(self) -> None:
        assert open_r1_cosine([""], solution="$18$") == [-1.0]

    def test_slopes_the_other_way_with_the_numbers_of_the_script(self) -> None:
        script = OpenR1Cosine(min_value_wrong=0.0, max_value_wrong=-0.5)
        assert script(["", "x" * 1000], solution="$18$") == [0.0, -0.5]

    def test_is_the_formula_on_every_answer_beside_every_reference(self, right: list[bool | None]) -> None:
        texts, truths = zip(*PAIRS, strict=True)
        expected = []
        for text, verdict in zip(texts, right, strict=True):
            low, high = (0.3, 1.9) if verdict else (-0.2, -0.7)
            value = low + 0.5 * (high - low) * (1.0 + math.cos(len(text) / 13 * math.pi))
            expected.append(1.0 if verdict is None else float(value))
        reward = OpenR1Cosine(
            min_value_wrong=-0.7, max_value_wrong=-0.2, min_value_correct=0.3, max_value_correct=1.9, max_len=13
        )
        assert reward(messages(texts), solution=list(truths)) == expected
        assert min(right.count(verdict) for verdict in (True, False, None)) > 10

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"max_len": 0}, "max_len .* got 0"),
            ({"max_len": math.inf}, "max_len .* got inf"),
            ({"min_value_wrong": math.nan}, "min_value_wrong .* got nan"),
            ({"max_value_correct": math.inf}, "max_value_correct .* got inf"),
        ],
    )
    def test_refuses_what_gives_no_number(self, arguments: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            OpenR1Cosine(**arguments)


class TestLength:
    def test_is_the_place_between_the_shortest_and_the_longest(self) -> None:
        completions = [*padded("18", 10, 20, 30), *padded("7", 10, 20, 30)]
        shares = [0.5, 0.0, -0.5]
        assert open_r1_length(completions, solution="$18$") == [*shares, *(min(0, share) for share in shares)]

    def test_depends_on_the_whole_call_and_not_on_the_prompt(self) -> None:
        short, long, longer = padded("18", 10, 20, 100)
        prompts = ["p", "p", "q"]
        alone = open_r1_length([short, long], prompts=prompts[:2], solution="$18$")
        beside = open_r1_length([short, long, longer], prompts=prompts, solution="$18$")
        assert alone == [0.5, -0.5]
        assert beside == [0.5, 0.5 - 10 / 90, -0.5]

    def test_of_equal_lengths_is_nothing_at_all(self) -> None:
        assert open_r1_length([*padded("18", 10), "x" * 10], solution="$18$") == [0.0, 0.0]
        assert open_r1_length(padded("18", 10), solution="$18$") == [0.0]
        assert open_r1_length([], solution=[]) == []

    def test_counts_a_reference_that_cannot_be_read_as_answered(self) -> None:
        assert open_r1_length(["", "guess"], solution="eighteen") == [0.5, -0.5]

    def test_of_the_empty_completion_is_that_of_a_wrong_one(self) -> None:
        assert open_r1_length(["", "longer"], solution="$18$") == [0.0, -0.5]

    def test_is_the_formula_on_random_batches(self, right: list[bool | None]) -> None:
        verdicts = dict(zip(PAIRS, right, strict=True))
        rng = random.Random(2)
        for _ in range(20):
            batch = rng.sample(PAIRS, 12)
            lengths = [len(text) for text, _ in batch]
            expected = []
            for pair, length in zip(batch, lengths, strict=True):
                share = 0.5 - (length - min(lengths)) / (max(lengths) - min(lengths))
                expected.append(float(share if verdicts[pair] is not False else min(0, share)))
            texts, truths = zip(*batch, strict=True)
            assert open_r1_length(messages(texts), solution=list(truths)) == expected

    def test_the_column_may_have_another_name(self) -> None:
        assert OpenR1Length(answer_key="gold")(padded("18", 10, 20), gold=["$18$"]) == [0.5, -0.5]
        with pytest.raises(ColumnError, match="'solution' is missing"):
            open_r1_length([""], gold=["$18$"])


class TestRepetitionPenalty:
    @pytest.mark.parametrize(("size", "limit"), [(3, -1.0), (1, -0.3), (2, -2.5), (4, 0.0)])
    def test_is_the_formula(self, size: int, limit: float) -> None:
        texts = [*documents(300), "so it is so it is so it", "No no NO no", "word " * 500]
        expected = []
        for text in texts:
            words = text.lower().split()
            grams = [tuple(words[at : at + size]) for at in range(len(words) - size + 1)]
            expected.append((1 - len(set(grams)) / len(grams)) * limit if grams else 0.0)
        assert OpenR1RepetitionPenalty(ngram_size=size, max_penalty=limit)(messages(texts)) == expected

    def test_is_the_plain_reward_on_single_messages(self) -> None:
        assert open_r1_repetition_penalty(documents(99)) == repetition_penalty(documents(99))

    def test_judges_the_first_of_several_messages(self) -> None:
        assert open_r1_repetition_penalty([[{"content": "a b c"}, {"content": "d d d d"}]]) == [0.0]

    def test_a_changed_word_between_the_copies_goes_unpunished(self) -> None:
        assert open_r1_repetition_penalty(["the answer one the answer two the answer three"]) == [0.0]

    @pytest.mark.parametrize("arguments", [{"ngram_size": 0}, {"ngram_size": 1.5}, {"max_penalty": 0.1}])
    def test_refuses_what_it_cannot_count_with(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(arguments))):
            OpenR1RepetitionPenalty(**arguments)


def test_the_soft_overlong_punishment_is_the_plain_reward_with_open_r1s_numbers() -> None:
    ids = [[0] * length for length in (12288, 14336, 16384, 16385, 99999)]
    assert open_r1_soft_overlong([""] * 5, completion_ids=ids) == [0.0, -0.5, -1.0, -1.0, -1.0]
    plain = SoftOverlong(max_length=16384, cache=4096)
    assert plain.named("soft_overlong_punishment_reward") == open_r1_soft_overlong
