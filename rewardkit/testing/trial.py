"""One reward on trial: how it is called, what it gave at first, and what that leaves to be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from rewardkit.contract import completion_text
from rewardkit.testing.report import ContractCheck
from rewardkit.testing.rows import Rows
from rewardkit.testing.subject import Result, Subject, same, shown

Verdict: TypeAlias = "tuple[bool | None, str] | tuple[bool | None, str, str]"
"""Whether a clause is kept, what was seen, and the remedy where the usual one of the clause is not the right one."""


@dataclass
class Trial:
    """What the checks know.

    Attributes:
        subject: the reward.
        rows: the call that is varied.
        examples: the hostile completions.
        switches: the clauses that may be switched off, by name.
        base: what the call gave at first, within `seconds`.
        done: the verdicts so far.
    """

    subject: Subject
    rows: Rows
    examples: Mapping[str, str]
    switches: Mapping[str, bool]
    base: Result
    seconds: float
    done: list[ContractCheck] = field(default_factory=list)

    def score(self, rows: Rows) -> Result:
        """The reward on other rows."""
        return self.subject.score(rows.arguments())

    def broke(self, name: str) -> bool:
        """Whether a clause was judged and failed."""
        return any(check.name == name and check.passed is False for check in self.done)

    @property
    def given_as_text(self) -> bool:
        """Whether the completions came as strings."""
        return isinstance(self.rows.completions[0], str)

    @property
    def comparable(self) -> bool:
        """Whether one call says what another must give."""
        sound = not (self.base.raised or self.base.shape)
        return sound and self.switches["deterministic"] and not self.broke("deterministic")

    @property
    def rejects_messages(self) -> bool:
        """Whether it may be called in the format of the given completions only."""
        return not self.switches["message_invariant"] or self.broke("message_invariant")

    def shortest_first(self) -> list[int]:
        """The rows by the length of their completions: an example should be small."""
        return sorted(range(len(self.rows)), key=lambda row: len(completion_text(self.rows.completions[row])))

    def difference(self, result: Result, expected: Result, rows: Rows, how: str) -> str:
        """Where a result is not what is expected of `rows`; empty where it is."""
        if result.raised:
            return f"raises {result.raised} {how}"
        if not self.comparable:
            return ""
        if result.shape:
            return f"gives {result.shape} {how}"
        off = [
            i for i, (one, other) in enumerate(zip(result.values, expected.values, strict=True)) if not same(one, other)
        ]
        if not off:
            return ""
        row = min(off, key=lambda i: len(completion_text(rows.completions[i])))
        values = f"{shown(expected.values[row])}, and {shown(result.values[row])} {how}"
        return f"{shown(rows.completions[row])} earns {values}"

    def compared(self, *differences: str, kept: str = "the same values") -> Verdict:
        """The verdict of a clause that is kept where there is no difference."""
        found = next(filter(None, differences), "")
        return not found, found or (kept if self.comparable else "no exception; values are not compared")

    def fault(self, result: Result) -> str:
        """What is wrong with a result beside what was wrong from the start; empty for nothing."""
        if result.raised:
            return f"raises {result.raised}"
        if result.shape and not self.base.shape:
            return f"gives {result.shape}"
        if result.unusable and not self.base.unusable:
            return f"gives {result.unusable}"
        return ""

    def fault_on(self, text: str, place: int) -> str:
        """The fault with `text` as a completion: alone where that may be, else among the others of its group."""
        row = place % len(self.rows)
        rows = self.rows.with_completion(text, row)
        alone = self.switches["batch_invariant"] and not self.broke("batch_invariant")
        return self.fault(self.score(rows.take([row]) if alone else rows))
