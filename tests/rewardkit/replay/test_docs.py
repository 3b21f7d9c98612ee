"""The page on replay shows the table that its first block prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "replay.md"


def test_the_table_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found is not None
    exec(compile(found[1], "replay.md", "exec"), {})
    assert capsys.readouterr().out == found[2]
