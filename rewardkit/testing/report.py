"""What a check of the contract found: a table where all is well, an error with examples and remedies where not."""

from __future__ import annotations

from dataclasses import dataclass

_WORDS = {True: "passed", False: "FAILED", None: "-"}
_DETAIL_WIDTH = 100


@dataclass(frozen=True)
class ContractCheck:
    """One clause of the contract.

    Attributes:
        name: the clause; where it can be switched off, by this name.
        passed: ``None`` for "not judged": switched off, or hidden behind a failure of another clause.
        detail: what was seen; of a failure the smallest example.
        remedy: what to change, where it failed.
    """

    name: str
    passed: bool | None
    detail: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" + (f"\n    Remedy: {self.remedy}" if self.remedy else "")


@dataclass(frozen=True)
class ContractReport:
    """Every clause of the contract for one reward; prints as a table.

    Attributes:
        reward: the name of the reward.
        checks: the clauses in the order in which they were judged.
    """

    reward: str
    checks: tuple[ContractCheck, ...]

    @property
    def passed(self) -> bool:
        """Whether no clause failed; those that were not judged do not count."""
        return not self.failed

    @property
    def failed(self) -> tuple[ContractCheck, ...]:
        """The clauses that the reward breaks."""
        return tuple(check for check in self.checks if check.passed is False)

    def __getitem__(self, name: str) -> ContractCheck:
        for check in self.checks:
            if check.name == name:
                return check
        raise KeyError(f"no check is named {name!r}; there are {', '.join(c.name for c in self.checks)}")

    def __str__(self) -> str:
        width = max((len(check.name) for check in self.checks), default=0)
        rows = [f"{c.name:<{width}}  {_WORDS[c.passed]:<6}  {_cut(c.detail)}".rstrip() for c in self.checks]
        return "\n".join([f"{self.reward}: {self.summary}", *rows])

    @property
    def summary(self) -> str:
        """The verdict in one line, without the name."""
        judged = sum(check.passed is not None for check in self.checks)
        if self.passed:
            return f"keeps the contract ({judged} checks)"
        return f"breaks {len(self.failed)} of {judged} checks of the contract"


class ContractViolation(AssertionError):
    """A reward breaks the contract; the message lists every clause with its example and its remedy.

    Attributes:
        report: the :class:`ContractReport`.
    """

    def __init__(self, report: ContractReport) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        lines = [f"- {check}" for check in self.report.failed]
        return "\n".join([f"{self.report.reward}: {self.report.summary}", *lines])


def _cut(detail: str) -> str:
    return detail if len(detail) <= _DETAIL_WIDTH else detail[: _DETAIL_WIDTH - 3] + "..."
