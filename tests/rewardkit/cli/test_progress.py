"""Specification of progress: a bar in a terminal, a line now and then elsewhere, a summary at the end."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from rewardkit.cli import progress as module
from rewardkit.cli.lines import Counts
from rewardkit.cli.progress import Lines, progress, summary
from tests.rewardkit.cli.conftest import start, sums, write


def test_a_terminal_sees_a_bar_with_rows_per_second(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    source = write(tmp_path / "a.jsonl", [*sums(30), "{"])
    process = start("score", source, "--stack", "boxed_accuracy", "--batch-size", 10, stderr=theirs)
    os.close(theirs)
    seen = b""
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:  # the other side has been closed
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 1
    text = seen.decode()
    assert "rejected line 31" in text
    assert "━" in text
    assert "31 rows" in text
    assert "rows/s" in text


class TestElsewhere:
    def test_a_line_is_printed_every_ten_seconds(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        shown = progress(2_000_000, "bytes")
        assert isinstance(shown, Lines)
        for seconds, done in ((4.0, 200_000), (10.0, 500_000), (15.0, 600_000), (21.0, 1_000_000)):
            now[0] = seconds
            shown.update(done, done // 100)
        shown.close()
        assert capsys.readouterr().err.splitlines() == [
            "0.5/2.0 MB: 5,000 rows, 500 rows/s",
            f"1.0/2.0 MB: 10,000 rows, {10_000 / 21:.0f} rows/s",
        ]

    def test_rows_of_an_earlier_run_are_not_counted_as_speed(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
        shown = progress(900, "rows", 500, 500)
        now[0] = 10.0
        shown.update(600, 600)
        assert capsys.readouterr().err == "600/900 rows: 600 rows, 10 rows/s\n"


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(), "0 rows scored; 2.0 s, 5 rows/s"),
        (Counts(4, 0, 0, 2.0), "4 rows scored, mean total 0.5000; 2.0 s, 5 rows/s"),
        (Counts(1_000, 1, 2, 1.0), "1,000 rows scored, mean total 0.0010, 1 not scored, 2 rejected; 2.0 s, 5 rows/s"),
    ],
)
def test_the_summary_counts_everything(counts: Counts, expected: str) -> None:
    assert summary(counts, 2.0, 10) == expected
