"""Specification of rewardkit.truncated: a penalty for what the length limit cut off."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import ColumnError, Reward
from rewardkit.truncated import CUT_OFF, ENDED, INTERRUPTED, Truncated, truncated

EOS, PAD = 2, 0
CONFIGURED = (
    truncated,
    Truncated(penalty=-0.5, max_length=512, eos_token_ids=[EOS, 9]),
    Truncated(column="stop_reason", name="stops"),
)


class TestByColumn:
    def test_true_is_cut_off_false_ended_and_none_is_not_scored(self) -> None:
        outcomes = truncated.explain(["a"] * 3, truncated=[True, False, None])
        assert [(o.value, o.status) for o in outcomes] == [(-1.0, "scored"), (0.0, "scored"), (None, "not_scored")]

    @pytest.mark.parametrize(
        ("reasons", "value"), [(CUT_OFF, -1.0), (ENDED, 0.0), (INTERRUPTED, None), ({"LENGTH", "MAX_TOKENS"}, -1.0)]
    )
    def test_a_finish_reason_says_it_however_it_is_spelled(self, reasons: set[str], value: float | None) -> None:
        for reason in reasons:
            assert truncated(["a"], finish_reason=[reason]) == [value]

    @pytest.mark.parametrize(
        ("reason", "value"),
        [
            ("MAX_TOKENS", -1.0),  # Gemini
            ("SAFETY", None),
            ("RECITATION", None),
            ("MALFORMED_FUNCTION_CALL", 0.0),
            ("refusal", None),  # Anthropic
            ("pause_turn", None),
            ("model_context_window_exceeded", -1.0),
            ({"type": "length", "length": 512}, -1.0),  # SGLang
            ({"type": "stop", "matched": 151645}, 0.0),
            ({"type": "abort", "message": "gone"}, None),
        ],
    )
    def test_every_server_is_understood(self, reason: Any, value: float | None) -> None:
        assert truncated(["a"], finish_reason=[reason]) == [value]

    def test_says_what_told_it(self) -> None:
        assert truncated.explain(["a"], finish_reason=["length"])[0].detail == "finish_reason is 'length'"

    def test_a_bool_column_goes_before_the_finish_reason(self) -> None:
        assert truncated(["a"], truncated=[False], finish_reason=["length"]) == [0.0]

    def test_a_named_column_goes_before_both(self) -> None:
        columns = {"truncated": [True], "finish_reason": ["length"], "stop_reason": ["end_turn"]}
        assert Truncated(column="stop_reason")(["a"], **columns) == [0.0]

    def test_a_column_that_is_none_is_no_column(self) -> None:
        assert truncated(["a"], truncated=None, finish_reason=["length"]) == [-1.0]

    def test_array_columns_as_parquet_has_them_are_read(self) -> None:
        assert truncated(["a", "b"], truncated=np.array([True, False])) == [-1.0, 0.0]

    @pytest.mark.parametrize("value", ["timeout", "", 1, 0.0, {"type": "late"}, {}, ["length"], np.array([1, 2])])
    def test_a_cell_that_says_neither_raises_with_its_row_and_what_is_expected(self, value: Any) -> None:
        with pytest.raises(ColumnError, match=r"column 'finish_reason', row 1 is .*; expected true \(cut off\)"):
            truncated(["a", "b"], finish_reason=["stop", value])

    def test_where_nothing_can_tell_it_raises_with_the_three_ways(self) -> None:
        with pytest.raises(ColumnError, match=r"nothing tells .* column=, or give max_length= or eos_token_ids="):
            truncated(["a"], completion_ids=[[1, 2]])

    def test_a_named_column_that_is_missing_raises(self) -> None:
        with pytest.raises(ColumnError, match="column 'done' is missing"):
            Truncated(column="done")(["a"], truncated=[True])


class TestByTokens:
    @pytest.mark.parametrize(
        ("ids", "cut"),
        [
            ([], False),
            ([7, 7, EOS], False),
            ([7, 7, 7], False),  # shorter than the limit: something else ended it, such as a stop string
            ([7, 7, 7, EOS], False),
            ([7, 7, 7, 9], False),
            ([7, 7, 7, 7], True),
            ([7, EOS, 7, 7], True),
            ([7, 7, 7, 7, 7], True),
        ],
    )
    def test_cut_off_is_the_full_length_without_an_end_token(self, ids: list[int], cut: bool) -> None:
        reward = Truncated(penalty=-0.5, max_length=4, eos_token_ids=[EOS, 9])
        assert reward(["a"], completion_ids=[ids]) == [-0.5 if cut else 0.0]

    @pytest.mark.parametrize(("ids", "cut"), [([], False), ([7] * 3, False), ([7, 7, 7, EOS], True), ([7] * 4, True)])
    def test_without_end_tokens_the_full_length_alone_is_cut_off(self, ids: list[int], cut: bool) -> None:
        assert Truncated(max_length=4)(["a"], completion_ids=[ids]) == [-1.0 if cut else 0.0]

    @pytest.mark.parametrize(("ids", "cut"), [([], True), ([EOS], False), ([7, EOS], False), ([EOS, 7], True)])
    def test_without_a_length_the_end_token_alone_decides(self, ids: list[int], cut: bool) -> None:
        assert Truncated(eos_token_ids=[EOS])(["a"], completion_ids=[ids]) == [-1.0 if cut else 0.0]

    def test_says_how_many_tokens_and_how_they_end(self) -> None:
        reward = Truncated(max_length=2, eos_token_ids=[EOS])
        details = [o.detail for o in reward.explain(["a"] * 2, completion_ids=[[7, 7], [EOS]])]
        assert details == ["2 of 2 tokens, no end token", "1 of 2 tokens, the last one an end token"]
        assert Truncated(max_length=2).explain(["a"], completion_ids=[[7]])[0].detail == "1 of 2 tokens"

    def test_a_setting_goes_before_the_columns(self) -> None:
        assert Truncated(max_length=4)(["a"], completion_ids=[[7]], truncated=[True]) == [0.0]

    def test_arrays_of_ids_are_read(self) -> None:
        reward = Truncated(max_length=2, eos_token_ids=[EOS])
        assert reward(["a", "b"], completion_ids=[np.array([7, 7]), np.array([7, EOS])]) == [-1.0, 0.0]

    def test_integers_of_numpy_are_taken_and_kept_as_plain_ones(self) -> None:
        given = Truncated(max_length=np.int64(4), eos_token_ids=np.array([EOS, 9]))
        assert given == Truncated(max_length=4, eos_token_ids=[EOS, 9])
        assert repr(given) == f"Truncated(max_length=4, eos_token_ids=({EOS}, 9))"

    def test_without_completion_ids_it_raises_with_the_remedy(self) -> None:
        with pytest.raises(ColumnError, match="'completion_ids', which the call does not have; pass the token ids"):
            Truncated(max_length=4)(["a"])

    @given(ids=st.lists(st.integers(0, 5), max_size=8), limit=st.integers(1, 8))
    @settings(deadline=None, max_examples=60)
    def test_is_the_rule_written_out(self, ids: list[int], limit: int) -> None:
        cut = len(ids) >= limit and ids[-1] != EOS
        reward = Truncated(max_length=limit, eos_token_ids=[EOS])
        assert reward(["a"], completion_ids=[ids]) == [-1.0 if cut else 0.0]


class TestAny:
    def test_the_text_does_not_matter(self) -> None:
        texts = ["", "a" * 1_000_000, "</think>" * 1000, [{"role": "assistant", "content": "a"}]]
        assert truncated(texts, truncated=[False, True, False, True]) == [0.0, -1.0, 0.0, -1.0]

    def test_a_penalty_of_zero_is_zero_without_a_sign(self) -> None:
        (value,) = Truncated(penalty=0)(["a"], truncated=[True])
        assert str(value) == "0.0"

    def test_a_list_and_a_tuple_of_ids_make_equal_rewards(self) -> None:
        assert Truncated(eos_token_ids=[1, 2]) == Truncated(eos_token_ids=(1, 2))

    @pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
    def test_pickles_hashes_and_prints_as_code(self, reward: Reward) -> None:
        assert pickle.loads(pickle.dumps(reward)) == reward
        assert eval(repr(reward), {"Truncated": Truncated}) == reward
        assert isinstance(hash(reward), int)

    def test_the_ready_instance_has_the_defaults(self) -> None:
        assert truncated == Truncated()
        assert truncated.__name__ == "truncated"

    @pytest.mark.parametrize(
        ("make", "error", "said"),
        [
            (lambda: Truncated(penalty=1.0), ValueError, "penalty must be 0 or negative, got 1.0"),
            (lambda: Truncated(penalty=float("-inf")), ValueError, "got -inf"),
            (lambda: Truncated(max_length=0), ValueError, "max_length .* at least 1, got 0"),
            (lambda: Truncated(max_length=512.0), ValueError, "got 512.0"),
            (lambda: Truncated(max_length=True), ValueError, "got True"),
            (lambda: Truncated(max_length=np.bool_(True)), ValueError, "max_length"),
            (lambda: Truncated(eos_token_ids=2), TypeError, "sequence of token ids, got 2; use a list"),
            (lambda: Truncated(eos_token_ids="</s>"), TypeError, "got '</s>'"),
            (lambda: Truncated(eos_token_ids=["</s>"]), ValueError, "holds '</s>', which is no token id"),
            (lambda: Truncated(eos_token_ids=[None]), ValueError, "holds None"),
            (lambda: Truncated(eos_token_ids=[-1]), ValueError, "holds -1"),
            (lambda: Truncated(column="done", max_length=4), ValueError, "column='done' and max_length .* exclude"),
            (lambda: Truncated(column="done", eos_token_ids=[2]), ValueError, "exclude each other"),
        ],
    )
    def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
        self, make: Callable[[], Reward], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            make()


class TestCheats:
    def test_ending_at_once_without_an_answer_costs_nothing(self) -> None:
        reward = Truncated(max_length=4, eos_token_ids=[EOS])
        assert reward([""], completion_ids=[[EOS]]) == [0.0]
