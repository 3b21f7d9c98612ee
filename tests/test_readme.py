"""The Python blocks of the README and the docs run, and show what they show."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S))
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


@pytest.mark.parametrize("block", BLOCKS)
# TRL and what it builds on warn about themselves; the blocks are judged by what they do.
@pytest.mark.filterwarnings("default")
def test_every_python_block_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "trl" in block:
        pytest.importorskip("trl", reason="needs TRL (the extra `trl`)")
    if ">>>" in block:
        test = doctest.DocTestParser().get_doctest(block, {}, "block", "block", 0)
        result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
        assert result.failed == 0
    else:
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
