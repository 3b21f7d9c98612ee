"""Specification of rewardkit.batch: groups, selections, the training step."""

from __future__ import annotations

from typing import Any

import pytest

from rewardkit import Batch, ColumnError, boxed_accuracy, exact_match, route
from tests.rewardkit.rewards_for_tests import fixed


def batch(count: int, **columns: Any) -> Batch:
    return Batch.of([f"c{i}" for i in range(count)], columns)


class TestGroups:
    def test_are_runs_of_the_size_given(self) -> None:
        assert batch(6).groups(3) == [[0, 1, 2], [3, 4, 5]]

    def test_take_the_trainers_number(self) -> None:
        assert batch(4, num_generations=2).groups() == [[0, 1], [2, 3]]
        assert batch(4, num_generations=[2, 2, 2, 2]).groups() == [[0, 1], [2, 3]]

    def test_the_size_given_counts_before_the_trainers(self) -> None:
        assert batch(4, num_generations=2).groups(4) == [[0, 1, 2, 3]]

    def test_else_are_runs_of_equal_prompts(self) -> None:
        assert batch(5, prompts=["p", "p", "q", "p", "p"]).groups() == [[0, 1], [2], [3, 4]]
        message = [{"role": "user", "content": "p"}]
        assert batch(2, prompts=[message, list(message)]).groups() == [[0, 1]]

    def test_equal_prompts_in_neighbouring_groups_do_not_merge_where_the_number_is_known(self) -> None:
        assert batch(4, prompts=["p"] * 4, num_generations=2).groups() == [[0, 1], [2, 3]]

    def test_of_nothing_are_none(self) -> None:
        assert batch(0).groups() == batch(0, num_generations=4).groups() == []

    @pytest.mark.parametrize(
        ("columns", "size", "message"),
        [
            ({}, None, "no groups: the call has no columns; pass prompts="),
            ({}, 2, "3 completions are not whole groups of num_generations=2"),
            ({"num_generations": 0}, None, "not whole groups of num_generations=0"),
            ({"num_generations": [1, 3, 3]}, None, r"must be one number, got \[1, 3\]"),
        ],
    )
    def test_that_cannot_be_told_are_an_error(self, columns: dict[str, Any], size: int | None, message: str) -> None:
        with pytest.raises(ColumnError, match=message):
            batch(3, **columns).groups(size)


class TestSelect:
    def test_cuts_texts_and_columns_alike(self) -> None:
        some = batch(3, answer=["a", "b", "c"], shared=["x"], state={"global_step": 3}, text="abc").select([2, 0])
        assert some.texts == ("c2", "c0")
        assert some.columns == {"answer": ["c", "a"], "shared": ["x"], "state": {"global_step": 3}, "text": "abc"}

    def test_remembers_the_rows_of_the_whole_call(self) -> None:
        some = batch(5).select([1, 3, 4]).select([0, 2])
        assert [some.row(i) for i in range(2)] == [1, 4]

    def test_keeps_the_groups(self) -> None:
        whole = batch(6, num_generations=3)
        assert whole.select([0, 2, 5]).groups() == [[0, 1], [2]]
        assert whole.select([0, 2, 5]).select([2]).groups() == [[0]]
        assert whole.select([3]).groups(2) == [[0]]

    def test_of_all_rows_is_the_batch(self) -> None:
        whole = batch(2)
        assert whole.select([0, 1]) is whole

    def test_hands_what_is_logged_to_its_rows(self) -> None:
        logged: dict[str, list[Any]] = {}
        some = batch(4, log_extra=logged.__setitem__).select([1, 3]).select([1])
        some.columns["log_extra"]("seen", ["d"])
        assert logged == {"seen": [None, None, None, "d"]}
        with pytest.raises(ValueError, match=r"log_extra\('seen'\) got 2 values for 1 completions"):
            some.columns["log_extra"]("seen", ["d", "e"])


@pytest.mark.parametrize("columns", [{"trainer_state": {"global_step": 7}}, {"global_step": 7}])
def test_step_is_the_trainers_or_a_column(columns: dict[str, Any]) -> None:
    assert batch(1, **columns).step == 7


class TestContainers:
    def test_of_columns_may_be_anything_that_holds_rows(self) -> None:
        numpy = pytest.importorskip("numpy", reason="columns as arrays need numpy")
        pandas = pytest.importorskip("pandas", reason="columns as series need pandas")
        arrow = pytest.importorskip("pyarrow", reason="columns as Arrow arrays need pyarrow")
        series = pandas.Series(["a", "b", "c"], index=[7, 5, 3])
        for column in (("a", "b", "c"), numpy.array(["a", "b", "c"]), series, arrow.array(["a", "b", "c"])):
            assert batch(3, answer=column).column("answer") == ["a", "b", "c"]
            assert batch(3, answer=column).select([2, 0]).column("answer") == ["c", "a"]
            assert route("kind", {"a": exact_match}, default=fixed("d", 7.0, 7.0))(
                ["a", "b", "c"], answer="a", kind=column
            ) == [1.0, 7.0, 7.0]

    def test_narrow_floats_are_what_they_print_as(self) -> None:
        numpy = pytest.importorskip("numpy", reason="arrays need numpy")
        for answer in (numpy.array([0.1], numpy.float32), [numpy.array([0.1], numpy.float32)]):
            assert boxed_accuracy([r"\boxed{0.1}"], answer=answer) == [1.0]

    def test_of_completions_may_be_frames_of_messages_but_no_set(self) -> None:
        numpy = pytest.importorskip("numpy", reason="arrays need numpy")
        message = numpy.array([{"role": "assistant", "content": "x"}], dtype=object)
        cells = numpy.empty(1, dtype=object)
        cells[0] = message
        assert Batch.of(cells, {}).texts == ("x",)
        with pytest.raises(TypeError, match="completions must be a list"):
            Batch.of({"a"}, {})

    def test_a_list_of_the_wrong_length_is_refused_behind_a_gate_too(self) -> None:
        gated = exact_match.gate(fixed("g", 0.0, 1.0, 1.0))
        for answer in (["a", "b"], ["a", "b", "c", "d"]):
            with pytest.raises(ColumnError, match=rf"'answer' has {len(answer)} rows for 3 completions"):
                gated(["x", "b", "a"], answer=answer)

    def test_num_generations_is_a_whole_number(self) -> None:
        with pytest.raises(ColumnError, match=r"num_generations must be a whole number, got float 2\.5"):
            batch(5, num_generations=2.5).groups()

    def test_a_part_that_is_no_text_is_refused_with_its_row(self) -> None:
        with pytest.raises(TypeError, match=r"a part of a message's content must be text or a mapping.* in row 0"):
            Batch.of([[{"role": "assistant", "content": [5]}]], {}).texts  # noqa: B018
