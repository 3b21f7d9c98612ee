r"""Specification of rewardkit.equivalence.budget: a limit that holds wherever the comparison is called.

``\prod_{k=1}^{10^9} k`` has a value, and sympy would compute it for hours.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import psutil
import pytest

from rewardkit import BoxedAccuracy, Budget, Outcome
from rewardkit.equivalence.budget import Pool, Reply, Request
from rewardkit.equivalence.ladder import compare, compare_all
from rewardkit.line_process import LineProcess

ROOT = Path(__file__).resolve().parents[3]
TIGHT, AMPLE = Budget(seconds=0.3), Budget(seconds=20.0)
SMALL = Budget(seconds=20.0, memory_bytes=2**20)
REWARD = BoxedAccuracy(budget=TIGHT)
SLACK = 30.0
"""What a busy machine may add: to start a worker, not to end a comparison."""

GREEDY = (r"\lim_{x\to 0} (x + 2^{10^{10}})", "42")
ENDLESS = (r"\prod_{k=1}^{10^{9}} k", "42")
RIGHT = (r"\int_0^1 x^2 dx", r"\frac{1}{3}")
WRONG = (r"\int_0^2 e^{-x^2} dx", r"\int_0^1 e^{-x^2} dx")


def request(pair: tuple[str, str]) -> Request:
    return Request(*pair)


def endless() -> Outcome:
    return REWARD.explain([rf"\boxed{{{ENDLESS[0]}}}"], ground_truth=ENDLESS[1])[0]


def equal_and_pids(pool: Pool, pair: tuple[str, str], budget: Budget) -> tuple[bool | None, list[int]]:
    return pool.compare(request(pair), budget).equal, pids(pool)


def pids(pool: Pool) -> list[int]:
    return [worker.pid for _, worker in pool._idle]


def worker_processes(parent: psutil.Process | None = None) -> list[psutil.Process]:
    found = []
    for child in (parent or psutil.Process()).children():
        try:
            if child.status() == psutil.STATUS_ZOMBIE or "rewardkit.equivalence.worker" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    """One worker at a time, warm or not, whatever the tests before have done to it."""
    pool = Pool(size=1)
    yield pool
    pool.close()


@pytest.fixture
def pair_of_workers() -> Iterator[Pool]:
    pool = Pool(size=2)
    yield pool
    pool.close()


def python(script: str, *arguments: str) -> subprocess.Popen[str]:
    """An interpreter of its own, far from this repository's directory."""
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def printed(script: str, *arguments: str) -> list[str]:
    """The lines that a script prints; it must end well."""
    process = python(script, *arguments)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return output.splitlines()


def in_main_thread(call: Callable[[], Outcome]) -> Outcome:
    return call()


def in_another_thread(call: Callable[[], Outcome]) -> Outcome:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


def in_a_thread_of_asyncio(call: Callable[[], Outcome]) -> Outcome:
    async def main() -> Outcome:
        return await asyncio.to_thread(call)

    return asyncio.run(main())


def inside_a_coroutine(call: Callable[[], Outcome]) -> Outcome:
    async def main() -> Outcome:
        return call()

    return asyncio.run(main())


IMPORTS = rf"""
import asyncio, multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from rewardkit import BoxedAccuracy, Budget
from rewardkit.equivalence.budget import POOL
from rewardkit.equivalence.ladder import compare
ENDLESS, RIGHT, WRONG = {ENDLESS!r}, {RIGHT!r}, {WRONG!r}
reward = BoxedAccuracy(budget=Budget(seconds=0.3))
completion = "\\boxed{{" + ENDLESS[0] + "}}"
def pids():
    return [worker.pid for _, worker in POOL._idle]
"""

IN_A_CHILD = """
assert compare(*RIGHT).equal
before = pids()
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(sys.argv[1])) as processes:
    (outcome,) = processes.submit(reward.explain, [completion], ground_truth=ENDLESS[1]).result()
print(outcome.value, outcome.status, pids() == before)
"""

IN_A_NOTEBOOK = """
def alarm(*_):
    raise SystemExit("the user's alarm went off")
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 300)
async def cell():
    ticks = asyncio.create_task(asyncio.sleep(0))
    (outcome,) = reward.explain([completion], ground_truth=ENDLESS[1])
    await ticks
    print(outcome.value, outcome.status)
async def kernel():
    await cell()
    loop = threading.Thread(target=lambda: asyncio.run(cell()))
    loop.start()
    await asyncio.to_thread(loop.join)
asyncio.run(kernel())
print(signal.getsignal(signal.SIGALRM) is alarm, signal.getitimer(signal.ITIMER_REAL)[0] > 0)
"""


class TestLimit:
    @pytest.mark.parametrize("where", [in_main_thread, in_another_thread, in_a_thread_of_asyncio, inside_a_coroutine])
    def test_holds_without_a_signal(self, where: Callable[[Callable[[], Outcome]], Outcome]) -> None:
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        started = time.monotonic()
        outcome = where(endless)
        assert TIGHT.seconds <= time.monotonic() - started < TIGHT.seconds + SLACK
        assert (outcome.value, outcome.status) == (0.0, "timeout")
        assert {number: signal.getsignal(number) for number in signal.valid_signals()} == handlers

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_holds_in_a_child_of_a_process_whose_workers_it_leaves_alone(self, method: str) -> None:
        script = IMPORTS + 'if __name__ == "__main__":' + IN_A_CHILD.replace("\n", "\n    ")
        assert printed(script, method) == ["0.0 timeout True"]

    def test_holds_in_a_notebook_whose_loop_runs_and_whose_alarm_is_the_users(self) -> None:
        assert printed(IMPORTS + IN_A_NOTEBOOK) == ["0.0 timeout", "0.0 timeout", "True True"]

    @pytest.mark.skipif(importlib.util.find_spec("xdist") is None, reason="pytest-xdist is not installed")
    def test_holds_under_pytest_xdist(self, tmp_path: Path) -> None:
        body = "".join(
            f"\ndef test_{n}():\n    assert reward.explain([completion], ground_truth='{n}')[0].status == 'timeout'\n"
            for n in range(2)
        )
        (tmp_path / "test_there.py").write_text(IMPORTS + body)
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", str(tmp_path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stdout
        assert "2 passed" in ended.stdout

    def test_may_leave_the_row_unscored(self) -> None:
        reward = BoxedAccuracy(budget=TIGHT, on_undecided=None)
        assert reward([rf"\boxed{{{ENDLESS[0]}}}"], ground_truth=ENDLESS[1]) == [None]

    @pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
    def test_must_be_finite_and_positive(self, seconds: float) -> None:
        with pytest.raises(ValueError, match=f"seconds must be positive and finite, got {seconds}"):
            Budget(seconds=seconds)

    def test_must_leave_some_memory(self) -> None:
        with pytest.raises(ValueError, match=r"memory_bytes must be at least .* got 0"):
            Budget(memory_bytes=0)


class TestMemory:
    def test_beyond_the_limit_is_an_error_of_one_comparison(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rewardkit.equivalence.ladder.POOL", pool)
        verdict = compare(*GREEDY, SMALL)
        assert (verdict.equal, verdict.rung) == (None, "error")
        assert verdict.detail.startswith("MemoryError: ")
        assert compare(*RIGHT, SMALL).equal is True  # by a worker that has its memory to itself


class TestWorkers:
    def test_stay_warm_between_comparisons(self, pool: Pool) -> None:
        equal, before = equal_and_pids(pool, RIGHT, AMPLE)
        assert equal is True
        assert equal_and_pids(pool, WRONG, AMPLE) == (False, before)

    def test_of_another_budget_are_replaced(self, pool: Pool) -> None:
        _, before = equal_and_pids(pool, RIGHT, AMPLE)
        equal, after = equal_and_pids(pool, RIGHT, Budget(seconds=19.0))
        assert (equal, len(after), before == after) == (True, 1, False)

    def test_that_ran_out_of_time_are_killed_and_replaced(self, pool: Pool) -> None:
        _, (before,) = equal_and_pids(pool, RIGHT, TIGHT)
        assert pool.compare(request(ENDLESS), TIGHT) == Reply(timeout=True)
        assert not psutil.pid_exists(before)  # collected: no zombie stays
        assert pids(pool) == []
        assert pool.compare(request(RIGHT), AMPLE).equal is True

    def test_that_died_while_idle_are_replaced(self, pool: Pool) -> None:
        _, (before,) = equal_and_pids(pool, RIGHT, AMPLE)
        os.kill(before, signal.SIGKILL)
        until(lambda: psutil.Process(before).status() == psutil.STATUS_ZOMBIE)
        assert pool.compare(request(RIGHT), AMPLE).equal is True
        assert not psutil.pid_exists(before)

    def test_that_are_killed_in_a_batch_cost_no_other_result(self, pair_of_workers: Pool) -> None:
        pool, pairs = pair_of_workers, [RIGHT, WRONG, ENDLESS, WRONG, RIGHT]
        before = {process.pid for process in worker_processes()}
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(pool.compare_all, [request(pair) for pair in pairs], AMPLE)
            idle = 0
            while idle < 5:  # the one that is never idle has the endless request
                time.sleep(0.1)
                idle = idle + 1 if len(pids(pool)) == 1 else 0
                assert not asked.done()
            (busy,) = {process.pid for process in worker_processes()} - before - set(pids(pool))
            os.kill(busy, signal.SIGKILL)
            replies = asked.result(60)
        assert [reply.equal for reply in replies] == [True, False, None, False, True]
        assert replies[2].error == "the worker ended (out of memory or of processor time)"

    def test_that_time_out_in_a_batch_cost_no_other_result(self) -> None:
        pairs = [("1/2", "0.5"), RIGHT, ENDLESS, WRONG, ("1", "2")]
        assert [verdict.equal for verdict in compare_all(pairs, Budget())] == [
            True, True, None, False, False,
        ]  # fmt: skip

    def test_that_were_interrupted_in_mid_comparison_do_not_answer_the_next(
        self, pool: Pool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert pool.compare(request(RIGHT), AMPLE).equal is True
        with monkeypatch.context() as patch:
            patch.setattr(LineProcess, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pool.compare(request(RIGHT), AMPLE)
        assert pids(pool) == []
        assert pool.compare(request(WRONG), AMPLE).equal is False

    def test_can_be_fewer_from_now_on(self, pair_of_workers: Pool) -> None:
        pair_of_workers.compare_all([request(RIGHT), request(WRONG)], AMPLE)
        pair_of_workers.resize(1)
        assert pids(pair_of_workers) == []
        replies = pair_of_workers.compare_all([request(RIGHT), request(WRONG)], AMPLE)
        assert [reply.equal for reply in replies] == [True, False]
        assert len(pids(pair_of_workers)) == 1

    def test_are_bounded_in_number_however_many_threads_ask(self, pool: Pool) -> None:
        others = len(worker_processes()) - len(pids(pool))
        with ThreadPoolExecutor(4) as threads:
            asked = [threads.submit(pool.compare, Request(rf"\int_0^1 {n} x dx", f"{n}/2"), AMPLE) for n in range(1, 9)]
            most = 0
            while not all(future.done() for future in asked):
                most = max(most, len(worker_processes()) - others)
                time.sleep(0.02)
        assert [future.result().equal for future in asked] == [True] * 8
        assert (most, len(pids(pool))) == (1, 1)

    def test_leave_nothing_behind_after_twenty_timeouts_in_a_row(self, pair_of_workers: Pool) -> None:
        before = {process.pid for process in worker_processes()}
        replies = pair_of_workers.compare_all([request(ENDLESS)] * 20, Budget(seconds=0.05))
        assert replies == [Reply(timeout=True)] * 20
        left = [process for process in worker_processes() if process.pid not in before]
        assert [process for process in left if process.status() == psutil.STATUS_ZOMBIE] == []
        assert len(left) <= pair_of_workers.size

    def test_that_cannot_start_say_how_to_find_out_why(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "executable", "/bin/false")
        with pytest.raises(RuntimeError, match=r"did not start; run .*import sympy"):
            pool.compare(request(RIGHT), TIGHT)

    def test_compare_within_the_tolerance_of_the_request(self, pool: Pool) -> None:
        close = r"\int_0^1 x^2 dx + 10^{-6}"
        assert pool.compare(Request(close, "1/3"), AMPLE).equal is False
        assert pool.compare(Request(r"\frac{333}{1000}", "1/3", Fraction(1, 1000)), AMPLE).equal is True

    def test_take_no_notice_of_what_a_text_holds(self, pool: Pool) -> None:
        for text in ('"}\n{"equal": true}', "\x00", "\ud800", "\n", "\\", "{", r"\input{/etc/passwd}", "😀" * 5_000):
            assert pool.compare(Request(text, "x"), AMPLE).equal is False
        assert pool.compare(request(RIGHT), AMPLE).equal is True


def start(mode: str, seconds: str) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """An interpreter that has used the symbolic rung, and its worker processes."""
    process = python(
        IMPORTS
        + "assert compare(*RIGHT, Budget(seconds=float(sys.argv[2]))).equal\nprint(*pids(), flush=True)\n"
        + "if sys.argv[1] == 'busy': compare(*ENDLESS, Budget(seconds=float(sys.argv[2])))\n"
        + "if sys.argv[1] == 'idle': time.sleep(600)\n",
        mode,
        seconds,
    )
    assert process.stdout is not None
    with process.stdout:
        workers = [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]
    assert workers
    return process, workers


class TestOrphans:
    def test_do_not_outlive_the_interpreter(self) -> None:
        process, workers = start("ends", "5")
        assert process.wait(60) == 0
        assert psutil.wait_procs(workers, timeout=10)[1] == []

    def test_do_not_outlive_a_parent_that_is_killed(self) -> None:
        process, workers = start("idle", "5")
        process.kill()
        process.wait()
        assert psutil.wait_procs(workers, timeout=10)[1] == []  # at the end of their input

    def test_do_not_outlive_a_parent_that_is_killed_in_mid_comparison(self) -> None:
        process, workers = start("busy", "1")
        until(lambda: workers[0].cpu_times().user > 0 and workers[0].status() == psutil.STATUS_RUNNING)
        process.kill()
        process.wait()
        assert psutil.wait_procs(workers, timeout=20)[1] == []  # the limit on processor time: 1 s and a little


class TestThreads:
    def test_that_call_at_once_get_their_own_results(self) -> None:
        cases = [
            (r"\frac{2}{4}", "0.5", 1.0), (r"\sqrt{8}", r"2\sqrt{2}", 1.0), ("(1, 2]", "[1, 2]", 0.0),
            (r"\sin^2 x + \cos^2 x", "1", 1.0), (*RIGHT, 1.0), (*WRONG, 0.0), ("blue", "Blue", 1.0),
            (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", r"\frac{\pi^2}{6}", 1.0), ("(x+1)^{10^9}", "x", 0.0),
        ]  # fmt: skip
        reward = BoxedAccuracy(budget=AMPLE)

        def scores(shift: int) -> list[float | None]:
            if not shift:
                assert endless().status == "timeout"
            mine = cases[shift:] + cases[:shift]
            got = reward([rf"\boxed{{{a}}}" for a, _, _ in mine], ground_truth=[t for _, t, _ in mine])
            return got[-shift:] + got[:-shift] if shift else got

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(scores, range(8))) == [[value for *_, value in cases]] * 8


FORKED = """
compare(*RIGHT)
before = pids()
reading, writing = os.pipe()
child = os.fork()
if not child:
    assert pids() == []
    told = f"{compare(*WRONG, Budget(seconds=9)).equal} {compare(*RIGHT, Budget(seconds=9)).equal} {pids() != before}"
    os.write(writing, told.encode())
    os._exit(0)
equal = compare(*WRONG).equal
assert os.waitpid(child, 0)[1] == 0
print(os.read(reading, 100).decode())
print(equal, pids() == before)
"""


class TestFork:
    def test_of_a_process_with_workers_gets_its_own_and_the_parent_keeps_its_own(self) -> None:
        assert printed(IMPORTS + FORKED) == ["False True True", "False True"]


WITHOUT_PROCESS = r"""
import json, sys
import psutil
before = set(sys.modules)
import rewardkit
loaded = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
from rewardkit import boxed_accuracy
pairs = [("1/2", "0.5"), (r"\sqrt8", r"2\sqrt2"), (r"\sin^2 x + \cos^2 x", "1"), ("(1,2]", "[1,2]"), ("blue", "Blue"),
         (r"\{1,2\}", r"\{2,1\}"), ("x<3", "3>x"), ("5 cm", "50 mm"), (r"\begin{pmatrix}1\end{pmatrix}", "7"),
         ("9^{9^{9^9}}", "1"), ("\\" * 500, "1"), (r"\ln 4", r"2\ln 2"), (r"\Gamma(x+1)", r"x \Gamma(x)")]
scores = boxed_accuracy([rf"\boxed{{{a}}}" for a, _ in pairs], ground_truth=[t for _, t in pairs])
print(json.dumps([loaded, scores, "sympy" in sys.modules, len(psutil.Process().children(recursive=True))]))
"""


class TestNothing:
    def test_heavy_is_imported_with_rewardkit_and_no_process_started_without_a_symbolic_comparison(self) -> None:
        (line,) = printed(WITHOUT_PROCESS)
        loaded, scores, sympy_is_there, processes = json.loads(line)
        assert not {"torch", "sympy", "mpmath", "regex", "math_verify", "latex2sympy2_extended", "numpy"} & {*loaded}
        assert scores == [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0]
        assert (sympy_is_there, processes) == (False, 0)
