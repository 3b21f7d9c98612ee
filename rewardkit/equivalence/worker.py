"""The process that does symbolic work: one JSON request a line on stdin, one JSON reply a line on stdout.

It may be killed at any moment and holds nothing that is needed afterwards. It bounds itself too: memory by
RLIMIT_AS, processor time by RLIMIT_CPU, so that one whose parent was killed in mid-request ends on its own;
and an audit hook refuses to compile or run text, to start processes, to open connections or to write files.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from fractions import Fraction
from typing import Any

_REFUSED = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate", "os.chmod", "os.chown", "os.utime", "os.kill",
    "os.chdir", "subprocess.", "socket.", "shutil.", "sqlite3.", "ctypes.dlopen",
    "pickle.find_class", "webbrowser.", "urllib.",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_IMPORTERS = frozenset(("importlib._bootstrap", "importlib._bootstrap_external", "_frozen_importlib_external"))

_GENERATORS = frozenset(("sympy.polys.monomials", "mpmath.libmp.libhyper", "collections", "dataclasses", "enum"))
"""Modules that make code from numbers and types of variables and names of fields, never from an expression."""


def main() -> None:
    """Serve requests until stdin ends."""
    memory_bytes, seconds = int(sys.argv[1]), float(sys.argv[2])
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not be taken for a reply
    from rewardkit.equivalence.check import check
    from rewardkit.equivalence.symbolic import symbolic_equal, warm_up

    warm_up()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.dont_write_bytecode = True  # the hook would refuse it half-way
    start = _used_memory()
    sys.addaudithook(_refuse)
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        _limit_cpu(seconds)
        _limit_memory(memory_bytes)
        request = json.loads(line)
        tolerance = None if request["tolerance"] is None else Fraction(request["tolerance"])
        try:
            verdict = check(request["answer"], request["truth"], tolerance, symbolic_equal)
            reply: dict[str, object] = {"equal": verdict.equal, "detail": verdict.detail}
        except MemoryError:
            reply = {"error": "MemoryError: the comparison wanted more memory than its budget", "last": True}
        except Exception as error:  # noqa: BLE001 - reported to the parent, which turns it into a status
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        if _used_memory() - start > memory_bytes:  # what libraries remember has grown too large
            reply["last"] = True
        print(json.dumps(reply), file=replies, flush=True)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what no comparison needs; libraries that are loaded late come from files and may run."""
    if event in ("exec", "compile"):
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if event == "compile":
            made = args[0] is not None and caller not in _IMPORTERS
        else:
            made = getattr(args[0], "co_filename", "<").startswith("<") and "<frozen" not in args[0].co_filename
        if made and caller not in _GENERATORS:
            raise PermissionError(f"{event} of text in a worker, by {caller}")
    elif event == "open":
        mode, flags = args[1], args[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITING):
            raise PermissionError("a file opened for writing in a worker")
    elif event.startswith(_REFUSED):
        raise PermissionError(f"{event} in a worker")


def _used_memory() -> int:
    """Bytes of address space in use; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", encoding="ascii") as f:  # noqa: PTH123 - no pathlib in a hot worker
        return int(f.read().split()[0]) * resource.getpagesize()


def _limit_memory(allowance: int) -> None:
    used = _used_memory()
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + allowance, resource.RLIM_INFINITY))


def _limit_cpu(seconds: float) -> None:
    limit = math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
