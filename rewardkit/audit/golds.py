r"""Does each reference of a data set earn its own reward?

>>> from rewardkit import boxed_accuracy
>>> from rewardkit.audit import audit
>>> found = audit(boxed_accuracy, [{"answer": "1/2"}, {"answer": "4 or 5"}, {"answer": " "}])
>>> found.ok, [(finding.row, finding.kind) for finding in found.findings]
(False, [(2, 'empty'), (1, 'ambiguous')])
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeGuard

from rewardkit.audit.answers import ambiguity, unreadable
from rewardkit.audit.bench import Bench, prepare
from rewardkit.audit.gold_report import GoldAudit, GoldFinding
from rewardkit.audit.scoring import Scored, Trial
from rewardkit.batch import short
from rewardkit.breakdown import Component, components
from rewardkit.contract import ColumnError, Outcome, RewardFunction
from rewardkit.equivalence.check import check
from rewardkit.functions import as_reward
from rewardkit.table import DataSet

JUDGED = frozenset(
    "correct wrong no_answer unparseable_answer unparseable_ground_truth undecided timeout error".split()
)
"""Statuses of a component that holds an answer against a reference."""

MAX_PAIRS = 2_000
"""Answers of one row that are tried in another."""

_ROW = re.compile(r"row \d+")


def audit(
    reward: RewardFunction,
    dataset: DataSet,
    *,
    template: str | None = None,
    answer_key: str | None = None,
    prompt_key: str | None = None,
    sample: int | None = None,
    seed: int = 0,
    step: int = 0,
) -> GoldAudit:
    r"""Give every reference as the answer and see whether it is paid in full.

    The completion is an honest one: of all usual forms (a box, an answer tag, ``The answer is``, with the sections
    that the stack names) the one that the stack pays most on a few rows, of those
    in which it tells right from wrong. A reference earns its reward where each
    component that holds the answer against it says "correct"; where there is none, as in a plain function, where
    the stack pays more than for a wrong answer in the same form. Of a worked solution that ends in ``#### 42`` or
    in a box, the end is the answer. All rows are looked at; one that raises does not hide the next.

    Args:
        reward: a reward of this package or a function of the contract.
        dataset: a list of dicts, a dict of lists, a `datasets.Dataset`, a `DataFrame`, or the path of a JSONL, JSON
            or Parquet file.
        template: the form of a completion, with ``{answer}``, for a stack that wants another.
        answer_key: the column of the references; unless given the one that the stack reads.
        prompt_key: the column of the prompts; unless given the first of prompt, question, problem, query.
        sample: how many rows to look at; all unless given.
        seed: of the sample, and of the pairs of rows that are tried.
        step: the training step for scheduled weights.

    Returns:
        What was found. Problems, which make it not ok: "not earned", "unparseable", "empty", "missing", "raises",
        and "accepted" (a row that pays for the different reference of another row; of all pairs those that read
        most alike and some at random are tried). Notes: "ambiguous" and "not scored".

    Raises:
        TypeError, ValueError: what was given is no data set, or has no rows.

    Example:
        >>> from rewardkit import choice_accuracy
        >>> found = audit(choice_accuracy, {"answer": ["A", "D", "E"]})
        >>> found.earned, found.findings[0].kind, found.exit_status
        (2, 'raises', 1)
    """
    name = as_reward(reward).__name__
    try:
        bench = prepare(
            reward, dataset, sample=sample, seed=seed, step=step, template=template,
            answer_key=answer_key, prompt_key=prompt_key, company=1,
        )  # fmt: skip
    except ColumnError as error:
        return GoldAudit(name, 0, 0, (GoldFinding(None, "missing", str(error)),))
    findings, own = _own_rewards(bench)
    unearned = {finding.row for finding in findings}
    earned = {row for row in own if row not in unearned}
    findings += _references(bench)
    findings += _borrowed(bench, own, earned, random.Random(seed))
    findings = _merged(findings, len(bench.rows))
    findings.sort(key=lambda finding: (not finding.is_problem, finding.row or 0))
    return GoldAudit(name, len(bench.rows), len(earned), tuple(findings), bench.forms)


def _own_rewards(bench: Bench) -> tuple[list[GoldFinding], dict[int, Outcome]]:
    """What is amiss with references given as answers; and what the first of each row gave."""
    trials, golds = [], []
    for row in bench.rows:
        for gold in bench.golds[row] or ("",):
            trials.append(Trial(row, bench.layout(row).write(bench.layout(row).answer_of(gold))))
            golds.append(gold)
    outcomes = _score(bench, trials)
    missed = [t.row for t, o in zip(trials, outcomes, strict=True) if isinstance(o, Outcome) and not _judged(bench, o)]
    wrong = _wrong_totals(bench, list(dict.fromkeys(missed)))
    findings = [
        finding
        for trial, gold, outcome in zip(trials, golds, outcomes, strict=True)
        if (finding := _finding(bench, trial.row, gold, outcome, wrong)) is not None
    ]
    own = {t.row: o for t, gold, o in reversed([*zip(trials, golds, outcomes, strict=True)]) if gold and _scored(o)}
    return findings, own


def _scored(outcome: Scored) -> TypeGuard[Outcome]:
    return isinstance(outcome, Outcome) and outcome.value is not None


def _score(bench: Bench, trials: Sequence[Trial]) -> list[Scored]:
    """One outcome per trial; a group of a stack that compares them holds the trial alone, repeated."""
    group = bench.scorer.group
    return bench.scorer.score([trial for trial in trials for _ in range(group)])[::group]


def _judged(bench: Bench, outcome: Outcome) -> list[Component]:
    """The components that hold the answer against a reference: those that are added, else all."""
    found = [
        c for c in components(outcome, bench.scorer.reward.__name__) if c.gold_column is not None and c.status in JUDGED
    ]
    return [component for component in found if component.weight is not None] or found


def _wrong_totals(bench: Bench, rows: Sequence[int]) -> dict[int, tuple[str, float | None]]:
    """A wrong answer of each row and what it earns."""
    answers = {row: bench.wrong_answer(row) for row in rows if bench.golds[row]}
    trials = [Trial(row, bench.layout(row).write(wrong)) for row, wrong in answers.items() if wrong is not None]
    outcomes = _score(bench, trials)
    return {
        trial.row: (answers[trial.row] or "", outcome.value if isinstance(outcome, Outcome) else None)
        for trial, outcome in zip(trials, outcomes, strict=True)
    }


def _finding(
    bench: Bench, row: int, gold: str, outcome: Scored, wrong: Mapping[int, tuple[str, float | None]]
) -> GoldFinding | None:
    """What is amiss with a reference given as the answer; ``None`` where it earns its reward."""
    if not gold:
        cell = short(bench.columns[bench.key][row])
        if bench.columns[bench.key][row] is None:
            return GoldFinding(row, "not scored", f"column {bench.key!r} is None")
        return GoldFinding(row, "empty", f"column {bench.key!r} holds {cell}; fill it, or set it to None", cell)
    if isinstance(outcome, Exception):
        return GoldFinding(row, "raises", f"{type(outcome).__name__}: {outcome}", gold, "error")
    failed = next((c for c in _judged(bench, outcome) if c.status != "correct"), None)
    if failed is not None:
        detail = f"{failed.path}: {failed.detail}" if failed.detail else failed.path
        return GoldFinding(row, "not earned", detail, gold, failed.status)
    if outcome.value is None:
        return GoldFinding(row, "not scored", outcome.detail, gold, outcome.status)
    other, earned = wrong.get(row, ("", None))
    if row in wrong and (earned is None or earned >= outcome.value):
        detail = (
            f"it earns {outcome.value:g}, the wrong answer {other!r} {'nothing' if earned is None else f'{earned:g}'}"
        )
        return GoldFinding(row, "not earned", detail, gold, outcome.status)
    return None


def _merged(findings: list[GoldFinding], rows: int) -> list[GoldFinding]:
    """One finding in place of the same one in every row, such as a column that is missing."""
    raised = [finding for finding in findings if finding.kind == "raises"]
    said = {_ROW.sub("row", finding.detail) for finding in raised}
    if rows < 2 or len(said) != 1 or len({finding.row for finding in raised}) < rows:
        return findings
    return [
        GoldFinding(None, "missing" if "column" in raised[0].detail else "raises", raised[0].detail, status="error")
    ]


def _references(bench: Bench) -> list[GoldFinding]:
    """References that cannot be read, or in two ways."""
    findings = []
    for row in bench.rows:
        for gold in bench.golds[row] if bench.structure.equivalence else ():
            if problem := unreadable(gold):
                findings.append(GoldFinding(row, "unparseable", problem, gold))
            elif doubt := ambiguity(gold):
                findings.append(GoldFinding(row, "ambiguous", doubt, gold))
    return findings


def _borrowed(
    bench: Bench, own: Mapping[int, Outcome], earned: Collection[int], rng: random.Random
) -> list[GoldFinding]:
    """Rows that pay in full for the reference of another row that is not the same answer."""
    pairs = list(dict.fromkeys(_pairs(bench, sorted(own), rng)))[:MAX_PAIRS]
    answers = [bench.layout(row).answer_of(gold) for row, gold in pairs]
    trials = [Trial(row, bench.layout(row).write(answer)) for (row, _), answer in zip(pairs, answers, strict=True)]
    findings = []
    for (row, _), answer, outcome in zip(pairs, answers, _score(bench, trials), strict=True):
        if _scored(outcome) and _paid_in_full(bench, outcome, own[row] if row in earned else None):
            detail = f"the different answer {answer!r} of another row is accepted"
            findings.append(GoldFinding(row, "accepted", detail, bench.golds[row][0], outcome.status))
    return findings


def _paid_in_full(bench: Bench, outcome: Outcome, own: Outcome | None) -> bool:
    """Whether each component says so; where there is none, whether it earns what the own reference earns."""
    judged = _judged(bench, outcome)
    if judged:
        return all(component.status == "correct" for component in judged)
    return own is not None and (outcome.value or 0.0) >= (own.value or 0.0)


def _pairs(bench: Bench, rows: Sequence[int], rng: random.Random) -> Iterator[tuple[int, str]]:
    """A row with another row's reference: the next and the previous by text, and two at random."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(bench.right_answer(row), row)
    texts = sorted(first)
    for at, text in enumerate(texts):
        near = {texts[(at + 1) % len(texts)], texts[at - 1], rng.choice(texts), rng.choice(texts)}
        for other in sorted(near - {text}):
            if all(check(other, accepted).equal is False for accepted in bench.golds[first[text]]):
                yield first[text], bench.golds[first[other]][0]
