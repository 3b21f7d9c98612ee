"""Files of rows, and the command line on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rewardkit.cli.main import main

ROOT = Path(__file__).resolve().parents[3]
STACKS = "tests.rewardkit.cli.stacks_for_tests"


def answered(value: object) -> str:
    return f"<think>\nsum\n</think>\n<answer>\n\\boxed{{{value}}}\n</answer>"


def sums(count: int, *, group: int = 1) -> list[dict[str, Any]]:
    """Rows that ask for a sum; every third answer is wrong."""
    return [
        {
            "prompt": f"{i // group} + 1?",
            "completion": answered(i // group + 1 + (i % 3 == 2)),
            "answer": i // group + 1,
        }
        for i in range(count)
    ]


def write(path: Path, rows: Sequence[Mapping[str, Any] | str]) -> Path:
    """Rows as JSONL; text as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def totals(path: Path) -> list[float | None]:
    return [row["total"] for row in read(path)]


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """The command line in this process."""

    def run(*words: object) -> Ran:
        capfd.readouterr()
        status = main([str(word) for word in words])
        return Ran(status, *capfd.readouterr())

    return run


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """The command line in a process of its own, as a shell starts it; it ends with the test."""
    command = [sys.executable, "-m", "rewardkit", *map(str, words)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, text=True, env=env, cwd=ROOT, **options)
    STARTED.append(process)
    return process


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def _nothing_is_left_running() -> Iterator[None]:
    yield
    while STARTED:
        with STARTED.pop() as process:
            process.kill()
