"""A pytest fixture, ``check_reward``; PYTEST_DONT_REWRITE, as it asserts nothing itself.

In a test module or in the conftest.py at the top::

    pytest_plugins = ["rewardkit.testing.plugin"]

    def test_my_reward_keeps_the_contract(check_reward):
        check_reward(my_reward, answer=["4", "9"])
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rewardkit.testing.check import check_reward as check
from rewardkit.testing.report import ContractReport


@pytest.fixture
def check_reward() -> Callable[..., ContractReport]:
    """:func:`rewardkit.testing.check_reward`."""
    return check
