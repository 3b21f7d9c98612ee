"""Recorded rollouts: completions with what a trainer passed beside them, by step and group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from rewardkit.replay.grouping import GROUP_IDS, Groups, by_id, by_prompt, by_size, by_step, mixed
from rewardkit.replay.layouts import TRAIN, Layout, Rollout, read_rollout
from rewardkit.replay.records import Record, Rejected, read_records
from rewardkit.replay.runs import read_settings


@dataclass(frozen=True, repr=False, eq=False)
class Rollouts:
    """Recorded completions, as :func:`read_rollouts` makes them.

    Attributes:
        completions: text or messages.
        prompts: one per completion; ``None`` where none were recorded.
        columns: everything else that was recorded, by name; ``None`` where a row lacks it.
        step: the training step each is filed under; 0 where none was recorded.
        scored_at: the optimizer steps done when a trainer scored it, which is what a scheduled weight reads.
        groups: the rows that answer one prompt within one step, by step.
        places: file and line of each row.
        rejected: what was kept aside, with place and reason.
        reading_notes: what else is to be known of the recording, one sentence each.
        group_notes: what is to be known of its groups.
    """

    completions: Sequence[Any]
    prompts: Sequence[Any] | None
    columns: Mapping[str, list[Any]]
    step: tuple[int, ...]
    scored_at: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    places: tuple[tuple[str, int], ...] = ()
    rejected: tuple[Rejected, ...] = ()
    reading_notes: tuple[str, ...] = ()
    group_notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.completions)

    @property
    def notes(self) -> tuple[str, ...]:
        """All notes."""
        return (*self.reading_notes, *self.group_notes)

    @cached_property
    def steps(self) -> dict[int, list[int]]:
        """The rows of each step, in order."""
        return by_step(self.step)

    @cached_property
    def sizes(self) -> Counter[int]:
        """How many groups there are of each size."""
        return Counter(map(len, self.groups))

    def grouped(self, num_generations: int | None = None, *, group_by: str | None = None) -> Rollouts:
        """The same rows in other groups; those of a group that is not whole are kept aside.

        Args:
            num_generations: completions per prompt, in order within a step.
            group_by: a column that tells the groups apart. Without either: the first of the columns ``group``,
                ``group_id``, ``prompt_id``, ``uid`` that goes with the prompts, else ``num_generations``, else
                the runs of equal prompts.

        Raises:
            ValueError: nothing tells the groups apart, or there is no whole group.
        """
        groups, notes = self._groups(num_generations, group_by)
        if groups.torn:
            torn = [Rejected(*self.places[row], reason, self.row(row)) for row, reason in groups.torn]
            if not groups.whole:
                raise ValueError(f"no whole group: {torn[0].source}, line {torn[0].line}: {torn[0].reason}")
            aside = {row for row, _ in groups.torn}
            kept = self._of_rows([row for row in range(len(self)) if row not in aside])
            kept = replace(kept, rejected=(*self.rejected, *torn))
            return kept.grouped(num_generations, group_by=group_by)
        whole = tuple(map(tuple, groups.whole))
        sizes = Counter(map(len, whole))
        if len(sizes) > 1:
            counts = ", ".join(f"{count:,} of {size}" for size, count in sizes.most_common(4))
            notes.append(
                f"the groups differ in size ({counts}); if equal prompts stood next to each other or rows are "
                f"missing, say num_generations={sizes.most_common(1)[0][0]}"
            )
        return replace(self, groups=whole, group_notes=tuple(notes))

    def joined(self, dataset: Any) -> Rollouts:
        """The same rows with the columns of the data set that they were sampled for; see :func:`read_rollouts`."""
        from rewardkit.replay.joining import columns_by_prompt

        prompts, completions, columns = columns_by_prompt(self, dataset)
        return replace(self, prompts=prompts, completions=completions, columns={**self.columns, **columns})

    def row(self, index: int) -> dict[str, Any]:
        """One row as a dictionary."""
        prompt = {} if self.prompts is None else {"prompt": self.prompts[index]}
        cells = {name: values[index] for name, values in self.columns.items()}
        return {"step": self.step[index], **prompt, "completion": self.completions[index], **cells}

    def _groups(self, size: int | None, group_by: str | None) -> tuple[Groups, list[str]]:
        """The groups, and what is to be said of them."""
        notes: list[str] = []
        if group_by is not None and group_by not in self.columns:
            raise ValueError(f"there is no column {group_by!r} to group by; there are {', '.join(self.columns)}")
        for name in (group_by,) if group_by is not None else GROUP_IDS if size is None else ():
            ids = self.columns.get(name)
            if ids is None or (group_by is None and None in ids):
                continue
            groups = by_id(self.step, ids)
            if group_by is not None or self.prompts is None or not mixed(groups.whole, self.prompts):
                return groups, notes
            notes.append(f"column {name!r} is no group id: rows of one value have several prompts")
        size = self._recorded_size() if size is None else size
        if size is not None:
            groups = by_size(self.step, size, self.prompts, holes=bool(self.rejected))
            several = 0 if self.prompts is None else mixed(groups.whole, self.prompts)
            if several:
                notes.append(f"{several:,} groups of {size} hold several prompts; is num_generations={size}?")
            return groups, notes
        if self.prompts is None:
            raise ValueError(
                "nothing tells the groups apart: pass num_generations=, name a column with group_by=, or record prompts"
            )
        return by_prompt(self.step, self.prompts), notes

    def _recorded_size(self) -> int | None:
        sizes = set(self.columns.get("num_generations") or ())
        size = sizes.pop() if len(sizes) == 1 else None
        return size if isinstance(size, int) and size > 0 else None

    def _of_rows(self, rows: Sequence[int]) -> Rollouts:
        """These rows alone, not yet in groups."""
        return Rollouts(
            completions=[self.completions[row] for row in rows],
            prompts=None if self.prompts is None else [self.prompts[row] for row in rows],
            columns={name: [values[row] for row in rows] for name, values in self.columns.items()},
            step=tuple(self.step[row] for row in rows),
            scored_at=tuple(self.scored_at[row] for row in rows),
            places=tuple(self.places[row] for row in rows),
            rejected=self.rejected,
            reading_notes=self.reading_notes,
        )

    def __repr__(self) -> str:
        parts = [f"{len(self):,} completions", f"{len(self.groups):,} groups", f"{len(self.steps):,} steps"]
        parts += [f"{len(self.rejected):,} rows rejected"] if self.rejected else []
        return f"<Rollouts: {', '.join(parts)}>"


def read_rollouts(
    data: Any,
    *,
    num_generations: int | None = None,
    group_by: str | None = None,
    dataset: Any = None,
    split: str = TRAIN,
    steps_per_rollout: int | None = None,
) -> Rollouts:
    """Recorded rollouts out of what a trainer or you wrote.

    Args:
        data: a run's folder or its ``completions.jsonl`` (grpo_engine); TRL's output directory, its folder
            ``completions`` or one of the Parquet files in it (``log_completions=True``); a JSONL, JSON or Parquet
            file, or a folder of them, with ``prompt`` and ``completion`` (or their plurals), perhaps ``step``, and
            columns of any name; a list of dicts, a dict of lists, a `datasets.Dataset`, a pandas `DataFrame`.
        num_generations: completions per prompt, in order within a step; else a run's own ``config.json`` tells.
        group_by: a column that tells the groups apart; see :meth:`Rollouts.grouped`.
        dataset: what the prompts came from, in any of these forms. Trainers do not log its columns (such as the
            reference); they are found again by the prompt, which needs to be the only one of its wording or
            to have the same columns each time.
        split: which rows of a run's log: "train" or "eval".
        steps_per_rollout: optimizer steps that one batch of rollouts served; else the run's ``num_iterations``, else
            1. It matters to scheduled weights.

    Returns:
        The rollouts. Rows that cannot be used (no JSON, no completion, a group of which rows are missing) are in
        ``.rejected``, each with file, line and reason.

    Raises:
        ValueError: no usable row, nothing that tells the groups apart, a prompt that is not in `dataset`.
        TypeError: data of no known kind.
        ImportError: a Parquet file without pyarrow (the extra ``cli``).
        FileNotFoundError: there is no such file.

    Example:
        >>> rows = [{"prompt": "1 + 1?", "completion": text, "answer": "2"} for text in ("2", "3")]
        >>> read_rollouts(rows)
        <Rollouts: 2 completions, 1 groups, 1 steps>
    """
    if steps_per_rollout is not None and steps_per_rollout < 1:
        raise ValueError(f"steps_per_rollout must be at least 1, got {steps_per_rollout}")
    run = read_settings(data)
    rows, rejected, others = _understood(data, Layout(split, steps_per_rollout or run.num_iterations or 1))
    if not rows:
        raise ValueError(_nothing(rejected, others, split))
    notes = [f"{count:,} rows of the split {name!r} are left out (split={name!r})" for name, count in others.items()]
    rollouts = _as_rollouts(rows, tuple(rejected), (*notes, *run.notes))
    size = run.group_size(split) if num_generations is None and group_by is None else num_generations
    rollouts = rollouts.grouped(size, group_by=group_by)
    return rollouts if dataset is None else rollouts.joined(dataset)


def as_rollouts(data: Any, num_generations: int | None = None) -> Rollouts:
    """Rollouts as they are, or in other groups where a size is given; anything else is read."""
    if not isinstance(data, Rollouts):
        return read_rollouts(data, num_generations=num_generations)
    return data if num_generations is None else data.grouped(num_generations)


def _understood(data: Any, layout: Layout) -> tuple[list[Rollout], list[Rejected], Counter[str]]:
    """Usable rows, those kept aside, and how many there are of other splits."""
    rows: list[Rollout] = []
    rejected: list[Rejected] = []
    others: Counter[str] = Counter()
    for record in read_records(data):
        found = read_rollout(record, layout) if isinstance(record, Record) else record
        if isinstance(found, Rollout):
            rows.append(found)
        elif isinstance(found, Rejected):
            rejected.append(found)
        else:
            others[found] += 1
    return rows, rejected, others


def _as_rollouts(rows: Sequence[Rollout], rejected: tuple[Rejected, ...], notes: tuple[str, ...]) -> Rollouts:
    names = dict.fromkeys(name for row in rows for name in row.columns)
    return Rollouts(
        completions=[row.completion for row in rows],
        prompts=None if any(row.prompt is None for row in rows) else [row.prompt for row in rows],
        columns={str(name): [row.columns.get(name) for row in rows] for name in names},
        step=tuple(row.step for row in rows),
        scored_at=tuple(row.scored_at for row in rows),
        places=tuple((row.source, row.line) for row in rows),
        rejected=rejected,
        reading_notes=notes,
    )


def _nothing(rejected: Sequence[Rejected], others: Counter[str], split: str) -> str:
    if others:
        return f"no rows of the split {split!r}; there are {', '.join(f'{n:,} of {s!r}' for s, n in others.items())}"
    if rejected:
        first = rejected[0]
        return f"none of {len(rejected):,} rows can be used; {first.source}, line {first.line}: {first.reason}"
    return "there are no rows"
