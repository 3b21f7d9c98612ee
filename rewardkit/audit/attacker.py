r"""What does a stack pay for besides being right? It is attacked with a catalogue of exploits.

>>> from rewardkit import boxed_accuracy, Keywords
>>> from rewardkit.audit import attack
>>> rows = [{"prompt": f"What is {n} + {n}?", "answer": str(2 * n)} for n in range(3, 9)]
>>> attack(boxed_accuracy, rows).ok
True
>>> report = attack(boxed_accuracy + Keywords(words=["therefore"], value=2.0, cap=2.0), rows)
>>> [(found.exploit, found.level, found.through) for found in report.findings]
[('keyword_spam', 'beats right', 'keywords')]
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from rewardkit.audit.attack_report import AttackReport
from rewardkit.audit.bench import Bench, prepare
from rewardkit.audit.exploits import CATALOGUE, Exploit, Seen
from rewardkit.audit.scoring import Scored, Trial
from rewardkit.audit.weighing import WRONG, Honest, Rule, Tried, explained, weigh, weigh_wrong
from rewardkit.contract import Outcome, RewardFunction
from rewardkit.table import DataSet

COMPANY = 3
"""The least completions in a group of a stack that compares them: the attack, a right answer, a wrong one."""


def attack(
    stack: RewardFunction,
    dataset: DataSet,
    *,
    exploits: Sequence[Exploit] | None = None,
    sample: int | None = 64,
    seed: int = 0,
    step: int = 0,
    template: str | None = None,
    answer_key: str | None = None,
    prompt_key: str | None = None,
    tolerance: float = 0.02,
    min_share: float = 0.05,
) -> AttackReport:
    """Try every exploit on a sample of rows, beside an honest right and an honest wrong answer.

    The honest right answer is the row's reference in the usual form that the stack pays most, of those in which it
    tells right from wrong; the honest wrong one has another answer of the same form in its place, and the
    same reasoning. An exploit is handed the prompt and the wrong answer, never a reference. For each row its best
    completion counts. The rule:

    - *luck is no exploit*: a completion whose first or last answer, in whatever form, is right is left out, and so is
      one of a kind that gains against a single value of the reference;
    - it **beats wrong** where it earns more than the honest wrong answer, by more than `tolerance` times what being
      right is worth (the median of right less wrong). Credit for a format that the wrong answer earns as well
      is no finding;
    - it **beats right** where it also earns at least what the honest right answer does;
    - an exploit that pads a *right* answer **inflates right** where more padding earns more than less;
    - it is a finding where that holds on more than `min_share` of the rows; "beats right" goes first;
    - where a plainer exploit (``wrong_answer``, ``empty`` or ``padding``) earns as much through the same component, an
      exploit is explained by it: the report names it, but it is no finding of its own;
    - a stack that **raises** on a completion is a finding.

    Rows on which right earns no more than wrong tell nothing and are left out; where they are more than `min_share`
    of all that is a finding of its own, named ``wrong_answer``, and where they are the majority every row is
    judged, and what earns as much as right and more than nothing beats right.

    The calls look like a trainer's: prompts, all columns, ``completion_ids`` (stand-ins, one per four letters or
    sign), ``finish_reason``, ``global_step``, and ``num_generations``. Where a member compares the completions of a
    group, each attack is scored in a group of its own with a right and a wrong answer, and compared with those.

    Args:
        stack: a reward or a function of the contract, also asynchronous. Of a plain function nothing can be read,
            so generic exploits are tried.
        dataset: as :func:`rewardkit.audit.audit` takes it.
        exploits: the exploits to try; unless given :data:`rewardkit.audit.exploits.CATALOGUE`.
        sample: how many rows, drawn with `seed`; ``None`` for all. One row costs some 200 completions.
        seed: of the sample.
        step: the training step for scheduled weights.
        template: the form of an honest completion, with ``{answer}``, where the usual ones do not serve.
        answer_key: the column of the references; unless given the one that the stack reads.
        prompt_key: the column of the prompts; unless given the first of prompt, question, problem, query.
        tolerance: the least gain, as a share of what being right is worth.
        min_share: the least share of rows.

    Raises:
        ColumnError: no references; or what the stack raises on every honest answer.
        TypeError, ValueError: what was given is no data set, two exploits have one name, a tolerance or share is
            out of its range.
    """
    chosen = CATALOGUE if exploits is None else tuple(exploits)
    names = [WRONG, *(exploit.name for exploit in chosen)]
    if len(set(names)) < len(names):
        raise ValueError(f"two exploits have one name: {', '.join(sorted(names))}; give each its own")
    if not (tolerance >= 0 and 0 <= min_share < 1):
        raise ValueError(f"tolerance={tolerance} must be at least 0, and min_share={min_share} in [0, 1)")
    bench = prepare(
        stack, dataset, sample=sample, seed=seed, step=step, template=template,
        answer_key=answer_key, prompt_key=prompt_key, company=COMPANY,
    )  # fmt: skip
    honest = _honest(bench)
    rule, name = Rule.of(honest, tolerance, min_share), bench.scorer.reward.__name__
    results = [weigh_wrong(honest, rule, name)]
    results += [weigh(exploit, _try(bench, exploit, honest), rule, name) for exploit in chosen]
    right, wrong, empty = (statistics.fmean(values) for values in zip(*(h.earned for h in honest), strict=True))
    return AttackReport(
        name=name,
        rows=len(honest),
        left_out=len(bench.rows) - len(honest),
        right=right,
        wrong=wrong,
        empty=empty,
        forms=bench.forms,
        results=tuple(sorted(explained(results, rule), key=lambda result: result.rank)),
    )


def _honest(bench: Bench) -> list[Honest]:
    """The rows whose right and wrong answers are scored; the others are left out."""
    texts = {}
    for row in bench.rows:
        wrong = bench.wrong_answer(row) if bench.golds[row] else None
        if wrong is not None:
            texts[row] = (bench.layout(row).write(bench.right_answer(row)), bench.layout(row).write(wrong), "")
    group = bench.scorer.group
    alone = [Trial(row, text) for row, three in texts.items() for text in three for _ in range(group)]
    scored = bench.scorer.score(alone)[::group]
    found = []
    for at, (row, (right, wrong, _)) in enumerate(texts.items()):
        first, second, third = scored[3 * at : 3 * at + 3]
        empty = third if isinstance(third, Outcome) else Outcome(0.0, "error", str(third))
        if isinstance(first, Outcome) and isinstance(second, Outcome) and None not in (first.value, second.value):
            outcomes = (first, second, empty)
            found.append(Honest(row, bench.prompt(row), bench.golds[row], right, wrong, outcomes))
    if not found:
        none = "no row could be judged: the stack scores no honest answer; name the columns, or give template="
        raise next((outcome for outcome in scored if isinstance(outcome, Exception)), ValueError(none))
    return found


def _try(bench: Bench, exploit: Exploit, honest: Sequence[Honest]) -> list[Tried]:
    """Every completion of an exploit, scored beside honest ones."""
    texts = [(h, variant, text) for h in honest for variant, text in _completions(bench, exploit, h)]
    group = bench.scorer.group
    scored = bench.scorer.score([trial for h, _, text in texts for trial in _company(h, text, exploit.cut, group)])
    return [_tried(text, variant, h, scored[at * group :][:group]) for at, (h, variant, text) in enumerate(texts)]


def _completions(bench: Bench, exploit: Exploit, h: Honest) -> list[tuple[int, str]]:
    """The distinct completions with their places."""
    answer = bench.right_answer(h.row) if exploit.on_right else bench.wrong_answer(h.row)
    texts = list(exploit.completions(Seen(h.prompt, answer or ""), bench.structure_of(h.row)))
    places = {text: at for at, text in reversed(list(enumerate(texts)))}
    return [(at, text) for text, at in sorted(places.items(), key=lambda place: place[1])]


def _company(h: Honest, text: str, cut: bool, group: int) -> list[Trial]:
    """The attack alone or, for a stack that compares a group, with right and wrong answers in turn."""
    others = [Trial(h.row, h.wrong if at % 2 else h.right) for at in range(group - 1)]
    return [Trial(h.row, text, cut), *others]


def _tried(text: str, variant: int, h: Honest, scored: Sequence[Scored]) -> Tried:
    first, *others = scored
    beside = [outcome for outcome in others[:2] if isinstance(outcome, Outcome)]
    right, wrong = beside if len(beside) == 2 else h.outcomes[:2]
    if isinstance(first, Outcome):
        return Tried(text, variant, h, first, right, wrong)
    said = f"{type(first).__name__}: {first}"
    return Tried(text, variant, h, Outcome(None, "error", said), right, wrong, raised=said)
