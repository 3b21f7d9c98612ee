"""Specification of rewardkit.spec: what is refused, read or written, and how it is said."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any, Literal

import pytest

from rewardkit import (
    Function,
    Keywords,
    Reward,
    boxed_accuracy,
    combine,
    exact_match,
)
from rewardkit.spec import SpecError, from_spec, load_spec, registered, save_spec, to_spec
from rewardkit.spec_types import fits, hints_of


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
            ({"rewardkit": 1, "reward": 5}, "expected a reward, got int 5"),
            ({"rewardkit": 1, "reward": {"members": []}}, 'a table needs "type"'),
            ({"rewardkit": 1, "reward": {"$": "secret"}}, "is no marked value"),
            ({"rewardkit": 1, "reward": {"type": "Budget"}}, "expected a reward, got Budget"),
            ({"rewardkit": 1, "reward": "boxed_accuracy", "extra": 1}, "no entry 'extra'"),
            ({"rewardkit": 1, "reward": {"type": ["x"]}}, "there is no reward type"),
            ({"rewardkit": 1, "reward": {"type": "Combined", "members": ["boxed_accuracy"]}}, "weights"),
            ({"rewardkit": 1, "reward": {"$": "map", "items": [[1, 2, 3]]}}, "reward[0]: expected tuple[Any, Any]"),
            ({"rewardkit": 1, "reward": {1: 2}}, 'a table needs "type"'),
            ({"rewardkit": 1, "reward": boxed_accuracy}, "has no form in a spec"),
        ],
    )
    def test_name_the_place_and_the_remedy(self, spec: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError, match=message.replace("(", r"\(").replace("[", r"\[")):
            from_spec(spec)

    @pytest.mark.parametrize(
        ("name", "settings", "message"),
        [
            ("Weighted", {"reward": 5, "weight": 1.0}, "reward.reward: expected a reward, got int 5"),
            ("Weighted", {"reward": {"$": "none"}, "weight": 1.0}, "expected a reward, got NoneType"),
            ("Weighted", {"reward": {"type": "Budget"}, "weight": 1.0}, "expected a reward, got Budget"),
            ("Weighted", {"reward": "exact_match", "weight": 10**400}, "int too large to convert to float"),
            ("Weighted", {"reward": "exact_match", "weight": "1"}, "reward.weight: expected float | Schedule"),
            ("Weighted", {"reward": "exact_match", "weight": {"type": "ExactMatch"}}, "expected float | Schedule"),
            ("Weighted", {"reward": "exact_match", "weight": 1.0, "name": ["a"]}, "reward.name: expected str | None"),
            ("Gated", {"reward": "exact_match", "by": 5}, "reward.by: expected a reward, got int 5"),
            ("CosineLength", {"correctness": 5}, "reward.correctness: expected a reward, got int 5"),
            (
                "Combined",
                {"members": "boxed_accuracy", "weights": [1.0]},
                "reward.members: expected tuple[Reward, ...]",
            ),
            ("Combined", {"members": [5], "weights": [1.0]}, "reward.members[0]: expected a reward, got int 5"),
            (
                "Combined",
                {"members": ["exact_match"], "weights": [1], "limits": [0, 1, 2]},
                "expected tuple[float, float]",
            ),
            ("Routed", {"column": "k", "routes": [["a"]]}, "reward.routes[0]: expected tuple[Any, Reward], got tuple"),
            ("Routed", {"column": "k", "routes": [5]}, "reward.routes[0]: expected tuple[Any, Reward], got int 5"),
            ("Routed", {"column": 5, "routes": [["a", "exact_match"]]}, "reward.column: expected str, got int 5"),
            ("Mapped", {"reward": "exact_match", "function": "exact_match"}, "expected Callable[[float], float]"),
            ("Function", {"function": {"type": "ExactMatch"}}, "reward.function: expected Callable"),
            ("PerCompletion", {"function": {"type": "ExactMatch"}}, "reward.function: expected Callable"),
            ("PerCompletion", {}, "reward.function: expected Callable[..., Any], got NoneType"),
            ("BoxedAccuracy", {"answer_key": 5}, "reward.answer_key: expected str | None, got int 5"),
            ("BoxedAccuracy", {"budget": {"type": "ExactMatch"}}, "reward.budget: expected Budget, got ExactMatch"),
            ("Steps", {"values": [[0]]}, "reward.values[0]: expected tuple[int, float]"),
            ("Keywords", {"words": "abc"}, "reward.words: expected Sequence[str], got str"),
        ],
    )
    def test_of_settings_that_are_none(self, name: str, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(SpecError) as error:
            from_spec({"rewardkit": 1, "reward": {"type": name, **settings}})
        assert message in str(error.value)

    @pytest.mark.parametrize("name", ["Batch", "Report", "Answer", "Verdict", "_Ramp", "Reward", "Schedule", "Outcome"])
    def test_of_classes_that_no_field_holds(self, name: str) -> None:
        with pytest.raises(SpecError, match="there is no reward type"):
            from_spec({"rewardkit": 1, "reward": {"type": name}})

    @pytest.mark.parametrize("wrapped", [Function(function=exact_match), boxed_accuracy.map(exact_match)], ids=repr)  # type: ignore[arg-type]
    def test_what_cannot_be_read_is_not_written(self, wrapped: Reward) -> None:
        with pytest.raises(SpecError, match=r"reward.function: expected Callable.*, got ExactMatch"):
            to_spec(wrapped)

    @pytest.mark.parametrize("times", [20, 33, 40, 100])
    def test_what_is_written_can_be_read_however_deep(self, times: int) -> None:
        chain, sums = boxed_accuracy, boxed_accuracy
        for i in range(times):
            chain = chain.clip(0, 1).map(math.sqrt)  # type: ignore[assignment]
            sums = combine(sums, exact_match.named(f"e{i}"), name=f"s{i}")  # type: ignore[assignment]
        for stack in (chain, sums):
            try:
                spec = to_spec(stack)
            except SpecError as error:
                assert "nested more than 64 deep" in str(error)  # noqa: PT017 - either is right, by the depth
                assert times > 30
            else:
                assert from_spec(spec, allow=["math:sqrt"]) == stack

    @pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000], ids=["lists", "tables"])
    def test_of_files_nested_without_end(self, text: str, tmp_path: Path) -> None:
        path = tmp_path / "deep.json"
        path.write_text(text)
        with pytest.raises(SpecError, match=r"deep\.json"):
            load_spec(path)

    def test_of_texts_that_are_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(SpecError, match="cannot be written"):
            save_spec(Keywords(words=["\ud800"]), tmp_path / "x.json")
        path = tmp_path / "x.toml"
        path.write_bytes(b"\xff")
        with pytest.raises(SpecError, match=r"x\.toml cannot be read"):
            load_spec(path)

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


@pytest.mark.parametrize("cls", registered().values(), ids=registered())
def test_the_type_of_every_setting_is_known(cls: type) -> None:
    """Otherwise nothing would be checked, and no ready reward be named in its place."""
    assert {f.name for f in dataclass_fields(cls)} <= set(hints_of(cls))


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        ((1.0, 2), tuple[float, ...], True),
        ((1.0, "a"), tuple[float, ...], False),
        ((1.0,), tuple[float, float], False),
        ("ab", Sequence[str], False),
        ({"a": 1.0}, Mapping[str, float], True),
        ({"a": "b"}, Mapping[str, float], False),
        (["a"], Mapping[str, float], False),
        (None, float | None, True),
        (exact_match, Reward, True),
        (exact_match, Callable[[float], float], False),
        (abs, Callable[[float], float], True),
        (5, Literal["a", "b"], False),
        (5, Any, True),
    ],
    ids=repr,
)
def test_what_fits(value: Any, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected
