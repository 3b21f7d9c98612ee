"""Specification of rewardkit.presets as a package: flat, documented, light, printing as code."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rewardkit
from rewardkit import Reward, presets
from rewardkit.spec import from_spec, to_spec

STACKS = ("gsm8k_r1", "sudoku_choice", "open_r1", "trl", "dapo", "willccb_gsm8k")
PUBLIC = {name: getattr(presets, name) for name in presets.__all__}
CLASSES = [value for value in PUBLIC.values() if inspect.isclass(value)]
READY = {name: value for name, value in PUBLIC.items() if isinstance(value, Reward)}
QUIRKS = [reward_class for reward_class in CLASSES if issubclass(reward_class, Reward)]


def test_all_is_sorted_and_holds_every_reward() -> None:
    assert presets.__all__ == sorted(presets.__all__)
    found = {
        n for n, v in vars(presets).items() if isinstance(v, Reward) or (inspect.isclass(v) and issubclass(v, Reward))
    }
    assert set(presets.__all__) == found


@pytest.mark.parametrize("name", STACKS)
def test_a_stack_carries_the_name_it_is_found_by(name: str) -> None:
    stack = getattr(presets, name)
    assert stack.__name__ == name
    namespace: dict[str, Any] = {}
    exec(f"from rewardkit.presets import {name}", namespace)
    assert namespace[name] is stack


@pytest.mark.parametrize("name", READY)
def test_each_pickles_compares_hashes_and_prints_as_code(name: str) -> None:
    reward = READY[name]
    assert pickle.loads(pickle.dumps(reward)) == reward
    assert eval(repr(reward), {**vars(rewardkit), **vars(presets)}) == reward
    assert isinstance(hash(reward), int)


@pytest.mark.parametrize("name", READY)
def test_each_round_trips_through_a_spec(name: str) -> None:
    assert from_spec(to_spec(READY[name])) == READY[name]


@pytest.mark.parametrize("reward_class", QUIRKS)
def test_each_quirk_has_a_ready_instance_and_says_what_it_is(reward_class: type[Reward]) -> None:
    assert [value for value in READY.values() if type(value) is reward_class] == [reward_class()]
    told = reward_class.__doc__ or ""
    for part in ("Source:", "Range", "the empty completion", "How a model might cheat it", ">>>"):
        assert part in " ".join(told.split()), f"{reward_class.__name__} does not tell: {part}"
    assert any(part in told for part in ("mended", "plain reward", "The plain"))


@pytest.mark.parametrize("reward_class", QUIRKS)
def test_a_quirk_can_be_renamed(reward_class: type[Reward]) -> None:
    assert reward_class().named("mine").__name__ == "mine"


def loaded_by(statement: str, *modules: str) -> set[str]:
    code = f"{statement}; import sys; print(*(m for m in {modules} if m in sys.modules))"
    root = Path(rewardkit.__file__).resolve().parents[1]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    return set(ran.stdout.split())


def test_loading_it_loads_nothing_heavy_and_starts_nothing() -> None:
    heavy = ("math_verify", "latex2sympy2_extended", "sympy", "numpy", "torch", "trl", "verl")
    assert loaded_by("from rewardkit.presets import *", *heavy) == set()


def test_a_module_that_has_the_name_of_a_stack_does_not_hide_it() -> None:
    modules = "import rewardkit.presets.dapo, rewardkit.presets.open_r1, rewardkit.presets.trl_rewards"
    stacks = "from rewardkit import presets; assert all(map(callable, (presets.dapo, presets.open_r1, presets.trl)))"
    assert loaded_by(f"{modules}; {stacks}") == set()


def test_calling_one_that_is_math_verifys_loads_it_elsewhere() -> None:
    pytest.importorskip("math_verify", reason="needs math-verify (the extra `trl`)")
    call = "from rewardkit import presets; presets.open_r1(['a'], solution='18')"
    assert loaded_by(call, "math_verify", "sympy") == set()


@pytest.mark.parametrize("name", ["willccb_gsm8k", "dapo", "open_r1_format", "open_r1_tag_count", "trl_think_format"])
def test_empty_calls_and_empty_conversations_score(name: str) -> None:
    columns = {"answer": "18", "ground_truth": "18"}
    reward = READY[name]
    assert reward([], **columns, completion_ids=[]) == []
    hollow = [[], [{"role": "assistant", "content": None}], [{"content": [{"type": "text", "text": ""}]}], ""]
    values = reward(hollow, **columns, completion_ids=[[]] * 4)
    assert values == [values[0]] * 4


def test_a_completion_that_is_neither_text_nor_messages_is_named_by_its_row() -> None:
    with pytest.raises(TypeError, match=r"a completion must be text or a list of messages, got int 3 in row 1"):
        presets.trl_think_format(["", 3])
