"""Specification of the pool: side by side, in order, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from rewardkit.sandbox import Limits, Pool, Sandbox, SandboxError
from rewardkit.sandbox.pool import usable_processors

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    assert set(psutil.Process().children(recursive=True)) == before


def printed(sandbox: Sandbox, number: int) -> int:
    return int(sandbox.run(f"import time; time.sleep(0.05 * ({number} == 0)); print({number})").stdout)


def test_results_come_in_the_order_of_the_items() -> None:
    with Pool(Limits(), 3) as pool:
        assert pool.map(printed, range(12)) == list(range(12))
        assert pool.map(printed, [5]) == [5]  # and the pool may be used again
        assert pool.map(printed, []) == []


def pid(sandbox: Sandbox, _: int) -> int:
    time.sleep(0.05)
    return sandbox._process.pid


def test_no_more_sandboxes_start_than_its_size_and_they_are_used_again() -> None:
    with Pool(Limits(), 2) as pool:
        assert len(set(pool.map(pid, range(8)))) <= 2


def test_a_dead_sandbox_is_replaced() -> None:
    with Pool(Limits(), 1) as pool:
        (first,) = pool.map(pid, [0])
        psutil.Process(first).kill()
        time.sleep(0.1)
        assert pool.map(printed, [7]) == [7]


def fail(sandbox: Sandbox, number: int) -> None:
    if number == 0:
        raise KeyError(number)
    sandbox.run("while True: pass")


def test_an_error_ends_all_that_runs() -> None:
    with pytest.raises(KeyError), Pool(Limits(seconds=100_000.0), 2) as pool:  # the test's own time would end first
        pool.map(fail, [1, 0, 1, 1])


def test_what_is_required_and_not_held_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rewardkit.sandbox.pool.Sandbox", unprotected)
    with (
        pytest.raises(SandboxError, match="does not protect network, reading"),
        Pool(Limits(), 2, ("network", "reading")) as pool,
    ):
        pool.map(printed, [1, 2, 3])


def unprotected(limits: Limits) -> Sandbox:
    return Sandbox(limits, kernel=False)


SCRIPT = """
from rewardkit.sandbox import Limits, Pool
print("started", flush=True)
with Pool(Limits(seconds=600.0), 2) as pool:
    pool.map(lambda sandbox, _: sandbox.run("while True: pass"), range(9))
"""


@pytest.mark.parametrize("signal", ["SIGINT", "SIGKILL"])
def test_the_end_of_the_parent_ends_all(signal: str) -> None:
    import signal as signals

    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"started\n"
    children = wait_for_children(parent.pid, 4)  # two servers with a program each
    parent.send_signal(getattr(signals, signal))
    _, stderr = parent.communicate(timeout=60)
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert (b"KeyboardInterrupt" in stderr) == (signal == "SIGINT")


def wait_for_children(pid: int, number: int) -> list[psutil.Process]:
    for _ in range(1000):
        children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        if len(children) >= number:
            time.sleep(0.1)  # past the trial processes
            return psutil.Process(pid).children(recursive=True)  # type: ignore[no-any-return]
        time.sleep(0.02)
    raise AssertionError("it did not start")


def test_pools_in_several_threads_do_not_disturb_each_other() -> None:
    results: dict[int, list[int]] = {}

    def score(key: int) -> None:
        with Pool(Limits(), 2) as pool:
            results[key] = pool.map(printed, range(key, key + 5))

    threads = [threading.Thread(target=score, args=(key,)) for key in (10, 20, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {key: list(range(key, key + 5)) for key in (10, 20, 30)}


def test_the_size_is_the_number_of_usable_processors_unless_given() -> None:
    with Pool(Limits()) as pool:
        assert pool.size == usable_processors() >= 1
