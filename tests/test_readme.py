"""The Python blocks of the README and the docs run, and show what they show."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
BLOCKS = {page.name: PYTHON.findall(page.read_text(encoding="utf-8")) for page in PAGES}
SESSIONS = {name: "".join(b for b in blocks if ">>>" in b) for name, blocks in BLOCKS.items()}
SCRIPTS = [
    pytest.param(block, id=f"{name}-{number}")
    for name, blocks in BLOCKS.items()
    for number, block in enumerate(blocks)
    if ">>>" not in block
]


def names() -> dict[str, Any]:
    """What a block may take as given: a model, rows."""
    from datasets import Dataset

    from recipes.embedded import POLICY_PATH, problems

    rows = [
        {"prompt": [{"role": "user", "content": row["question"]}], "answer": row["answer"]}
        for row in problems(8, seed=0, split="train")
    ]
    return {"model": str(POLICY_PATH), "dataset": Dataset.from_list(rows)}


@pytest.mark.parametrize("session", [pytest.param(s, id=name) for name, s in SESSIONS.items() if s])
def test_every_session_prints_what_it_shows(session: str) -> None:
    test = doctest.DocTestParser().get_doctest(session, {}, "session", "session", 0)
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("block", SCRIPTS)
# TRL and what it builds on warn about themselves; the scripts are judged by what they do.
@pytest.mark.filterwarnings("default")
def test_every_script_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "trl" in block:
        pytest.importorskip("trl", reason="needs TRL (the extra `trl`)")
        block = block.replace('report_to="none"', 'report_to="none", use_cpu=True, bf16=False')  # as TRL asks here
    exec(compile(block, "block", "exec"), names())


def test_the_readme_shows_its_parts_in_order() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    parts = [">>>", "make demo", "docs/images/demo.png", "make test", "grpo_engine/ ", "On a GPU", "In TRL"]
    parts += ["several GPUs", "Measured"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_every_picture_and_page_that_is_linked_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
