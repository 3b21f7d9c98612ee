"""Specification of the command line as a whole: help, exit statuses, one line per mistake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rewardkit.cli.main import COMMANDS
from tests.rewardkit.cli.conftest import ROOT, Ran, start, sums, write

Run = Callable[..., Ran]


class TestHelp:
    def test_is_what_no_command_prints(self, run: Run) -> None:
        ran = run()
        assert ran.status == 0
        assert all(name in ran.out for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_is_there_for_every_command(self, name: str, run: Run) -> None:
        ran = run(name, "--help")
        assert (ran.status, f"python -m rewardkit {name}" in ran.out) == (0, True)


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["scroe"], "did you mean 'score'"),
            (["zzz"], "there are "),
            (["score"], "the following arguments are required: FILE, --stack"),
            (["score", "a.jsonl", "--stakc", "x"], "did you mean '--stack'"),
            (["score", "a.jsonl", "--st", "x"], "has no option --st"),
            (["score", "a.jsonl", "--stack", "keywords", "--batch-size", "0"], "at least 1, got '0'"),
            (["score", "a.jsonl", "--stack", "keywords", "--step", "x"], "at least 0, got 'x'"),
            (["score", "a.jsonl", "--stack", "keywords", "--resume", "--overwrite"], "not allowed with"),
            (["score", "a.jsonl", "--stack", "keywords", "extra"], "unrecognized arguments: extra"),
        ],
    )
    def test_are_told_in_one_line(self, words: list[str], message: str, run: Run) -> None:
        ran = run(*words)
        assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert ran.err.startswith("error: ")
        assert message in ran.err


def test_a_reader_that_has_enough_is_no_failure(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", sums(400))
    with start("explain", source, "--stack", "boxed_accuracy", "--limit", 400) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_the_command_line_is_loaded_only_with_the_command_line() -> None:
    code = "import sys, rewardkit; sys.exit(any(name.startswith('rewardkit.cli') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
