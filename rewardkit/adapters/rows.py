"""Scoring for trainers that hand over rows instead of columns, or that cannot take ``None``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rewardkit.contract import Batch, ColumnError, Outcome, Reward, RewardError


@dataclass(frozen=True, eq=False)
class LabelledRows(Batch):
    """Completions whose reference is handed over apart from the columns of the row.

    Attributes:
        label: the column of that reference; a reward that names no column reads it, whatever other columns there
            are that might hold one.
    """

    label: str | None = None

    def ground_truths(self, key: str | None = None) -> tuple[str, list[Any]]:
        """As of any batch, but the label comes before all other columns.

        Raises:
            ColumnError: as of any batch.
        """
        labelled = self.label is not None and self.columns.get(self.label) is not None
        return super().ground_truths(self.label if key is None and labelled else key)

    def select(self, rows: Sequence[int]) -> Batch:
        """The batch of these rows alone, with the same label."""
        chosen = super().select(rows)
        if chosen is self:
            return self
        return LabelledRows(**{f.name: getattr(chosen, f.name) for f in fields(chosen)}, label=self.label)


@dataclass(frozen=True, eq=False)
class LoneRow(LabelledRows):
    """A completion that its trainer hands over alone: a reward that compares a group is refused, not paid 0.0."""

    def groups(self, size: int | None = None) -> list[list[int]]:
        """Always an error: the other completions of the prompt are not here.

        Raises:
            ColumnError: always.
        """
        raise ColumnError(
            "this trainer scores one completion at a time, so a reward that compares the completions of a prompt "
            "cannot be used here; take it out of the stack, or use a trainer's way to score whole groups"
        )


def labelled(completions: Any, columns: Mapping[str, Any], label: str, *, alone: bool = False) -> LabelledRows:
    """The call of the contract for completions whose references are in the column `label`.

    Raises:
        TypeError: `completions` is no list.
    """
    checked = Batch.of(completions, columns)
    return (LoneRow if alone else LabelledRows)(checked.completions, checked.columns, label=label)


async def score_async(stack: Reward, batch: Batch) -> list[Outcome]:
    """The outcomes, without holding up the event loop: a synchronous stack is scored in a thread."""
    if stack.asynchronous:
        from rewardkit.waiting import AsyncRun

        return await AsyncRun().score_async(stack, batch)
    return await asyncio.to_thread(stack.score, batch)


def number(outcome: Outcome, not_scored: float | None, where: str) -> float:
    """The value for a trainer that needs a number in every row.

    Args:
        outcome: of the whole stack.
        not_scored: what stands for ``None``; ``None`` refuses it.
        where: the row, for the message.

    Raises:
        RewardError: the stack did not score the row, and nothing was said to stand for it.
    """
    if outcome.value is not None:
        return float(outcome.value)
    if not_scored is None:
        raise RewardError(
            f"the stack did not score {where} ({outcome.status}: {outcome.detail or 'no reason given'}), and this "
            "trainer needs a number in every row: drop such rows, or choose one with not_scored="
        )
    return float(not_scored)


def columns_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Rows as columns; what a row does not have is ``None`` there.

    Example:
        >>> columns_of([{"a": 1}, {"a": 2, "b": 3}])
        {'a': [1, 2], 'b': [None, 3]}
    """
    listed = list(rows)
    names = dict.fromkeys(name for row in listed for name in row)
    return {name: [row.get(name) for row in listed] for name in names}


def plain_messages(messages: Any) -> Any:
    """Messages as mappings, where a trainer gives them as pydantic objects; text and ``None`` as they are."""
    if isinstance(messages, (str, type(None))):
        return messages
    return [m if isinstance(m, Mapping) else m.model_dump() for m in messages]


def one_per_row(name: str, values: Sequence[Any], count: int) -> list[Any]:
    """The values as a list.

    Raises:
        ColumnError: they are not one per completion.
    """
    if len(values) != count:
        raise ColumnError(f"{name} has {len(values)} rows for {count} completions")
    return list(values)
