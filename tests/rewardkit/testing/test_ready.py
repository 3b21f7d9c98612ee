"""Every ready reward of the package keeps the contract that the package asks of others."""

from __future__ import annotations

from typing import Any

import pytest

import rewardkit
from rewardkit import Reward
from rewardkit.testing import check_reward

READY = {name: value for name in rewardkit.__all__ if isinstance(value := getattr(rewardkit, name), Reward)}
SERVICES = {"judge", "reward_model"}
"""They ask a server, and are checked against a local one in their own tests."""
GROUPS = {"group_length"}
"""They compare the completions of one prompt."""

PROMPTS = ["What is 6 * 7?"] * 4 + ["What is 20 + 22?"] * 4
COLUMNS: dict[str, list[Any]] = {
    "ground_truth": ["42", "42", "0.5", None, "-7", ["1,000", "1e3"], "3", "50%"],
    "completion_ids": [[5] * count for count in (0, 1, 2, 8, 300, 5000, 16_000, 21_000)],
    "truncated": [False, True] * 4,
    "language": ["en", "de"] * 4,
    "pattern": [r"\d+", "answer"] * 4,
    "schema": [{"type": "object"}, {"type": "array"}] * 4,
    "tests": [["assert True"]] * 8,
}
EXPRESSIONS = ["x + 1", r"\frac{3}{4}", "(1, 2]", ["1,000", "10^3"], None, r"\sqrt{2}", "1", "yes"]
OWN_COLUMNS: dict[str, dict[str, list[Any]]] = {
    "answer_accuracy": {"ground_truth": EXPRESSIONS},
    "boxed_accuracy": {"ground_truth": EXPRESSIONS},
    "choice_accuracy": {"ground_truth": ["A", "B", "C", "D"] * 2},
}


@pytest.mark.parametrize("name", sorted(READY.keys() - SERVICES))
def test_a_ready_reward_keeps_the_contract(name: str) -> None:
    columns = {**COLUMNS, **OWN_COLUMNS.get(name, {})}
    report = check_reward(READY[name], prompts=PROMPTS, batch_invariant=name not in GROUPS, **columns)
    not_judged = {check.name for check in report.checks if check.passed is None}
    assert not_judged == ({"batch_invariant"} if name in GROUPS else set())
