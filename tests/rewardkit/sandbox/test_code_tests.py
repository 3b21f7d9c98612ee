"""Specification of rewardkit.sandbox.code_tests: which code is taken, what it earns, and what cheating earns."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import ColumnError, Outcome, combine, strict_format
from rewardkit.sandbox import SandboxError, pool
from rewardkit.sandbox.code_tests import CodeTests, code_tests, last_code

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is required by default is Linux's")

DOUBLE = "print(int(input()) * 2)"
ADD = "def add(a, b):\n    return a + b"
PAIRS = [{"input": "1", "output": "2"}, {"input": "4", "output": "8"}, {"input": "0", "output": "1"}]
"""Tests of which doubling passes two: 0 doubled is not 1."""


def fenced(code: str, mark: str = "python") -> str:
    return f"Here it is:\n```{mark}\n{code}\n```\nIt works."


def judged(reward: CodeTests, completions: list[str], *, tests: Any) -> list[Outcome]:
    return [row.outcome for row in reward.explain(completions, tests=tests)]


class TestTheCode:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("```python\na\n```", "a"),
            ("```py\na\n```", "a"),
            ("```Python3 title=x\na\n```", "a"),
            ("```\na\n```", "a"),
            ("```python\na\n```\n```python\nb\n```", "b"),  # the last one counts
            ("```python\na\n```\n```\nb\n```", "a"),  # but one that is marked before one that is not
            ("```python\na\n```\n```bash\nb\n```", "a"),
            ("```bash\na\n```", None),
            ("```python\na", None),  # never closed
            ("```python\na\n```\n```python\nb", "a"),
            ("````python\n```\na\n```\n````", "```\na\n```"),  # closed by as many ticks as it was opened with
            ("1. so:\n   ```python\n   if a:\n       b\n   ```", "if a:\n    b"),
            ("~~~python\na\n~~~", "a"),
            ("~~~python\n```\na\n```\n~~~", "```\na\n```"),
            ("```python:main.py\na\n```", "a"),
            ("```python3.11\na\n```", "a"),
            ("```{python}\na\n```", "a"),
            ("```{.python .numberLines}\na\n```", "a"),
            ("```pycon\na\n```", None),
            ("```python-repl\na\n```", None),
            ("- ```python\n  if a:\n      b\n  ```", "if a:\n    b"),
            ("1. ```python\n   a\n   ```", "a"),
            ("\t```python\n\tif a:\n\t    b\n\t```", "if a:\n    b"),
            ("<answer>```python\na\n```</answer>", "a"),
            ("```python\na\n``` done", None),
            ("```python\ndef f():\n    ```\n    x\n    ```\n```", "def f():\n    ```\n    x\n    ```"),
            ("```python\na\n   ```", "a"),
            ("<think>so ```\n```python\na\n```", None),
            ("```python\nprint('<think>')\n```", "print('<think>')"),
            ("use ```a``` inline\n```python\nb\n```", "b"),
            ("print(1)", None),
            ("", None),
            ("```python\n```", ""),
            ("```python\r\na\r\n```\r\n", "a\r"),
        ],
    )
    def test_is_the_last_fence_of_python(self, text: str, code: str | None) -> None:
        assert last_code(text) == code

    def test_comes_after_the_reasoning(self) -> None:
        thought = f"<think>{fenced(DOUBLE)}</think>"
        assert code_tests([thought, thought + fenced("print(2)")], tests=[PAIRS[:2]] * 2) == [0.0, 0.5]

    def test_inside_a_thought_that_never_ends_is_none(self) -> None:
        (outcome,) = judged(code_tests, ["<think>A draft:\n" + fenced(DOUBLE)], tests=[PAIRS])
        assert (outcome.value, outcome.status) == (0.0, "no_answer")

    def test_follows_the_prelude(self) -> None:
        code = "class Solution:\n    def first(self, xs: List[int]) -> int:\n        return xs[0]"
        tests = [["assert Solution().first([7, 8]) == 7"]]
        assert code_tests([fenced(code)], tests=tests) == [0.0]
        typed = CodeTests(prelude="from typing import List")
        assert typed([fenced(code)], tests=tests) == [1.0]
        assert typed([fenced("from __future__ import annotations\n" + code)], tests=tests) == [1.0]
        assert typed.explain([fenced(code)], tests=tests)[0].outcome.extracted == code

    @given(st.text(alphabet="`\n pya~"))
    @settings(deadline=None)
    def test_of_any_text_is_a_part_of_it_or_none(self, text: str) -> None:
        code = last_code(text)
        assert code is None or all(line in text for line in code.split("\n"))

    def test_of_a_million_characters_is_found(self) -> None:
        assert last_code("```\n" * 250_000) == ""
        assert last_code("`" * 1_000_000) is None
        assert last_code(" " * 1_000_000) is None
        assert last_code("1" * 1_000_000) is None
        assert last_code("```python " + " " * 1_000_000 + "\na\n```") == "a"
        assert last_code("x" * 1_000_000 + "\n" + fenced("a")) == "a"


class TestTheValue:
    def test_is_the_share_of_the_tests_passed(self) -> None:
        assert code_tests([fenced(DOUBLE)], tests=[PAIRS]) == [2 / 3]

    def test_is_all_or_nothing_where_that_is_wished(self) -> None:
        every = CodeTests(mode="all")
        assert every([fenced(DOUBLE)] * 2, tests=[PAIRS, PAIRS[:2]]) == [0.0, 1.0]

    def test_comes_from_statements_too(self) -> None:
        tests = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'", "assert add(1, 1) == 3"]
        assert code_tests([fenced(ADD)], tests=[tests]) == [2 / 3]

    def test_is_nothing_without_code(self) -> None:
        (outcome,) = judged(code_tests, [""], tests=[PAIRS])
        assert (outcome.value, outcome.status, outcome.extracted) == (0.0, "no_answer", None)

    def test_is_none_where_a_row_has_no_tests(self) -> None:
        (outcome,) = judged(code_tests, [fenced(DOUBLE)], tests=[None])
        assert (outcome.value, outcome.status, outcome.gold_column) == (None, "not_scored", "tests")

    def test_of_a_batch_keeps_its_order(self) -> None:
        completions = [fenced(f"print({i % 3})") for i in range(12)]
        tests = [[{"input": "", "output": "0"}]] * 12
        assert CodeTests(concurrency=3)(completions, tests=tests) == [1.0, 0.0, 0.0] * 4

    def test_of_messages_is_that_of_their_text(self) -> None:
        message = [{"role": "assistant", "content": [{"type": "text", "text": fenced(DOUBLE)}]}]
        assert code_tests([message], tests=[PAIRS]) == code_tests([fenced(DOUBLE)], tests=[PAIRS])

    def test_takes_part_in_a_stack(self) -> None:
        stack = combine(code_tests, strict_format, weights=[1.0, 0.5])
        assert stack([fenced(DOUBLE)], tests=[PAIRS[:1]]) == [1.0]

    def test_of_no_completions_is_nothing(self) -> None:
        assert code_tests([], tests=[]) == []


class TestTheOutcome:
    @pytest.mark.parametrize(
        ("code", "value", "status", "detail"),
        [
            (DOUBLE, 2 / 3, "scored", "2 of 3 tests passed; test 3: it printed '0', expected '1'"),
            ("print(max(1, 2 * int(input())))", 1.0, "correct", "3 of 3 tests passed"),
            ("print(", 0.0, "wrong", "0 of 3 tests passed; test 1: SyntaxError: '(' was never closed"),
            ("while True: pass", 0.0, "timeout", "0 of 3 tests passed; test 1: it ran out of time"),
            ("x = input()\nwhile x == '4': pass\nprint(int(x) * 2)", 1 / 3, "timeout", None),
        ],
    )
    def test_says_what_passed_and_the_first_failure(
        self, code: str, value: float, status: str, detail: str | None
    ) -> None:
        (outcome,) = judged(CodeTests(seconds=2.0 if "while" in code else 20.0), [fenced(code)], tests=[PAIRS])
        assert (outcome.value, outcome.status) == (value, status)
        assert detail in (None, outcome.detail)
        assert (outcome.extracted, outcome.gold, outcome.gold_column) == (code, "3 tests", "tests")

    def test_of_all_or_nothing_ends_with_the_first_failure(self) -> None:
        (outcome,) = judged(CodeTests(mode="all"), [fenced("1 / 0")], tests=[PAIRS])
        assert outcome.detail == "0 of 3 tests passed; test 1: ZeroDivisionError: division by zero"

    def test_shows_the_beginning_of_the_code(self) -> None:
        (outcome,) = judged(code_tests, [fenced("# " + "x" * 500)], tests=[PAIRS])
        assert outcome.extracted == ("# " + "x" * 500)[:200]

    def test_the_time_for_all_tests_ends_a_row(self) -> None:
        slow = CodeTests(seconds=0.2, total_seconds=0.5)
        (outcome,) = judged(slow, [fenced("while True: pass")], tests=[PAIRS * 100])
        assert (outcome.value, outcome.status) == (0.0, "timeout")


class TestCheats:
    """What the ways named in the docstring earn; ways out of the sandbox are in sandbox/test_escapes.py."""

    def test_answers_written_out_for_known_inputs_earn_their_tests(self) -> None:
        table = "print({'1': 2, '4': 8}[input()])"
        assert code_tests([fenced(table)], tests=[PAIRS]) == [2 / 3]

    def test_a_constant_earns_the_tests_that_accept_it_and_nothing_where_all_must_pass(self) -> None:
        tests = [{"input": str(n), "output": "YES" if n % 2 else "NO"} for n in range(4)]
        assert code_tests([fenced("print('YES')")], tests=[tests]) == [0.5]
        assert CodeTests(mode="all")([fenced("print('YES')")], tests=[tests]) == [0.0]

    @pytest.mark.parametrize(
        "code",
        ["import os; os._exit(0)", "exit()", "", "print('2', end='')\nprint('8')\nprint('1')", "print('PASSED')"],
    )
    def test_leaving_early_and_printing_other_things_earn_nothing(self, code: str) -> None:
        assert code_tests([fenced(code)], tests=[PAIRS]) == [0.0]
        assert code_tests([fenced(code)], tests=[["assert add(1, 2) == 3"]]) == [0.0]

    def test_the_first_lines_alone_earn_nothing(self) -> None:
        """open-r1 compares as many lines as the shorter output has: there this is 1.0."""
        tests = [{"input": "", "output": "1\n2\n3"}]
        assert code_tests([fenced("print(1)"), fenced("pass")], tests=[tests] * 2) == [0.0, 0.0]

    def test_a_value_that_equals_everything_earns_nothing(self) -> None:
        code = "class E(int):\n    def __eq__(self, other): return True\ndef add(a, b): return E()"
        assert code_tests([fenced(code)], tests=[["assert add(1, 2) == 3"]]) == [0.0]

    def test_several_fences_are_one_attempt(self) -> None:
        assert code_tests([fenced("print(2)") + "\n" + fenced("print(8)")], tests=[PAIRS[:1]]) == [0.0]


class TestUnusableData:
    def test_a_missing_column_is_named(self) -> None:
        with pytest.raises(ColumnError, match="column 'tests' is missing; the call has cases"):
            code_tests([fenced(DOUBLE)], cases=[PAIRS])

    def test_a_column_of_another_name_is_given_by_tests_key(self) -> None:
        assert CodeTests(tests_key="cases")([fenced(DOUBLE)], cases=[PAIRS[:2]]) == [1.0]

    @pytest.mark.parametrize("tests", [[], "", "[", [{"input": "1"}], ["assert ("], 7])
    def test_tests_that_cannot_be_used_are_refused_with_their_row(self, tests: Any) -> None:
        with pytest.raises(ColumnError, match="tests in column 'tests', row 1"):
            code_tests(["", ""], tests=[PAIRS, tests])

    def test_too_few_rows_are_refused(self) -> None:
        with pytest.raises(ColumnError, match="has 1 rows for 2 completions"):
            code_tests(["", ""], tests=[PAIRS])


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"mode": "any"}, 'mode=\'any\' is unknown; use "fraction" or "all"'),
            ({"prelude": "import"}, "prelude='import' is no Python: "),
            ({"seconds": 0.0}, "seconds must be positive"),
            ({"seconds": float("nan")}, "total_seconds must be finite and at least seconds"),
            ({"total_seconds": 1.0}, "total_seconds must be finite and at least seconds, got 1.0"),
            ({"total_seconds": float("inf")}, "total_seconds must be finite"),
            ({"memory_bytes": 1}, "memory_bytes must be at least"),
            ({"output_bytes": 0}, "output_bytes must be positive"),
            ({"concurrency": 0}, "concurrency must be an integer of at least 1, or None, got 0"),
            ({"require": ("net",)}, "has 'net'; there are network, processes, writing, reading, memory"),
        ],
    )
    def test_that_make_no_sense_are_refused(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match="^" + ".*") as error:
            CodeTests(**settings)
        assert message in str(error.value)

    def test_are_pickled_compared_and_printed(self) -> None:
        reward = CodeTests(mode="all", require=["network"], seconds=2.0, name="passes")
        assert (
            pickle.loads(pickle.dumps(reward))
            == reward
            == CodeTests(mode="all", require=("network",), seconds=2.0, name="passes")
        )
        assert repr(reward) == "CodeTests(mode='all', seconds=2.0, require=('network',), name='passes')"
        assert hash(reward) != hash(code_tests)
        assert (code_tests, repr(code_tests), code_tests.__name__) == (CodeTests(), "CodeTests()", "code_tests")

    def test_memory_is_bounded_by_them(self) -> None:
        code, tests = fenced("x = bytearray(100 * 2**20); print(1)"), [[{"input": "", "output": "1"}]]
        assert CodeTests(memory_bytes=200 * 2**20)([code], tests=tests) == [1.0]
        assert CodeTests(memory_bytes=50 * 2**20)([code], tests=tests) == [0.0]

    def test_protection_that_is_required_and_missing_is_an_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = pool.Sandbox
        monkeypatch.setattr(pool, "Sandbox", lambda limits: real(limits, kernel=False))
        with pytest.raises(SandboxError, match="does not protect network, processes, writing"):
            code_tests([fenced(DOUBLE)], tests=[PAIRS])
        assert CodeTests(require=())([fenced(DOUBLE)], tests=[PAIRS[:1]]) == [1.0]
