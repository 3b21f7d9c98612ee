"""Specification of rewardkit.driving: trees with coroutines in them, times, what is computed once."""

from __future__ import annotations

import asyncio
import gc
import inspect
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pytest

from rewardkit import AsyncReward, Batch, Function, Outcome, Reward, boxed_accuracy, combine, max_of, strict_format
from rewardkit.driving import at_once
from tests.rewardkit.rewards_for_tests import Counting, always, fixed, later, length, patient

STACK = combine(later, fixed("a", 1.0, 2.0), patient, weights=[1.0, 2.0, 0.5])
EXPECTED = [1 + 2 * 1.0 + 0.5 * 1, 3 + 2 * 2.0 + 0.5 * 3]

USER: ContextVar[str] = ContextVar("USER", default="nobody")

INTERRUPTED_CELL = """
import asyncio, signal
from rewardkit import reward

@reward
async def long(completion):
    signal.raise_signal(signal.SIGINT)
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        print("cancelled", flush=True)
        raise

async def cell():
    return long(["x"])

try:
    {run}(cell())
except KeyboardInterrupt:
    print("interrupted")
"""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Own(Reward):
    """Gives 1.0 after `compute` was called; it may run in a thread, as the rewards of the package do."""

    compute: Callable[[], object]

    @property
    def thread_safe(self) -> bool:
        return True

    def outcomes(self, batch: Batch) -> list[Outcome]:
        self.compute()
        return [Outcome(1.0, "scored")] * len(batch)


async def some_turns() -> None:
    """Wait for long enough that all others get to what they wait for."""
    for _ in range(100):
        await asyncio.sleep(0)


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

    def test_inside_a_running_loop_has_the_context_variables_of_the_caller(self) -> None:
        seen: list[str] = []

        async def asks(completions: Any, **kwargs: Any) -> list[float]:
            seen.append(USER.get())
            return [0.0] * len(completions)

        async def notebook() -> None:
            USER.set("me")
            combine(asks)(["x"])

        asyncio.run(notebook())
        assert seen == ["me"]

    @pytest.mark.parametrize("run", ["asyncio.run", "asyncio.new_event_loop().run_until_complete"])
    def test_inside_a_running_loop_is_ended_by_an_interrupt(self, run: str) -> None:
        command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", INTERRUPTED_CELL.format(run=run)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert (ended.stdout.split(), ended.stderr) == (["cancelled", "interrupted"], "")

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

    def test_rewards_of_the_package_compute_while_this_thread_computes(self) -> None:
        begun = threading.Event()

        def computes(completions: Any, **kwargs: Any) -> list[float]:
            assert begun.wait(10)
            return [2.0] * len(completions)

        assert combine(later, computes, Own(compute=begun.set))(["x"]) == [1 + 2.0 + 1.0]

    @pytest.mark.parametrize("failure", [OSError("broken"), KeyboardInterrupt("broken")])
    def test_a_failure_ends_the_others(self, failure: BaseException) -> None:
        ended: list[str] = []

        async def long(completions: Any, **kwargs: Any) -> list[float]:
            try:
                await asyncio.sleep(30)
            finally:
                ended.append("cancelled")
            return []

        def fails(completions: Any, **kwargs: Any) -> list[float]:
            raise failure

        with pytest.raises(type(failure), match="broken"):
            combine(long, fails)(["x"])
        assert ended == ["cancelled"]

    def test_a_cancelled_call_leaves_no_task_and_no_thread_that_computes(self) -> None:
        computing, cancelled, returned = threading.Event(), threading.Event(), threading.Event()
        computed: list[str] = []

        async def long(completions: Any, **kwargs: Any) -> list[float]:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return []

        def compute() -> None:
            computing.set()
            assert cancelled.wait(10)
            computed.append("first, too late" if returned.wait(0.3) else "first")

        first, second = Own(compute=compute, name="first"), Own(compute=lambda: computed.append("second"))
        stack = combine(combine(long, first, second, name="a"), combine(long, first, name="b"))

        async def trainer() -> None:
            call = asyncio.ensure_future(stack.aio(["x"]))
            await asyncio.to_thread(computing.wait)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            returned.set()
            assert asyncio.all_tasks() == {asyncio.current_task()}

        asyncio.run(trainer())
        assert computed == ["first"]


class TestAsyncReward:
    def test_is_called_like_any_other(self) -> None:
        class Slow(AsyncReward):
            async def outcomes_async(self, batch: Batch) -> list[Outcome]:
                await asyncio.sleep(0)
                return [Outcome(float(len(text)), "scored") for text in batch.texts]

        assert Slow()(["xx"]) == [2.0]
        assert max_of(Slow(), fixed("a", 1.0)).clip(0, 1.5)(["xx"]) == [1.5]
        assert list(Slow().outcomes(Batch.of(["xx"], {}))) == [Outcome(2.0, "scored")]


class TestSharedMembers:
    def test_outlive_a_branch_that_failed(self) -> None:
        begun = asyncio.Event()

        async def shared(completions: Any, **kwargs: Any) -> list[float]:
            begun.set()
            await some_turns()
            return [1.0] * len(completions)

        async def fails(completions: Any, **kwargs: Any) -> list[float]:
            await begun.wait()
            raise OSError("down")

        branch = combine(fails, shared, name="fails while it is shared").on_error("none")
        with pytest.warns(RuntimeWarning, match="down"):
            assert (branch + combine(shared, fixed("a", 2.0), name="other"))(["x"]) == [1.0 + 2.0]

    def test_that_fail_when_they_are_ended_are_not_reported_as_forgotten(self) -> None:
        forgotten: list[Any] = []

        async def fails(completions: Any, **kwargs: Any) -> list[float]:
            await asyncio.sleep(0)
            raise OSError("down")

        async def cannot_end(completions: Any, **kwargs: Any) -> list[float]:
            try:
                await asyncio.Event().wait()
            finally:
                raise OSError("down, too")

        async def trainer() -> list[float | None]:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: forgotten.append(context))
            branch = combine(fails, cannot_end, name="fails twice").on_error("none")
            with pytest.warns(RuntimeWarning, match="down"):
                values = await (branch + later).aio(["x"])
            await some_turns()
            gc.collect()
            return values

        assert asyncio.run(trainer()) == [1.0]
        assert forgotten == []

    @pytest.mark.parametrize("other", [later, length], ids=["two threads", "a thread and the caller's"])
    def test_of_the_package_are_computed_once_whatever_the_thread(self, other: Any) -> None:
        together = threading.Barrier(2)
        calls: list[int] = []

        def compute() -> None:
            calls.append(1)
            with suppress(threading.BrokenBarrierError):
                together.wait(0.3)  # for another computation, which must not come

        own = Own(compute=compute)
        stack = combine(always, own, combine(other, own, name="in a branch"), patient)
        assert stack(["xx"]) == [2 + 1.0 + (2 + 1.0) + 2]
        assert calls == [1]

    def test_that_fail_do_so_in_every_branch_after_one_attempt(self) -> None:
        calls: list[int] = []

        def compute() -> None:
            calls.append(1)
            raise OSError("no disk")

        own = Own(compute=compute)
        one, other = combine(later, own, name="fails here"), combine(patient, own, name="fails there")
        with pytest.warns(RuntimeWarning, match="no disk"):
            assert combine(one.on_error("none"), other.on_error("none"), length)(["xxx"]) == [3.0]
        assert calls == [1]


class TestAtOnce:
    def test_gives_the_result_of_a_coroutine_that_never_waits(self) -> None:
        assert at_once(Own(compute=int).outcomes_async(Batch.of(["x"], {}))) == [Outcome(1.0, "scored")]

    def test_refuses_one_that_waits(self) -> None:
        with pytest.raises(RuntimeError, match="waited; only an event loop can run it"):
            at_once(some_turns())


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

        once = Function(function=counts)
        assert combine(once, max_of(once, fixed("a", 0.0)))(["x"]) == [2.0]
        assert calls == [1]

    def test_every_component_has_its_time_and_the_whole_has_more(self) -> None:
        report = combine(length, boxed_accuracy).explain(["x" * 10] * 50, answer="1")
        times = report.milliseconds
        assert set(times) == {"", "length", "boxed_accuracy"}
        assert times[""] >= times["length"] + times["boxed_accuracy"] > 0
        assert report[0]["length"].milliseconds == times["length"]
