"""Specification of `list`: every ready reward, described by its own docstring."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from rewardkit import Keywords
from rewardkit.cli.docstrings import describe
from rewardkit.spec import ready_rewards
from tests.rewardkit.cli.conftest import Ran

Run = Callable[..., Ran]


class TestList:
    def test_has_every_ready_reward_with_its_range(self, run: Run) -> None:
        listed = {row["name"]: row for row in json.loads(run("list", "--json").out)}
        assert listed.keys() == ready_rewards().keys()
        assert listed["boxed_accuracy"]["range"] == "{0.0, 1.0}"
        assert listed["presets.gsm8k_r1"]["range"] == "[0, 2]"
        assert all(row["summary"] for row in listed.values())

    @pytest.mark.parametrize("name", [name for name in ready_rewards() if not name.startswith("presets.")])
    def test_knows_the_range_of_every_reward(self, name: str) -> None:
        assert describe(name, ready_rewards()[name]).range

    def test_is_a_table_for_people(self, run: Run) -> None:
        out = run("list").out
        assert "boxed_accuracy" in out
        assert "[0.0, 0.5]" in out

    def test_of_one_is_its_docstring_and_settings(self, run: Run) -> None:
        out = run("list", "keywords").out
        assert "How a model might cheat it" in out
        assert "cap: 0.5" in out
        page = json.loads(run("list", "keywords", "--json").out)
        assert (page["code"], page["settings"]["cap"]) == ("Keywords()", "0.5")

    def test_of_an_unknown_one_says_what_was_meant(self, run: Run) -> None:
        ran = run("list", "keyword")
        assert (ran.status, "did you mean 'keywords'" in ran.err) == (2, True)


class TestDescriptions:
    @pytest.mark.parametrize("name", ["answer_accuracy", "boxed_accuracy", "cosine_length", "keywords", "soft_format"])
    def test_say_what_the_empty_completion_earns_as_it_is(self, name: str) -> None:
        reward = ready_rewards()[name]
        assert reward([""], answer=["1"]) == [float(describe(name, reward).empty)]

    def test_put_the_settings_of_the_reward_into_its_range(self) -> None:
        assert describe("mine", Keywords(cap=2.0)).range == "[0.0, 2.0]"
