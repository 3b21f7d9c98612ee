"""Runs a program that nobody trusts in a process of its own, and says what held it.

:class:`Sandbox` is one server process that forks a confined process per run; :func:`protection` says what
holds on this machine. The page ``docs/code_tests.md`` has the threat model.
"""

from rewardkit.sandbox.cases import Case, CaseResult, InputOutput, TestText, judge_all
from rewardkit.sandbox.cells import read_cases
from rewardkit.sandbox.pool import Pool
from rewardkit.sandbox.protection import PROTECTIONS, Protection, SandboxError, protection
from rewardkit.sandbox.runner import Limits, Run, Sandbox

__all__ = [
    "PROTECTIONS",
    "Case",
    "CaseResult",
    "InputOutput",
    "Limits",
    "Pool",
    "Protection",
    "Run",
    "Sandbox",
    "SandboxError",
    "TestText",
    "judge_all",
    "protection",
    "read_cases",
]
