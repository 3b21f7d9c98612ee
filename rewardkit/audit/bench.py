"""A stack and rows of a data set made ready: the references found, the form of an honest answer chosen."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from rewardkit.audit.answers import accepted, wrong_answer
from rewardkit.audit.layout import Layout, layouts
from rewardkit.audit.scoring import Scorer, Trial
from rewardkit.audit.structure import Structure, read_structure
from rewardkit.contract import GROUND_TRUTH_KEYS, ColumnError, Outcome, RewardFunction
from rewardkit.equivalence import reference_answer
from rewardkit.functions import as_reward
from rewardkit.table import PROMPT_KEYS, Columns, DataSet, prompt_text, read_table

PROBED, PROBED_SLOWLY = 6, 2
"""Rows of each kind on which the forms of an honest answer are tried; fewer where each costs a request."""


TELLING = 0.5
"""Of the widest gap between right and wrong, what a form must show to be taken."""

NEIGHBOURS = 20
"""Rows whose references are looked through for a wrong answer."""


@dataclass(frozen=True)
class Bench:
    """A stack and a data set, ready for trials.

    Attributes:
        scorer: scores trials.
        structure: what the stack is made of.
        rows: the rows looked at, in order.
        key: the column of the references.
        golds: by row, the references that it accepts; none where the cell is ``None`` or blank.
        structures: by kind of row (see :meth:`kind`), the structure with the form of its honest answers.
    """

    scorer: Scorer
    structure: Structure
    rows: tuple[int, ...]
    key: str
    golds: Mapping[int, tuple[str, ...]]
    structures: Mapping[Hashable, Structure]

    @property
    def columns(self) -> Columns:
        """The data set."""
        return self.scorer.columns

    def kind(self, row: int) -> Hashable:
        """Rows of one kind are scored by the same members: what the columns of its routes hold."""
        return _kind(self.columns, self.structure, row)

    def structure_of(self, row: int) -> Structure:
        """The structure, with the form of an honest answer of the row."""
        return self.structures[self.kind(row)]

    def layout(self, row: int) -> Layout:
        """The form of an honest answer of the row."""
        return self.structure_of(row).layout

    def prompt(self, row: int) -> str:
        """The text of the row's prompt; empty where there is none."""
        key = self.scorer.prompt_key
        return "" if key is None else prompt_text(self.columns[key][row])

    def right_answer(self, row: int) -> str:
        """The first reference of the row, as an answer."""
        return self.layout(row).answer_of(self.golds[row][0])

    def wrong_answer(self, row: int) -> str | None:
        """A wrong answer for the row in the form of its right one; ``None`` where none was found."""
        at = bisect_left(self.rows, row)
        near = [self.rows[(at + step) % len(self.rows)] for step in range(1, NEIGHBOURS + 1)]
        others = [self.layout(row).answer_of(gold) for other in near for gold in self.golds[other][:1]]
        return wrong_answer(self.right_answer(row), self.golds[row], others=others, options=self.structure.options)

    @property
    def forms(self) -> tuple[str, ...]:
        """Honest completions, with reasoning and answer as ``…``."""
        return tuple(dict.fromkeys(structure.layout.write("…", "…") for structure in self.structures.values()))


def prepare(
    reward: RewardFunction,
    dataset: DataSet,
    *,
    sample: int | None,
    seed: int,
    step: int,
    template: str | None,
    answer_key: str | None,
    prompt_key: str | None,
    company: int,
) -> Bench:
    """Read stack and data set.

    Args:
        reward: a reward or a function of the contract.
        dataset: as :func:`rewardkit.table.read_table` takes it.
        sample: rows to look at, drawn with `seed`; ``None`` for all.
        seed: of the draw.
        step: what scheduled weights read.
        template: the form of a completion, with ``{answer}``; ``None`` tries the usual ones.
        answer_key: the column of the references; ``None`` for the one that the stack reads.
        prompt_key: the column of the prompts; ``None`` for the first of the usual names.
        company: the least completions in a group of a stack that compares them.

    Raises:
        ColumnError: no such column, or none with references.
        ValueError: a sample below 1.
    """
    stack, columns = as_reward(reward), read_table(dataset)
    structure = read_structure(stack)
    key = _present(columns, answer_key, (*structure.answer_keys, *GROUND_TRUTH_KEYS), "references", "answer_key")
    structure = replace(structure, answer_keys=tuple(dict.fromkeys((key, *structure.answer_keys))))
    prompts = _prompt_key(columns, prompt_key)
    rows = _rows(len(columns[key]), sample, seed)
    golds = {row: accepted(columns[key][row]) for row in rows}
    group = _group(structure, company)
    scorer = Scorer(stack, columns, prompts, step, structure.end_tokens, group)
    by_kind: dict[Hashable, list[int]] = {}
    for row in rows:
        by_kind.setdefault(_kind(columns, structure, row), []).append(row)
    chosen = {
        kind: Layout.of(template) if template else _choose(scorer, structure, members, golds)
        for kind, members in by_kind.items()
    }
    structures = {kind: replace(structure, layout=layout) for kind, layout in chosen.items()}
    return Bench(scorer, structure, rows, key, golds, structures)


def _present(columns: Columns, named: str | None, candidates: Sequence[str], what: str, argument: str) -> str:
    wanted = (named,) if named is not None else tuple(dict.fromkeys(candidates))
    found = next((name for name in wanted if any(value is not None for value in columns.get(name, ()))), None)
    if found is None:
        raise ColumnError(
            f"no {what}: expected the column {' or '.join(map(repr, wanted))}, the data set has "
            f"{', '.join(sorted(columns))}; name the column with {argument}="
        )
    return found


def _prompt_key(columns: Columns, named: str | None) -> str | None:
    if named is not None:
        return _present(columns, named, (), "prompts", "prompt_key")
    return next((name for name in PROMPT_KEYS if name in columns), None)


def _rows(count: int, sample: int | None, seed: int) -> tuple[int, ...]:
    if sample is None or sample >= count:
        return tuple(range(count))
    if sample < 1:
        raise ValueError(f"sample must be at least 1 row or None for all, got {sample}")
    return tuple(sorted(random.Random(seed).sample(range(count), sample)))


def _group(structure: Structure, company: int) -> int:
    """Whole groups for every member that asks for a size, with room for the company."""
    if not structure.group_sizes:
        return 1
    size = math.lcm(*(max(size, 1) for size in structure.group_sizes))
    return size * math.ceil(company / size)


def _kind(columns: Columns, structure: Structure, row: int) -> Hashable:
    return tuple(repr(columns[name][row]) if name in columns else None for name in structure.route_columns)


def _choose(scorer: Scorer, structure: Structure, rows: Sequence[int], golds: Mapping[int, tuple[str, ...]]) -> Layout:
    """The form that pays a right answer most, of those that tell right from wrong; a bare one where no other does."""
    probed = [row for row in rows if golds[row]][: PROBED_SLOWLY if scorer.reward.asynchronous else PROBED]
    first = {row: golds[row][0] for row in probed}
    whole = any(reference_answer(gold) != gold.strip() for gold in first.values())
    forms = layouts(structure.tag_sets, whole=whole)
    if not probed:
        return forms[0]
    trials = []
    for form in forms:
        others = [form.answer_of(gold) for gold in first.values()]
        for row, gold in first.items():
            answer = form.answer_of(gold)
            wrong = wrong_answer(answer, golds[row], others=others, options=structure.options) or ""
            trials += [Trial(row, form.write(text)) for text in (answer, wrong) for _ in range(scorer.group)]
    outcomes = scorer.score(trials)[:: scorer.group]
    rights, wrongs = _means(outcomes[0::2], len(probed)), _means(outcomes[1::2], len(probed))
    earned = dict(zip(forms, rights, strict=True))
    gaps = {form: right - wrong for form, right, wrong in zip(forms, rights, wrongs, strict=True)}
    best, bare = (_best(earned, gaps, reasons=reasons) for reasons in (True, False))
    return bare if gaps[best] < TELLING * gaps[bare] else best


def _best(earned: Mapping[Layout, float], gaps: Mapping[Layout, float], *, reasons: bool) -> Layout:
    forms = [form for form in earned if form.reasons == reasons]
    widest = max(gaps[form] for form in forms)
    return max((form for form in forms if gaps[form] >= TELLING * widest), key=earned.__getitem__)


def _means(outcomes: Sequence[Outcome | Exception], count: int) -> list[float]:
    """The mean of each run of `count`; what is not scored counts as 0.0."""
    values = [(o.value or 0.0) if isinstance(o, Outcome) else 0.0 for o in outcomes]
    return [math.fsum(values[at : at + count]) / count for at in range(0, len(values), count)]
