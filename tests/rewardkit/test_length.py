"""Specification of rewardkit.length: steps, the cosine schedule, the overlong penalty."""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rewardkit
from rewardkit import (
    ColumnError,
    CosineLength,
    LengthBand,
    Reward,
    RewardError,
    SoftOverlong,
    cosine_length,
    length_band,
    soft_overlong,
)

DAPO = SoftOverlong(max_length=100, cache=20, unit="characters")


def tokens(*counts: int) -> list[list[int]]:
    return [[7] * count for count in counts]


def count_lines(text: str) -> int:
    return len(text.splitlines())


def given_verdicts(completions: list[str], verdict: list[float | None], **columns: Any) -> list[float | None]:
    """A plain function of the contract that says what the column `verdict` says."""
    return list(verdict)


CONFIGURED = (
    length_band,
    cosine_length,
    soft_overlong,
    LengthBand(steps={0: 1, 5: 0.5}, unit="characters", section="think", name="brief"),
    CosineLength(max_length=50, correctness=rewardkit.exact_match, min_value_correct=0.0, unit="words"),
    SoftOverlong(max_length=10, cache=0, unit="words"),
)


class TestLengthBand:
    @pytest.mark.parametrize(
        ("words", "value"),
        [
            (0, 0.0),
            (1, 0.0),
            (19, 0.0),
            (20, 0.25),
            (49, 0.25),
            (50, 0.5),
            (99, 0.5),
            (100, 0.75),
            (9999, 0.75),
        ],
    )
    def test_pays_the_highest_threshold_reached(self, words: int, value: float) -> None:
        assert length_band(["word " * words]) == [value]

    @pytest.mark.parametrize(
        ("unit", "length"),
        [("words", 3), ("characters", 11), ("tokens", 5), (count_lines, 2)],
    )
    def test_counts_words_characters_tokens_or_what_a_function_counts(self, unit: Any, length: int) -> None:
        text, ids = "one two\nsix", tokens(5)
        for threshold, value in ((length, 1.0), (length + 1, 0.0)):
            band = LengthBand(steps=[(0, 0.0), (threshold, 1.0)], unit=unit)
            assert band([text], completion_ids=ids) == [value]

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("<think>one two three</think> four", 1.0),
            ("<think>one two</think> three four", 0.0),
            ("one two three", 0.0),  # a section that is missing has length 0
            ("<think>one two three", 0.0),  # so has one that is never closed
            ("one two three</think> four", 1.0),  # the prompt opened it
            ("<think>one two three</think><think>one</think>", 0.0),  # the last pair counts
        ],
    )
    def test_measures_the_section_alone(self, text: str, value: float) -> None:
        assert LengthBand(steps={0: 0.0, 3: 1.0}, section="think")([text]) == [value]

    def test_may_fall_as_a_penalty(self) -> None:
        assert LengthBand(steps={0: 0.5, 4: 0.0, 8: -1.0})(["a b", "a " * 5, "a " * 80]) == [0.5, 0.0, -1.0]

    def test_says_the_length(self) -> None:
        assert length_band.explain(["a b c"])[0].detail == "3 words"
        assert LengthBand(unit=count_lines).explain(["a\nb"])[0].detail == "2 count_lines"

    def test_a_dict_a_list_and_a_tuple_make_equal_rewards(self) -> None:
        same = [LengthBand(steps=s) for s in ({0: 0.0, 3: 1.0}, [[0, 0.0], [3, 1.0]], ((0, 0.0), (3, 1.0)))]
        assert same[0] == same[1] == same[2]
        assert len({hash(reward) for reward in same}) == 1

    @given(text=st.text(), steps=st.dictionaries(st.integers(1, 50), st.floats(-2, 2), max_size=5))
    @settings(deadline=None)
    def test_is_the_last_step_that_a_plain_loop_reaches(self, text: str, steps: dict[int, float]) -> None:
        band = {0: -9.0, **dict(sorted(steps.items()))}
        expected = [value for threshold, value in band.items() if len(text) >= threshold][-1]
        assert LengthBand(steps=band, unit="characters")([text]) == [expected]

    @pytest.mark.parametrize("length", [math.nan, -1, None, "12"])
    def test_a_unit_that_does_not_count_is_refused_by_name_and_row(self, length: Any) -> None:
        def broken(text: str) -> Any:
            return length if text else 0

        with pytest.raises(RewardError, match=r"unit broken gave .* in row 1"):
            LengthBand(unit=broken)(["", "a"])


class TestCosineLength:
    @pytest.mark.parametrize(
        ("verdict", "length", "value"),
        [
            (1.0, 0, 1.0),
            (1.0, 25, 0.5 + 0.25 * (1 + math.cos(math.pi / 4))),
            (1.0, 50, 0.75),
            (1.0, 100, 0.5),
            (1.0, 150, 0.5),
            (1.0, 200, 0.5),  # an unclamped cosine is back at its start here
            (0.0, 0, -1.0),
            (0.0, 50, -0.75),
            (0.0, 100, -0.5),
            (0.0, 200, -0.5),
            (0.5, 0, -1.0),  # half right is not right
            (0.51, 0, 1.0),
            (-1.0, 0, -1.0),
            (None, 50, None),
        ],
    )
    def test_scales_correctness_by_length(self, verdict: float | None, length: int, value: float | None) -> None:
        reward = CosineLength(max_length=100, correctness=given_verdicts)
        assert reward(["text"], verdict=[verdict], completion_ids=tokens(length)) == [
            value if value is None else pytest.approx(value, abs=1e-15)
        ]

    def test_judges_the_boxed_answer_unless_told_otherwise(self) -> None:
        reward = CosineLength(max_length=100)
        values = reward([r"\boxed{1/2}", r"\boxed{3}"], ground_truth="0.5", completion_ids=tokens(0, 0))
        assert values == [1.0, -1.0]

    def test_counts_tokens_where_there_are_any_else_characters(self) -> None:
        reward = CosineLength(max_length=10, correctness=given_verdicts)
        assert reward(["a" * 10], verdict=[1.0]) == [0.5]
        assert reward(["a" * 10], verdict=[1.0], completion_ids=tokens(0)) == [1.0]
        assert reward.explain(["a" * 10], verdict=[1.0])[0].detail == "10 characters"

    def test_an_explicit_unit_is_kept_even_where_there_are_tokens(self) -> None:
        reward = CosineLength(max_length=2, correctness=given_verdicts, unit="words")
        assert reward(["a b"], verdict=[1.0], completion_ids=tokens(0)) == [0.5]

    def test_keeps_the_status_of_the_verdict(self) -> None:
        reward = CosineLength(correctness=rewardkit.boxed_accuracy)
        statuses = [o.status for o in reward.explain([r"\boxed{2}", r"\boxed{3}", ""], ground_truth="2")]
        assert statuses == ["correct", "wrong", "no_answer"]

    def test_says_right_or_wrong_for_a_plain_function_and_not_scored_for_none(self) -> None:
        outcomes = CosineLength(correctness=given_verdicts).explain(["a"] * 3, verdict=[1.0, 0.0, None])
        assert [o.status for o in outcomes] == ["correct", "wrong", "not_scored"]

    def test_a_plain_function_and_its_reward_make_equal_rewards(self) -> None:
        wrapped = rewardkit.Function(function=given_verdicts)
        assert CosineLength(correctness=given_verdicts) == CosineLength(correctness=wrapped)

    def test_a_missing_ground_truth_is_an_error_and_not_a_score(self) -> None:
        with pytest.raises(ColumnError, match="no ground truth"):
            cosine_length(["2"])

    @given(verdict=st.booleans(), length=st.integers(0, 300), longer=st.integers(0, 300))
    @settings(deadline=None)
    def test_more_length_never_helps_a_right_answer_and_never_hurts_a_wrong_one(
        self, verdict: bool, length: int, longer: int
    ) -> None:
        reward = CosineLength(max_length=100, correctness=given_verdicts)
        ids = tokens(length, length + longer)
        short, long = reward(["", ""], verdict=[float(verdict)] * 2, completion_ids=ids)
        assert short is not None
        assert long is not None
        assert (short >= long) if verdict else (short <= long)
        low, high = (0.5, 1.0) if verdict else (-1.0, -0.5)
        assert low <= long <= high

    @pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed")
    def test_equals_trl_on_a_grid_bit_for_bit(self) -> None:
        # In a process of its own: trl sets warning filters and imports much.
        code = r"""
import json, sys, warnings
warnings.simplefilter("ignore")
try:
    from trl.rewards import get_cosine_scaled_reward as make
    import math_verify
except ImportError as error:
    print(json.dumps(f"cannot import TRL's rewards: {error}")); sys.exit()
completions = [[{"role": "assistant", "content": f"\\boxed{{{n}}}"}] for n in (2, 3)]
grid = []
for bounds in ((-1.0, -0.5, 0.5, 1.0), (-0.7, 0.0, 0.3, 1.9)):
    reward = make(97, *bounds)
    for length in range(0, 250, 7):
        ids = [[0] * length] * 2
        grid.append([bounds, length, reward(completions, ["$2$", "$2$"], ids)])
print(json.dumps(grid))
"""
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        grid = json.loads(ran.stdout.splitlines()[-1])
        if isinstance(grid, str):
            pytest.skip(grid)
        assert len(grid) == 2 * 36
        names = ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct")
        for bounds, length, expected in grid:
            reward = CosineLength(max_length=97, **dict(zip(names, bounds, strict=True)))
            values = reward([r"\boxed{2}", r"\boxed{3}"], solution="2", completion_ids=tokens(length, length))
            assert values == expected


class TestSoftOverlong:
    @pytest.mark.parametrize(
        ("length", "value"),
        [
            (0, 0.0),
            (80, 0.0),
            (81, (80 - 81) / 20),
            (90, (80 - 90) / 20),
            (100, -1.0),
            (101, -1.0),
            (10_000, -1.0),  # trainers without the floor pay -496 here
        ],
    )
    def test_falls_linearly_over_the_last_part_before_the_limit(self, length: int, value: float) -> None:
        assert DAPO(["a" * length]) == [value]
        assert SoftOverlong(max_length=100, cache=20)(["x"], completion_ids=tokens(length)) == [value]

    def test_its_defaults_are_those_of_dapo(self) -> None:
        ids = tokens(20480 - 4096, 20480 - 2048, 20480)
        assert soft_overlong(["x"] * 3, completion_ids=ids) == [0.0, -0.5, -1.0]

    def test_without_a_cache_it_is_a_step(self) -> None:
        assert SoftOverlong(max_length=3, cache=0, unit="characters")(["aaa", "aaaa"]) == [0.0, -1.0]

    def test_a_cache_of_the_whole_length_slopes_from_the_start(self) -> None:
        assert SoftOverlong(max_length=4, cache=4, unit="words")(["", "a", "a a a a"]) == [0.0, -0.25, -1.0]

    @given(length=st.integers(0, 300), cache=st.integers(0, 100))
    @settings(deadline=None)
    def test_stays_within_minus_one_and_zero_and_never_rises(self, length: int, cache: int) -> None:
        reward = SoftOverlong(max_length=100, cache=cache)
        shorter, longer = reward(["", ""], completion_ids=tokens(length, length + 1))
        assert shorter is not None
        assert longer is not None
        assert -1.0 <= longer <= shorter <= 0.0


class TestAll:
    @pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
    def test_pickles_hashes_and_prints_as_code(self, reward: Reward) -> None:
        assert pickle.loads(pickle.dumps(reward)) == reward
        assert eval(repr(reward), vars(rewardkit).copy()) == reward
        assert isinstance(hash(reward), int)

    @given(text=st.text())
    @settings(deadline=None)
    def test_any_text_scores_and_a_message_of_it_scores_the_same(self, text: str) -> None:
        columns = {"verdict": [1.0], "completion_ids": tokens(len(text))}
        for reward in (length_band, DAPO, soft_overlong, CosineLength(correctness=given_verdicts)):
            (value,) = reward([text], **columns)
            assert value is not None
            assert -1.0 <= value <= 1.0
            assert reward([[{"role": "assistant", "content": text}]], **columns) == [value]

    @pytest.mark.parametrize("reward", [soft_overlong, LengthBand(unit="tokens")], ids=repr)
    def test_tokens_without_completion_ids_raise_with_the_remedy(self, reward: Reward) -> None:
        with pytest.raises(ColumnError, match="no column 'completion_ids'; pass the token ids"):
            reward(["a"])

    @pytest.mark.parametrize("rows", [[None], [3], ["abc"]])
    def test_a_row_of_completion_ids_that_is_no_list_raises(self, rows: list[Any]) -> None:
        with pytest.raises(ColumnError, match="row 0"):
            soft_overlong(["a"], completion_ids=rows)

    def test_completion_ids_of_another_length_than_the_batch_raise(self) -> None:
        with pytest.raises(ColumnError, match="2 rows for 1 completions"):
            soft_overlong(["a"], completion_ids=tokens(1, 2))

    def test_ten_megabytes_are_measured(self) -> None:
        assert LengthBand(section="think")(["<think>" + "a " * 5_000_000 + "</think>"]) == [0.75]
        assert LengthBand(section="think")(["<think>" * 1_400_000]) == [0.0]

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: LengthBand(steps=[]), "must start at length 0"),
            (lambda: LengthBand(steps=[(5, 1.0)]), r"\(\(5, 1.0\)|\[\(5, 1.0\)\]; add"),
            (lambda: LengthBand(steps=[(0, 0.0), (5, 1.0), (5, 2.0)]), "threshold 5 after 5"),
            (lambda: LengthBand(steps={0: 0.0, 9: 1.0, 5: 2.0}), "threshold 5 after 9"),
            (lambda: LengthBand(steps={0: math.nan}), r"\(0, nan\)"),
            (lambda: LengthBand(steps={0: 0.0, math.inf: 1.0}), r"\(inf, 1.0\)"),
            (lambda: LengthBand(unit="letters"), "unit='letters' is unknown; use"),
            (
                lambda: LengthBand(section="<think>"),
                "'<think>' is no tag name",
            ),
            (
                lambda: LengthBand(unit="tokens", section="think"),
                "section='think' cannot be counted in tokens",
            ),
            (lambda: CosineLength(max_length=0), "max_length .* got 0"),
            (lambda: CosineLength(max_length=math.inf), "max_length .* got inf"),
            (lambda: CosineLength(min_value_wrong=0.0), "min_value_wrong=0.0 .* max_value_wrong=-0.5"),
            (lambda: CosineLength(max_value_wrong=0.7), "max_value_wrong=0.7 .* min_value_correct=0.5"),
            (lambda: CosineLength(max_value_correct=math.nan), "max_value_correct=nan"),
            (lambda: CosineLength(unit="letters"), "unit='letters' is unknown"),
            (lambda: SoftOverlong(max_length=-1), "max_length .* got -1"),
            (lambda: SoftOverlong(max_length=10, cache=11), "between 0 and max_length=10, got 11"),
            (lambda: SoftOverlong(cache=-1), "cache .* got -1"),
            (lambda: SoftOverlong(cache=math.nan), "cache .* got nan"),
            (lambda: SoftOverlong(unit=None), "unit=None is unknown"),
        ],
    )
    def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
        self, make: Callable[[], Reward], said: str
    ) -> None:
        with pytest.raises(ValueError, match=said):
            make()
