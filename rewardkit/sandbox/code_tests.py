r'''A reward for code that passes its tests, run in a sandbox.

>>> from rewardkit.sandbox.code_tests import code_tests
>>> answer = """Double it:
... ```python
... print(int(input()) * 2)
... ```"""
>>> code_tests([answer], tests=[[{"input": "4", "output": "8"}, {"input": "0", "output": "1"}]])
[0.5]
'''

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rewardkit.contract import Batch, Outcome, Reward, Status
from rewardkit.sandbox import PROTECTIONS, Case, CaseResult, Limits, Pool, Sandbox, judge_all, read_cases
from rewardkit.sections import final_part

_SHOWN = 200
_OPENING = re.compile(
    r"(?P<before>[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+|<answer>[ \t]*)?)(?P<run>`{3,}|~{3,})(?P<mark>.*)"
)
_PYTHON = re.compile(r"\{?[ \t]*\.?py(?:thon)?(?:3(?:\.\d{1,3})?)?(?![\w.+-])", re.IGNORECASE)
_FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)
_DEEPER = 4  # columns: a fence this much deeper than the one that is open does not close it (CommonMark 4.5)


@dataclass(frozen=True, kw_only=True, repr=False)
class CodeTests(Reward):
    r"""The share of its tests that a completion's Python code passes.

    value = passed / tests, or with mode="all" 1.0 where all pass, else 0.0. The code is the last fence marked
    python (or py, python3) after the last ``</think>``, else the last one without a mark; a fence that is
    never closed is none, nor is one inside a ``<think>`` that is never closed. The tests come from the column
    `tests_key`, per row a list of

    - ``{"input": ..., "output": ...}``: the code runs as a program; its stdout must be the output line by line
      (white space at line ends and blank lines at the end do not count) and its exit code 0;
    - text of Python statements, mostly asserts: they call what the code defines, from a process of their own;

    or JSON of it, or a mapping of two lists as in APPS (see :func:`rewardkit.sandbox.read_cases`). Every test
    runs the code anew. Source: the rewards `code` and `binary_code` of open-r1, without the prefix error (its
    comparison stops at the shorter of the two outputs, so that printing nothing but the first lines passes).

    The code runs without network, without starting processes, without writing files, in bounded time and
    memory, and reads no file but the interpreter's; what exactly holds on a machine says
    :func:`rewardkit.sandbox.protection`, and what none of it holds against, ``docs/code_tests.md``.

    Range [0.0, 1.0]; ``None`` where the row's tests are ``None``. The empty completion earns 0.0. How a model
    might cheat it: by answers written out for the inputs that it has seen in the prompt or remembers from
    its training, by a constant that some tests accept (mode="all" pays nothing for it), and by whatever the
    tests do not look at. Leaving early, patched built-ins, an ``__eq__`` that always agrees and reading the
    expected results earn nothing: the results are compared outside of the code's process.

    Attributes:
        tests_key: the column with the tests.
        mode: "fraction" or "all". With "all" the first failure ends the row.
        prelude: Python that comes before every completion's code, such as the imports that LeetCode presupposes.
        seconds: wall time of one test, more than 0.
        total_seconds: wall time of all tests of one completion; those not reached have failed.
        memory_bytes: address space that the code may take, at least 16 MiB; the stacks of its threads count.
        output_bytes: what one test may print, at least 1; where more is expected, that and a little more.
        site_packages: whether installed packages may be imported. It lets the code read them, and starting
            takes longer.
        require: what the kernel must hold, of "network", "processes", "writing", "reading" and "memory".
        concurrency: how many tests run at a time; ``None`` for as many as there are processors.

    Raises:
        ValueError: an argument out of its range.
        ColumnError: no column of tests, or a row whose tests are empty or malformed, with the row.
        SandboxError: this machine has no sandbox, or none that holds what is required.

    Example:
        >>> from rewardkit.sandbox.code_tests import CodeTests
        >>> answer = "```python\ndef add(a, b):\n    return a + b\n```"
        >>> tests = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert add(0, 0) == 1"]
        >>> CodeTests()([answer, "I cannot."], tests=[tests, tests])
        [0.6666666666666666, 0.0]
        >>> CodeTests(mode="all").explain([answer], tests=[tests])[0].detail
        '2 of 3 tests passed; test 3: AssertionError'
    """

    tests_key: str = "tests"
    mode: Literal["fraction", "all"] = "fraction"
    prelude: str = ""
    seconds: float = 5.0
    total_seconds: float = 60.0
    memory_bytes: int = 2**30
    output_bytes: int = 2**20
    site_packages: bool = False
    require: Sequence[str] = ("network", "processes", "writing", "memory")
    concurrency: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "require", tuple(self.require))
        unknown = [name for name in self.require if name not in PROTECTIONS]
        if unknown:
            raise ValueError(f"require={self.require} has {unknown[0]!r}; there are {', '.join(PROTECTIONS)}")
        if self.mode not in ("fraction", "all"):
            raise ValueError(f'mode={self.mode!r} is unknown; use "fraction" or "all"')
        if not self.seconds <= self.total_seconds < float("inf"):
            raise ValueError(f"total_seconds must be finite and at least seconds, got {self.total_seconds}")
        try:
            ast.parse(self.prelude)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"prelude={self.prelude[:_SHOWN]!r} is no Python: {error}") from None
        if self.concurrency is not None and (not isinstance(self.concurrency, int) or self.concurrency < 1):
            raise ValueError(f"concurrency must be an integer of at least 1, or None, got {self.concurrency!r}")
        self._limits()

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share passed, with the first failure as detail."""
        cells = batch.column(self.tests_key)
        rows = [read_cases(cell, column=self.tests_key, row=batch.row(i)) for i, cell in enumerate(cells)]
        codes = [last_code(final_part(text)) for text in batch.texts]
        outcomes = [self._without_running(code, cases) for code, cases in zip(codes, rows, strict=True)]
        todo = [i for i, outcome in enumerate(outcomes) if outcome is None]
        with Pool(self._limits(), self.concurrency, self.require) as pool:
            judge = partial(_judge_row, seconds=self.total_seconds, until_failure=self.mode == "all")
            results = pool.map(judge, [(self._program(codes[i] or ""), rows[i] or []) for i in todo])
        for i, row_results in zip(todo, results, strict=True):
            outcomes[i] = self._outcome(codes[i] or "", rows[i] or [], row_results)
        return [outcome for outcome in outcomes if outcome is not None]

    def _without_running(self, code: str | None, cases: list[Case] | None) -> Outcome | None:
        if cases is None:
            return Outcome(None, "not_scored", f"the row has no {self.tests_key}", gold_column=self.tests_key)
        if code is None:
            why = "no closed fence of Python in the final part"
            return Outcome(0.0, "no_answer", why, gold=f"{len(cases)} tests", gold_column=self.tests_key)
        return None

    def _program(self, code: str) -> str:
        if not self.prelude:
            return code
        futures = _FUTURE.findall(code)  # they must come first
        return "\n".join([*futures, self.prelude, _FUTURE.sub("", code) if futures else code])

    def _outcome(self, code: str, cases: list[Case], results: list[CaseResult]) -> Outcome:
        passed = sum(result.passed for result in results)
        share = passed / len(cases)
        value = share if self.mode == "fraction" else float(share == 1.0)
        detail = f"{passed} of {len(cases)} tests passed"
        failures = [(number, result) for number, result in enumerate(results, 1) if not result.passed]
        if failures:
            detail += f"; test {failures[0][0]}: {failures[0][1].why}"
        statuses = {result.status for result in results}
        status: Status = "wrong" if value == 0.0 else "scored"
        if statuses == {"correct"}:
            status = "correct"
        elif not statuses.isdisjoint(("timeout", "error")):
            status = "timeout" if "timeout" in statuses else "error"
        gold = f"{len(cases)} tests"
        return Outcome(value, status, detail, extracted=code[:_SHOWN], gold=gold, gold_column=self.tests_key)

    def _limits(self) -> Limits:
        return Limits(
            seconds=self.seconds,
            memory_bytes=self.memory_bytes,
            output_bytes=self.output_bytes,
            site_packages=self.site_packages,
        )


def _judge_row(
    sandbox: Sandbox, row: tuple[str, list[Case]], *, seconds: float, until_failure: bool
) -> list[CaseResult]:
    code, cases = row
    return judge_all(cases, sandbox, code, seconds=seconds, until_failure=until_failure)


def last_code(text: str) -> str | None:
    """The body of the last closed fence marked as Python, else of the last one without a mark; else ``None``.

    Fences are those of Markdown: of ticks or tildes, indented or in a list, closed by as many of the same that
    are not indented much deeper (the example in a docstring closes nothing). After a ``<think>`` in the
    text between them there is no answer any more.

    Example:
        >>> last_code("~ try ~\\n```\\nprint(1)\\n```\\n```bash\\nls\\n```")
        'print(1)'
    """
    found: dict[bool, str] = {}
    fence: re.Match[str] | None = None
    body: list[str] = []
    for line in text.split("\n"):
        if fence is None:
            if "<think>" in line:
                break
            fence, body = _opening(line), []
        elif _closes(line, fence):
            mark = fence["mark"].strip()
            if not mark or _PYTHON.match(mark):
                found[bool(mark)] = "\n".join(body)
            fence = None
        else:
            body.append(line[min(fence.start("run"), len(line) - len(line.lstrip(" \t"))) :])
    return found.get(True, found.get(False))


def _opening(line: str) -> re.Match[str] | None:
    fence = _OPENING.match(line)
    return None if fence is None or (fence["run"][0] == "`" and "`" in fence["mark"]) else fence


def _closes(line: str, fence: re.Match[str]) -> bool:
    run = fence["run"]
    bare = line.strip()
    rest = bare.lstrip(run[0])
    if len(bare) - len(rest) < len(run) or (rest and not rest.startswith("</answer>")):
        return False
    return _columns(line[: len(line) - len(line.lstrip())]) < _columns(fence["before"]) + _DEEPER


def _columns(before: str) -> int:
    return len(before.replace("<answer>", "").expandtabs(4))


code_tests = CodeTests()
