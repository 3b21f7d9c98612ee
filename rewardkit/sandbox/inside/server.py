"""The server: forks one confined process per program and says how it ended.

It speaks with its parent over one socket. ``R`` (run) comes with four file descriptors: the program's text,
and what shall be its stdin, stdout and stderr. ``T`` (test) comes with eight: four for the program and four
for the tests, which run in a process of their own. ``K`` ends what runs. The answer is the exit code (a
negative one is a signal). The server itself never reads a program, a test or an output, so that a later
process, which is a copy of it, finds nothing of an earlier one in its memory.
"""

from __future__ import annotations

import builtins
import gc
import importlib
import json
import os
import select
import socket
import struct
import sys
from typing import IO, NamedTuple

from . import landlock, program, seccomp
from .confine import Confinement, trial, used_address_space
from .link import Peer

ANSWER = struct.Struct("!ib")  # exit code; 1 where it was ended for its number of threads
RUN, TEST, KILL = b"R", b"T", b"K"

_SIGKILL = 9
_MAX_THREADS = 64
_WATCH_SECONDS = 0.02  # between two looks at the number of threads
_POLL_SECONDS = 0.002  # between two looks at the end of a process, where the system has no pidfd
_TESTS = "__main__"  # so that what tests guard by their name runs


class Seat(NamedTuple):
    """What a forked process becomes: its file descriptors, and the pipes to its twin where it has one.

    Attributes:
        fds: its text, stdin, stdout and stderr.
        link: where it reads from its twin and writes to it.
        tests: whether it is the tests' process; else the program's.
    """

    confinement: Confinement
    fds: tuple[int, int, int, int]
    link: tuple[int, int] | None = None
    tests: bool = False

    def take(self) -> None:
        """Become the process of this seat. Nothing of the text is read before the confinement holds."""
        rules = () if self.confinement.files is None else (self.confinement.files,)
        text, *standard = self.fds
        own = program.take_seat(*standard, keep=(text, *(self.link or ()), *rules))
        self.confinement.enter()
        with os.fdopen(text, "rb") as file:
            source = file.read()
        try:
            if self.link is None:
                program.run(source, name="__main__")
            else:
                reader, writer = os.fdopen(self.link[0], "rb"), os.fdopen(self.link[1], "wb")
                (_test if self.tests else _serve_program)(source, reader, writer)
        except SystemExit as end:
            if end.code not in (None, 0):
                raise
            if self.tests and not _of_unittest(end):  # a test that did not come to its end was not passed
                raise SystemExit("the tests were left before their end") from None
        program.leave(own)


def _serve_program(source: bytes, reader: IO[bytes], writer: IO[bytes]) -> None:
    module = program.run(source, name="solution")
    peer = Peer("program", reader, writer)
    peer.namespace = vars(module)
    peer.serve()


def _test(source: bytes, reader: IO[bytes], writer: IO[bytes]) -> None:
    """Run the tests: ``{"text", "names": of the program, "modules": of the standard library}``."""
    tests = json.loads(source)
    peer = Peer("tests", reader, writer, tests_module=_TESTS)
    reply = peer.ask("names", tests["names"])
    names = {name: reply[name] for name in tests["names"] if name in reply}  # whatever else the program says
    names.update((name, importlib.import_module(name)) for name in tests["modules"])
    program.run(tests["text"].encode(), name=_TESTS, names=names)


def _of_unittest(end: SystemExit) -> bool:
    """Whether ``unittest.main()`` itself raised it, once its tests had passed."""
    trace = end.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    main = sys.modules.get("unittest.main")
    return trace is not None and main is not None and trace.tb_frame.f_globals is vars(main)


def main() -> None:
    """Serve until the parent is gone; returns in forked processes too, once they have run."""
    settings = json.loads(sys.argv[1])
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    vars(builtins).update(exit=sys.exit, quit=sys.exit)  # which the module `site` would have put there
    os.chdir("/")
    sys.dont_write_bytecode = True
    gc.freeze()  # a collection in a forked process would copy every page that it touches
    _prefer_as_victim()
    confinement = Confinement(
        cpu_seconds=settings["seconds"],
        address_space=used_address_space() + settings["memory_bytes"],
        files=landlock.ruleset(_packages(settings["site_packages"])) if settings["kernel"] else None,
        calls=settings["kernel"] and seccomp.supported(),
    )
    control.sendall(_hello(confinement))
    seat = _next_seat(control, confinement)
    if seat is not None:
        seat.take()


def _hello(confinement: Confinement) -> bytes:
    """What a trial process could not do, and by what means, as a line of JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, json.dumps(trial(confinement)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        refused = file.read()
    os.waitpid(child, 0)
    means = {"calls": confinement.calls, "files": confinement.files is not None}
    return json.dumps({"refused": json.loads(refused or "null"), **means}).encode() + b"\n"


def _next_seat(control: socket.socket, confinement: Confinement) -> Seat | None:
    """Answer the parent. Returns a seat in each process that is forked, ``None`` when the parent is gone."""
    while True:
        command, fds, _, _ = socket.recv_fds(control, 1, 8)
        if not command:
            return None
        if command == KILL:  # for one that has ended meanwhile
            continue
        seats, pipes = _seats(fds, confinement)
        children = []
        for seat in seats:
            child = os.fork()
            if child == 0:
                return seat
            children.append(child)
        for fd in (*fds, *pipes):
            os.close(fd)
        control.sendall(ANSWER.pack(*_wait(control, children)))


def _seats(fds: list[int], confinement: Confinement) -> tuple[list[Seat], list[int]]:
    first = (fds[0], fds[1], fds[2], fds[3])
    if len(fds) == 4:
        return [Seat(confinement, first)], []
    (program_in, tests_out), (tests_in, program_out) = os.pipe(), os.pipe()
    second = (fds[4], fds[5], fds[6], fds[7])
    seats = [
        Seat(confinement, first, (program_in, program_out)),
        Seat(confinement, second, (tests_in, tests_out), tests=True),
    ]
    return seats, [program_in, program_out, tests_in, tests_out]


def _wait(control: socket.socket, children: list[int]) -> tuple[int, int]:
    """Wait for the last child (the tests', or the program alone), then end the others; none is left behind."""
    last, crowded = children[-1], False
    watched: list[int] = [control.fileno()]
    watched += [os.pidfd_open(last)] if hasattr(os, "pidfd_open") else []
    while True:
        ready, _, _ = select.select(watched, [], [], _WATCH_SECONDS if len(watched) > 1 else _POLL_SECONDS)
        ended, status = os.waitpid(last, os.WNOHANG)
        if ended:
            break
        crowded = crowded or any(_threads(child) > _MAX_THREADS for child in children)
        if crowded or control.fileno() in ready:
            os.kill(last, _SIGKILL)
        if control.fileno() in ready:
            control.recv(1)
    for fd in watched[1:]:
        os.close(fd)
    for child in children[:-1]:
        os.kill(child, _SIGKILL)
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), int(crowded)


def _threads(process: int) -> int:
    try:
        return len(os.listdir(f"/proc/{process}/task"))  # noqa: PTH208
    except OSError:
        return 1  # ended, or no such file system


def _packages(wanted: bool) -> list[str]:
    """Load the installed packages' paths where they are wanted."""
    if not wanted:
        return []
    import site

    site.main()
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def _prefer_as_victim() -> None:
    """Where memory runs out, the kernel shall end a test, not the training."""
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as f:  # noqa: PTH123
            f.write("1000")
    except OSError:
        return  # not Linux
