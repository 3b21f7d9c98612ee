"""The tests of one program: each runs in a sandbox and is judged here."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rewardkit.sandbox.runner import Run, Sandbox
from rewardkit.sandbox.statements import script

_CUT = 120
_SPARE_BYTES = 2**16  # for white space that does not count, beyond an expected output that is long itself


@dataclass(frozen=True)
class CaseResult:
    """How a test went, and why so; an "error" is the sandbox's, not the program's."""

    status: Literal["correct", "wrong", "timeout", "error"]
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the program passed it."""
        return self.status == "correct"


class Case(ABC):
    """One test."""

    @abstractmethod
    def judge(self, sandbox: Sandbox, program: str, seconds: float) -> CaseResult:
        """Run the program against it."""


@dataclass(frozen=True)
class InputOutput(Case):
    """What the program shall print for an input.

    The lines are compared without white space at their ends, blank lines at the end do not count, and the
    number of lines must be right. The expected output stays in this process.
    """

    input: str
    output: str

    def judge(self, sandbox: Sandbox, program: str, seconds: float) -> CaseResult:
        """Passed where the program exits with 0 and has printed the output."""
        expected = self.output.encode("utf-8", "surrogatepass")
        run = sandbox.run(program, self.input, seconds=seconds, output_bytes=len(expected) + _SPARE_BYTES)
        failure = _failure(run, run.stderr)
        if failure is not None:
            return failure
        if _lines(run.stdout) == _lines(expected):
            return CaseResult("correct")
        return CaseResult("wrong", f"it printed {_cut(run.stdout)}, expected {_cut(expected)}")


@dataclass(frozen=True)
class TestText(Case):
    """Python statements, mostly asserts, about what the program defines.

    The statements run in a process of their own and call the program's functions in its process: whatever
    the program does to its interpreter, it neither sees nor decides a comparison.
    """

    __test__ = False  # for pytest, which collects classes by such names
    text: str

    def judge(self, sandbox: Sandbox, program: str, seconds: float) -> CaseResult:
        """Passed where the tests come to their end, or ``unittest.main()`` leaves them with 0."""
        run = sandbox.test(program, script(self.text), seconds=seconds)
        stderr = run.stderr
        if b"ProgramEnded" in stderr:
            stderr = run.program_stderr or b"the program ended before its tests"
        return _failure(run, stderr) or CaseResult("correct")


_ENDED = {
    "timeout": CaseResult("timeout", "it ran out of time"),
    "output": CaseResult("wrong", "it printed too much"),
    "threads": CaseResult("wrong", "it started too many threads"),
    "lost": CaseResult("error", "the sandbox was lost with it (out of memory?)"),
}


def _failure(run: Run, stderr: bytes) -> CaseResult | None:
    if run.ended != "exit":
        return _ENDED[run.ended]
    if run.code < 0:
        return CaseResult("wrong", f"signal {-run.code} ended it")
    if run.code > 0:
        said = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return CaseResult("wrong", said[:_CUT] or f"it ended with exit code {run.code}")
    return None


def judge_all(
    cases: Sequence[Case], sandbox: Sandbox, program: str, *, seconds: float, until_failure: bool
) -> list[CaseResult]:
    """One result per test, in order, within `seconds` for all; the first failure ends them where that is wished."""
    deadline = time.monotonic() + seconds
    results: list[CaseResult] = []
    for case in cases:
        left = deadline - time.monotonic()
        if left <= 0:
            result = CaseResult("timeout", "the time for all tests was up before it")
        elif not sandbox.alive:
            result = CaseResult("error", "the sandbox was lost before it")
        else:
            result = case.judge(sandbox, program, left)
        results.append(result)
        if until_failure and not result.passed:
            break
    return results


def _lines(output: bytes) -> list[bytes]:
    lines = [line.rstrip() for line in output.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _cut(output: bytes) -> str:
    text = output.decode("utf-8", "replace").rstrip()
    return repr(text) if len(text) <= _CUT else f"{text[:_CUT]!r}..."
