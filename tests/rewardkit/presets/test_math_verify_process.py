"""Specification of presets.math_verify_process: the same verdicts in every thread, and every comparison ends."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rewardkit import line_process
from rewardkit.line_process import LineProcess
from rewardkit.presets import math_verify_process, open_r1_accuracy, trl_accuracy
from rewardkit.presets.math_verify_process import MATH_VERIFY, MathVerify, Verdict

pytestmark = pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs math-verify")

TOWER = r"\boxed{9^{9^{9^{9}}}}"
COMPLETIONS = [r"\boxed{18}", r"\boxed{7}", r"\boxed{\frac{36}{2}}", "18", ""]
VALUES = [1.0, 0.0, 1.0, 0.0, 0.0]


@pytest.fixture
def own() -> Iterator[MathVerify]:
    """A process for one test."""
    process = MathVerify()
    yield process
    process.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is started already, and little time for each comparison from here on."""
    trl_accuracy(COMPLETIONS, solution="18")
    monkeypatch.setattr(math_verify_process, "COMPARISON_SECONDS", 0.5)


def in_a_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(call).result()


async def in_a_loop(call: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(call)


class TestSameEverywhere:
    def test_in_the_main_thread_in_another_and_in_a_loop(self) -> None:
        def call() -> list[float | None]:
            return trl_accuracy(COMPLETIONS, solution="18")

        assert threading.current_thread() is threading.main_thread()
        assert call() == in_a_thread(call) == asyncio.run(in_a_loop(call)) == VALUES

    def test_in_many_threads_at_once(self) -> None:
        with ThreadPoolExecutor(8) as threads:
            calls = [
                threads.submit(reward, COMPLETIONS, solution="18") for reward in (trl_accuracy, open_r1_accuracy) * 8
            ]
            assert [call.result() for call in calls] == [VALUES] * 16

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # newer Pythons warn where the runner has threads
    def test_in_a_forked_child(self) -> None:
        trl_accuracy(COMPLETIONS, solution="18")
        reading, writing = os.pipe()
        child = os.fork()
        if not child:  # it must start a process of its own, not speak into its parent's pipes
            code = 1
            try:
                code = 0 if trl_accuracy(COMPLETIONS, solution="18") == VALUES else 2
                MATH_VERIFY.close()
            finally:
                os._exit(code)
        os.close(reading)
        os.close(writing)
        assert os.waitpid(child, 0)[1] == 0
        assert trl_accuracy(COMPLETIONS, solution="18") == VALUES


@pytest.mark.usefixtures("impatient")
class TestEnds:
    def test_what_does_not_end_is_worth_nothing_and_says_so(self) -> None:
        report = trl_accuracy.explain([TOWER, r"\boxed{18}"], solution="18")
        assert [row.outcome.value for row in report] == [0.0, 1.0]
        assert report[0].outcome.status == "timeout"
        assert "took longer than 0.5 s" in report[0].outcome.detail

    def test_in_another_thread_too(self) -> None:
        assert in_a_thread(lambda: trl_accuracy([TOWER, r"\boxed{18}"], solution="18")) == [0.0, 1.0]

    def test_of_open_r1_too(self) -> None:
        assert open_r1_accuracy([TOWER, r"\boxed{18}"], solution="18") == [0.0, 1.0]

    @pytest.mark.parametrize("text", [r"\boxed{" * 140_000, r"\boxed{1}" * 100_000], ids=["open", "many"])
    def test_on_a_million_characters(self, text: str) -> None:
        assert trl_accuracy([text, r"\boxed{18}"], solution="18") == [0.0, 1.0]


@pytest.mark.parametrize("text", ["a" * 10**6, "$" * 10**6, "9" * 10**6, "the final answer is " * 50_000, "\x00" * 99])
def test_a_million_characters_without_an_answer_are_read(text: str) -> None:
    assert trl_accuracy([text], solution="18") == [0.0]


class TestProcess:
    def test_one_that_was_killed_is_replaced(self, own: MathVerify) -> None:
        assert own.verdicts("trl", [("18", r"\boxed{18}")]) == [Verdict(equal=True, truth="18", answer="18")]
        first = own._process
        assert first is not None
        first._process.kill()
        first._process.wait()
        assert own.verdicts("trl", [("18", r"\boxed{7}")]) == [Verdict(equal=False, truth="18", answer="7")]
        assert own._process is not first
        first.kill()

    def test_one_that_dies_in_mid_request_is_an_error_and_is_replaced(self, own: MathVerify) -> None:
        own.verdicts("trl", [("18", "")])
        process = own._process
        assert process is not None
        threading.Timer(0.3, process._process.kill).start()
        dead, alive = own.verdicts("trl", [("18", r"\boxed{" * 140_000), ("18", r"\boxed{18}")])
        assert "process ended" in dead.error
        assert not dead.timeout
        assert alive.equal

    def test_an_interrupt_ends_it_so_that_no_reply_is_taken_for_another(
        self, own: MathVerify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own.verdicts("trl", [("18", "")])

        def interrupted(self: Any, seconds: float) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(LineProcess, "_receive", interrupted)
            with pytest.raises(KeyboardInterrupt):
                own.verdicts("trl", [("18", r"\boxed{18}")])
        assert own._process is None
        assert own.verdicts("trl", [("18", r"\boxed{7}")])[0].equal is False

    def test_nothing_to_compare_starts_nothing(self, own: MathVerify) -> None:
        assert own.verdicts("trl", []) == []
        assert own._process is None

    def test_without_math_verify_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match=r"pip install rewardkit\[trl\]"):
            trl_accuracy([""], solution="18")

    def test_a_process_that_does_not_start_says_how_to_see_why(
        self, own: MathVerify, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(line_process, "STARTUP_SECONDS", 0.0)
        with pytest.raises(RuntimeError, match="import math_verify'` to see why"):
            own.verdicts("trl", [("18", "18")])

    def test_writes_no_answer_out_that_has_no_end(self, own: MathVerify) -> None:
        (verdict,) = own.verdicts("trl", [("18", rf"\boxed{{{'1' * 5000}}}")])
        assert verdict.answer == "1" * 200
