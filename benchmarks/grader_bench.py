"""Labelled cases through a grader in a process of its own, under a watchdog: it may hang, crash or raise.

The process works in an empty folder, with bounded memory, and is killed when a request is not answered in time. Files
that it leaves in the folder were written by code out of an answer: no grader here has a reason to write any.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import queue
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from graders import __file__ as CHILD
from graders import last_box
from rich.progress import Progress

STARTUP_SECONDS = 120.0
"""How long a grader may take to load; the slowest takes seconds, on a busy machine tens of seconds."""


class MissingGrader(Exception):
    """The grader does not load here; the message says why."""


@dataclass(frozen=True)
class Reply:
    """What became of a request: its verdicts, or how it failed; seconds of each call."""

    state: Literal["ready", "missing", "done", "exception", "hang", "crash"]
    verdicts: list[bool | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    error: str = ""
    version: str = ""


class Child:
    """A grader that is loaded and waits for requests; raises MissingGrader where it cannot be loaded."""

    def __init__(self, name: str, *, paths: Sequence[str] = (), thread: bool = False, memory_gb: float = 8.0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="grader-", ignore_cleanup_errors=True)
        command = [sys.executable, str(Path(CHILD).resolve()), name, "--memory-gb", str(memory_gb)]
        self._process = subprocess.Popen(
            command + ["--thread"] * thread,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=self._folder.name,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, *filter(None, [os.environ.get("PYTHONPATH")])])},
            start_new_session=True,  # so that its own processes end with it
            text=True,
            encoding="utf-8",
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        ready = self._receive(STARTUP_SECONDS)
        self.version, self.alive = ready.version, True
        self.load_seconds = sum(ready.seconds)
        if ready.state != "ready":
            self.close()
            raise MissingGrader(ready.error or f"it did not load ({ready.state})")

    def ask(self, completions: list[str], golds: list[str], *, limit: float, size: int = 0) -> Reply:
        """Score these, in calls of `size` (0: one call), within `limit` seconds; a hang or a crash ends the child."""
        assert self._process.stdin is not None
        request = {"completions": completions, "golds": golds, "size": size or len(golds)}
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.alive = False
            return Reply("crash", error="the process had ended")
        reply = self._receive(limit)
        self.alive = reply.state not in ("hang", "crash")
        return reply

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def _receive(self, limit: float) -> Reply:
        """The next reply; a process that ends is noticed even while one of its own holds the pipe open."""
        start = time.monotonic()
        while (spent := time.monotonic() - start) < limit:
            ended = self._process.poll() is not None
            with suppress(queue.Empty):
                line = self._lines.get(timeout=1.0 if ended else min(0.5, limit - spent))
                if line.endswith("\n"):
                    return Reply(**json.loads(line))
            if ended:
                return Reply("crash", seconds=[spent], error=f"exit status {self._process.returncode}")
        return Reply("hang", seconds=[limit], error=f"no answer within {limit:g} s")

    def close(self) -> list[str]:
        """End the process and all it started; returns the files it left."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if self.alive:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(5.0)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        files = sorted(path.name for path in Path(self._folder.name).iterdir())
        self._folder.cleanup()
        return files


BATCH = 64
_NUMBER = re.compile(r"[-+]?(\d[\d,]*(\.\d*)?|\.\d+|\d+/\d+|\\[dt]?frac\{[-+]?\d+\}\{\d+\})(\\?%)?")
_WORDS = re.compile(r"(\\text(bf|rm)?\{)?\(?([A-Za-z]{3,}|[A-Z])\)?\}?")


@dataclass(frozen=True)
class Case:
    id: str
    tag: str
    completion: str
    gold: str
    expected: bool

    @property
    def hostile(self) -> bool:
        return self.tag.startswith("adversarial")

    @property
    def symbolic(self) -> bool:
        """Whether it takes more than reading two numbers, two words or the same text twice."""
        pair = [re.sub(r"\\!|[$\s]", "", text) for text in (last_box(self.completion) or "", self.gold)]
        plain = any(all(pattern.fullmatch(text) for text in pair) for pattern in (_NUMBER, _WORDS))
        return "" not in pair and pair[0] != pair[1] and not plain


WARM_UP = [Case(f"warm-up {v}", "", f"So it is \\boxed{{{v} + p}}.", f"p + {v}", True) for v in "abcdqrst"]
"""In no battery; several, so that a grader with worker processes has them all started."""
Verdict = bool | str | None  # or how it failed
Jobs = list[list[Case]]
Gate = threading.Barrier | None  # where processes that are to run at once wait for each other


@dataclass
class Bench:
    """Runs graders on cases; remembers which of them left files behind."""

    args: argparse.Namespace
    progress: Progress
    left: dict[str, set[str]] = field(default_factory=dict)

    def start(self, name: str, thread: bool = False) -> Child:
        paths = [folder for prefix, folder in self.args.peer_path if name.startswith(prefix)]
        child = Child(name, paths=paths, thread=thread, memory_gb=self.args.memory_gb)
        child.ask([c.completion for c in WARM_UP], [c.gold for c in WARM_UP], limit=self.args.timeout)
        return child

    def replies(
        self, name: str, jobs: Jobs, label: str, limit: float, *, thread: bool = False, gate: Gate = None
    ) -> Iterator[tuple[list[Case], Reply]]:
        """The reply to each job, in a process that is replaced when it ends; the first waits at the gate."""
        child = None
        task = self.progress.add_task(f"{label}: {name}", total=len(jobs))
        try:
            for job in jobs:
                if child is None or not child.alive:
                    self.close(name, child)
                    child = self.start(name, thread)
                    if gate is not None:
                        gate.wait()
                        gate = None
                reply = child.ask([c.completion for c in job], [c.gold for c in job], limit=limit)
                self.progress.advance(task)
                yield job, reply
        finally:
            self.close(name, child)
            self.progress.remove_task(task)

    def close(self, name: str, child: Child | None) -> None:
        if child is not None:
            self.left.setdefault(name, set()).update(child.close())

    def judge(self, name: str, cases: list[Case], label: str, thread: bool = False) -> tuple[dict[str, Verdict], float]:
        """A verdict for every case, and the seconds of calls; in a failed batch those of its single cases."""
        verdicts: dict[str, Verdict] = {}
        wall, again = 0.0, []
        for job, reply in self.replies(name, batches(cases), label, self.args.timeout, thread=thread):
            if reply.state == "done":
                verdicts.update(zip((c.id for c in job), reply.verdicts, strict=True))
                wall += sum(reply.seconds)
            else:
                again += [[case] for case in job]
        for [case], reply in self.replies(name, again, f"{label}, one by one", self.args.case_timeout, thread=thread):
            verdicts[case.id] = reply.verdicts[0] if reply.state == "done" else reply.state
            wall += sum(reply.seconds)
        return verdicts, wall

    def rate(
        self, name: str, cases: list[Case], label: str, *, seed: int, group: int = 1, gate: Gate = None
    ) -> tuple[int, float]:
        """Cases done and the seconds of a timed pass, each case `group` times in a row as in a GRPO group."""
        order = random.Random(seed).sample(cases, len(cases))
        if group > 1:
            order = [replace(c, completion=f"Attempt {k}.\n{c.completion}") for c in order for k in range(group)]
        done, seconds = 0, 0.0
        for job, reply in self.replies(name, batches(order), label, self.args.timeout, gate=gate):
            if reply.state == "done":
                done, seconds = done + len(job), seconds + sum(reply.seconds)
            if seconds > self.args.pass_seconds:
                break
        return done, seconds

    def latency(self, name: str, cases: list[Case]) -> dict[str, float]:
        """Median and 99th percentile of single calls in microseconds, golds distinct and caches cold."""
        first = list({case.gold: case for case in reversed(cases)}.values())
        child = self.start(name)
        reply = child.ask([c.completion for c in first], [c.gold for c in first], limit=10 * self.args.timeout, size=1)
        self.close(name, child)
        if reply.state != "done":
            return {}
        micros = sorted(second * 1e6 for second in reply.seconds)
        return {
            "calls": len(micros),
            "median": statistics.median(micros),
            "p99": micros[math.ceil(0.99 * len(micros)) - 1],
        }


def batches(cases: list[Case]) -> Jobs:
    return [cases[i : i + BATCH] for i in range(0, len(cases), BATCH)]
