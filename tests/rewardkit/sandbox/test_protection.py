"""Specification of what is said about the protection on a machine: only what a trial has shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rewardkit.sandbox import PROTECTIONS, Limits, Protection, Sandbox, SandboxError, protection

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")

ALL = dict.fromkeys(PROTECTIONS, True)


def test_on_linux_the_kernel_holds_all_but_perhaps_reading() -> None:
    if sys.platform != "linux":
        pytest.skip("Linux only")
    measured = protection()
    assert all(measured.held(name) for name in ("network", "processes", "writing", "memory"))
    assert measured.reading in ("Landlock", "none")


def test_what_a_trial_got_through_is_none_whatever_was_meant_to_stop_it() -> None:
    for name in PROTECTIONS:
        measured = Protection.measured({**ALL, name: False}, calls=True, files=True)
        assert getattr(measured, name) == "none"
        assert [n for n in PROTECTIONS if not measured.held(n)] == [name]


def test_an_audit_hook_does_not_count_as_held() -> None:
    measured = Protection.measured(ALL, calls=False, files=False)
    assert str(measured) == (
        "network: audit hook, processes: audit hook, writing: audit hook, reading: audit hook, memory: RLIMIT_AS"
    )
    assert [name for name in PROTECTIONS if measured.held(name)] == ["memory"]


def test_a_demand_that_is_not_met_names_what_is_missing_and_the_remedy() -> None:
    measured = Protection.measured({**ALL, "reading": False}, calls=True, files=False)
    measured.demand(("network", "memory"))
    with pytest.raises(SandboxError, match=r"does not protect reading: network: seccomp, .* require=\(\)"):
        measured.demand(("network", "reading"))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=20.0), kernel=False) as sandbox:
        yield sandbox


class TestWithoutTheKernel:
    """What is left where the system has neither seccomp nor Landlock: the interpreter refuses by itself."""

    def test_is_said(self, sandbox: Sandbox) -> None:
        held = sandbox.protection
        assert (held.network, held.processes, held.writing, held.reading) == (*["audit hook"] * 3, "none")

    @pytest.mark.parametrize(
        "program",
        [
            "import socket; socket.socket()",
            "import os; os.fork()",
            "import os; os.system('true')",
            "import subprocess; subprocess.run(['/bin/true'])",
            "import os; os.kill(os.getppid(), 0)",
            "open('/dev/null', 'w')",
            "import os; os.open('/dev/null', os.O_WRONLY)",
            "import os; os.remove('/nothing')",
            "import ctypes; ctypes.CDLL(None)",
        ],
    )
    def test_refuses_the_same(self, sandbox: Sandbox, program: str) -> None:
        run = sandbox.run(program)
        assert b"PermissionError" in run.stderr
        assert b"is refused in the sandbox" in run.stderr

    def test_runs_honest_programs_and_tests(self, sandbox: Sandbox) -> None:
        assert sandbox.run("f = open(1, 'w'); f.write(open(0).read())", "text").stdout == b"text"
        tests = '{"text": "assert f(1) == 2", "names": ["f"], "modules": []}'
        assert sandbox.test("def f(x): return x + 1", tests).code == 0
