"""Which files a confined process may read: the interpreter's libraries and nothing else (Linux 5.13 and later)."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator

# linux/landlock.h; the three system calls have the same numbers on every machine
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_HANDLED = (1 << 13) - 1  # every right of the first version: execute, write, read, make, remove
_BENEATH = 1

_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/nix/store")
_DATA = ("/usr/share/zoneinfo", "/etc/ld.so.cache", "/etc/localtime", "/dev/null", "/dev/zero", "/dev/urandom")
_INSTALLED = ("site-packages", "dist-packages")
_LIBC = ctypes.CDLL(None, use_errno=True)


def ruleset(packages: Iterable[str]) -> int | None:
    """A set of rules that lets the interpreter's files and `packages` be read; ``None`` without Landlock."""
    if sys.platform != "linux":
        return None
    attributes = struct.pack("=Q", _HANDLED)
    rules = _LIBC.syscall(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        return None
    for path, rights in (*_interpreter(), *((path, _READ_FILE | _READ_DIR) for path in packages)):
        _add(rules, path, rights)
    return int(rules)


def restrict(rules: int) -> None:
    """Hold this process to the rules, for good; it must have forbidden new privileges.

    Raises:
        OSError: the kernel refused.
    """
    if _LIBC.syscall(_RESTRICT, rules, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the rules on files")
    os.close(rules)


def _interpreter() -> Iterator[tuple[str, int]]:
    """The standard library and shared libraries, without what is installed beside them: it may hold data sets."""
    beside = os.path.realpath(os.path.join(os.__file__, "..", ".."))  # noqa: PTH118 - pathlib is slow to load
    for path in {beside, *(os.path.realpath(path) for path in _LIBRARIES)}:
        yield from _tree(path, list(_installed(path)))
    for path in _DATA:
        yield path, _READ_FILE | _READ_DIR


def _installed(library: str) -> Iterator[str]:
    """Where packages are installed, of this interpreter or another: ``/usr/lib/python3/dist-packages`` too."""
    for entry in os.scandir(library) if os.path.isdir(library) else ():  # noqa: PTH112
        if entry.name.startswith("python") and entry.is_dir():
            for name in _INSTALLED:
                yield f"{entry.path}/{name}"


def _tree(path: str, hidden: list[str]) -> Iterator[tuple[str, int]]:
    """Rules for all below `path` that is not hidden; a rule holds for all below it, so parents are only listed."""
    if path in hidden:
        return
    if not any(h.startswith(f"{path}/") for h in hidden):
        yield path, _READ_FILE | _READ_DIR
        return
    yield path, _READ_DIR
    for entry in os.scandir(path):
        if not entry.is_symlink():  # what it leads to has a rule of its own, or none
            yield from _tree(entry.path, hidden)


def _add(rules: int, path: str, rights: int) -> None:
    try:
        where = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system
    if not stat.S_ISDIR(os.fstat(where).st_mode):
        rights &= ~_READ_DIR
    try:
        if _LIBC.syscall(_ADD, rules, _BENEATH, struct.pack("=Qi", rights, where), 0):
            raise OSError(ctypes.get_errno(), f"no rule could be added for {path}")
    finally:
        os.close(where)
