"""A process gives up its rights: limits, files, system calls; and a trial that tries what they should refuse."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from . import landlock, seccomp

_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_OPEN_FILES = 64
_STACK_BYTES = 64 * 2**20  # deep recursion inside C code needs more than the usual 8 MiB

_REFUSED = (
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.kill", "os.remove", "os.rename", "os.rmdir",
    "os.mkdir", "os.symlink", "os.link", "os.truncate", "os.ch", "os.utime", "os.setxattr", "os.removexattr",
    "subprocess.", "socket.", "shutil.", "sqlite3.", "ctypes.", "signal.pthread_kill", "pty.", "fcntl.", "syslog.",
    "resource.setrlimit", "resource.prlimit",
)  # fmt: skip
"""Audit events that the interpreter itself refuses where the kernel cannot."""


class Confinement(NamedTuple):
    """What a process is held to before it runs anything.

    Attributes:
        cpu_seconds: processor time; the wall time is watched from outside.
        address_space: bytes of it, the interpreter's own included.
        files: the Landlock rules as a file descriptor, or None.
        calls: whether the kernel filters system calls; else the interpreter's audit hook has to do.
    """

    cpu_seconds: float
    address_space: int
    files: int | None
    calls: bool

    def enter(self) -> None:
        """Give up the rights of this process, for good.

        Raises:
            OSError: the kernel refused; nothing hostile may run then.
        """
        _die_with_parent()
        cpu = math.ceil(self.cpu_seconds) + 1
        _limit(resource.RLIMIT_CPU, cpu)
        _limit(resource.RLIMIT_FSIZE, 0)
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
        with suppress(OSError, ValueError):  # macOS knows the name but does not hold it
            _limit(resource.RLIMIT_AS, self.address_space)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        if self.files is not None:
            seccomp.forbid_new_privileges()
            landlock.restrict(self.files)
        if self.calls:
            seccomp.install()
        else:
            _limit(resource.RLIMIT_NPROC, 0)
            sys.addaudithook(_refuse)


def trial(confinement: Confinement) -> dict[str, bool]:
    """Enter the confinement and try to break it: which attempts were refused. Ends up confined."""
    above = confinement.address_space
    confinement.enter()
    return {
        "network": _fails(_open_socket, PermissionError),
        "processes": _fails(_fork, PermissionError),
        "writing": _fails(_write_file, PermissionError),
        "reading": _fails(_read_file, PermissionError),
        "memory": _fails(partial(mmap.mmap, -1, above), OSError),  # never touched: costs no memory
    }


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the server, which started it, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


def used_address_space() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as f:  # noqa: PTH123
        return int(f.read().split()[0]) * resource.getpagesize()


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} is refused in the sandbox")
    if event == "open" and not isinstance(args[0], int):
        mode, flags = args[1], args[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & writes):
            raise PermissionError("a file opened for writing is refused in the sandbox")


def _fails(attempt: Callable[[], object], refusal: type[BaseException]) -> bool:
    try:
        attempt()
    except refusal:
        return True
    except Exception:  # noqa: BLE001 - it did not work, but nothing refused it: no protection to rely on
        return False
    return False


def _open_socket() -> None:
    socket.socket().close()


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _write_file() -> None:
    os.close(os.open(os.devnull, os.O_WRONLY))


def _read_file() -> None:
    os.close(os.open("/proc/self/status", os.O_RDONLY))
