"""Specification of presets.dapo: verl's reward for DAPO, checked against outputs of verl."""

from __future__ import annotations

from typing import Any

import pytest

from rewardkit import Batch, ColumnError, presets, soft_overlong
from rewardkit.presets import DapoAccuracy, DapoOverlong, dapo, dapo_accuracy, dapo_overlong
from rewardkit.presets.dapo import last_box, normalised

from .dapo_cases import CASES


def tokens(*counts: int) -> list[list[int]]:
    return [[7] * count for count in counts]


class TestAccuracy:
    @pytest.mark.parametrize(("completion", "truth", "value", "read"), CASES)
    def test_is_that_of_verl(self, completion: str, truth: str, value: float, read: str) -> None:
        (outcome,) = dapo_accuracy.score(Batch.of([completion], {"ground_truth": [truth]}))
        assert (outcome.value, outcome.extracted, outcome.gold_column) == (value, read, "ground_truth")
        assert (outcome.status == "correct") == (value > 0)

    @pytest.mark.parametrize(("completion", "truth", "value", "read"), CASES)
    def test_without_the_fallback_a_box_alone_is_wrong(
        self, completion: str, truth: str, value: float, read: str
    ) -> None:
        by_box = "\\boxed" in completion and "Answer: " not in completion.replace("Answer: [INVALID]", "")
        assert DapoAccuracy(box_fallback=False)([completion], ground_truth=truth) == [-1.0 if by_box else value]

    def test_says_when_there_is_no_answer(self) -> None:
        statuses = [o.status for o in dapo_accuracy.score(Batch.of(["", "Answer: 7"], {"ground_truth": ["18", "18"]}))]
        assert statuses == ["no_answer", "wrong"]

    def test_is_not_scored_without_a_reference(self) -> None:
        assert dapo_accuracy(["Answer: 18"], ground_truth=[None]) == [None]

    @pytest.mark.parametrize("text", ["Answer:" * 150_000, "Answer: " + "$" * 10**6, "\\boxed{" * 150_000, " " * 10**6])
    def test_reads_only_the_end_of_a_million_characters(self, text: str) -> None:
        assert dapo_accuracy([text, text + "\nAnswer: 18"], ground_truth="18") == [-1.0, 1.0]

    def test_anything_may_stand_before_the_line(self) -> None:
        assert dapo_accuracy(["bla " * 999 + "Answer: 18", "Answer: 18"], ground_truth="18") == [1.0, 1.0]

    def test_a_reference_that_is_a_number_is_refused_with_the_remedy(self) -> None:
        with pytest.raises(ColumnError, match=r"column 'ground_truth', row 0 is 18; .* convert the column with str"):
            dapo_accuracy([""], ground_truth=[18])

    def test_the_column_may_have_another_name(self) -> None:
        assert DapoAccuracy(answer_key="gold")(["Answer: 18"], gold=["18"]) == [1.0]
        with pytest.raises(ColumnError, match="'ground_truth' is missing; the call has gold"):
            dapo_accuracy([""], gold=["18"])


class TestNormalisation:
    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ("", ""),
            ("x=y=3", "3"),
            ("²", "²"),
            ("1,2,3", "123"),
            ("1,2,a", "1,2,a"),
            ("frac12", "frac{1}{2}"),
            ("$a$b$", "a"),
        ],
    )
    def test_of_edges(self, written: str, read: str) -> None:
        assert normalised(written) == read

    @pytest.mark.parametrize(
        ("text", "box"),
        [("", None), (r"\boxed{}", ""), (r"\boxed{{}", None), (r"\boxed{a{b}c}d}", "a{b}c"), ("}", None)],
    )
    def test_of_the_last_box(self, text: str, box: str | None) -> None:
        assert last_box(text) == box


class TestOverlong:
    @pytest.mark.parametrize(
        ("length", "value"),
        [
            (0, 0.0),
            (16384, 0.0),
            (16385, -1 / 4096),
            (18432, -0.5),
            (20480, -1.0),
            (24576, -2.0),  # no floor
        ],
    )
    def test_falls_from_the_start_of_the_buffer_and_on(self, length: int, value: float) -> None:
        assert dapo_overlong([""], completion_ids=tokens(length)) == [value]

    def test_is_scaled_by_its_factor(self) -> None:
        assert DapoOverlong(penalty_factor=0.25)([""], completion_ids=tokens(20480)) == [-0.25]

    def test_equals_the_mended_reward_up_to_the_limit_and_not_beyond(self) -> None:
        ids = tokens(*range(16000, 20481, 640))
        assert dapo_overlong([""] * len(ids), completion_ids=ids) == soft_overlong([""] * len(ids), completion_ids=ids)
        beyond = tokens(28672)
        assert (dapo_overlong([""], completion_ids=beyond), soft_overlong([""], completion_ids=beyond)) == (
            [-3.0],
            [-1.0],
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"buffer": 0}, "buffer must be between 1 and max_response_length=20480, got 0"),
            ({"buffer": 20481}, "got 20481"),
            ({"penalty_factor": 0}, "penalty_factor must be a positive number, got 0"),
            ({"penalty_factor": float("nan")}, "got nan"),
        ],
    )
    def test_refuses_what_verl_refuses(self, arguments: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            DapoOverlong(**arguments)

    def test_without_tokens_the_remedy_is_named(self) -> None:
        with pytest.raises(ColumnError, match="completion_ids"):
            dapo_overlong([""])


class TestStack:
    @pytest.mark.parametrize(
        ("completion", "length", "value"),
        [
            ("Answer: 18", 100, 1.0),
            ("Answer: 18", 18432, 1.0 - 0.5),
            ("Answer: 18", 20480, 1.0 - 1.0),
            ("Answer: 17", 20480, -1.0 - 1.0),
            ("", 0, -1.0),
        ],
    )
    def test_adds_up(self, completion: str, length: int, value: float) -> None:
        assert dapo([completion], ground_truth="18", completion_ids=tokens(length)) == [value]

    def test_is_the_recipe(self) -> None:
        assert presets.dapo.members == (DapoAccuracy(), DapoOverlong(max_response_length=20480, buffer=4096))
        assert presets.dapo.weights == (1.0, 1.0)
