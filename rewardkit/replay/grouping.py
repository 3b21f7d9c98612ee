"""Which rows answer one prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

GROUP_IDS = ("group", "group_id", "prompt_id", "uid")
"""Columns that may say which group a row is of, in the order in which they are looked for."""


class Groups(NamedTuple):
    """Rows by group.

    Attributes:
        whole: the rows of each group, by step and by first row.
        torn: rows of which not all companions are recorded, with the reason.
    """

    whole: list[list[int]]
    torn: list[tuple[int, str]]


def by_id(steps: Sequence[int], ids: Sequence[Any]) -> Groups:
    """Groups of one id within one step."""
    found: dict[tuple[int, str], list[int]] = {}
    for row, key in enumerate(zip(steps, map(repr, ids), strict=True)):
        found.setdefault(key, []).append(row)
    return Groups(_sorted(found.values(), steps), [])


def by_prompt(steps: Sequence[int], prompts: Sequence[Any]) -> Groups:
    """Runs of equal prompts within one step."""
    runs = [run for rows in by_step(steps).values() for run in _runs(rows, prompts)]
    return Groups(_sorted(runs, steps), [])


def by_size(steps: Sequence[int], size: int, prompts: Sequence[Any] | None, *, holes: bool) -> Groups:
    """Groups of `size` rows in order within a step.

    Args:
        steps: of each row.
        size: completions per prompt.
        prompts: of each row, where recorded. They are asked only where counting may go wrong.
        holes: whether rows are missing in unknown places, so that a count alone may be off.

    Raises:
        ValueError: a step does not hold whole groups, and no prompts can tell which ones are torn.
    """
    if size < 1:
        raise ValueError(f"num_generations must be at least 1, got {size}")
    whole: list[list[int]] = []
    torn: list[tuple[int, str]] = []
    for step, rows in by_step(steps).items():
        if len(rows) % size == 0 and not (holes and prompts):
            whole += _cut(rows, size)
            continue
        if not prompts:
            raise ValueError(
                f"step {step} has {len(rows)} rows, which are not whole groups of num_generations={size}; "
                "give another number, or record the prompts or a group id"
            )
        for run in _runs(rows, prompts):
            if len(run) % size == 0:
                whole += _cut(run, size)
            else:
                reason = f"{len(run)} completions of its prompt are recorded, no whole group of {size}"
                torn += [(row, reason) for row in run]
    return Groups(_sorted(whole, steps), torn)


def by_step(steps: Sequence[int]) -> dict[int, list[int]]:
    """The rows of each step, in order."""
    found: dict[int, list[int]] = {}
    for row, step in enumerate(steps):
        found.setdefault(step, []).append(row)
    return dict(sorted(found.items()))


def mixed(groups: Sequence[Sequence[int]], prompts: Sequence[Any]) -> int:
    """How many groups hold more than one prompt."""
    return sum(any(prompts[row] != prompts[group[0]] for row in group) for group in groups)


def _runs(rows: Sequence[int], prompts: Sequence[Any]) -> list[list[int]]:
    runs: list[list[int]] = []
    for row in rows:
        if runs and prompts[row] == prompts[runs[-1][-1]]:
            runs[-1].append(row)
        else:
            runs.append([row])
    return runs


def _cut(rows: Sequence[int], size: int) -> list[list[int]]:
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def _sorted(groups: Any, steps: Sequence[int]) -> list[list[int]]:
    return sorted(groups, key=lambda group: (steps[group[0]], group[0]))
