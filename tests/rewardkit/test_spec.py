"""Specification of rewardkit.spec: a stack as data, and its fingerprint."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import rewardkit
from rewardkit import (
    BoxedAccuracy,
    Budget,
    ExactMatch,
    Function,
    Keywords,
    LengthBand,
    Reward,
    StrictFormat,
    XmlCount,
    boxed_accuracy,
    combine,
    exact_match,
    max_of,
    min_of,
    presets,
    product,
    route,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.digest import function_digest
from rewardkit.spec import SpecError, fingerprint, from_spec, load_spec, ready_rewards, registered, save_spec, to_spec
from tests.rewardkit.rewards_for_tests import Fixed, broken, fixed, later, length, quotes_its_source, shouts

REMOTE = ["Judge", "RewardModel"]
HERE = "tests.rewardkit.rewards_for_tests"
STACKS: list[Reward] = [
    combine(boxed_accuracy, strict_format, weights=[2.0, 0.5], clip=(0.0, 2.25), name="r1"),
    boxed_accuracy.gate(strict_format, at_least=0.5, otherwise=None),
    combine(boxed_accuracy, gate=soft_format),
    min_of(boxed_accuracy, 2.0 * exact_match),
    max_of(boxed_accuracy, exact_match).clip(-math.inf, 0.5),
    product(boxed_accuracy, strict_format).threshold(0.5),
    route("task", {"a": boxed_accuracy, "b": exact_match}, default=strict_format),
    route("n", {1: boxed_accuracy, 2: exact_match}),
    schedule.linear(1, 0, steps=10) * boxed_accuracy + schedule.steps({0: 1.0, 5: 2.0}) * exact_match,
    BoxedAccuracy(budget=Budget(seconds=2.0), tolerance=0.0, on_undecided=None),
    Keywords(words=["a", "b c"], section="think"),
    LengthBand(steps={0: 0.0, 10: 1.0}),
    XmlCount(pieces=("<a>", "</a>"), floor=-1e9),
    boxed_accuracy.on_error("none"),
]


class TestRoundTrip:
    @pytest.mark.parametrize("stack", STACKS, ids=repr)
    @pytest.mark.parametrize("suffix", [".json", ".toml"])
    def test_through_files(self, stack: Reward, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"stack{suffix}"
        save_spec(stack, path)
        assert load_spec(path) == stack
        assert load_spec(path).fingerprint == stack.fingerprint

    @pytest.mark.parametrize("name", sorted(ready_rewards()))
    def test_of_every_ready_reward(self, name: str) -> None:
        reward = ready_rewards()[name]
        assert from_spec(json.loads(json.dumps(to_spec(reward))), allow=REMOTE) == reward

    @pytest.mark.parametrize("name", sorted(ready_rewards()))
    def test_a_ready_reward_may_be_written_by_its_name(self, name: str) -> None:
        assert from_spec({"rewardkit": 1, "reward": name}, allow=REMOTE) == ready_rewards()[name]

    def test_says_only_what_differs_from_the_default(self) -> None:
        spec = to_spec(combine(BoxedAccuracy(answer_key="gold"), StrictFormat()))["reward"]
        assert spec == {
            "type": "Combined",
            "members": [{"type": "BoxedAccuracy", "answer_key": "gold"}, {"type": "StrictFormat"}],
            "weights": [1.0, 1.0],
        }

    def test_a_hand_written_file_is_short(self, tmp_path: Path) -> None:
        path = tmp_path / "stack.toml"
        path.write_text(
            'rewardkit = 1\n[reward]\ntype = "Combined"\nweights = [2, 0.5]\n'
            'members = ["boxed_accuracy", {type = "StrictFormat", newlines = false}]\n'
        )
        assert load_spec(path) == combine(boxed_accuracy, StrictFormat(newlines=False), weights=[2, 0.5])


class TestImports:
    def test_a_function_needs_the_callers_leave(self) -> None:
        stack = combine(boxed_accuracy, length)
        spec = to_spec(stack)
        with pytest.raises(SpecError, match=rf"members\[1\].function: '{HERE}:length' may not be imported"):
            from_spec(spec)
        assert from_spec(spec, allow=[f"{HERE}:length"]) == stack
        assert from_spec(spec, allow=[f"{HERE}.length"]) == stack

    def test_leave_for_one_name_is_not_leave_for_its_module(self) -> None:
        with pytest.raises(SpecError, match="may not be imported"):
            from_spec(to_spec(combine(length)), allow=[HERE, f"{HERE}:broken"])

    def test_nothing_is_imported_without_leave(self) -> None:
        node = {"type": "Function", "function": {"$": "function", "path": "antigravity:geohash"}}
        with pytest.raises(SpecError, match="may not be imported"):
            from_spec({"rewardkit": 1, "reward": node})
        import sys

        assert "antigravity" not in sys.modules

    @pytest.mark.parametrize("name", ["Judge", "RewardModel"])
    def test_a_reward_that_sends_completions_to_a_server_needs_it_too(self, name: str) -> None:
        reward = getattr(rewardkit, name)(base_url="http://localhost:1")
        for spec in (to_spec(combine(reward)), {"rewardkit": 1, "reward": reward.__name__}):
            with pytest.raises(SpecError, match=rf"{name} sends completions to a server; .* pass allow=\['{name}'\]"):
                from_spec(spec)
        assert from_spec(to_spec(combine(reward)), allow=[name]) == combine(reward)

    def test_classes_of_the_user_too(self) -> None:
        stack = Fixed(values=(1.0, None))
        assert from_spec(to_spec(stack), allow=[f"{HERE}:Fixed"]) == stack
        with pytest.raises(SpecError, match="may not be imported"):
            from_spec(to_spec(stack))

    @pytest.mark.parametrize("decorated", [shouts, shouts.named("x"), quotes_its_source], ids=repr)
    def test_decorated_functions_round_trip(self, decorated: Reward) -> None:
        stack = combine(decorated)
        names = [f"{HERE}:shouts", f"{HERE}:quotes_its_source"]
        assert from_spec(to_spec(stack), allow=names) == stack

    @pytest.mark.parametrize("function", [lambda completions, **kwargs: [], partial(length)])
    def test_what_has_no_name_cannot_be_written(self, function: Any) -> None:
        with pytest.raises(SpecError, match="has no name to import it by"):
            to_spec(combine(Function(function=function, name="f")))


class TestRefusals:
    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ({}, "a spec is a table"),
            ({"rewardkit": 2, "reward": "boxed_accuracy"}, "a spec of version 2; this rewardkit reads version 1"),
            ({"rewardkit": 1, "reward": "boxed_acuracy"}, "no ready reward 'boxed_acuracy'; did you mean 'boxed_acc"),
            ({"rewardkit": 1, "reward": {"type": "BoxedAcuracy"}}, "did you mean 'BoxedAccuracy'"),
            ({"rewardkit": 1, "reward": {"type": "BoxedAccuracy", "tolerence": 1}}, "did you mean 'tolerance'"),
            ({"rewardkit": 1, "reward": {"type": "BoxedAccuracy", "tolerance": -1}}, "reward: tolerance"),
            ({"rewardkit": 1, "reward": {"type": "LengthBand", "unit": "miles"}}, "unit='miles' is unknown"),
            ({"rewardkit": 1, "reward": 5}, "expected a reward, got 5"),
            ({"rewardkit": 1, "reward": {"members": []}}, 'a table needs "type"'),
            ({"rewardkit": 1, "reward": {"$": "secret"}}, "is no marked value"),
            ({"rewardkit": 1, "reward": {"type": "Budget"}}, "expected a reward, got Budget"),
            ({"rewardkit": 1, "reward": "boxed_accuracy", "extra": 1}, "no entry 'extra'"),
            ({"rewardkit": 1, "reward": {"type": ["x"]}}, "there is no reward type"),
            ({"rewardkit": 1, "reward": {"type": "Combined", "members": ["boxed_accuracy"]}}, "weights"),
        ],
    )
    def test_name_the_place_and_the_remedy(self, spec: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError, match=message.replace("(", r"\(").replace("[", r"\[")):
            from_spec(spec)

    def test_of_endless_nesting(self) -> None:
        node: Any = "boxed_accuracy"
        for _ in range(200):
            node = {"type": "Clipped", "reward": node, "low": 0.0, "high": 1.0}
        with pytest.raises(SpecError, match="nested more than 64 deep"):
            from_spec({"rewardkit": 1, "reward": node})

    def test_of_files_that_are_neither(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match=r"neither \.json nor \.toml"):
            save_spec(boxed_accuracy, tmp_path / "x.yaml")
        broken_file = tmp_path / "x.json"
        broken_file.write_text("{")
        with pytest.raises(SpecError, match=r"x\.json cannot be read"):
            load_spec(broken_file)

    def test_of_a_fingerprint_that_is_not_the_rewards(self) -> None:
        spec = to_spec(combine(boxed_accuracy, weights=[2.0]))
        spec["reward"]["weights"] = [3.0]
        with pytest.raises(SpecError, match="it was edited, or something it names has changed"):
            from_spec(spec)


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


def test_every_reward_class_is_registered() -> None:
    public = {cls for cls in vars(rewardkit).values() if isinstance(cls, type) and issubclass(cls, Reward)}
    abstract = {cls for cls in public if getattr(cls, "__abstractmethods__", None)}
    assert public - abstract <= set(registered().values())


def test_functions_of_every_kind_have_a_digest() -> None:
    for function in (one, later, shouts, ExactMatch, math.sqrt, partial(one), boxed_accuracy, "x".join, broken):
        assert len(function_digest(function)) == 16
