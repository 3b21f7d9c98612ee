"""Specification of memory: it does not grow with the file."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.rewardkit.cli.conftest import start

ROWS = 200_000
BOUND_BYTES = 24 * 2**20
"""Room for what allocators keep; the file is larger than that, and so are its scores."""


def resident(process: psutil.Process) -> int:
    """Bytes in use by a process and what it started."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for one in [process, *process.children(recursive=True)]:
            total += one.memory_info().rss
    return total


@pytest.mark.parametrize("workers", [1, 2])
def test_the_last_tenth_of_a_file_takes_no_more_than_the_first(workers: int, tmp_path: Path) -> None:
    source, state = tmp_path / "a.jsonl", tmp_path / "a.scores.jsonl.state.json"
    with source.open("w") as file:
        for i in range(ROWS):
            file.write(json.dumps({"prompt": f"{i}?", "completion": f"<think>{i}</think>" + "pad " * 20}) + "\n")
    assert source.stat().st_size > BOUND_BYTES
    process = start("score", source, "--stack", "strict_format", "--workers", workers)
    early, late = [0], [0]
    while process.poll() is None:
        time.sleep(0.02)
        rows = json.loads(state.read_text())["position"]["row"] if state.exists() else 0
        if rows > 0:
            (early if rows <= ROWS // 10 else late if rows > ROWS * 9 // 10 else []).append(
                resident(psutil.Process(process.pid))
            )
    process.communicate()
    assert process.returncode == 0
    assert min(len(early), len(late)) > 1, "the run was too fast to be measured"
    assert max(late) - max(early) < BOUND_BYTES
