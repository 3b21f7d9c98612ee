"""Specification of a sandbox: programs run as they would anywhere, within their limits."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.sandbox import Limits, Run, Sandbox, SandboxError, runner

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(Limits(seconds=20.0)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("program", "stdout"),
    [
        ("print(input()[::-1])", "cba\n"),
        ("print(open(0).read().split())", "['abc', 'd']\n"),
        ("import sys; sys.stdout.write(sys.stdin.readline())", "abc\n"),
        ("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())", "abc\nd"),
        ("print(__name__)\nif __name__ == '__main__': print(1)", "__main__\n1\n"),
        ("import sys; print(len(sys.argv))", "1\n"),
        ("f = open(1, 'w'); f.write('never closed')", "never closed"),
        ("import sys, io; sys.stdout = io.StringIO(); sys.__stdout__.write('kept')", "kept"),
        ("import atexit; atexit.register(print, 'at exit')", "at exit\n"),
        ("class A:\n def __del__(self): print('gone')\na = A()", "gone\n"),
        ("import threading; threading.Thread(target=print, args=('thread',)).start()", "thread\n"),
        ("import asyncio\nasync def main(): print('async')\nasyncio.run(main())", "async\n"),
        ("print('a'); exit()", "a\n"),
        ("import os; print(os.read(0, os.fstat(0).st_size))", "b'abc\\nd'\n"),
        ("import mmap; print(mmap.mmap(0, 0, access=mmap.ACCESS_READ).readline())", "b'abc\\n'\n"),
        ("import sys; sys.stdin.read(); sys.stdin.seek(0); print(input())", "abc\n"),
        ("print(open('/dev/stdin').readline())", "abc\n\n"),
        ("import sys; print('a'); sys.stdout = None", "a\n"),
        ("import sys; print('a'); sys.modules.clear()", "a\n"),
        ("import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.detach()); print('a')", "a\n"),
        ("class Out:\n write = print\n flush = lambda s: None\nimport sys; print('a'); sys.stdout = Out()", "a\n"),
        ("print('a'); quit(0)", "a\n"),
        ("import sys; print('a'); sys.exit()", "a\n"),
        ("import os; os.write(1, b'raw'); os._exit(0)", "raw"),
        ("def f(n): return n and 1 + f(n - 1)\nprint(f(900))", "900\n"),
        ("import resource as r; r.setrlimit(r.RLIMIT_STACK, r.getrlimit(r.RLIMIT_STACK)); print(1)", "1\n"),
        ("print('é', '\\u4e2d')", "é 中\n"),
        ("import inspect\ndef f(): pass\nprint(inspect.getsource(f))", "def f(): pass\n\n"),
        ("import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "A\n"),
        ("", ""),
    ],
)
def test_a_program_runs_as_the_main_module(sandbox: Sandbox, program: str, stdout: str) -> None:
    assert sandbox.run(program, "abc\nd") == Run("exit", 0, stdout.encode(), b"")


def test_a_wrapper_of_stdout_is_flushed_while_its_names_are_there(sandbox: Sandbox) -> None:
    program = """
import os, sys, io
class FastIO(io.IOBase):
    def __init__(self, file):
        self.file, self.buffer = file, io.BytesIO()
        self.write = lambda text: self.buffer.write(text.encode())
    def flush(self):
        os.write(self.file.fileno(), self.buffer.getvalue())
        self.buffer.truncate(0), self.buffer.seek(0)
sys.stdout = FastIO(sys.stdout)
print(1)
"""
    assert sandbox.run(program) == Run("exit", 0, b"1\n", b"")


def test_what_cannot_be_flushed_ends_as_in_a_plain_interpreter(sandbox: Sandbox) -> None:
    run = sandbox.run("class Out: pass\nimport sys; print('a'); sys.stdout = Out()")
    assert (run.ended, run.code, run.stdout) == ("exit", 120, b"a\n")
    assert b"AttributeError" in run.stderr


def test_all_of_a_large_input_is_read_at_once_and_cannot_be_written(sandbox: Sandbox) -> None:
    assert sandbox.run("import os; print(len(os.read(0, 10**7)))", "x" * 300_000).stdout == b"300000\n"
    assert b"Bad file descriptor" in sandbox.run("import os; os.write(0, b'x')", "abc").stderr
    assert sandbox.run("import mmap; mmap.mmap(0, 0)", "abc").code == 1


def test_a_thread_may_have_a_stack_of_half_a_gigabyte(sandbox: Sandbox) -> None:
    program = "import threading\nthreading.stack_size(2**29)\nthreading.Thread(target=print, args=(1,)).start()"
    assert sandbox.run(program).stdout == b"1\n"


def test_deep_recursion_in_a_thread_works(sandbox: Sandbox) -> None:
    program = """
import sys, threading
sys.setrecursionlimit(10**6)
threading.stack_size(2**27)
def depth(n): return n and 1 + depth(n - 1)
threading.Thread(target=lambda: print(depth(10**5))).start()
"""
    assert sandbox.run(program).stdout == b"100000\n"


def test_the_standard_library_loads(sandbox: Sandbox) -> None:
    modules = "array bisect bz2 collections copy ctypes dataclasses datetime decimal fractions functools hashlib heapq"
    modules += " itertools json lzma math operator random re sqlite3 ssl statistics string typing unittest uuid zlib"
    assert sandbox.run("import " + ", ".join(modules.split())).code == 0


def test_installed_packages_load_where_they_are_wanted(sandbox: Sandbox) -> None:
    assert sandbox.run("import pytest").code == 1
    with Sandbox(Limits(site_packages=True, seconds=60.0)) as with_packages:
        assert with_packages.run("import pytest; print(pytest.__name__)").stdout == b"pytest\n"


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import os; os._exit(7)", 7, ""),
        ("import sys; sys.exit('why')", 1, "why"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("def (", 1, "SyntaxError"),
        ("print(1)\0", 1, "null bytes"),
        ("print('\ud800')", 1, "SyntaxError"),  # a lone surrogate is no UTF-8
        ("import os; os.abort()", -6, ""),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import ctypes; ctypes.string_at(0)", -11, ""),
    ],
)
def test_says_how_it_ended(sandbox: Sandbox, program: str, code: int, said: str) -> None:
    run = sandbox.run(program)
    assert (run.ended, run.code) == ("exit", code)
    assert said in run.stderr.decode()


def test_output_may_be_any_bytes(sandbox: Sandbox) -> None:
    assert sandbox.run("import sys; sys.stdout.buffer.write(bytes(range(256)))").stdout == bytes(range(256))


def test_a_program_of_a_megabyte_runs(sandbox: Sandbox) -> None:
    assert sandbox.run("x = 1\n" * 175_000 + "print(x)").stdout == b"1\n"


def test_large_input_and_output_pass_side_by_side(sandbox: Sandbox) -> None:
    text = "0123456789" * 100_000
    assert sandbox.run("while True:\n c = input()\n print(c)\n break", text).stdout == text.encode() + b"\n"
    assert sandbox.run("print('does not read')", text).stdout == b"does not read\n"


def test_output_up_to_the_limit_is_kept_and_beyond_it_ends_the_run() -> None:
    with Sandbox(Limits(output_bytes=100)) as sandbox:
        assert sandbox.run("print('x' * 99)").ended == "exit"
        assert sandbox.run("print('x' * 100)").ended == "output"


def test_a_run_may_be_given_more_output_than_the_limit() -> None:
    with Sandbox(Limits(output_bytes=100)) as sandbox:
        assert sandbox.run("print('x' * 199)", output_bytes=200).ended == "exit"
        assert sandbox.run("print('x' * 200)", output_bytes=200).ended == "output"
        assert sandbox.run("print('x' * 99)", output_bytes=10).ended == "exit"


def test_sets_are_printed_in_the_same_order_by_every_sandbox(sandbox: Sandbox) -> None:
    program = "print({str(i) for i in range(50)})"
    with Sandbox(Limits()) as other:
        assert sandbox.run(program) == other.run(program)


def test_a_run_may_have_less_time_than_the_limit(sandbox: Sandbox) -> None:
    assert sandbox.run("while True: pass", seconds=0.1).ended == "timeout"
    assert sandbox.run("while True: pass", seconds=0.0).ended == "timeout"
    assert sandbox.run("print(1)").ended == "exit"


@given(text=st.text())
@settings(max_examples=25, deadline=None)
def test_any_text_is_a_program_that_ends(sandbox: Sandbox, text: str) -> None:
    assert sandbox.run(text).ended == "exit"


def test_a_sandbox_that_is_gone_says_so() -> None:
    sandbox = Sandbox(Limits(seconds=60.0))
    threading.Timer(0.3, sandbox.abort).start()
    assert sandbox.run("while True: pass").ended == "lost"
    assert not sandbox.alive
    sandbox.close()


def test_an_interpreter_that_does_not_start_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_BOOT", "raise SystemExit('no such thing')")
    with pytest.raises(SandboxError, match=r"did not start .*: no such thing"):
        Sandbox(Limits())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"seconds": 0}, "seconds must be positive and finite, got 0"),
        ({"seconds": float("inf")}, "seconds must be positive and finite, got inf"),
        ({"seconds": float("nan")}, "seconds must be positive and finite, got nan"),
        ({"memory_bytes": 1000}, "memory_bytes must be at least 16777216"),
        ({"output_bytes": 0}, "output_bytes must be positive, got 0"),
    ],
)
def test_limits_that_are_none_are_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Limits(**limits)  # type: ignore[arg-type]


def test_tests_are_json_of_text_and_names(sandbox: Sandbox) -> None:
    tests = json.dumps({"text": "assert f(2) == 4 and math.pi > 3", "names": ["f"], "modules": ["math"]})
    assert sandbox.test("def f(x): return x * x", tests).code == 0
    assert b"AssertionError" in sandbox.test("def f(x): return x", tests).stderr
