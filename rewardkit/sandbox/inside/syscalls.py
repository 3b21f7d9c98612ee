"""Which system calls a confined process may make: it computes, reads files and talks through its pipes.

A list of what is allowed, so that a call which is new or forgotten is refused. What is not on it: sockets
and connections, new processes and programs, signals to others, tracing, files opened for writing, made,
renamed or removed, shared memory, keys, mounts, namespaces, io_uring, limits of its own.

Numbers: x86_64 from arch/x86/entry/syscalls/syscall_64.tbl, aarch64 from include/uapi/asm-generic/unistd.h
of the Linux kernel; a test compares them with the headers of the machine.
"""

from __future__ import annotations

import fcntl
import os
import resource
import termios
from typing import NamedTuple

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine -> (column of the tables below, AUDIT_ARCH of linux/audit.h)."""

Numbers = tuple["int | None", "int | None"]

ALLOWED: dict[str, Numbers] = {
    # reading, and writing to pipes that are open
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62), "fstat": (5, 80),
    "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "access": (21, None),
    "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None), "readlinkat": (267, 78),
    "getdents64": (217, 61), "getcwd": (79, 17), "dup": (32, 23), "dup2": (33, None), "dup3": (292, 24),
    "pipe": (22, None), "pipe2": (293, 59), "poll": (7, None), "ppoll": (271, 73), "select": (23, None),
    "pselect6": (270, 72), "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "eventfd2": (290, 19), "recvfrom": (45, 207),
    "getsockopt": (55, 209), "getsockname": (51, 204), "getpeername": (52, 205), "shutdown": (48, 210),
    # memory
    "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216), "madvise": (28, 233),
    "brk": (12, 214), "mincore": (27, 232),
    # its own signals, threads and end
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigsuspend": (130, 133), "rt_sigtimedwait": (128, 137), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "pause": (34, None), "alarm": (37, None), "setitimer": (38, 103),
    "getitimer": (36, 102), "futex": (202, 98), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "rseq": (334, 293), "set_tid_address": (218, 96), "arch_prctl": (158, None), "membarrier": (324, 283),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getcpu": (309, 168), "exit": (60, 93),
    "exit_group": (231, 94),
    # who and when it is
    "gettid": (186, 178), "getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158), "getresuid": (118, 148),
    "getresgid": (120, 150), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156),
    "uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "times": (100, 153), "getrlimit": (97, 163),
    "getrandom": (318, 278), "time": (201, None), "gettimeofday": (96, 169), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
}  # fmt: skip
"""Allowed whatever the arguments are."""


class Check(NamedTuple):
    """One condition: ``(argument & mask) == value``, on the low or the high half of the argument."""

    argument: int
    value: int
    mask: int = 0xFFFFFFFF
    high: bool = False


SELF = -1
"""As the value of a check: the process's own id."""

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_CLONE_THREAD, _CLONE_NEW = 0x00010000, 0x7E020080  # linux/sched.h: a thread, and any new namespace
_FCNTL: tuple[int, ...] = (
    fcntl.F_DUPFD,
    fcntl.F_DUPFD_CLOEXEC,
    fcntl.F_GETFD,
    fcntl.F_SETFD,
    fcntl.F_GETFL,
    fcntl.F_SETFL,
)
_FCNTL += (fcntl.F_GETLK, 1032)  # F_GETPIPE_SZ. Not F_SETOWN, F_SETSIG: they send signals to other processes
_IOCTL = (termios.TCGETS, termios.TIOCGWINSZ, termios.FIONREAD, termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX)

CHECKED: dict[str, tuple[Numbers, tuple[tuple[Check, ...], ...]]] = {
    "open": ((2, None), ((Check(1, 0, _WRITING),),)),
    "openat": ((257, 56), ((Check(2, 0, _WRITING),),)),
    "clone": ((56, 220), ((Check(0, _CLONE_THREAD, _CLONE_THREAD | _CLONE_NEW),),)),
    "kill": ((62, 129), ((Check(0, SELF),),)),
    "tgkill": ((234, 131), ((Check(0, SELF),),)),
    "prlimit64": (
        (302, 261),
        ((Check(2, 0), Check(2, 0, high=True)), (Check(0, 0), Check(1, resource.RLIMIT_STACK))),
    ),
    "fcntl": ((72, 25), tuple((Check(1, command),) for command in _FCNTL)),
    "ioctl": ((16, 29), tuple((Check(1, command),) for command in _IOCTL)),
    "socketpair": ((53, 199), ((Check(0, 1), Check(1, 1, 0xF)),)),  # AF_UNIX, SOCK_STREAM: what asyncio wakes with
    "sendto": ((44, 206), ((Check(4, 0), Check(4, 0, high=True)),)),  # on such a pair, to no address
}
"""Allowed where all checks of one alternative hold."""

ABSENT: dict[str, Numbers] = {"clone3": (435, 435), "openat2": (437, 437)}
"""Their arguments lie in memory, where no filter sees them: answered as on an older kernel; libraries fall back."""
