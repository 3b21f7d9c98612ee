"""Specification of `--stack`: a spec file, a ready reward, or module:name; and one line for all else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rewardkit import boxed_accuracy, combine, keywords, presets, save_spec
from rewardkit.cli.errors import UsageError
from rewardkit.cli.stacks import load_stack
from tests.rewardkit.cli import stacks_for_tests
from tests.rewardkit.cli.conftest import STACKS


class TestAStack:
    @pytest.mark.parametrize("suffix", [".json", ".toml"])
    def test_may_be_a_spec_file(self, suffix: str, tmp_path: Path) -> None:
        stack = combine(boxed_accuracy, keywords, weights=(1.0, 0.5), name="mine")
        save_spec(stack, tmp_path / f"stack{suffix}")
        assert load_stack(str(tmp_path / f"stack{suffix}")) == stack

    def test_may_be_a_spec_that_imports_what_is_allowed(self, tmp_path: Path) -> None:
        save_spec(stacks_for_tests.picky + keywords, tmp_path / "stack.json")
        with pytest.raises(UsageError, match=f"--allow {STACKS}:picky"):
            load_stack(str(tmp_path / "stack.json"))
        loaded = load_stack(str(tmp_path / "stack.json"), allow=[f"{STACKS}:picky"])
        assert loaded(["abc"]) == [3.0]

    def test_may_be_a_ready_reward_or_preset(self) -> None:
        assert load_stack("boxed_accuracy") == boxed_accuracy
        assert load_stack("presets.gsm8k_r1") == presets.gsm8k_r1

    def test_may_be_a_reward_or_a_plain_function_of_a_module(self) -> None:
        assert load_stack(f"{STACKS}:stack") == stacks_for_tests.stack
        assert load_stack(f"{STACKS}:call_size")(["a", "b"]) == [2.0, 2.0]

    def test_may_be_of_a_module_in_the_current_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "rewards_of_this_folder.py").write_text("def one(completions, **columns):\n    return [1.0]\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
        assert load_stack("rewards_of_this_folder:one")(["a"]) == [1.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boxed_acuracy", "did you mean 'boxed_accuracy'"),
        ("gsm8k_r1", "the preset is named 'presets.gsm8k_r1'"),
        ("no_such_file.json", "cannot be read"),
        ("no_such_module:stack", "ModuleNotFoundError"),
        (f"{STACKS}:stakc", "did you mean 'stack'"),
        (f"{STACKS}:number", "of type int"),
        (f"{STACKS}:GroupSize", "the class GroupSize"),
        ("folder/rewards.py:stack", "write rewards:stack"),
        ("rewards:", "write rewards:name"),
    ],
)
def test_anything_else_is_told_with_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_stack(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_fails_when_it_is_imported_is_told_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rewards_that_fail.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        load_stack("rewards_that_fail:stack")
