"""Specification of rewardkit.functions: plain functions, @reward, on_error."""

from __future__ import annotations

import asyncio
import copy
import pickle
import warnings
from functools import partial
from typing import Any

import pytest

from rewardkit import (
    Function,
    Guarded,
    Outcome,
    PerCompletion,
    RewardError,
    boxed_accuracy,
    combine,
    exact_match,
    reward,
)
from rewardkit import guarding as module
from rewardkit.contract import ColumnError
from tests.rewardkit.rewards_for_tests import broken, fixed, later, length, patient, quotes_its_source, shouts

XS = ["a", "bb", "ccc"]


class TestPerCompletion:
    def test_is_called_once_per_completion_with_its_text(self) -> None:
        assert shouts(["LOUD", "quiet"]) == [1.0, 0.0]
        assert shouts([[{"role": "assistant", "content": "LOUD"}]]) == [1.0]

    def test_gets_its_rows_value_of_every_column_it_names(self) -> None:
        @reward
        def seen(completion: str, prompt: str, answer: str, trainer_state: Any, extra: int = 7) -> float:
            assert (completion, prompt, answer, trainer_state, extra) == ("b", "p2", "y", "state", 7)
            return 1.0

        batch = {"prompts": ["p2"], "answer": ["y"], "trainer_state": "state", "unknown": [1]}
        assert seen(["b"], **batch) == [1.0]

    def test_one_value_holds_for_every_row(self) -> None:
        assert quotes_its_source(["Euler", "Gauss"], source="Euler") == [1.0, 0.0]
        assert quotes_its_source(["Euler", "Gauss"], source=["Euler"]) == [1.0, 0.0]

    def test_gets_every_column_where_it_takes_keywords(self) -> None:
        @reward
        def seen(completion: str, **columns: Any) -> float:
            assert columns == {"answer": "1", "completion_ids": [5]}
            return 1.0

        assert seen(["x"], answer=["1"], completion_ids=[[5]], log_metric=print) == [1.0]

    def test_gets_the_message_as_it_came(self) -> None:
        @reward
        def turns(message: Any) -> float:
            return float(len(message))

        assert turns([[{"role": "assistant", "content": "a"}, {"role": "tool", "content": "b"}]]) == [2.0]

    def test_a_missing_column_is_an_error_that_lists_what_there_is(self) -> None:
        inner = quotes_its_source.reward  # type: ignore[attr-defined]
        with pytest.raises(ColumnError, match="column 'source' is missing; the call has answer"):
            inner(["x"], answer=["1"])
        assert inner([], answer=[]) == []

    @pytest.mark.parametrize(("returned", "value"), [(True, 1.0), (2, 2.0), (None, None), (0.5, 0.5)])
    def test_returns_numbers_bools_or_none(self, returned: object, value: float | None) -> None:
        assert PerCompletion(function=lambda completion: returned)(["x"]) == [value]

    def test_may_return_an_outcome(self) -> None:
        outcome = Outcome(0.25, "wrong", "too short", extracted="x")
        row = PerCompletion(function=lambda completion: outcome).explain(["x"])[0]
        assert (row.status, row.detail, row.components[0].extracted) == ("wrong", "too short", "x")

    def test_a_text_is_no_reward(self) -> None:
        with pytest.raises(RewardError, match=r"gave 'high' in row 0; expected a number or None"):
            PerCompletion(function=lambda completion: "high")(["x"])

    def test_parameters_must_have_names(self) -> None:
        with pytest.raises(TypeError, match="cannot be given by name"):
            reward(lambda completion, /: 1.0)

    def test_takes_a_name_for_the_log(self) -> None:
        assert quotes_its_source.__name__ == "quotes"
        assert shouts.__name__ == "shouts"

    def test_joins_a_stack_and_prints_and_pickles_by_name(self) -> None:
        stack = combine(shouts, shouts.named("again"), quotes_its_source, weights=[1, 2, 3])
        assert pickle.loads(pickle.dumps(stack)) == stack
        assert "rewards_for_tests.shouts" in repr(stack)
        assert stack(["LOUD", "x"], source="x") == [1 + 2.0, 3.0]

    def test_waits_for_coroutine_functions_at_most_so_many_at_a_time(self) -> None:
        at_once: list[int] = [0, 0]

        async def count(completion: str) -> float:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await asyncio.sleep(0.002)
            at_once[0] -= 1
            return float(completion)

        counted = reward(concurrency=3)(count)
        assert counted([str(i) for i in range(20)]) == [float(i) for i in range(20)]
        assert at_once[1] == 3

    def test_keeps_the_order_whoever_is_first(self) -> None:
        assert patient(XS, wait=[0.02, 0.01, 0.0]) == [1.0, 2.0, 3.0]


class TestFunction:
    def test_a_function_that_returns_a_coroutine_unnoticed_is_told_how(self) -> None:
        with pytest.raises(RewardError, match="define it with async def"):
            Function(function=lambda **kwargs: later(**kwargs), name="sly")(["x"])

    def test_a_partial_keeps_the_functions_name(self) -> None:
        assert Function(function=partial(length, unused=1)).__name__ == "length"
        assert Function(function=boxed_accuracy.aio).__name__ == "boxed_accuracy"


class TestOnError:
    @pytest.fixture(autouse=True)
    def nobody_warned_yet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_WARNED", set())

    def test_raises_by_default(self) -> None:
        with pytest.raises(KeyError, match="no such thing"):
            combine(broken)(["x"])

    def test_none_makes_a_failure_not_scored_with_the_reason(self) -> None:
        stack = combine(fixed("a", 1.0, 2.0), broken, on_error="none")
        with pytest.warns(RuntimeWarning, match="broken raised KeyError: 'no such thing'"):
            rows = stack.explain(["x", "y"])
        assert rows.totals == [1.0, 2.0]
        assert (rows[0]["broken"].value, rows[0]["broken"].status) == (None, "error")
        assert rows[0]["broken"].detail == "KeyError: 'no such thing'"

    def test_warns_once_per_kind_and_counts_all(self) -> None:
        stack = combine(broken, on_error="none")
        counts: list[tuple[str, float]] = []

        def three_times() -> None:
            for _ in range(3):
                assert stack(["x", "y"], log_metric=lambda *entry: counts.append(entry)) == [None, None]

        with pytest.warns(RuntimeWarning) as caught:
            three_times()
        assert len(caught) == 1
        assert counts == [("rewards/broken/error", 2.0)] * 3

    def test_another_kind_warns_again(self) -> None:
        def fussy(completions: Any, kind: type[Exception], **kwargs: Any) -> list[float]:
            raise kind

        guarded = Function(function=fussy).on_error("none")

        with pytest.warns(RuntimeWarning) as caught:
            assert [guarded(["x"], kind=kind) for kind in (ValueError, OSError, ValueError)] == [[None]] * 3
        assert [str(w.message).split(":")[0] for w in caught] == ["fussy raised ValueError", "fussy raised OSError"]

    def test_an_interrupt_is_not_caught(self) -> None:
        def interrupted(completions: Any, **kwargs: Any) -> list[float]:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            Function(function=interrupted).on_error("none")(["x"])

    def test_a_wrong_return_counts_as_a_failure(self) -> None:
        with pytest.warns(RuntimeWarning, match="RewardError"):
            assert fixed("a", float("nan")).on_error("none")(["x"]) == [None]

    def test_asynchronous_failures_too(self) -> None:
        async def refuses(completions: Any, **kwargs: Any) -> list[float]:
            raise OSError("no route")

        stack = combine(refuses, later, on_error="none")
        with pytest.warns(RuntimeWarning, match="refuses raised OSError: no route"):
            assert stack(["xx"]) == [2.0]

    def test_that_never_fails_changes_nothing(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert boxed_accuracy.on_error("none")([r"\boxed{2}"], answer="2") == [1.0]

    def test_can_be_taken_back_and_is_not_doubled(self) -> None:
        guarded = boxed_accuracy.on_error("none")
        assert isinstance(guarded, Guarded)
        assert guarded.on_error("none") == guarded
        assert guarded.on_error("raise") == boxed_accuracy

    def test_refuses_another_word(self) -> None:
        with pytest.raises(ValueError, match='on_error=\'skip\' is unknown; use "raise" or "none"'):
            boxed_accuracy.on_error("skip")


class TestMistakes:
    def test_a_function_without_columns_is_told_how_to_end_its_signature(self) -> None:
        def narrow(completions: Any, answer: Any) -> list[float]:
            return [1.0]

        with pytest.raises(TypeError, match=r"narrow does not take the keyword 'prompts'; .* end in \*\*columns"):
            combine(narrow)(["x"], answer=["1"])

    def test_a_type_error_of_its_own_stays_as_it_is(self) -> None:
        def clumsy(completions: Any, **columns: Any) -> list[float]:
            return [len(5)]  # type: ignore[arg-type]

        with pytest.raises(TypeError, match="has no len"):
            combine(clumsy)(["x"])

    def test_a_reward_of_one_completion_that_asks_for_all_is_told_so(self) -> None:
        with pytest.raises(TypeError, match="gets one `completion` at a time"):
            reward(lambda completions: 1.0)

    @pytest.mark.skipif(not hasattr(Exception, "add_note"), reason="notes came with Python 3.11")
    def test_a_failure_names_the_reward_and_the_row(self) -> None:
        @reward
        def share(completion: str) -> float:
            return 1 / len(completion)

        with pytest.raises(ZeroDivisionError) as failure:
            share(["a", ""])
        assert failure.value.__notes__ == ["in the reward 'share', row 1"]  # type: ignore[attr-defined]

    def test_a_function_that_changes_its_lists_changes_nothing_for_the_others(self) -> None:
        def shouting(completions: Any, answer: Any, **columns: Any) -> list[float]:
            completions[0] += "!"
            answer[:] = ["z"]
            return [0.0]

        answer = ["a"]
        assert combine(shouting, exact_match)(["a"], answer=answer) == [1.0]
        assert answer == ["a"]

    def test_a_list_that_is_no_column_is_given_to_who_takes_everything(self) -> None:
        @reward
        def many(completion: str, **columns: Any) -> float:
            return float(len(columns["tools"]))

        assert many(["a"], tools=["x", "y", "z"]) == [3.0]

    @pytest.mark.parametrize("lost", [reward(lambda completion: 1.0), reward(shouts.function)], ids=["lambda", "named"])
    def test_what_cannot_be_found_again_does_not_pickle(self, lost: PerCompletion) -> None:
        if lost == shouts:
            assert pickle.loads(pickle.dumps(lost)) == shouts
        else:
            with pytest.raises(TypeError, match="cannot be pickled"):
                pickle.dumps(lost)
        assert copy.deepcopy(lost) is lost


def test_a_guard_survives_combine_and_keeps_its_name_and_weight() -> None:
    guarded = fixed("a", 3.0).on_error("none").named("g")
    assert combine(2.0 * guarded, fixed("b", 1.0)).members[0] == guarded
    metrics: dict[str, float] = {}
    stack = combine(2.0 * fixed("a", 3.0), fixed("b", 1.0), on_error="none")
    assert stack(["x"], log_metric=metrics.__setitem__) == [2 * 3.0 + 1.0]
    assert (metrics["rewards/a/mean"], metrics["rewards/a/contribution"]) == (3.0, 2 * 3.0)
    assert metrics["rewards/a/error"] == 0.0
