"""The arguments of a call of the contract, as rows that can be picked, doubled and written as messages."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from rewardkit.contract import GROUND_TRUTH_KEYS, completion_text

LEAST_ROWS = 8
"""Completions that are made up where none are given; a multiple of the usual numbers of generations."""
PROMPT = "What is six times seven?"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A completion, a prompt and a value of each column per row; `constants` are the same for every call."""

    completions: list[Any]
    prompts: list[Any]
    columns: dict[str, list[Any]]
    constants: dict[str, Any]

    def __len__(self) -> int:
        return len(self.completions)

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at `indices`, in that order."""
        return replace(
            self,
            completions=[self.completions[i] for i in indices],
            prompts=[self.prompts[i] for i in indices],
            columns={name: [values[i] for i in indices] for name, values in self.columns.items()},
        )

    def reversed(self) -> Rows:
        """The rows backwards, which leaves groups of neighbours groups of neighbours."""
        return self.take(range(len(self) - 1, -1, -1))

    def with_completion(self, text: str, row: int) -> Rows:
        """The same rows with `text` as one completion, written as the others are."""
        completion = text if isinstance(self.completions[row], str) else _message("assistant", text)
        return replace(self, completions=[*self.completions[:row], completion, *self.completions[row + 1 :]])

    def as_text(self) -> Rows:
        """The standard format: completions and prompts are strings."""
        texts = [completion_text(completion) for completion in self.completions]
        return replace(self, completions=texts, prompts=[_prompt_text(prompt) for prompt in self.prompts])

    def as_messages(self) -> Rows:
        """The conversational format: completions and prompts are lists of one message."""
        text = self.as_text()
        return replace(
            self,
            completions=[_message("assistant", completion) for completion in text.completions],
            prompts=[_message("user", p) if isinstance(p, str) else p for p in self.prompts],
        )

    def arguments(self) -> dict[str, Any]:
        """A call by keyword, made of copies: what a reward does to them stays with that call."""
        rows = {"completions": self.completions, "prompts": self.prompts, **self.columns}
        return {**{name: _copied(values) for name, values in rows.items()}, **self.constants}


def rows_of(completions: Any, prompts: Any, columns: Mapping[str, Any]) -> Rows:
    """Gather what a user gave; make up the completions and prompts that were not given.

    Raises:
        TypeError: completions or prompts are no list, or a completion is neither text nor messages.
        ValueError: no completions, or a list whose length is not theirs.
    """
    lists = {name: list(values) for name, values in columns.items() if _is_list(values)}
    constants = {name: value for name, value in columns.items() if name not in lists}
    for name, values in (("completions", completions), ("prompts", prompts)):
        if values is not None and not _is_list(values):
            raise TypeError(f"{name} must be a list with one entry per completion, got {values!r}")
    lists |= {} if prompts is None else {"prompts": list(prompts)}
    if completions is not None:
        lists = {"completions": list(completions), **lists}
    count = next((len(values) for values in lists.values()), LEAST_ROWS)
    _check_lengths(lists, count)
    if completions is None:
        times = ceil(LEAST_ROWS / count)
        lists = {name: values * times for name, values in lists.items()}
        lists["completions"] = honest(count * times, {**constants, **lists})
    given = lists.pop("completions")
    for row, completion in enumerate(given):
        completion_text(completion, row=row)  # refuses what is neither text nor messages
    prompts = lists.pop("prompts", [PROMPT] * len(given))
    return Rows(completions=given, prompts=prompts, columns=lists, constants=constants)


def unchanged(before: Any, after: Any) -> bool:
    """Whether a value is equal to its copy, all the way down; what cannot be compared counts as equal."""
    if before is after:
        return True
    if type(before) is not type(after):
        return False
    if isinstance(before, Mapping):
        return before.keys() == after.keys() and all(unchanged(before[key], after[key]) for key in before)
    if isinstance(before, (list, tuple)):
        return len(before) == len(after) and all(map(unchanged, before, after))
    if hasattr(before, "tolist"):
        return unchanged(before.tolist(), after.tolist())
    own_equality: Any = type(before).__eq__
    return bool(before == after) or before != before or own_equality is object.__eq__


def honest(count: int, columns: Mapping[str, Any]) -> list[str]:
    """Completions as a model in training writes them, right and wrong, around the references of the columns."""
    column = next((columns[key] for key in GROUND_TRUTH_KEYS if columns.get(key) is not None), "42")
    golds = [_gold(column[row] if _is_list(column) else column) for row in range(count)]
    return [_STYLES[row % len(_STYLES)].replace("GOLD", gold) for row, gold in enumerate(golds)]


_STYLES = (
    "<think>\nSix sevens are GOLD.\n</think>\n<answer>\nGOLD\n</answer>",
    "I add seven six times, so it is \\boxed{GOLD}.",
    "<think>\nPerhaps 41.\n</think>\n<answer>\n41\n</answer>",
    "I do not know.",
    "<reasoning>\nFirst, 7 + 7 = 14. Then, 3 * 14 is that.\n</reasoning>\n<answer>\n\\boxed{GOLD}\n</answer>\n",
    "GOLD",
    "<think>\nStep 1: I double it.\n\nStep 2: therefore \\boxed{41}, or is it",
    "The answer is 41. No, wait: #### GOLD",
)


def _gold(value: Any) -> str:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return value if isinstance(value, str) else repr(value)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))


def _check_lengths(lists: Mapping[str, Sequence[Any]], count: int) -> None:
    first = next(iter(lists), "")
    if not count:
        raise ValueError(f"{first} is empty; give at least one row, better {LEAST_ROWS}")
    for name, values in lists.items():
        if len(values) != count:
            raise ValueError(
                f"{name} has {len(values)} rows and {first} has {count}; give every list one value per completion"
            )


def _message(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def _prompt_text(prompt: Any) -> str:
    if isinstance(prompt, str) or not _is_list(prompt):
        return str(prompt)
    return "\n".join(str(message.get("content") or "") for message in prompt)


def _copied(values: list[Any]) -> list[Any]:
    try:
        return copy.deepcopy(values)
    except Exception:  # noqa: BLE001 - a lock, a socket: such cells are handed over as they are
        return list(values)
