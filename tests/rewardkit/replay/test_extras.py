"""Specification of what replay does without the libraries that are extras, and of its progress bar."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
import rich.console

from rewardkit import RewardError
from rewardkit.replay import Recorded, read_rollouts, scoring, simulate

ROWS = [{"prompt": "p", "completion": "c", "a": float(n)} for n in range(4)]


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"Parquet files need pyarrow: pip install 'rewardkit\[cli\]'"):
        read_rollouts(tmp_path / "a.parquet")


def test_a_picture_without_matplotlib_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pictures need matplotlib: pip install matplotlib"):
        simulate(Recorded(column="a"), ROWS).plot(tmp_path / "a.png")


class Terminal(rich.console.Console):
    """A terminal that is remembered."""

    out = io.StringIO()

    def __init__(self, **settings: Any) -> None:
        super().__init__(file=self.out, force_terminal=True, width=80)


@pytest.mark.parametrize("value", [1.0, float("inf")])
def test_what_takes_long_shows_progress_in_a_terminal_and_takes_it_away(
    monkeypatch: pytest.MonkeyPatch, value: float
) -> None:
    monkeypatch.setattr(scoring, "QUIET_SECONDS", -1.0)
    monkeypatch.setattr(scoring, "CHUNK_ROWS", 2)
    monkeypatch.setattr(rich.console, "Console", Terminal)
    stack = Recorded(column="a", name="[bold]stack")
    rows = [*ROWS, {**ROWS[0], "a": value}, ROWS[0]]
    if value == 1.0:
        simulate(stack, rows, num_generations=2)
    else:
        with pytest.raises(RewardError, match="row 4 holds inf"):
            simulate(stack, rows, num_generations=2)
    shown = Terminal.out.getvalue()
    assert "[bold]stack" in shown
    assert shown.endswith("\x1b[2K")  # the line is erased


def test_nothing_is_shown_elsewhere(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scoring, "QUIET_SECONDS", -1.0)
    simulate(Recorded(column="a"), ROWS)
    assert capsys.readouterr() == ("", "")
