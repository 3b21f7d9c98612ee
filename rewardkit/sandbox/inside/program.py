"""Runs a program's text as a module, by the interpreter's own import machinery."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Mapping
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import IO, Any


class Text(SourceFileLoader):
    """A loader whose file is in memory; tracebacks and :mod:`inspect` find its lines."""

    def __init__(self, name: str, source: bytes) -> None:
        super().__init__(name, f"{name}.py")
        self.source = source

    def get_data(self, path: str) -> bytes:
        """The program, whatever the path."""
        return self.source

    def path_stats(self, path: str) -> Mapping[str, Any]:
        """Nothing is cached."""
        raise FileNotFoundError(path)


def run(source: bytes, *, name: str, names: Mapping[str, Any] | None = None) -> ModuleType:
    """Run a program as the module `name`, which holds `names` to begin with.

    Raises:
        BaseException: whatever the program raises.
    """
    module = ModuleType(name)
    module.__loader__ = loader = Text(name, source)
    module.__file__ = loader.path
    module.__dict__.update(names or {})
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def take_seat(stdin: int, stdout: int, stderr: int, *, keep: tuple[int, ...]) -> tuple[IO[str], IO[str]]:
    """Make three file descriptors this process's standard ones, and close all others but `keep`.

    Returns:
        The files for stdout and stderr, to be flushed at the end whatever the program puts in their place.
    """
    for standard, fd in enumerate((stdin, stdout, stderr)):
        os.dup2(fd, standard)
    for fd in range(3, 256):
        if fd not in keep:
            _close(fd)
    sys.argv = ["__main__.py"]
    sys.stdin = sys.__stdin__ = os.fdopen(0, "r", encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # type: ignore[misc]
    return sys.stdout, sys.stderr


def leave(own: tuple[IO[str], ...]) -> None:
    """End this process without the interpreter's tidying, unless a thread or a function at exit waits for it.

    What the program left open is flushed all the same. The tidying would cost more than all else. As in a
    plain interpreter the exit code is 120 where the object in the place of ``sys.stdout`` cannot be flushed;
    that comes before the program's names are cleared, which its methods may need. Then only `own` is flushed.
    """
    threads = sys.modules.get("threading")
    if (threads is not None and threads.active_count() > 1) or atexit._ncallbacks():
        return
    code = 0 if _flushed(getattr(sys, "stdout", None)) else 120
    main = sys.modules.get("__main__")
    if main is not None:
        vars(main).clear()
    gc.collect()
    for file in own:
        _flushed(file, quiet=True)
    os._exit(code)


def _flushed(file: Any, *, quiet: bool = False) -> bool:
    try:
        if file is not None and not getattr(file, "closed", False):
            file.flush()
    except BaseException as error:  # noqa: BLE001 - the program's own method
        if not quiet:
            os.write(2, f"{type(error).__name__}: {error}\n".encode(errors="replace"))
        return False
    return True


def _close(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return  # it was not open
