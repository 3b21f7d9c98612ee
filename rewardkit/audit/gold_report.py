"""What an audit of references found, as a table and an exit status."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["missing", "raises", "empty", "not earned", "unparseable", "accepted", "ambiguous", "not scored"]

PROBLEMS: tuple[Kind, ...] = ("missing", "raises", "empty", "not earned", "unparseable", "accepted")
"""What makes an audit fail; the other kinds are notes."""


@dataclass(frozen=True)
class GoldFinding:
    """Something about a reference.

    Attributes:
        row: its row; ``None`` for all of them.
        kind: "missing" (a column), "raises" (the reward, for this row), "empty", "not earned" (the reference given
            as the answer), "unparseable" (equal to nothing but itself), "accepted" (another row's answer is);
            as notes "ambiguous" and "not scored".
        detail: one sentence.
        gold: the reference.
        status: of the component that decided, where one did.
    """

    row: int | None
    kind: Kind
    detail: str
    gold: str = ""
    status: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether it makes the audit fail."""
        return self.kind in PROBLEMS


@dataclass(frozen=True)
class GoldAudit:
    """What :func:`rewardkit.audit.audit` found; prints as a table.

    Attributes:
        name: the reward.
        rows: how many were looked at.
        earned: how many references earn their own reward.
        findings: problems first, each kind by row.
        forms: the honest completions that were tried, with reasoning and answer as ``…``.
    """

    name: str
    rows: int
    earned: int
    findings: tuple[GoldFinding, ...] = ()
    forms: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[GoldFinding, ...]:
        """The findings that make it fail."""
        return tuple(finding for finding in self.findings if finding.is_problem)

    @property
    def ok(self) -> bool:
        """Whether there is no problem; notes do not count."""
        return not self.problems

    @property
    def exit_status(self) -> int:
        """0 where it is ok, else 1: what a command ends with."""
        return 0 if self.ok else 1

    @property
    def counts(self) -> dict[str, int]:
        """How often each kind was found."""
        kinds = [finding.kind for finding in self.findings]
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per finding: ``row``, ``kind``, ``detail``, ``gold``, ``status``, ``problem``."""
        return [{**asdict(finding), "problem": finding.is_problem} for finding in self.findings]

    def __repr__(self) -> str:
        from rewardkit.audit.view import as_text

        return as_text(self)

    def __rich__(self) -> Any:
        from rewardkit.audit.view import gold_table

        return gold_table(self)
