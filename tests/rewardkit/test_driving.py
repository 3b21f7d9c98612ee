"""Specification of rewardkit.driving: trees with coroutines in them, times, what is computed once."""

from __future__ import annotations

import asyncio
import inspect
import threading
from types import FunctionType
from typing import Any

import pytest

from rewardkit import AsyncReward, Batch, Outcome, boxed_accuracy, combine, max_of, strict_format
from tests.rewardkit.rewards_for_tests import Counting, fixed, later, length, patient

STACK = combine(later, fixed("a", 1.0, 2.0), patient, weights=[1.0, 2.0, 0.5])
EXPECTED = [1 + 2 * 1.0 + 0.5 * 1, 3 + 2 * 2.0 + 0.5 * 3]


class TestAio:
    def test_is_a_coroutine_function_with_the_name_of_the_stack(self) -> None:
        function = STACK.named("mine").aio
        assert inspect.iscoroutinefunction(function)
        assert type(function) is FunctionType
        assert function.__name__ == "mine"

    def test_gives_what_a_call_gives(self) -> None:
        assert asyncio.run(STACK.aio(completions=["x", "yyy"], prompts=["p", "q"])) == EXPECTED

    def test_of_a_synchronous_stack_works_too(self) -> None:
        stack = combine(boxed_accuracy, strict_format)
        assert asyncio.run(stack.aio([r"\boxed{2}"], answer="2")) == [1.0]

    def test_logs_like_a_call(self) -> None:
        called, awaited = {}, {}  # type: ignore[var-annotated]
        STACK(["x", "yyy"], log_metric=called.__setitem__)
        asyncio.run(STACK.aio(["x", "yyy"], log_metric=awaited.__setitem__))
        assert called == awaited
        assert called["rewards/later/mean"] == (1 + 3) / 2


class TestSynchronousCall:
    def test_runs_the_coroutines_itself(self) -> None:
        assert STACK(["x", "yyy"]) == EXPECTED

    def test_works_inside_a_running_loop(self) -> None:
        async def notebook() -> list[float | None]:
            return STACK(["x", "yyy"])

        assert asyncio.run(notebook()) == EXPECTED

    def test_works_in_threads(self) -> None:
        results: list[Any] = []
        threads = [threading.Thread(target=lambda: results.append(STACK(["x", "yyy"]))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [EXPECTED] * 4

    def test_synchronous_members_stay_in_the_calling_thread(self) -> None:
        seen: list[threading.Thread] = []

        def where(completions: Any, **kwargs: Any) -> list[float]:
            seen.append(threading.current_thread())
            return [0.0] * len(completions)

        combine(later, where)(["x"])
        assert seen == [threading.current_thread()]


class TestConcurrency:
    def test_members_of_one_level_wait_together(self) -> None:
        waiting: list[int] = []
        most: list[int] = []

        async def wait(completions: Any, **kwargs: Any) -> list[float]:
            waiting.append(1)
            await asyncio.sleep(0.01)
            most.append(len(waiting))
            waiting.pop()
            return [1.0] * len(completions)

        from rewardkit import Function

        members = [Function(function=wait, name=f"w{i}") for i in range(5)]
        assert combine(*members)(["x"]) == [5.0]
        assert max(most) == 5

    def test_requests_are_sent_before_this_thread_computes(self) -> None:
        order: list[str] = []

        async def asks(completions: Any, **kwargs: Any) -> list[float]:
            order.append("sent")
            await asyncio.sleep(0.01)
            order.append("received")
            return [0.0] * len(completions)

        def computes(completions: Any, **kwargs: Any) -> list[float]:
            order.append("computed")
            return [0.0] * len(completions)

        combine(computes, asks)(["x"])
        assert order == ["sent", "computed", "received"]

    def test_a_failure_ends_the_others(self) -> None:
        ended: list[str] = []

        async def long(completions: Any, **kwargs: Any) -> list[float]:
            try:
                await asyncio.sleep(30)
            finally:
                ended.append("cancelled")
            return []

        def fails(completions: Any, **kwargs: Any) -> list[float]:
            raise OSError("broken")

        with pytest.raises(OSError, match="broken"):
            combine(long, fails)(["x"])
        assert ended == ["cancelled"]


class TestAsyncReward:
    def test_is_called_like_any_other(self) -> None:
        class Slow(AsyncReward):
            async def outcomes_async(self, batch: Batch) -> list[Outcome]:
                await asyncio.sleep(0)
                return [Outcome(float(len(text)), "scored") for text in batch.texts]

        assert Slow()(["xx"]) == [2.0]
        assert max_of(Slow(), fixed("a", 1.0)).clip(0, 1.5)(["xx"]) == [1.5]
        assert list(Slow().outcomes(Batch.of(["xx"], {}))) == [Outcome(2.0, "scored")]


class TestRun:
    def test_a_reward_that_stands_twice_is_scored_once_per_batch(self) -> None:
        seen: list[tuple[str, ...]] = []
        twice = Counting(seen=seen)
        combine(2.0 * twice, max_of(twice, fixed("a", 5.0)), twice.gate(twice).named("gated"))(["x"])
        assert seen == [("x",)]

    def test_another_call_scores_again(self) -> None:
        seen: list[tuple[str, ...]] = []
        stack = combine(Counting(seen=seen))
        stack(["x"])
        stack(["x"])
        assert len(seen) == 2

    def test_coroutines_that_stand_twice_are_awaited_once(self) -> None:
        calls: list[int] = []

        async def counts(completions: Any, **kwargs: Any) -> list[float]:
            calls.append(1)
            await asyncio.sleep(0.001)
            return [1.0] * len(completions)

        from rewardkit import Function

        once = Function(function=counts)
        assert combine(once, max_of(once, fixed("a", 0.0)))(["x"]) == [2.0]
        assert calls == [1]

    def test_every_component_has_its_time_and_the_whole_has_more(self) -> None:
        report = combine(length, boxed_accuracy).explain(["x" * 10] * 50, answer="1")
        times = report.milliseconds
        assert set(times) == {"", "length", "boxed_accuracy"}
        assert times[""] >= times["length"] + times["boxed_accuracy"] > 0
        assert report[0]["length"].milliseconds == times["length"]
