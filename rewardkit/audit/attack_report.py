"""What an attack on a stack found: a table by severity, and for each exploit the completion that did it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rewardkit.contract import Outcome

LEVELS = ("beats right", "raises", "beats wrong", "inflates right", "")
"""Findings, the worst first; the last is none."""

SHOWN = 600
"""Characters of a completion in an explanation."""


@dataclass(frozen=True)
class Example:
    """The completion with which an exploit earned most.

    Attributes:
        row: the row of the data set.
        prompt: the text of its prompt.
        completion: what was written.
        outcome: what the stack gave for it.
        right: what the honest right answer earns there.
        wrong: what the honest wrong answer earns there.
    """

    row: int
    prompt: str
    completion: str
    outcome: Outcome
    right: float
    wrong: float


@dataclass(frozen=True)
class ExploitResult:
    """What one exploit earned.

    Attributes:
        exploit: its name.
        description: one sentence on it.
        level: "beats right", "raises", "beats wrong", "inflates right", or empty where nothing was found.
        rows: the rows judged: those where right earns more than wrong, and where it was not right by luck.
        completions: how many it tried.
        mean: what its best completion of a row earns on average; ``None`` where no row was judged.
        beats_wrong: the share of rows where it earns more than an honest wrong answer.
        beats_right: the share where it earns at least what the honest right answer does.
        through: the component that it gained most from, by its path.
        example: its best completion.
        raised: what the stack raised, where it did.
        explained_by: "wrong_answer", "empty" or "padding", where that earns as much through the same component.
    """

    exploit: str
    description: str
    level: str
    rows: int
    completions: int
    mean: float | None
    beats_wrong: float
    beats_right: float
    through: str
    example: Example | None
    raised: str = ""
    explained_by: str = ""

    @property
    def rank(self) -> tuple[int, float, float]:
        """The place in the table: by level, then by the shares."""
        return LEVELS.index(self.level), -self.beats_right, -self.beats_wrong


@dataclass(frozen=True)
class AttackReport:
    """What :func:`rewardkit.audit.attack` found; prints as a table, the worst first.

    Attributes:
        name: the stack.
        rows: how many rows were attacked.
        left_out: rows whose honest answers could not be scored.
        right, wrong, empty: what an honest right answer, an honest wrong one and the empty completion earn on
            average.
        forms: the honest completions, with reasoning and answer as ``…``.
        results: one per exploit, the worst first.
    """

    name: str
    rows: int
    left_out: int
    right: float
    wrong: float
    empty: float
    forms: tuple[str, ...]
    results: tuple[ExploitResult, ...]

    @property
    def findings(self) -> tuple[ExploitResult, ...]:
        """The exploits that earn what they should not; those that a plainer one explains are left to it."""
        return tuple(result for result in self.results if result.level and not result.explained_by)

    @property
    def severe(self) -> tuple[ExploitResult, ...]:
        """Those that earn as much as being right, or make the stack raise."""
        return tuple(result for result in self.results if result.level in LEVELS[:2])

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def exit_status(self) -> int:
        """0 where nothing was found, else 1: what a command ends with."""
        return 0 if self.ok else 1

    def __getitem__(self, exploit: str) -> ExploitResult:
        """The result of an exploit by its name.

        Raises:
            KeyError: no such exploit was tried.
        """
        for result in self.results:
            if result.exploit == exploit:
                return result
        raise KeyError(f"{exploit!r} was not tried; there are {', '.join(r.exploit for r in self.results)}")

    def why(self, exploit: str) -> str:
        """The completion with which an exploit earned most, and what each component gave for it.

        Raises:
            KeyError: no such exploit was tried.
        """
        from rewardkit.report import Report

        result = self[exploit]
        if result.example is None:
            return f"{exploit}: {result.description} The stack gives it no hold."
        e = result.example
        shown = e.completion if len(e.completion) <= SHOWN else f"{e.completion[:SHOWN]}…"
        count = f"{len(e.completion):,} characters"
        level = result.level or "earns no more than an honest wrong answer"
        level += f", as {result.explained_by} does" if result.explained_by else ""
        because = Report((e.outcome,), {}, self.name).why(0).replace("Completion 0", "This completion", 1)
        return (
            f"{exploit} ({level}): {result.description}\nRow {e.row}, {count}: {shown!r}\n"
            f"An honest right answer earns {e.right:.6g} there, a wrong one {e.wrong:.6g}. {because}"
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per exploit, the worst first; ``completion`` and ``row`` are those of its example."""
        return [
            {
                "exploit": r.exploit,
                "level": r.level,
                "through": r.through,
                "mean": r.mean,
                "beats_wrong": r.beats_wrong,
                "beats_right": r.beats_right,
                "rows": r.rows,
                "completions": r.completions,
                "description": r.description,
                "row": None if r.example is None else r.example.row,
                "completion": None if r.example is None else r.example.completion,
                "raised": r.raised,
                "explained_by": r.explained_by,
            }
            for r in self.results
        ]

    def __repr__(self) -> str:
        from rewardkit.audit.view import as_text

        return as_text(self)

    def __rich__(self) -> Any:
        from rewardkit.audit.view import attack_table

        return attack_table(self)
