r"""The contract of rewards as a test that you run on your own.

    >>> from rewardkit import combine, soft_format, tag_count
    >>> from rewardkit.testing import check_reward
    >>> check_reward(combine(soft_format, tag_count)).passed
    True

:mod:`rewardkit.testing.strategies` has Hypothesis strategies for completions, :mod:`rewardkit.testing.plugin` a
pytest fixture.
"""

from rewardkit.testing.check import check_reward
from rewardkit.testing.hostile import EMPTY, HOSTILE, answered
from rewardkit.testing.report import ContractCheck, ContractReport, ContractViolation

__all__ = ["EMPTY", "HOSTILE", "ContractCheck", "ContractReport", "ContractViolation", "answered", "check_reward"]
