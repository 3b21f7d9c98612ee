"""Specification of the tests of a program: what passes, and every known way to cheat them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from rewardkit.sandbox import InputOutput, Limits, Sandbox, TestText, judge_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")

NINE = "def f(*args): return 9\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=20.0, output_bytes=100_000)) as sandbox:
        yield sandbox


class TestInputOutput:
    @pytest.mark.parametrize(
        ("printed", "expected", "passed"),
        [
            ("1\n2\n", "1\n2", True),
            ("1\n2", "1\n2\n", True),
            ("1 \n2\t\r\n\n\n", "1\n2", True),
            ("1\n2\n", "1\r\n2\r\n", True),
            ("", "", True),
            ("\n\n", "", True),
            ("1\n", "1\n2", False),  # the shorter of the two is not enough
            ("1\n2\n3\n", "1\n2", False),
            ("", "1", False),
            (" 1\n", "1", False),
            ("\n1\n", "1", False),
            ("1\n\n2\n", "1\n2", False),
            ("é\n", "é", True),
        ],
    )
    def test_compares_all_lines_without_what_is_blank_at_their_ends(
        self, sandbox: Sandbox, printed: str, expected: str, passed: bool
    ) -> None:
        program = f"import sys; sys.stdout.write({printed!r})"
        assert InputOutput("", expected).judge(sandbox, program, 20.0).passed is passed

    @pytest.mark.parametrize(
        ("program", "status", "why"),
        [
            ("print(5)", "wrong", "it printed '5', expected '6'"),
            ("print(6); 1 / 0", "wrong", "ZeroDivisionError: division by zero"),
            ("print(6); import sys; sys.exit(2)", "wrong", "it ended with exit code 2"),
            ("import os; os.abort()", "wrong", "signal 6 ended it"),
            ("while True: print(6)", "wrong", "it printed too much"),
            ("import sys; sys.stdout.buffer.write(b'\\xff')", "wrong", "it printed '\ufffd', expected '6'"),
        ],
    )
    def test_says_why_a_program_failed(self, sandbox: Sandbox, program: str, status: str, why: str) -> None:
        result = InputOutput("", "6").judge(sandbox, program, 20.0)
        assert (result.status, result.why) == (status, why)

    def test_an_expected_output_longer_than_the_limit_can_be_printed(self, sandbox: Sandbox) -> None:
        long = "1" * 300_000  # the sandbox's limit is 100 000
        assert InputOutput("", long).judge(sandbox, "print('1' * 300_000)", 20.0).passed
        assert InputOutput("", long).judge(sandbox, "print('1' * 900_000)", 20.0).why == "it printed too much"

    def test_time_that_is_up_has_a_status_of_its_own(self, sandbox: Sandbox) -> None:
        result = InputOutput("", "6").judge(sandbox, "while True: pass", 0.2)
        assert (result.status, result.why) == ("timeout", "it ran out of time")


def passes(sandbox: Sandbox, program: str, tests: str) -> bool:
    return TestText(tests).judge(sandbox, program, 20.0).passed


class TestStatements:
    @pytest.mark.parametrize(
        ("program", "tests"),
        [
            ("def f(x): return x + 1", "assert f(1) == 2"),
            ("def f(a, *, b=2): return a + b", "assert f(1) == 3 and f(1, b=5) == 6"),
            ("limit = 7\ndef f(): return limit", "assert f() == limit == 7"),
            ("def add(a, b): return a + b", "def check(candidate):\n    assert candidate(1, 2) == 3\ncheck(add)"),
            ("def f(): return 2.0", "assert math.isclose(f(), 2.0)"),  # a module that nobody imports
            ("from math import *\ndef f(): return pi", "assert abs(f() - 3.14159) < 1e-4"),
            ("def f(): return 1\nif __name__ == '__main__': input()", "assert f() == 1"),
            (
                "def f(x): raise ValueError('bad')",
                "try:\n    f(1)\nexcept ValueError as e:\n    assert str(e) == 'bad'",
            ),
            (
                "class E(KeyError): pass\ndef f(): raise E",
                "try:\n    f()\nexcept E:\n    pass\nelse:\n    assert False",
            ),
            (
                "def f(): return b''.decode('ascii') + b'\\xff'.decode()",
                "try:\n    f()\nexcept UnicodeDecodeError: pass",
            ),
            ("def g():\n    yield from range(3)", "assert list(g()) == [0, 1, 2] and next(g()) == 0"),
            ("def f(g, x): return g(g(x))", "assert f(lambda x: x * 2, 3) == 12"),
            ("def compose(f, g): return lambda x: f(g(x))", "assert compose(lambda x: x + 1, abs)(-3) == 4"),
            ("def f(xs, key): return sorted(xs, key=key)", "assert f(['bb', 'a'], key=len) == ['a', 'bb']"),
            ("def f(xs): xs.sort()", "xs = [3, 1, 2]\nf(xs)\nassert xs == [1, 2, 3]"),
            ("def f(d, s): d['a'] = 1; s.add(2)", "d, s = {}, set()\nf(d, s)\nassert (d, s) == ({'a': 1}, {2})"),
            ("async def f(x): return x", "assert asyncio.iscoroutinefunction(f) is False"),
        ],
    )
    def test_call_what_the_program_defines(self, sandbox: Sandbox, program: str, tests: str) -> None:
        assert TestText(tests).judge(sandbox, program, 20.0).why == ""

    @pytest.mark.parametrize(
        ("program", "tests"),
        [
            ("def f(n): return range(n)", "assert f(3) == range(3) and list(f(3)) == [0, 1, 2]"),
            ("def f(r): return sum(r)", "assert f(range(4)) == 6 and f({1: 5}.values()) == 5"),
            ("def f(): return {'a': 1}.keys()", "assert f() == {'a': 1}.keys() and list(f()) == ['a']"),
            ("def f(): return {'a': 1}.items()", "assert f() == {'a': 1}.items()"),
            ("def f(): return {'a': 1}.values()", "assert list(f()) == [1]"),
            ("class A: pass\nclass B(A): pass", "assert isinstance(B(), A) and not isinstance(A(), B)"),
            ("class A: pass\nclass B(A): pass", "assert issubclass(B, A) and not isinstance(1, A)"),
            ("class A: pass\na = A()\ndef f(): return a", "assert f() is f() and f() == f() and not f() != f()"),
            ("class C:\n def __enter__(s): return 5\n def __exit__(s, *a): pass", "with C() as v:\n    assert v == 5"),
            ("import enum\nclass E(enum.Enum):\n    R = 1\ndef f(): return E.R", "assert f() == E.R and f() is E.R"),
            (
                "import functools\n@functools.total_ordering\nclass V:\n def __init__(s, x): s.x = x\n"
                " def __lt__(s, o): return s.x < o.x\n def __eq__(s, o): return s.x == o.x",
                "assert V(1) < V(2) >= V(2) and V(1) == V(1) != V(2)",
            ),
            ("def f(xs): xs.sort()", "xs = [3, 1, 2]\nf(xs=xs)\nassert xs == [1, 2, 3]"),
            ("def f(a, *, d): a.append(1); d['x'] = a", "a, d = [], {}\nf(a, d=d)\nassert (a, d) == ([1], {'x': [1]})"),
            ("def f(q): q.rotate(1)", "q = collections.deque([1, 2, 3])\nf(q)\nassert list(q) == [3, 1, 2]"),
            ("def f(v): return v * 2", "class V:\n def __mul__(s, n): return 'V' * n\nassert f(V()) == 'VV'"),
        ],
    )
    def test_treat_objects_as_if_they_were_in_one_process(self, sandbox: Sandbox, program: str, tests: str) -> None:
        assert TestText(tests).judge(sandbox, program, 20.0).why == ""

    @pytest.mark.parametrize(
        "value",
        [
            "None", "True", "0", "-5", "2 ** 62", "2 ** 63", "-2 ** 200", "10 ** 5000", "1.5", "-0.0", "float('inf')",
            "1 + 2j", "'text'", "'\\ud800'", "b'\\xff\\x00'", "bytearray(b'ab')", "[1, [2, []]]", "(1, (2,))", "{1, 2}",
            "frozenset({3})", "{1: 'a', (2, 3): [4]}", "[(1, 'a'), None]", "collections.deque([1, 2], 3)",
            "decimal.Decimal('1.50')", "fractions.Fraction(1, 3)", "datetime.date(2024, 2, 29)",
            "datetime.datetime(2024, 2, 29, 1, 2, 3, 4)", "datetime.time(1, 2)", "ValueError", "len", "int",
            "range(2, 9, 3)", "range(10 ** 30)", "{1: 2}.keys()", "{1: 2}.items()",
        ],
    )  # fmt: skip
    def test_values_pass_as_they_are(self, sandbox: Sandbox, value: str) -> None:
        modules = "import collections, datetime, decimal, fractions\n"
        program = f"{modules}def same(x): return x\ndef make(): return {value}"
        tests = f"{modules}made = make()\nassert made == {value} == same({value})\nassert type(made) is type({value})"
        assert TestText(tests).judge(sandbox, program, 20.0).why == ""

    def test_hold_objects_of_the_program_and_look_at_their_plain_values(self, sandbox: Sandbox) -> None:
        program = """
class Stack:
    def __init__(self, *items): self.items = list(items)
    def push(self, item): self.items.append(item); return self
    def __len__(self): return len(self.items)
    def __getitem__(self, i): return self.items[i]
    def __str__(self): return f"<{self.items}>"
    def __add__(self, other): return Stack(*self.items, *other.items)
"""
        tests = """
s = Stack(1, 2).push(3)
assert len(s) == 3 and s[0] == 1 and s[1:] == [2, 3] and list(s) == [1, 2, 3] and 2 in s and bool(s) and not Stack()
assert str(s + Stack(4)) == "<[1, 2, 3, 4]>" and (s + s).items == [1, 2, 3, 1, 2, 3]
s.items = [7]
assert s.items == [7] and not hasattr(s, "nothing") and s is not None
"""
        assert TestText(tests).judge(sandbox, program, 20.0).why == ""

    def test_may_pass_objects_of_their_own(self, sandbox: Sandbox) -> None:
        program = """
def reverse(head):
    previous = None
    while head:
        head.next, previous, head = previous, head, head.next
    return previous
"""
        tests = """
class Node:
    def __init__(self, value, next=None): self.value, self.next = value, next
head = reverse(Node(1, Node(2)))
assert (head.value, head.next.value, head.next.next) == (2, 1, None)
"""
        assert TestText(tests).judge(sandbox, program, 20.0).why == ""

    def test_of_unittest_run(self, sandbox: Sandbox) -> None:
        tests = "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.assertEqual(f(), {})\n"
        tests += "if __name__ == '__main__': unittest.main()"
        assert passes(sandbox, NINE, tests.format(9))
        assert not passes(sandbox, NINE, tests.format(8))

    @pytest.mark.parametrize(
        ("program", "why"),
        [
            (NINE, "AssertionError"),
            ("def g(): pass", "NameError: name 'f' is not defined"),
            ("def f(x): return 1 / 0", "ZeroDivisionError: division by zero"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("def f(x): print('x' * 10**6)", "it printed too much"),
            ("x = input()", "EOFError: EOF when reading a line"),
            ("def f(x): return 'x' * 10**10", "MemoryError"),
        ],
    )
    def test_say_why_a_program_failed(self, sandbox: Sandbox, program: str, why: str) -> None:
        assert TestText("assert f(1) == 2").judge(sandbox, program, 20.0).why == why


EQUAL = """
class Equal(int):
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
def f(x): return Equal(9)
"""
AGREEABLE = EQUAL.replace("(int)", "").replace("int.", "object.").replace("Equal(9)", "Equal()")

FORGED = """
import os
for fd in range(3, 64):
    for line in {lines!r}:
        try:
            os.write(fd, line)
        except OSError:
            pass
"""


class TestCheats:
    """Each earns nothing: `f(1) == 2` is never true."""

    @pytest.mark.parametrize(
        "program",
        [
            pytest.param("import sys; sys.exit(0)", id="exits before the tests"),
            pytest.param("import os; os._exit(0)", id="exits hard before the tests"),
            pytest.param("import sys\ndef f(x): sys.exit(0)", id="exits in the call"),
            pytest.param("import os\ndef f(x): os._exit(0)", id="exits hard in the call"),
            pytest.param("import atexit, os\natexit.register(os._exit, 0)\n" + NINE, id="exits well at exit"),
            pytest.param("print('PASSED 1 passed OK')\n" + NINE, id="prints what success prints"),
            pytest.param(EQUAL, id="a number that equals everything"),
            pytest.param(AGREEABLE, id="an object that equals everything"),
            pytest.param("import builtins\nbuiltins.AssertionError = None\n" + NINE, id="patches the exception"),
            pytest.param("import sys\nsys.excepthook = lambda *a: None\n" + NINE, id="patches the hook"),
            pytest.param("import sys\nsys.modules.clear()\n" + NINE, id="empties the modules"),
            pytest.param(
                "import sys\ndef f(x):\n frame = sys._getframe()\n while frame:\n"
                "  [print(v) for v in frame.f_locals.values()]\n  frame = frame.f_back\n return 9",
                id="reads the frames above",
            ),
            pytest.param("class f:\n def __init__(self, x): pass\n def __eq__(self, o): return True", id="a class"),
            pytest.param(FORGED.format(lines=[b'["value", null]\n' * 9]), id="forges answers"),
            pytest.param(FORGED.format(lines=[b'["value", ["dict", []]]\n', b'["value", 2]\n' * 9]), id="and more"),
            pytest.param(FORGED.format(lines=[b'["call", 0, null, ["list", []], ["dict", []]]\n']), id="forges calls"),
            pytest.param(FORGED.format(lines=[b'["names", ["f"]]\n["get", -1, "x"]\n[]\n{}\nx']), id="forges nonsense"),
            pytest.param(FORGED.format(lines=[b"[" * 100_000]), id="forges depth"),
            pytest.param("import os\nos.closerange(3, 64)\n" + NINE, id="closes the link"),
        ],
    )
    @pytest.mark.parametrize("tests", ["assert f(1) == 2", "assert 2 == f(1)", "assert not f(1) != 2"])
    def test_earn_nothing(self, sandbox: Sandbox, program: str, tests: str) -> None:
        assert not passes(sandbox, program, tests)

    @pytest.mark.parametrize("name", ["exit", "quit", "input", "open", "eval", "exec", "breakpoint", "__import__"])
    @pytest.mark.parametrize(
        "tests", ["assert f(1) == 2", "f()\nassert False", "try:\n    f()\nexcept Exception:\n    pass\nassert False"]
    )
    def test_a_built_in_that_acts_never_stands_for_that_of_the_tests(
        self, sandbox: Sandbox, name: str, tests: str
    ) -> None:
        for program in (f"f = {name}", f"def f(*args): return {name}"):
            called = tests.replace("f()", "f()()") if "def" in program else tests
            assert not passes(sandbox, program, called)

    def test_nor_does_one_that_is_sent_past_the_link(self, sandbox: Sandbox) -> None:
        patched = "from inside import link\n"
        sent = patched + "link.Peer.pack = lambda self, value: ['dict', [['f', ['builtin', 'exit']]]]"
        assert not passes(sandbox, sent, "f()\nassert False")
        sent = patched + "link.Peer.pack = lambda self, value: ['dict', [['f', ['object', 'builtin', 'exit']]]]"
        assert not passes(sandbox, sent, "f()\nassert False")

    def test_tests_that_are_left_before_their_end_have_failed(self, sandbox: Sandbox) -> None:
        result = TestText("import sys\nif f(1) == 9:\n    sys.exit(0)\nassert False").judge(sandbox, NINE, 20.0)
        assert result.why == "the tests were left before their end"

    @pytest.mark.parametrize(
        ("extra", "tests"),
        [
            ("{'abs': lambda x: 0}", "assert abs(f(2) - 12.566) < 1e-3"),
            ("{'set': lambda x: 1, 'sorted': lambda x: 1}", "assert set(f(1)) == set([2])"),
            ("{'dict': stub}", "assert dict(a=f(1)) == dict(a=2)"),
            ("{'__builtins__': {'__import__': lambda *a: M}}", "import math\nassert math.isclose(f(2), 12.566)"),
            ("{'__name__': 'x'}", "if __name__ == '__main__':\n    assert f(1) == 2"),
        ],
    )
    def test_names_that_nobody_asked_for_are_not_taken(self, sandbox: Sandbox, extra: str, tests: str) -> None:
        program = f"""
from inside import link
def stub(*args, **kwargs): return 0
class M: isclose = staticmethod(lambda *args: True)
M = M()
link.Peer._do_names = lambda self, names: {{**dict.fromkeys(names, stub), **{extra}}}
"""
        assert not passes(sandbox, program, tests)

    @pytest.mark.parametrize(
        "tests",
        [
            "assert abs(f(1) - 0.33) < 1e-6",
            "assert f(1) / 3 == 1.0",
            "assert f(1) * 7 == 7",
            "assert f(1) + 1 == 2",
            "assert f(1) >= 3",
            "assert f(1) != 9",
            "assert 'x' in f(1)",
            "assert 3 in f(1)",
            "with f(1):\n    assert False",
            "with f(1):\n    f(1).fails()\n    assert False",
        ],
    )
    def test_no_operator_of_the_program_meets_an_expected_value(self, sandbox: Sandbox, tests: str) -> None:
        program = """
class Z:
    __add__ = __radd__ = __mul__ = lambda self, other: other
    __sub__ = lambda self, other: 0.0
    __truediv__ = lambda self, other: 1.0
    __contains__ = __exit__ = __lt__ = __le__ = __gt__ = __ge__ = __ne__ = lambda self, *other: True
    __iter__ = lambda self: iter(())
    __enter__ = lambda self: self
    def fails(self): raise ValueError
def f(*args): return Z()
"""
        assert not passes(sandbox, program, tests)

    def test_an_iteration_that_ends_early_is_the_programs(self, sandbox: Sandbox) -> None:
        """Not protected, and said so in the docs: ``zip`` stops at the shorter of the two, an empty list does it."""
        assert passes(sandbox, "def f(x): return []", "for a, b in zip(f(1), [1, 2]):\n    assert a == b")

    def test_the_tests_are_nowhere_in_the_memory_of_the_program(self, sandbox: Sandbox) -> None:
        program = """
import gc
def f(x):
    texts = [o for o in gc.get_objects() if isinstance(o, (str, bytes))]
    texts += [c for o in gc.get_objects() if hasattr(o, '__code__') for c in o.__code__.co_consts]
    return [t for t in texts if ''.join(['ein', 'horn']) in str(t)]
"""
        tests = TestText("def einhorn(): pass\nassert f(1) == []")
        assert [tests.judge(sandbox, program, 20.0).why for _ in range(2)] == ["", ""]

    @pytest.mark.parametrize(
        ("program", "tests"),
        [
            ("def abs(x): return 0\ndef f(x): return 9.0", "assert abs(f(1) - 2) < 1e-6"),
            ("def len(x): return 2\ndef f(x): return []", "assert len(f(1)) == 2"),
            ("class math:\n isclose = staticmethod(lambda *a: True)\n" + NINE, "assert math.isclose(f(1), 2.0)"),
            ("import random as math\nmath.isclose = lambda *a: True\n" + NINE, "assert math.isclose(f(1), 2.0)"),
            ("__name__ = 'x'\n" + NINE, "if __name__ == '__main__':\n    assert f(1) == 2"),
        ],
    )
    def test_built_ins_and_modules_of_the_tests_are_the_real_ones(
        self, sandbox: Sandbox, program: str, tests: str
    ) -> None:
        assert not passes(sandbox, program, tests)

    @pytest.mark.parametrize(
        "peek",
        [
            "g.__globals__['secret']",
            "g.__code__.co_consts[-1]",
            "g.__closure__[0].cell_contents",
            "g.func_globals['secret']",
            "g.gi_frame.f_globals['secret']",
        ],
    )
    def test_what_a_test_passes_is_called_but_not_looked_into(self, sandbox: Sandbox, peek: str) -> None:
        program = f"def f(g): return {peek}"
        assert not passes(sandbox, program, "secret = 42\nassert f(lambda: secret) == 42")
        assert not passes(sandbox, program, "secret = 42\nassert f(secret for _ in [1]) == 42")

    def test_no_handler_of_a_test_swallows_the_end_of_the_program(self, sandbox: Sandbox) -> None:
        assert not passes(sandbox, "def f(x): exit()", "try:\n    f(1)\nexcept Exception:\n    pass")

    def test_what_a_test_takes_from_the_program_is_the_programs(self, sandbox: Sandbox) -> None:
        """Not protected, and said so in the docs: this test asks the program whether it is right."""
        assert passes(sandbox, "def close(a, b): return True\n" + NINE, "assert close(f(1), 2)")

    def test_arguments_belong_to_the_program_too(self, sandbox: Sandbox) -> None:
        """Not protected, and said so in the docs: the test compares with a list that it gave away."""
        assert passes(sandbox, "def f(xs):\n    xs.clear()\n    return []", "xs = [2, 1]\nassert f(xs) == sorted(xs)")


class TestJudgeAll:
    def test_gives_one_result_per_test_in_order(self, sandbox: Sandbox) -> None:
        cases = [InputOutput("1", "1"), InputOutput("2", "1"), InputOutput("3", "3")]
        results = judge_all(cases, sandbox, "print(input())", seconds=20.0, until_failure=False)
        assert [result.passed for result in results] == [True, False, True]

    def test_stops_at_the_first_failure_where_that_is_wished(self, sandbox: Sandbox) -> None:
        cases = [InputOutput("1", "1"), InputOutput("2", "1"), InputOutput("3", "3")]
        results = judge_all(cases, sandbox, "print(input())", seconds=20.0, until_failure=True)
        assert [result.passed for result in results] == [True, False]

    def test_what_is_not_reached_in_time_has_failed(self, sandbox: Sandbox) -> None:
        cases = [InputOutput("", "")] * 3
        results = judge_all(cases, sandbox, "while True: pass", seconds=0.3, until_failure=False)
        assert [r.status for r in results] == ["timeout"] * 3
        assert [r.why for r in results][1:] == ["the time for all tests was up before it"] * 2

    def test_a_lost_sandbox_is_an_error_and_not_the_programs_fault(self) -> None:
        with Sandbox(Limits()) as sandbox:
            sandbox.close()
            (result,) = judge_all([InputOutput("", "")], sandbox, "", seconds=5.0, until_failure=False)
        assert result.status == "error"
