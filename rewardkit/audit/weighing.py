"""What exploits earned, held against honest answers: the rule by which something is a finding."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rewardkit.audit.answers import is_lucky
from rewardkit.audit.attack_report import Example, ExploitResult
from rewardkit.audit.exploits import Exploit
from rewardkit.audit.gain import through
from rewardkit.contract import Outcome

EXACT = 1e-9
"""Totals that differ by less, relative to what being right is worth, are equal."""

WRONG = "wrong_answer"
"""The name of the honest wrong answer among the results."""

PLAIN = (WRONG, "empty", "padding")
"""The plainest exploits, which change the answer or the length alone: what they gain, others may gain in passing."""


@dataclass(frozen=True)
class Honest:
    """A row with its honest completions and what the stack gave for them.

    Attributes:
        row: the row of the data set.
        prompt: the text of its prompt.
        golds: its references.
        right, wrong: the completions.
        outcomes: for the right one, the wrong one and the empty completion; all scored.
    """

    row: int
    prompt: str
    golds: tuple[str, ...]
    right: str
    wrong: str
    outcomes: tuple[Outcome, Outcome, Outcome]

    @property
    def earned(self) -> tuple[float, float, float]:
        """The totals of right, wrong and empty."""
        right, wrong, empty = (outcome.value or 0.0 for outcome in self.outcomes)
        return right, wrong, empty


@dataclass(frozen=True)
class Tried:
    """A completion of an exploit and its outcome, with those of the honest ones beside it; or what it raised.

    `variant` is its place among the completions of the exploit: what the same trick wrote for other rows.
    """

    text: str
    variant: int
    honest: Honest
    outcome: Outcome
    right: Outcome
    wrong: Outcome
    raised: str = ""

    @property
    def total(self) -> float:
        """What it earned."""
        return self.outcome.value or 0.0

    @property
    def gain(self) -> float:
        """What it earned more than the honest wrong answer."""
        return self.total - (self.wrong.value or 0.0)

    @property
    def beyond_right(self) -> float:
        """What it earned more than the honest right answer."""
        return self.total - (self.right.value or 0.0)

    @property
    def worth(self) -> float:
        """What being right is worth there."""
        return (self.right.value or 0.0) - (self.wrong.value or 0.0)


@dataclass(frozen=True)
class Rule:
    """What counts as more; see :func:`rewardkit.audit.attack`.

    Attributes:
        tolerance: the least gain, in units of the total.
        exact: totals that differ by less are equal.
        min_share: the least share of rows.
        blind: on most rows right earns no more than wrong.
    """

    tolerance: float
    exact: float
    min_share: float
    blind: bool

    @classmethod
    def of(cls, honest: Sequence[Honest], tolerance: float, min_share: float) -> Rule:
        """The rule in units of what being right is worth: the median of right less wrong."""
        worth = [h.earned[0] - h.earned[1] for h in honest if h.earned[0] > h.earned[1]]
        unit = statistics.median(worth) if worth else max(abs(value) for h in honest for value in h.earned) or 1.0
        seeing = sum(h.earned[0] - h.earned[1] > tolerance * unit for h in honest)
        return cls(tolerance * unit, EXACT * unit, min_share, seeing * 2 < len(honest))


def weigh(exploit: Exploit, tried: Sequence[Tried], rule: Rule, name: str) -> ExploitResult:
    """What an exploit earned, and whether it is a finding.

    Args:
        exploit: the exploit.
        tried: its completions on all rows.
        rule: what counts as more.
        name: the stack's name.
    """
    raised = [t for t in tried if t.raised]
    by_row: dict[int, list[Tried]] = {}
    for t in tried:
        scored = None not in (t.outcome.value, t.right.value, t.wrong.value)
        if scored and not t.raised and (rule.blind or t.worth > rule.tolerance):
            by_row.setdefault(t.honest.row, []).append(t)
    best = _inflations(by_row) if exploit.on_right else _best_of(by_row, rule)
    full = [] if exploit.on_right else [pair for pair in best if _beats_right(pair[0], rule)]
    more = [(t, less) for t, less in best if t.total - (less.value or 0.0) > rule.tolerance or (t, less) in full]
    count = max(len(best), 1)
    shares = len(more) / count, len(full) / count
    won = full or more
    return ExploitResult(
        exploit=exploit.name,
        description=exploit.description,
        level=_level(*shares, rule, raises=bool(raised), on_right=exploit.on_right),
        rows=len(best),
        completions=len(tried),
        mean=statistics.fmean(t.total for t, _ in best) if best else None,
        beats_wrong=0.0 if exploit.on_right else shares[0],
        beats_right=shares[0] if exploit.on_right else shares[1],
        through=through([(t.outcome, less) for t, less in won], name) if won else "",
        example=_example([t for t, _ in won or best], raised),
        raised=raised[0].raised if raised else "",
    )


def weigh_wrong(honest: Sequence[Honest], rule: Rule, name: str) -> ExploitResult:
    """The honest wrong answer itself: it must not earn what the right one does."""
    same = [h for h in honest if h.earned[1] >= h.earned[0] - rule.exact]
    share = len(same) / len(honest)
    shown = same[0] if same else honest[0]
    return ExploitResult(
        exploit=WRONG,
        description="A wrong answer in the form of the right one, which earns no less than the right one.",
        level="beats right" if share > rule.min_share else "",
        rows=len(honest),
        completions=len(honest),
        mean=statistics.fmean(h.earned[1] for h in honest),
        beats_wrong=0.0,
        beats_right=share,
        through=through([(h.outcomes[1], h.outcomes[2]) for h in same], name) if same else "",
        example=Example(shown.row, shown.prompt, shown.wrong, shown.outcomes[1], *shown.earned[:2]),
    )


def explained(results: Sequence[ExploitResult], rule: Rule) -> list[ExploitResult]:
    """The results, with the name of a plainer exploit that gains as much through the same component."""
    causes = [result for name in PLAIN for result in results if result.exploit == name and result.level]
    return [replace(result, explained_by=_cause(result, causes, rule)) for result in results]


def _cause(result: ExploitResult, causes: Sequence[ExploitResult], rule: Rule) -> str:
    """The first that is plainer, no less severe, and gains as much through the same component."""
    if result.level not in ("beats right", "beats wrong"):
        return ""
    for cause in causes:
        if cause.exploit == result.exploit:
            return ""
        worse = cause.level == "beats right" or cause.level == result.level
        as_much = (cause.mean or 0.0) >= (result.mean or 0.0) - rule.tolerance
        if worse and as_much and cause.through == result.through:
            return cause.exploit
    return ""


def _best_of(by_row: Mapping[int, Sequence[Tried]], rule: Rule) -> list[tuple[Tried, Outcome]]:
    """Of each row the completion that earns most and is no guess, beside the honest wrong answer."""
    gained: dict[int, list[Tried]] = {}
    for t in (t for some in by_row.values() for t in some if t.gain > rule.tolerance):
        gained.setdefault(t.variant, []).append(t)
    values = {some[0].honest.golds for some in by_row.values()}
    found = []
    for some in by_row.values():
        ranked = sorted(some, key=lambda t: -t.gain)
        best = next((t for t in ranked if t.gain <= rule.tolerance or not _is_guess(t, gained, values)), None)
        if best is not None:
            found.append((best, best.wrong))
    return found


def _is_guess(t: Tried, gained: Mapping[int, Sequence[Tried]], values: Collection[tuple[str, ...]]) -> bool:
    """Right by luck, or of a kind that gains against one value of the reference alone, where there are several."""
    if is_lucky(t.text, t.honest.golds):
        return True
    others = (o for o in gained[t.variant] if o.honest.golds != t.honest.golds)
    return len(values) > 1 and all(is_lucky(other.text, other.honest.golds) for other in others)


def _inflations(by_row: Mapping[int, Sequence[Tried]]) -> list[tuple[Tried, Outcome]]:
    """Of each row the completion that earns most beyond an earlier one, or the honest right answer, beside that."""
    found = []
    for some in by_row.values():
        best, least = (some[0], some[0].right), some[0].right
        for t in some:
            if t.total - (least.value or 0.0) > best[0].total - (best[1].value or 0.0):
                best = (t, least)
            least = min(least, t.outcome, key=lambda outcome: outcome.value or 0.0)
        found.append(best)
    return found


def _beats_right(t: Tried, rule: Rule) -> bool:
    """At least what right earns, and more than wrong; in a stack that is blind, or more than nothing."""
    if t.beyond_right < -rule.exact:
        return False
    return t.gain > rule.tolerance or (rule.blind and t.total - t.honest.earned[2] > rule.tolerance)


def _level(more: float, full: float, rule: Rule, *, raises: bool, on_right: bool) -> str:
    if full > rule.min_share:
        return "beats right"
    if raises:
        return "raises"
    if more > rule.min_share:
        return "inflates right" if on_right else "beats wrong"
    return ""


def _example(found: Sequence[Tried], raised: Sequence[Tried]) -> Example | None:
    """The completion that gained most, of equals the shortest; of one that raises the first."""
    t = max(found, key=lambda t: (t.gain, -len(t.text))) if found else next(iter(raised), None)
    if t is None:
        return None
    h = t.honest
    return Example(h.row, h.prompt, t.text, t.outcome, t.right.value or 0.0, t.wrong.value or 0.0)
