"""A list of checks, run in order: one line each, a failing one never stops the next."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

STICKY = ("illegal memory access", "device-side assert", "unspecified launch failure", "misaligned address")
"""CUDA errors after which the process can use the GPU no more."""


class Finding(NamedTuple):
    """One line of a check: what, whether it is right (None: a figure to know, neither right nor wrong), the figure."""

    name: str
    right: bool | None
    figure: str


Check = Callable[[str], Iterator[Finding]]
"""From the device to findings, as they come."""


def run(checks: list[Check], *, device: str, first: int, failed: int, seconds: float) -> int:
    """Run the checks from number `first` on; returns how many findings were not right, the earlier `failed` included.

    After an error that leaves the GPU unusable the script starts again in a fresh process, at the next check. A
    check that would begin after `seconds` is left out, and says so.
    """
    start = float(os.environ.get("CHECKS_START", time.time()))
    for number, check in enumerate(checks[first:], first):
        if time.time() - start > seconds:
            print(f"skip {check.__name__}: the {seconds:.0f} seconds for checks are used up", flush=True)
            continue
        begin = time.time()
        try:
            for finding in check(device):
                word = {True: "ok  ", False: "FAIL", None: "note"}[finding.right]
                failed += finding.right is False
                print(f"{word} {finding.name}: {finding.figure}", flush=True)
            if device != "cpu":
                torch.cuda.synchronize()
        except Exception as error:  # noqa: BLE001 - whatever it is, the checks after it are worth their time
            failed += 1
            print(f"FAIL {check.__name__}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc(file=sys.stdout)
            if any(part in str(error) for part in STICKY):
                _again(number + 1, failed, start)
        print(f"     {check.__name__}: {time.time() - begin:.1f} s", flush=True)
    return failed


def _again(first: int, failed: int, start: float) -> None:
    """Replace this process by a fresh one."""
    print("     the GPU is lost to this process; the next check runs in a fresh one", flush=True)
    os.environ["CHECKS_START"] = str(start)
    kept = [a for a in sys.argv if not a.startswith(("--first", "--failed"))]
    os.execv(sys.executable, [sys.executable, *kept, f"--first={first}", f"--failed={failed}"])


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference over the norm of what is expected; infinite where anything is not finite."""
    found, expected = found.detach().double().cpu(), expected.detach().double().cpu()
    error = float((found - expected).norm() / expected.norm().clamp(min=1e-30))
    return error if error == error else float("inf")
