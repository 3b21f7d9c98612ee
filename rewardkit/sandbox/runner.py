"""One sandbox: the parent's end of a server process that forks a confined process per run."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rewardkit.sandbox.channels import Channels
from rewardkit.sandbox.protection import Protection, SandboxError

START_SECONDS = 60.0
"""How long a bare interpreter may take to start; a loaded machine needs seconds."""
_KILL_SECONDS = 10.0  # how long the kernel may take to end a process
_ANSWER = struct.Struct("!ib")  # as in inside/server.py
_BOOT = "import sys; sys.path[0] = sys.argv.pop(1); import inside.server as s; del sys.path[0]; s.main()"
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # without them some interpreters do not start

Ended = Literal["exit", "timeout", "output", "threads", "lost"]


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        seconds: wall time, and nearly the same of processor time.
        memory_bytes: address space beyond the interpreter's own.
        output_bytes: of stdout, and as much again of stderr; a run may be given more for its stdout.
        site_packages: whether installed packages may be imported.
    """

    seconds: float = 5.0
    memory_bytes: int = 2**30
    output_bytes: int = 2**20
    site_packages: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds must be positive and finite, got {self.seconds}: every program must end")
        if self.memory_bytes < 2**24:
            raise ValueError(f"memory_bytes must be at least {2**24} (16 MiB), got {self.memory_bytes}")
        if self.output_bytes < 1:
            raise ValueError(f"output_bytes must be positive, got {self.output_bytes}")


@dataclass(frozen=True)
class Run:
    """How a program ended.

    Attributes:
        ended: "exit" (by itself or by a signal), or what ended it: "timeout", "output" (too much of it),
            "threads" (too many), "lost" (the sandbox went with it).
        code: exit code; a negative one is a signal.
        stdout, stderr: of the program; of the tests where tests ran it.
        program_stderr: of the program where tests ran it.
    """

    ended: Ended
    code: int
    stdout: bytes = b""
    stderr: bytes = b""
    program_stderr: bytes = b""


class Sandbox:
    """A server process, ready to run programs one after the other; a context that ends it.

    Args:
        limits: of each program.
        kernel: False leaves out what the kernel holds, as on a system that has none of it (for tests).

    Raises:
        SandboxError: it cannot be started here.

    Example:
        >>> with Sandbox(Limits()) as sandbox:
        ...     sandbox.run("print(int(input()) + 1)", "41").stdout
        b'42\\n'
    """

    def __init__(self, limits: Limits, *, kernel: bool = True) -> None:
        if not (hasattr(os, "fork") and hasattr(socket, "send_fds")):
            raise SandboxError("programs can be run on Linux or another POSIX system only")
        self.limits = limits
        self._closed = False
        settings = {
            "seconds": limits.seconds,
            "memory_bytes": limits.memory_bytes,
            "site_packages": limits.site_packages,
            "kernel": kernel,
        }
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-s",
                    "-S",
                    "-X",
                    "utf8",
                    "-c",
                    _BOOT,
                    str(Path(__file__).parent),
                    json.dumps(settings),
                ],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"PYTHONHASHSEED": "0", **{k: os.environ[k] for k in _KEPT if k in os.environ}},
                cwd="/",
                start_new_session=True,  # Ctrl-C in a terminal is for the parent
            )
        try:
            self.protection = self._greeting()
        except BaseException:
            self.close()
            raise

    def run(self, program: str, stdin: str = "", *, seconds: float | None = None, output_bytes: int = 0) -> Run:
        """Run a program as ``__main__``.

        Args:
            program: its text.
            stdin: what it reads, as a regular file.
            seconds: wall time, where it is less than the limits have.
            output_bytes: of stdout, where it is more than the limits have.
        """
        with Channels() as channels:
            channels.feed(_encoded(program))
            channels.offer(_encoded(stdin))
            stdout = channels.drain(max(self.limits.output_bytes, output_bytes))
            stderr = channels.drain(self.limits.output_bytes)
            ended, code = self._exchange(b"R", channels, seconds)
            return Run(ended, code, bytes(stdout), bytes(stderr))

    def test(self, program: str, tests: str, *, seconds: float | None = None) -> Run:
        """Run a program as ``solution`` and, in another process, tests on what it defines.

        Args:
            program: its text.
            tests: JSON of the tests' text and of the names in it, see :class:`~rewardkit.sandbox.TestText`.
            seconds: the limit of both together, where it is less than the limits have.
        """
        with Channels() as channels:
            outputs = []
            for text in (program, tests):
                channels.feed(_encoded(text))
                channels.offer(b"")
                outputs += [channels.drain(self.limits.output_bytes), channels.drain(self.limits.output_bytes)]
            ended, code = self._exchange(b"T", channels, seconds)
            return Run(ended, code, bytes(outputs[2]), bytes(outputs[3]), bytes(outputs[1]))

    def _exchange(self, command: bytes, channels: Channels, seconds: float | None) -> tuple[Ended, int]:
        allowed = self.limits.seconds if seconds is None else min(seconds, self.limits.seconds)
        deadline = time.monotonic() + allowed
        try:
            socket.send_fds(self._control, [command], channels.theirs)
            channels.hand_over()
            event = channels.pump(self._control.fileno(), deadline)
            if event != "answer":
                self._control.sendall(b"K")
            code, crowded = self._answer()
        except (EOFError, OSError):
            self.close()
            return "lost", -1
        except BaseException:  # an interrupt in mid-run: its late answer must not be taken for the next
            self.close()
            raise
        if not channels.finish() and event == "answer":
            event = "output"
        if event != "answer":
            return event, code
        return ("threads" if crowded else "exit"), code

    def _answer(self) -> tuple[int, bool]:
        self._control.settimeout(_KILL_SECONDS)
        answer = self._control.recv(_ANSWER.size, socket.MSG_WAITALL)
        if len(answer) < _ANSWER.size:
            raise EOFError
        code, crowded = _ANSWER.unpack(answer)
        return code, bool(crowded)

    def _greeting(self) -> Protection:
        self._control.settimeout(START_SECONDS)
        line = b""
        with suppress(OSError):
            while not line.endswith(b"\n") and (more := self._control.recv(4096)):
                line += more
        hello = json.loads(line or "{}")
        if not hello.get("refused"):
            self._process.kill()
            assert self._process.stderr is not None
            said = self._process.stderr.read().decode(errors="replace").strip()[-2000:]
            raise SandboxError(f"the sandbox did not start ({sys.executable}): {said or 'it said nothing'}")
        return Protection.measured(hello["refused"], calls=hello["calls"], files=hello["files"])

    @property
    def alive(self) -> bool:
        """Whether it can run another program."""
        return not self._closed and self._process.poll() is None

    def abort(self) -> None:
        """Make the server end what runs, and then itself; for another thread than the one that waits for it."""
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the server and what runs in it; no process stays, not even a zombie. May be called twice."""
        self._closed = True
        self._control.close()  # at its end the server ends what runs, then itself
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
