"""Specification of rewardkit.spec: a stack as data, and its fingerprint."""

from __future__ import annotations

import json
import math
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest

import rewardkit
from rewardkit import (
    BoxedAccuracy,
    Budget,
    CodeTests,
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
    product,
    route,
    schedule,
    soft_format,
    strict_format,
)
from rewardkit.spec import SpecError, from_spec, load_spec, ready_rewards, registered, save_spec, to_spec
from tests.rewardkit.rewards_for_tests import Fixed, length, quotes_its_source, shouts


class Scale:
    """A method of it is found under its name, but not the method of one object."""

    def __init__(self, factor: float) -> None:
        self.factor = factor

    def apply(self, value: float) -> float:
        return self.factor * value


def _doubled(function: Any) -> Any:
    @wraps(function)
    def inner(value: float) -> float:
        return 2 * float(function(value))

    return inner


def by_two(value: float) -> float:
    return value


scaled_by_two = _doubled(by_two)

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
    route("n", {None: boxed_accuracy, math.inf: exact_match, "x": strict_format}),
    boxed_accuracy.gate(strict_format, at_least=-0.0, otherwise=-0.0),
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

    def test_all_that_is_missing_is_said_at_once(self) -> None:
        judge = rewardkit.Judge(base_url="http://localhost:1")
        stack = combine(length, judge, Fixed(values=(1.0,)), boxed_accuracy.map(math.sqrt, name="root"))
        names = [f"{HERE}:length", "Judge", f"{HERE}:Fixed", "math:sqrt"]
        with pytest.raises(SpecError) as error:
            from_spec(to_spec(stack))
        assert str(error.value).endswith(f"pass allow={names!r}")
        assert from_spec(to_spec(stack), allow=names) == stack

    def test_so_is_what_stands_below_a_class_that_is_missing(self) -> None:
        node = {"type": "nowhere:Doubled", "reward": {"type": "Judge"}, "name": {"$": "function", "path": "nowhere:f"}}
        with pytest.raises(SpecError, match=r"pass allow=\['nowhere:Doubled', 'Judge', 'nowhere:f'\]"):
            from_spec({"rewardkit": 1, "reward": node})

    def test_allow_is_a_list(self) -> None:
        with pytest.raises(TypeError, match=r"write allow=\['Judge'\]"):
            from_spec(to_spec(combine(boxed_accuracy)), allow="Judge")

    @pytest.mark.parametrize("require", [[], ["network", "processes", "memory"], ["reading"]], ids=str)
    def test_programs_in_a_weaker_sandbox_need_leave(self, require: list[str]) -> None:
        spec = {"rewardkit": 1, "reward": {"type": "CodeTests", "require": require, "site_packages": True}}
        with pytest.raises(SpecError, match=r"without requiring .*writing.*; .*pass allow=\['CodeTests'\]"):
            from_spec(spec)
        assert from_spec(spec, allow=["CodeTests"]) == CodeTests(require=require, site_packages=True)

    @pytest.mark.parametrize("require", [CodeTests().require, (*CodeTests().require, "reading")], ids=str)
    def test_and_in_one_at_least_as_strong_none(self, require: tuple[str, ...]) -> None:
        reward = CodeTests(require=require, seconds=1.0)
        assert from_spec(to_spec(combine(reward))) == combine(reward)

    def test_what_lives_in_the_script_is_to_be_moved(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(one, "__module__", "__main__")
        with pytest.raises(SpecError, match="one lives in __main__; move it to a module that can be imported"):
            to_spec(combine(one))

    @pytest.mark.parametrize("method", [Scale(2.0).apply, scaled_by_two], ids=["of an object", "decorated"])
    def test_what_its_name_does_not_lead_to_cannot_be_written(self, method: Any) -> None:
        with pytest.raises(SpecError, match=r"is <function .*; define it at the top of a module"):
            to_spec(boxed_accuracy.map(method))


def one(completions: Any, **kwargs: Any) -> list[float]:
    return [1.0] * len(completions)


def test_every_reward_class_is_registered() -> None:
    public = {cls for cls in vars(rewardkit).values() if isinstance(cls, type) and issubclass(cls, Reward)}
    abstract = {cls for cls in public if getattr(cls, "__abstractmethods__", None)}
    assert public - abstract <= set(registered().values())
