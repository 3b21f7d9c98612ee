"""Specification of the public face of rewardkit: its names, its weight, its promises."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

import rewardkit
from rewardkit import Reward

HEAVY = (
    *("torch", "transformers", "sympy", "math_verify", "latex2sympy2_extended", "regex", "datasets", "numpy", "pandas"),
    *(
        "rich",
        "jsonschema",
        "referencing",
        "openai",
        "httpx",
        "pyarrow",
        "lingua",
        "hypothesis",
        "tomli_w",
        "matplotlib",
    ),
)
ROOT = Path(rewardkit.__file__).resolve().parents[1]

EVERYTHING = {name: getattr(rewardkit, name) for name in dir(rewardkit) if not name.startswith("_")}
PUBLIC = {name for name, value in EVERYTHING.items() if not inspect.ismodule(value)} - {"TYPE_CHECKING"}


def test_all_is_complete_and_sorted() -> None:
    assert set(rewardkit.__all__) == PUBLIC | {"__version__", "presets", "schedule"}
    assert rewardkit.__all__ == sorted(rewardkit.__all__)


def test_a_module_that_is_loaded_later_never_takes_the_place_of_its_reward() -> None:
    later = sorted(set(rewardkit._LATER.values()))
    code = f"import importlib, rewardkit\nfor m in {later}: importlib.import_module('rewardkit.' + m)\n"
    code += "print([n for n in rewardkit._LATER if type(getattr(rewardkit, n)).__name__ == 'module'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_the_import_loads_them_not() -> None:
    code = "import rewardkit, sys; print([m for m in rewardkit._LATER.values() if 'rewardkit.' + m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rewardkit' has no attribute 'boxed'"):
        rewardkit.boxed  # noqa: B018


def test_every_name_is_importable() -> None:
    namespace: dict[str, object] = {}
    exec("from rewardkit import *", namespace)
    assert set(rewardkit.__all__) <= set(namespace)


@pytest.mark.parametrize("name", sorted(rewardkit.__all__))
def test_every_public_class_and_function_is_documented(name: str) -> None:
    value = getattr(rewardkit, name)
    assert isinstance(value, str) or inspect.getdoc(value)


@pytest.mark.parametrize(
    "reward_class",
    [v for v in EVERYTHING.values() if inspect.isclass(v) and issubclass(v, Reward) and v is not Reward],
)
def test_every_reward_class_has_a_ready_instance_or_takes_other_rewards(reward_class: type[Reward]) -> None:
    wrapper = any(f.default is MISSING and f.default_factory is MISSING for f in fields(reward_class))
    wrapper = wrapper or inspect.isabstract(reward_class)
    ready = [value for value in EVERYTHING.values() if type(value) is reward_class]
    assert wrapper or ready == [reward_class()]
    assert wrapper or ">>>" in (reward_class.__doc__ or "")


def imported_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import rewardkit",
        "from rewardkit import *",
        "import rewardkit.audit, rewardkit.replay",
        "from rewardkit.presets import sudoku_choice, gsm8k_r1",
        "import rewardkit; rewardkit.boxed_accuracy([r'\\boxed{1/2}'], ground_truth='0.5')",
        "import rewardkit; rewardkit.boxed_accuracy([r'\\boxed{\\sqrt{8}}'], ground_truth=r'2\\sqrt{2}')",
    ],
)
def test_loads_nothing_heavy_into_this_process(statement: str) -> None:
    assert imported_by(statement) == set()


def test_the_package_is_typed() -> None:
    assert (ROOT / "rewardkit" / "py.typed").exists()


def test_the_version_is_said_once() -> None:
    tree = ast.parse((ROOT / "rewardkit" / "_version.py").read_text(encoding="utf-8"))
    (assignment,) = [node for node in tree.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    assert isinstance(assignment.value, ast.Constant)
    assert assignment.value.value == rewardkit.__version__
