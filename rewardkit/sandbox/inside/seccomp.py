"""The filter on system calls: the allow-list of :mod:`.syscalls` as a program for the kernel's BPF machine."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from .syscalls import ABSENT, ALLOWED, CHECKED, MACHINES, SELF, Check

# linux/bpf_common.h, linux/seccomp.h, linux/prctl.h
_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_LIBC = ctypes.CDLL(None, use_errno=True)

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def supported() -> bool:
    """Whether this kernel filters system calls, on a machine whose numbers are known."""
    if sys.platform != "linux" or os.uname().machine not in MACHINES or sys.maxsize < 2**32:
        return False
    result = _LIBC.prctl(_PR_SET_SECCOMP, _MODE_FILTER, None, 0, 0)
    return bool(result == -1 and ctypes.get_errno() == errno.EFAULT)  # EINVAL where there is no such mode


def install() -> None:
    """Hold this process to the list, for good.

    Raises:
        OSError: the kernel refused the filter.
    """
    forbid_new_privileges()
    code = b"".join(struct.pack("=HBBI", *i) for i in instructions(os.uname().machine, os.getpid()))
    program = _Program(len(code) // 8, code)
    if _LIBC.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the filter on system calls")


def forbid_new_privileges() -> None:
    """No program that is run from here on gains rights (what both seccomp and Landlock ask for)."""
    if _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS failed")


def instructions(machine: str, pid: int) -> list[Instruction]:
    """The filter as instructions: each system call that is known has a block, all others are refused."""
    column, architecture = MACHINES[machine]
    program = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
    blocks = [(numbers[column], [_allow()]) for numbers in ALLOWED.values()]
    blocks += [(numbers[column], _block(alternatives, pid)) for numbers, alternatives in CHECKED.values()]
    blocks += [(numbers[column], [_refuse(errno.ENOSYS)]) for numbers in ABSENT.values()]
    for number, block in blocks:
        if number is not None:
            program += [(_EQUAL, 0, len(block), number), *block]
    return [*program, _refuse(errno.EPERM)]


def _block(alternatives: tuple[tuple[Check, ...], ...], pid: int) -> list[Instruction]:
    block: list[Instruction] = []
    for checks in alternatives:
        part = [_allow()]
        for check in reversed(checks):  # a check that fails jumps behind its alternative
            offset = _ARGUMENTS + 8 * check.argument + 4 * check.high  # both machines are little-endian
            value = pid if check.value == SELF else check.value
            part = [(_LOAD, 0, 0, offset), (_AND, 0, 0, check.mask), (_EQUAL, 0, len(part), value), *part]
        block += part
    return [*block, _refuse(errno.EPERM)]


def _allow() -> Instruction:
    return (_RETURN, 0, 0, _ALLOW)


def _refuse(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)
