"""Specification of the pytest plugin: a fixture, loaded by name, whose failure reads as a failed test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rewardkit
from rewardkit.testing import check_reward

ROOT = Path(rewardkit.__file__).resolve().parents[1]

TESTS = """
import pytest

pytest_plugins = ["rewardkit.testing.plugin"]


def brevity(completions, **columns):
    return [1 / len(completion) for completion in completions]


def constant(completions, **columns):
    return [0.5] * len(completions)


@pytest.mark.parametrize("reward", [brevity, constant])
def test_a_reward_of_mine_keeps_the_contract(check_reward, reward):
    check_reward(reward, answer=["4", "9"])
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest prints about a user's test module."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "test_mine.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error", "--rootdir", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment)
    return done.stdout + done.stderr


def test_a_reward_that_keeps_the_contract_passes_and_another_fails(output: str) -> None:
    assert "1 failed, 1 passed" in output


def test_the_failure_names_the_breaches_with_their_remedies(output: str) -> None:
    assert "brevity: breaks 2 of 15 checks of the contract" in output
    assert "- message_invariant: " in output
    assert "- empty_completion: raises ZeroDivisionError" in output
    assert "Remedy: a completion without an answer earns its lowest value" in output


def test_the_failure_points_at_the_line_of_the_test(output: str) -> None:
    line = TESTS.splitlines().index('    check_reward(reward, answer=["4", "9"])') + 1
    assert '>       check_reward(reward, answer=["4", "9"])' in output
    assert f"test_mine.py:{line}: ContractViolation" in output


def test_the_fixture_is_the_function() -> None:
    from rewardkit.testing import plugin

    assert plugin.check is check_reward
