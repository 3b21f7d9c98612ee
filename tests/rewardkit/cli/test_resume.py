"""Specification of `--resume`: however a run ended, going on gives what one run would have given."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.rewardkit.cli.conftest import STACKS, Ran, read, start, sums, write

Run = Callable[..., Ran]
OUTPUT, STATE, REJECTED = "a.scores.jsonl", "a.scores.jsonl.state.json", "a.scores.jsonl.rejected.jsonl"


def slow_rows(count: int) -> list[Any]:
    """Rows of which some are broken and some need the symbolic comparison."""
    rows: list[Any] = [row if i % 9 else "{broken" for i, row in enumerate(sums(count), start=1)]
    for i in range(0, count, 7):
        rows[i] = {"prompt": "?", "completion": rf"\boxed{{\int_0^1 x dx + {i}}}", "answer": f"{i}.5"}
    return rows


def rows_done(tmp_path: Path) -> int:
    try:
        return int(json.loads((tmp_path / STATE).read_text())["position"]["row"])
    except FileNotFoundError:
        return 0


def wait_for(rows: int, tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    while rows_done(tmp_path) < rows:
        assert time.monotonic() < deadline, "the run does not come on"
        time.sleep(0.01)


def written(tmp_path: Path) -> tuple[bytes, bytes]:
    return (tmp_path / OUTPUT).read_bytes(), (tmp_path / REJECTED).read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
class TestARunThatIsKilled:
    def test_goes_on_to_the_same_bytes(self, workers: int, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", slow_rows(150))
        words = ("score", source, "--stack", f"{STACKS}:slow_and_symbolic", "--batch-size", 10)
        for rows in (20, 60):
            process = start(*words, "--workers", workers, "--resume")
            wait_for(rows, tmp_path)
            helpers = psutil.Process(process.pid).children(recursive=True)
            symbolic = [helper for helper in helpers if "rewardkit.equivalence.worker" in helper.cmdline()]
            assert 1 <= len(symbolic) <= (workers if workers > 1 else len(helpers))  # one for each, not one per core
            process.kill()
            process.communicate()
            assert psutil.wait_procs(helpers, timeout=30)[1] == []  # none outlives its parent
            with (tmp_path / OUTPUT).open("ab") as file:
                file.write(b'{"row": 17')  # as if it had been torn in the middle of a line
        assert rows_done(tmp_path) < 150
        assert run(*words, "--workers", workers, "--resume").status == 1
        resumed = written(tmp_path)
        assert run(*words, "--workers", 1, "--overwrite").status == 1
        assert written(tmp_path) == resumed


class TestCtrlC:
    @pytest.mark.parametrize("workers", [1, 2])
    def test_finishes_what_is_in_hand_and_says_how_to_go_on(self, workers: int, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(300))
        words = ["score", source, "--stack", f"{STACKS}:slow", "--batch-size", 10, "--workers", workers]
        process = start(*words, "--overwrite", start_new_session=True)
        wait_for(30, tmp_path)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it, to the whole group
        _, err = process.communicate(timeout=60)
        done = rows_done(tmp_path)
        assert (process.returncode, 30 <= done < 300, done % 10) == (130, True, 0)
        assert [row["row"] for row in read(tmp_path / OUTPUT)] == list(range(done))
        assert (
            f"python -m rewardkit score {source} --stack {STACKS}:slow --batch-size 10 --workers {workers} --resume"
            in err
        )
        assert "Traceback" not in err
        assert run(*words, "--resume").status == 0
        assert [row["row"] for row in read(tmp_path / OUTPUT)] == list(range(300))

    @pytest.mark.parametrize("workers", [1, 2])
    def test_twice_ends_at_once(self, workers: int, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(300))
        process = start("score", source, "--stack", f"{STACKS}:slow", "--batch-size", 10, "--workers", workers)
        wait_for(10, tmp_path)
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, "Traceback" in err) == (130, False)


class TestResume:
    def test_of_a_complete_run_has_nothing_to_do(self, run: Run, tmp_path: Path) -> None:
        source = write(tmp_path / "a.jsonl", sums(9))
        run("score", source, "--stack", "boxed_accuracy")
        before = (tmp_path / OUTPUT).read_bytes()
        ran = run("score", source, "--stack", "boxed_accuracy", "--resume")
        assert (ran.status, "complete already" in ran.err) == (0, True)
        assert (tmp_path / OUTPUT).read_bytes() == before

    def test_without_an_earlier_run_begins_one(self, run: Run, tmp_path: Path) -> None:
        assert run("score", write(tmp_path / "a.jsonl", sums(3)), "--stack", "boxed_accuracy", "--resume").status == 0

    def test_accepts_another_number_of_workers_only(self, run: Run, tmp_path: Path) -> None:
        source = interrupted(run, tmp_path)
        same = ("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10, "--resume")
        for change in (
            ("--breakdown",),
            ("--copy-columns",),
            ("--num-generations", 2),
            ("--batch-size", 20),
            ("--step", 1),
            ("--completion-column", "answer"),
            ("--rename", "answer=gold"),
            ("--stack", f"{STACKS}:other_stack"),
        ):
            ran = run(*same, *change)
            assert (ran.status, ran.err.count("\n"), "changed" in ran.err) == (2, 1, True), change
        assert run(*same, "--workers", 2).status == 0

    def test_refuses_an_input_that_has_changed(self, run: Run, tmp_path: Path) -> None:
        source = interrupted(run, tmp_path)
        write(source, sums(31))
        ran = run("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10, "--resume")
        assert (ran.status, "the input has changed" in ran.err) == (2, True)

    def test_refuses_an_output_that_is_shorter_than_it_was(self, run: Run, tmp_path: Path) -> None:
        source = interrupted(run, tmp_path)
        (tmp_path / OUTPUT).write_bytes(b"")
        ran = run("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10, "--resume")
        assert (ran.status, "shorter" in ran.err) == (2, True)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 1, "position": 3}'])
    def test_refuses_a_damaged_state(self, text: str, run: Run, tmp_path: Path) -> None:
        source = interrupted(run, tmp_path)
        (tmp_path / STATE).write_text(text)
        ran = run("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10, "--resume")
        assert (ran.status, "--overwrite" in ran.err, ran.err.count("\n")) == (2, True, 1)

    def test_refuses_an_output_without_a_state(self, run: Run, tmp_path: Path) -> None:
        source = interrupted(run, tmp_path)
        (tmp_path / STATE).unlink()
        ran = run("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10, "--resume")
        assert (ran.status, "--overwrite" in ran.err) == (2, True)


def interrupted(run: Run, tmp_path: Path) -> Path:
    """A run of which the last two of three chunks are missing."""
    source = write(tmp_path / "a.jsonl", sums(30))
    run("score", source, "--stack", f"{STACKS}:stack", "--batch-size", 10)
    lines = (tmp_path / OUTPUT).read_bytes().splitlines(keepends=True)
    (tmp_path / OUTPUT).write_bytes(b"".join(lines[:12]))
    state = json.loads((tmp_path / STATE).read_text())
    offset = sum(len(line) for line in source.read_bytes().splitlines(keepends=True)[:10])
    state |= {"complete": False, "output_bytes": sum(map(len, lines[:10]))}
    state["position"] |= {"row": 10, "line": 10, "offset": offset}
    (tmp_path / STATE).write_text(json.dumps(state))
    return source
