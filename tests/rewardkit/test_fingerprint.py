"""Specification of rewardkit.fingerprint: it changes with the behaviour of a stack, and with nothing else."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest

import rewardkit
from rewardkit import (
    BoxedAccuracy,
    ExactMatch,
    Keywords,
    LengthBand,
    Reward,
    boxed_accuracy,
    combine,
    exact_match,
    presets,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.digest import function_digest
from rewardkit.spec import fingerprint
from tests.rewardkit.rewards_for_tests import broken, fixed, later, shouts
from tests.rewardkit.test_spec import STACKS


def one(completions: Any, **kwargs: Any) -> list[float]:
    return [1.0] * len(completions)


def one_again(completions: Any, **kwargs: Any) -> list[float]:
    """The same, documented."""
    # and commented
    return [
        1.0,
    ] * len(completions)


def two(completions: Any, **kwargs: Any) -> list[float]:
    return [2.0] * len(completions)


def scaled(by: float) -> Any:
    def inner(completions: Any, **kwargs: Any) -> list[float]:
        return [by] * len(completions)

    return inner


class TestFingerprint:
    def test_no_two_stacks_share_one(self) -> None:
        ready = [value for value in vars(rewardkit).values() if isinstance(value, Reward)]
        prints = [stack.fingerprint for stack in (*STACKS, *ready)]
        assert len(set(prints)) == len(prints)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (boxed_accuracy, BoxedAccuracy(tolerance=0.0)),
            (2 * boxed_accuracy, 3 * boxed_accuracy),
            (combine(boxed_accuracy), combine(boxed_accuracy, clip=(0, 1))),
            (boxed_accuracy.gate(strict_format), boxed_accuracy.gate(strict_format, otherwise=None)),
            (boxed_accuracy.gate(strict_format), boxed_accuracy.gate(soft_format)),
            (Keywords(words=["a"]), Keywords(words=["b"])),
            (combine(one), combine(two)),
            (combine(scaled(1.0)), combine(scaled(2.0))),
            (combine(partial(one, x=1)), combine(partial(one, x=2))),
            (boxed_accuracy.map(math.sqrt), boxed_accuracy.map(math.exp)),
            (boxed_accuracy.map(lambda v: v + 1), boxed_accuracy.map(lambda v: v + 2)),
            (schedule.linear(1, 0, steps=10) * exact_match, schedule.linear(1, 0, steps=11) * exact_match),
            (fixed("a", 1.0), fixed("a", 2.0)),
        ],
    )
    def test_changes_with_the_behaviour(self, one: Reward, other: Reward) -> None:
        assert one.fingerprint != other.fingerprint

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (boxed_accuracy, BoxedAccuracy()),
            (combine(boxed_accuracy), combine(boxed_accuracy.named("x"), name="y")),
            (combine(boxed_accuracy, weights=[2]), combine(2.0 * boxed_accuracy)),
            (LengthBand(steps={0: 0, 20: 1}), LengthBand(steps=[(0.0, 0.0), (20.0, 1.0)])),
            (Keywords(words=["a", "b"]), Keywords(words=("a", "b"))),
            (combine(one), combine(one_again)),
        ],
    )
    def test_changes_with_nothing_else(self, one: Reward, other: Reward) -> None:
        assert one.fingerprint == other.fingerprint

    def test_is_the_same_in_another_process(self) -> None:
        import subprocess
        import sys

        code = "from rewardkit import presets; print(presets.gsm8k_r1.fingerprint)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout.strip() == presets.gsm8k_r1.fingerprint == fingerprint(presets.gsm8k_r1)

    def test_rises_with_the_revision_of_a_class(self, monkeypatch: pytest.MonkeyPatch) -> None:
        before = boxed_accuracy.fingerprint
        monkeypatch.setattr(BoxedAccuracy, "revision", BoxedAccuracy.revision + 1)
        assert boxed_accuracy.fingerprint != before

    def test_covers_functions_with_no_source(self) -> None:
        names: dict[str, Any] = {}
        exec("f = lambda completions, **kwargs: [1.0]\ng = lambda completions, **kwargs: [2.0]", names)
        assert function_digest(names["f"]) != function_digest(names["g"])
        assert function_digest(len) != function_digest(max)


def test_functions_of_every_kind_have_a_digest() -> None:
    for function in (one, later, shouts, ExactMatch, math.sqrt, partial(one), boxed_accuracy, "x".join, broken):
        assert len(function_digest(function)) == 16
