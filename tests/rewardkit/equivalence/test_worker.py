"""Specification of rewardkit.equivalence.worker: one reply a line, limits of its own, and a hook that refuses."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
MEMORY, SECONDS = 512 * 2**20, 1.5


class Served:
    """A worker as its parent sees it: a pipe in and a pipe out."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rewardkit.equivalence.worker", str(MEMORY), str(SECONDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.first_line = self.reply()

    def reply(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        reply: dict[str, Any] = json.loads(self.process.stdout.readline())
        return reply

    def ask(self, answer: object, truth: str, tolerance: str | None = None) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(
            json.dumps({"answer": answer, "truth": truth, "tolerance": tolerance}), file=self.process.stdin, flush=True
        )
        return self.reply()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    served = Served()
    with served.process:
        yield served
        assert served.process.stdin is not None
        served.process.stdin.close()
        assert served.process.wait(20) == 0  # the end of its input is the end of it


class TestProtocol:
    def test_says_first_that_it_is_ready(self, served: Served) -> None:
        assert served.first_line == {"ready": True}

    @pytest.mark.parametrize(
        ("answer", "truth", "equal"),
        [(r"\int_0^1 x^2 dx", "1/3", True), (r"\int_0^1 x^2 dx", "1/4", False), (r"\det(x)", "x", None)],
    )
    def test_replies_whether_they_are_equal_and_why(
        self, served: Served, answer: str, truth: str, equal: bool | None
    ) -> None:
        reply = served.ask(answer, truth)
        assert (reply["equal"], "error" in reply, bool(reply["detail"])) == (equal, False, True)

    def test_reads_the_tolerance_as_an_exact_fraction(self, served: Served) -> None:
        assert served.ask("0.333", "1/3", "1/3000")["equal"] is True
        assert served.ask("0.333", "1/3", "1/3001")["equal"] is False

    def test_reports_an_exception_and_serves_on(self, served: Served) -> None:
        reply = served.ask(None, "1")
        assert reply == {"error": "AttributeError: 'NoneType' object has no attribute 'strip'"}
        assert served.ask("1", "1")["equal"] is True

    @pytest.mark.parametrize("text", ["a\nb", '"}\n{"equal": true}', "\ud800", "\x00", "é" * 5_000])
    def test_answers_any_text_with_one_line(self, served: Served, text: str) -> None:
        assert served.ask(text, "x")["equal"] is False
        assert served.ask("x", "x")["equal"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of another process")
class TestLimits:
    def test_leave_the_allowance_beyond_what_is_loaded(self, served: Served) -> None:
        served.ask("1", "1")  # the limit is set anew for every request
        soft, _ = psutil.Process(served.process.pid).rlimit(resource.RLIMIT_AS)
        assert MEMORY < soft < MEMORY + 2 * 2**30

    def test_on_processor_time_are_the_budget_after_each_request(self, served: Served) -> None:
        served.ask("1", "1")
        process = psutil.Process(served.process.pid)
        used = sum(process.cpu_times()[:2])
        soft, _ = process.rlimit(resource.RLIMIT_CPU)
        assert soft <= math.ceil(used + SECONDS) + 1

    def test_make_no_core_file(self, served: Served) -> None:
        assert psutil.Process(served.process.pid).rlimit(resource.RLIMIT_CORE) == (0, 0)


ATTEMPTS = {
    "to evaluate": 'eval("1+1")',
    "to execute": 'exec("x=1")',
    "to compile": 'compile("1", "<string>", "eval")',
    "to import by text": "eval(\"__import__('os')\")",
    "to make a function of text": 'sympy.lambdify(sympy.Symbol("x"), sympy.Symbol("x"))',
    "to parse text with sympy": 'sympy.sympify("x + 1")',
    "to run a command": 'os.system("touch PWNED")',
    "to open a pipe to a command": 'os.popen("touch PWNED")',
    "to start a process": 'subprocess.Popen(["touch", "PWNED"])',
    "to start a process in C": 'os.posix_spawn("/usr/bin/touch", ["touch", "PWNED"], {})',
    "to fork": "os.fork()",
    "to become another program": 'os.execv("/usr/bin/touch", ["touch", "PWNED"])',
    "to open a socket": "socket.socket()",
    "to write a file": 'open("PWNED", "w")',
    "to write bytes": 'open("PWNED", "wb")',
    "to append to a file": 'open("there", "a")',
    "to change a file": 'open("there", "r+")',
    "to make a file": 'open("PWNED", "x")',
    "to write with pathlib": 'Path("PWNED").write_text("x")',
    "to write without a buffer": 'io.FileIO("PWNED", "w")',
    "to remove a file": 'os.remove("there")',
    "to rename a file": 'os.rename("there", "PWNED")',
    "to remove a directory": 'shutil.rmtree(".")',
    "to unpickle": "pickle.loads(b\"cos\\nsystem\\n(S'touch PWNED'\\ntR.\")",
    "to load a library": 'ctypes.CDLL("libc.so.6")',
}
ALLOWED = {
    "to read a file": 'open("there").read() == "as it was"',
    "to list a directory": 'os.listdir(".") == ["there"]',
    "to import a module of the standard library": 'importlib.import_module("colorsys").__name__ == "colorsys"',
    "to import a module from site-packages": 'importlib.import_module("psutil").__name__ == "psutil"',
    "to compile a pattern": 're.compile("a+").match("aa") is not None',
    "to name the fields of a tuple": 'collections.namedtuple("Pair", "a b")(1, 2).b == 2',
    "to use sympy": 'sympy.integrate(sympy.Symbol("x"), (sympy.Symbol("x"), 0, 2)) == 2',
}
HOOKED = """
import collections, ctypes, importlib, io, json, os, pickle, re, shutil, socket, subprocess, sys
from pathlib import Path
import sympy
from rewardkit.equivalence import worker
from rewardkit.equivalence.symbolic import warm_up
sys.dont_write_bytecode = True
attempts = [(name, compile(text, __file__, "eval")) for name, text in json.loads(sys.argv[1]).items()]
warm_up()
sys.addaudithook(worker._refuse)
ends = {}
for name, attempt in attempts:
    try:
        ends[name] = eval(attempt) is True
    except BaseException as error:
        ends[name] = f"{type(error).__name__}: {error}"
print(json.dumps(ends))
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | bool]:
    """How each attempt ended in an interpreter with the hook of a worker."""
    script, folder = tmp_path_factory.mktemp("script") / "hooked.py", tmp_path_factory.mktemp("folder")
    script.write_text(HOOKED)
    (folder / "there").write_text("as it was")
    ended = subprocess.run(
        [sys.executable, str(script), json.dumps({**ATTEMPTS, **ALLOWED})],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in folder.iterdir()] == ["there"]
    assert (folder / "there").read_text() == "as it was"
    found: dict[str, str | bool] = json.loads(ended.stdout)
    return found


class TestHook:
    @pytest.mark.parametrize("attempt", ATTEMPTS)
    def test_refuses(self, ends: dict[str, str | bool], attempt: str) -> None:
        assert str(ends[attempt]).startswith("PermissionError: ")

    @pytest.mark.parametrize("attempt", ALLOWED)
    def test_allows(self, ends: dict[str, str | bool], attempt: str) -> None:
        assert ends[attempt] is True


def test_the_hook_refuses_files_by_their_flags_too(tmp_path: Path) -> None:
    code = f"""
import os, sys
from rewardkit.equivalence.worker import _refuse
sys.addaudithook(_refuse)
for act in (
    lambda: os.open({str(tmp_path / "a")!r}, os.O_CREAT | os.O_WRONLY),
    lambda: os.mkdir({str(tmp_path / "b")!r}),
    lambda: eval(compile("1+1", "x.py", "eval")),
):
    try:
        act()
    except PermissionError:
        continue
    raise SystemExit("not refused")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []
