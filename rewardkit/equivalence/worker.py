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
    "subprocess.", "socket.", "shutil.", "ctypes.dlopen", "pickle.find_class", "webbrowser.", "urllib.",
)  # fmt: skip

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
    _limit_memory(memory_bytes)
    sys.addaudithook(_refuse)
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        _limit_cpu(seconds)
        request = json.loads(line)
        tolerance = None if request["tolerance"] is None else Fraction(request["tolerance"])
        try:
            verdict = check(request["answer"], request["truth"], tolerance, symbolic_equal)
            reply: dict[str, object] = {"equal": verdict.equal, "detail": verdict.detail}
        except Exception as error:  # noqa: BLE001 - reported to the parent, which turns it into a status
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=replies, flush=True)


def _refuse(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what no comparison needs; libraries that are loaded late come from files and may run."""
    if event in ("exec", "compile"):
        name = args[0].co_filename if event == "exec" and hasattr(args[0], "co_filename") else str(args[-1])
        caller = sys._getframe(1).f_globals.get("__name__", "")
        if name.startswith("<") and not name.startswith("<frozen") and caller not in _GENERATORS:
            raise PermissionError(f"{event} of text in a worker: {name[:100]}")
    elif event == "open":
        if isinstance(args[1], str) and set(args[1]) & set("wax+"):
            raise PermissionError("a file opened for writing in a worker")
    elif event.startswith(_REFUSED):
        raise PermissionError(f"{event} in a worker")


def _limit_memory(allowance: int) -> None:
    if sys.platform == "linux":
        with open("/proc/self/statm", encoding="ascii") as f:  # noqa: PTH123 - no pathlib in a hot worker
            used = int(f.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + allowance, used + allowance))


def _limit_cpu(seconds: float) -> None:
    limit = math.ceil(time.process_time() + seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main()
