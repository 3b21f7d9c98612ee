"""Specification of the filter on system calls, run on a little model of the kernel's machine."""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("POSIX only", allow_module_level=True)

from rewardkit.sandbox.inside.seccomp import instructions
from rewardkit.sandbox.inside.syscalls import ABSENT, ALLOWED, CHECKED, MACHINES

MACHINE = sorted(MACHINES)
PID = 4321
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """What the filter returns for a call: BPF as in linux/filter.h, for the instructions that it uses."""
    if architecture is None:
        architecture = MACHINES[machine][1]
    values = [argument % 2**64 for argument in (*arguments, *[0] * 6)][:6]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *values)
    program, at, accumulator = instructions(machine, PID), 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x15:
            at += if_true if accumulator == operand else if_false
        else:
            assert code == 0x06
            return operand


def number(machine: str, name: str) -> int:
    column = MACHINES[machine][0]
    numbers = ALLOWED.get(name) or ABSENT.get(name) or CHECKED[name][0]
    found = numbers[column]
    assert found is not None
    return found


@pytest.mark.parametrize("machine", MACHINE)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the headers are not installed")
    text = HEADERS[machine].read_text()
    known = {name: int(n) for name, n in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    known["newfstatat"] = known.get("newfstatat", known.get("fstatat", -1))
    column = MACHINES[machine][0]
    for name, numbers in {**ALLOWED, **ABSENT, **{n: c[0] for n, c in CHECKED.items()}}.items():
        if numbers[column] is None:
            assert name not in known
        else:
            assert known[name] == numbers[column]


@pytest.mark.parametrize("machine", MACHINE)
def test_each_call_of_the_list_is_allowed_and_each_other_refused(machine: str) -> None:
    column = MACHINES[machine][0]
    allowed = {numbers[column] for numbers in ALLOWED.values()}
    special = {n[column] for n in ABSENT.values()} | {n[column] for n, _ in CHECKED.values()}
    for call in set(range(1000)) - special:
        assert verdict(machine, call) == (ALLOW if call in allowed else EPERM)
    for name in ABSENT:
        assert verdict(machine, number(machine, name)) == ENOSYS


@pytest.mark.parametrize("machine", MACHINE)
def test_calls_of_another_architecture_kill(machine: str) -> None:
    assert verdict(machine, 0, architecture=0x40000003) == KILL  # i386 on x86_64
    assert verdict(machine, number(machine, "read") | 0x40000000) == EPERM  # x32


@pytest.mark.parametrize("machine", MACHINE)
@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC), True),
        ("openat", (-100, 0, os.O_WRONLY), False),
        ("openat", (-100, 0, os.O_RDWR), False),
        ("openat", (-100, 0, os.O_RDONLY | os.O_CREAT), False),
        ("openat", (-100, 0, os.O_RDONLY | os.O_TRUNC), False),
        ("clone", (0x3D0F00,), True),  # the flags of pthread_create
        ("clone", (0x01200011,), False),  # those of fork
        ("clone", (0x4111,), False),  # those of vfork
        ("clone", (0x3D0F00 | 0x10000000,), False),  # a new user namespace
        ("kill", (PID, 9), True),
        ("kill", (PID + 1, 9), False),
        ("kill", (-PID, 9), False),
        ("kill", (0, 9), False),
        ("tgkill", (PID, PID, 6), True),
        ("tgkill", (PID - 1, PID - 1, 6), False),
        ("prlimit64", (0, 9, 0, 1), True),
        ("prlimit64", (5, 9, 0, 1), True),  # reading another's
        ("prlimit64", (0, 3, 1, 0), True),  # its own stack
        ("prlimit64", (0, 9, 1, 0), False),
        ("prlimit64", (0, 9, 1 << 32, 0), False),  # a pointer with an empty low half
        ("prlimit64", (5, 3, 1, 0), False),
        ("fcntl", (0, 3), True),
        ("fcntl", (0, 8, 5), False),  # F_SETOWN
        ("fcntl", (0, 10, 9), False),  # F_SETSIG
        ("fcntl", (0, 1031, 2**20), False),  # F_SETPIPE_SZ
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),  # TIOCSTI
        ("socketpair", (1, 1 | 0o2000000, 0), True),
        ("socketpair", (1, 2, 0), False),
        ("socketpair", (2, 1, 0), False),
        ("sendto", (3, 1, 1, 0, 0, 0), True),
        ("sendto", (3, 1, 1, 0, 1, 16), False),
        ("sendto", (3, 1, 1, 0, 1 << 32, 16), False),
    ],
)
def test_arguments_decide_where_a_call_has_two_faces(
    machine: str, name: str, arguments: tuple[int, ...], allowed: bool
) -> None:
    assert verdict(machine, number(machine, name), *arguments) == (ALLOW if allowed else EPERM)


@pytest.mark.parametrize("machine", MACHINE)
def test_the_program_fits_the_kernels_limit_and_every_path_ends(machine: str) -> None:
    program = instructions(machine, PID)
    assert len(program) <= 4096
    for at, (code, if_true, if_false, _) in enumerate(program):
        assert max(if_true, if_false) < 256
        assert at + 1 + max(if_true, if_false) < len(program) or code == 0x06
