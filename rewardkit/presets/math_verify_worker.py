"""The process in which math-verify runs: one JSON request a line on stdin, one JSON reply a line on stdout.

math-verify bounds its work with SIGALRM, which needs a main thread; here it always has one, so a preset gives
the values of its original's main thread wherever it is called. The process may be killed at any moment, and it
bounds itself in memory and processor time.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from functools import lru_cache
from typing import Any

MEMORY_BYTES = 2 * 2**30
"""Address space for one process beyond the loaded libraries; what is refused memory is a wrong answer."""

CPU_SECONDS = 60
"""Processor time for one request, so that a process whose parent was killed ends on its own."""

SHOWN = 200
"""Characters of an extracted answer that are sent back."""

CHECKS = ("trl", "open_r1", "open_r1_reversed")
"""How the originals call math-verify: TRL's accuracy; open-r1's accuracy; open-r1's length and cosine rewards,
which read references as LaTeX only and hand them to ``verify`` in the place of the answer."""


def main() -> None:
    """Serve requests until stdin ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for a reply
    checks = _Checks()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (_used_memory() + MEMORY_BYTES, resource.RLIM_INFINITY))
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        limit = math.ceil(time.process_time()) + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        request = json.loads(line)
        try:
            reply = checks.compare(request["check"], request["truth"], request["text"])
        except Exception as error:  # noqa: BLE001 - reported to the parent, which turns it into a status
            reply = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(reply), file=replies, flush=True)


class _Checks:
    """math-verify, loaded once, with the settings of each original."""

    def __init__(self) -> None:
        from latex2sympy2_extended import NormalizationConfig
        from math_verify import LatexExtractionConfig, parse, verify

        def boxed_first(**normalization: Any) -> list[Any]:
            config = NormalizationConfig(units=True, **normalization)
            return [
                LatexExtractionConfig(
                    normalization_config=config, boxed_match_priority=0, try_extract_without_anchor=False
                )
            ]

        open_r1 = {"nits": False, "malformed_operators": False, "basic_latex": True, "equations": True}
        once = {"extraction_mode": "first_match"}
        latex = {"extraction_config": [LatexExtractionConfig()]}
        self._truths: dict[str, dict[str, Any]] = {
            "trl": {"parsing_timeout": 10},
            "open_r1": once,
            "open_r1_reversed": {**once, **latex},
        }
        self._answers: dict[str, dict[str, Any]] = {
            "trl": {"extraction_config": boxed_first(), "parsing_timeout": 10, **once},
            "open_r1": {"extraction_config": boxed_first(boxed="all", **open_r1), **once},
            "open_r1_reversed": {"extraction_config": boxed_first(boxed=True, **open_r1), **once},
        }
        self._parse, self._verify = parse, verify
        self._truth = lru_cache(maxsize=4096)(self._read_truth)  # one reference stands beside a whole group

    def _read_truth(self, check: str, truth: str) -> list[Any]:
        found: list[Any] = self._parse(truth, **self._truths[check])
        return found

    def compare(self, check: str, truth: str, text: str) -> dict[str, Any]:
        """Whether the answer in the text is the reference, and what was read of both."""
        expected = self._truth(check, truth)
        if not expected:
            return {"truth": None, "answer": None, "equal": False}
        found = self._parse(text, **self._answers[check])
        first, second = (found, expected) if check == "open_r1_reversed" else (expected, found)
        equal = bool(self._verify(first, second, timeout_seconds=5))
        return {"truth": _shown(expected), "answer": _shown(found), "equal": equal}


def _shown(parsed: list[Any]) -> str | None:
    """The text that was read, which math-verify puts last; writing out an expression might take for ever."""
    return next((item[:SHOWN] for item in reversed(parsed) if isinstance(item, str)), "") if parsed else None


def _used_memory() -> int:
    with open("/proc/self/statm", encoding="ascii") as f:  # noqa: PTH123 - no pathlib for one line
        return int(f.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
