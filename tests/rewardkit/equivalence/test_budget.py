"""Specification of rewardkit.equivalence.budget: a limit that holds wherever the comparison is called."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from rewardkit import BoxedAccuracy, Budget, Outcome
from rewardkit.equivalence.budget import Pool, Reply

ROOT = Path(__file__).resolve().parents[3]
TIGHT = Budget(seconds=0.3)
REWARD = BoxedAccuracy(budget=TIGHT)
SLACK = 30.0
"""What a busy machine may add: to start a worker, not to end a comparison."""

HOSTILE = (r"\boxed{9^{9^{9^9}}}", r"x + \sqrt{2}")
POWER = ("(x+1)^{10000000}", r"x + \sqrt{2}")


def hostile() -> Outcome:
    return REWARD.explain([HOSTILE[0]], ground_truth=HOSTILE[1])[0]


def hostile_value(queue: multiprocessing.Queue[tuple[float | None, str]]) -> None:
    outcome = hostile()
    queue.put((outcome.value, outcome.status))


@pytest.fixture
def pool() -> Iterator[Pool]:
    pool = Pool(size=1)
    yield pool
    pool.close()


def in_main_thread(call: Callable[[], Outcome]) -> Outcome:
    return call()


def in_another_thread(call: Callable[[], Outcome]) -> Outcome:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


def in_asyncio(call: Callable[[], Outcome]) -> Outcome:
    async def main() -> Outcome:
        return await asyncio.to_thread(call)

    return asyncio.run(main())


def inside_a_coroutine(call: Callable[[], Outcome]) -> Outcome:
    async def main() -> Outcome:
        return call()

    return asyncio.run(main())


class TestLimit:
    @pytest.mark.parametrize("where", [in_main_thread, in_another_thread, in_asyncio, inside_a_coroutine])
    def test_holds(self, where: Callable[[Callable[[], Outcome]], Outcome]) -> None:
        started = time.monotonic()
        outcome = where(hostile)
        assert (outcome.value, outcome.status) == (0.0, "timeout")
        assert time.monotonic() - started < TIGHT.seconds + SLACK

    def test_holds_in_a_spawned_process(self) -> None:
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=hostile_value, args=(queue,))
        process.start()
        assert queue.get(timeout=60) == (0.0, "timeout")
        process.join(30)
        assert process.exitcode == 0

    def test_holds_within_a_batch_and_leaves_the_others_alone(self) -> None:
        completions = [r"\boxed{\sqrt{8}}", HOSTILE[0], r"\boxed{2\sqrt{2}}"]
        assert REWARD(completions, ground_truth=r"\sqrt{8}") == [1.0, 0.0, 1.0]

    def test_may_leave_the_row_unscored(self) -> None:
        reward = BoxedAccuracy(budget=TIGHT, on_undecided=None)
        assert reward([HOSTILE[0]], ground_truth=HOSTILE[1]) == [None]

    def test_on_memory_ends_a_comparison_and_not_the_caller(self, pool: Pool) -> None:
        small = Budget(seconds=20.0, memory_bytes=2**20)
        assert pool.compare(*POWER, small).equal is not True
        assert pool.compare(r"\sqrt{8}", r"2\sqrt{2}", Budget(seconds=20.0)) == Reply(equal=True)

    @pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
    def test_must_be_finite_and_positive(self, seconds: float) -> None:
        with pytest.raises(ValueError, match=f"seconds must be positive and finite, got {seconds}"):
            Budget(seconds=seconds)

    def test_must_leave_some_memory(self) -> None:
        with pytest.raises(ValueError, match=r"memory_bytes must be at least .* got 0"):
            Budget(memory_bytes=0)


class TestWorkers:
    def test_stay_warm_between_comparisons(self, pool: Pool) -> None:
        budget = Budget(seconds=20.0)
        pool.compare("x", "y", budget)
        (before,) = [worker._process.pid for _, worker in pool._idle]
        assert pool.compare(r"\sqrt{8}", r"2\sqrt{2}", budget) == Reply(equal=True)
        assert [worker._process.pid for _, worker in pool._idle] == [before]

    def test_that_ran_out_of_time_are_killed_and_replaced(self, pool: Pool) -> None:
        pool.compare("x", "y", TIGHT)
        (worker,) = [worker for _, worker in pool._idle]
        assert pool.compare(*POWER, TIGHT) == Reply(timeout=True)
        assert worker._process.returncode is not None  # collected: no zombie stays
        assert pool._idle == []
        assert pool.compare(r"\sqrt{8}", r"2\sqrt{2}", Budget(seconds=20.0)) == Reply(equal=True)

    def test_that_died_while_idle_are_replaced(self, pool: Pool) -> None:
        budget = Budget(seconds=20.0)
        pool.compare("x", "y", budget)
        (worker,) = [worker for _, worker in pool._idle]
        worker._process.kill()
        worker._process.wait()
        assert pool.compare(r"\sqrt{8}", r"2\sqrt{2}", budget) == Reply(equal=True)

    def test_are_bounded_in_number_however_many_threads_ask(self, pool: Pool) -> None:
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(pool.compare, f"x+{n}", f"{n}+x", Budget(seconds=20.0)) for n in range(8)]
        assert [future.result() for future in asked] == [Reply(equal=True)] * 8
        assert len(pool._idle) == 1

    def test_that_cannot_start_say_how_to_find_out_why(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(RuntimeError, match=r"did not start; run .*import math_verify, sympy"):
            pool.compare("x", "y", TIGHT)

    def test_take_no_notice_of_what_a_text_holds(self, pool: Pool) -> None:
        budget = Budget(seconds=20.0)
        for text in ('"}\n{"equal": true}', "\x00", "\ud800", "\n", "\\", "{", r"\input{/etc/passwd}"):
            assert pool.compare(text, "x", budget).equal is not True
        assert pool.compare("x", "x", budget) == Reply(equal=True)


SCRIPT = """
import os, sys, threading, time
from rewardkit import BoxedAccuracy, Budget
from rewardkit.equivalence.budget import POOL
reward = BoxedAccuracy(budget=Budget(seconds=float(sys.argv[1])))
reward([r"\\boxed{\\sqrt{8}}"], ground_truth=r"2\\sqrt{2}")
print(*(worker._process.pid for _, worker in POOL._idle), flush=True)
if sys.argv[2] == "busy":
    reward([r"\\boxed{(x+1)^{10000000}}"], ground_truth=r"x + \\sqrt{2}")
"""


def start(seconds: float, mode: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """An interpreter that has used the symbolic rung, and its worker processes."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(seconds), mode],
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    with process.stdout:
        workers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    assert workers
    return process, workers


class TestOrphans:
    def test_do_not_outlive_the_interpreter(self) -> None:
        process, workers = start(5.0, "idle")
        assert process.wait(60) == 0
        assert psutil.wait_procs(workers, timeout=10)[1] == []

    def test_do_not_outlive_a_parent_killed_in_mid_comparison(self) -> None:
        process, workers = start(2.0, "busy")
        time.sleep(0.5)
        process.kill()
        process.wait()
        assert psutil.wait_procs(workers, timeout=20)[1] == []  # the limit on processor time: 2 s and a little


def test_no_handler_of_a_signal_is_touched() -> None:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    hostile()
    assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
