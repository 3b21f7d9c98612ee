"""The blocks of docs/adapters.md that need a package run where it is installed (the others run in test_readme.py)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rewardkit import boxed_accuracy, soft_format
from rewardkit.adapters import to_verifiers

PAGE = Path(__file__).parents[3] / "docs" / "adapters.md"
BLOCKS = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
NEEDS = {"vf.Rubric": "verifiers", "swift import register": "swift.rewards", "import ray": "ray.data"}


def leave_as_found(package: str, module: Any) -> Callable[[], Any]:
    """What undoes a block: it starts Ray, or enters rewards in a registry."""
    if package == "ray.data":
        return sys.modules["ray"].shutdown  # type: ignore[no-any-return]
    if package == "swift.rewards":
        before = set(module.orms)
        return lambda: [module.orms.pop(name) for name in set(module.orms) - before]
    return lambda: None


@pytest.mark.parametrize(("said", "package"), NEEDS.items(), ids=NEEDS.values())
@pytest.mark.filterwarnings("ignore")
def test_a_block_that_needs_a_package_runs_with_it(said: str, package: str) -> None:
    reason = f"needs {package}, which is installed apart from this project"
    module = pytest.importorskip(package, reason=reason, exc_type=ImportError)
    if said.startswith("vf.") and not hasattr(module, "Rubric"):
        pytest.skip("this version of verifiers has no Rubric")
    (block,) = [block for block in BLOCKS if said in block]
    funcs, weights = to_verifiers(2.0 * boxed_accuracy + 0.5 * soft_format)
    with ExitStack() as undo:
        undo.callback(leave_as_found(package, module))
        exec(compile(block, "block", "exec"), {"funcs": funcs, "weights": weights})


def test_every_block_has_its_package() -> None:
    assert len(BLOCKS) == len(NEEDS)
