"""What the originals read of a call: the first message of each completion, and references that are text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rewardkit.contract import Batch, ColumnError, completion_text


def first_messages(batch: Batch) -> list[str]:
    """The text of each completion's first message; a string is its own text, no message at all is empty.

    TRL, open-r1 and the GSM8K demonstration read ``completion[0]["content"]``, so of a completion that calls
    tools they see the first turn only, where the rewards of this package see all that the assistant wrote.

    Example:
        >>> first_messages(Batch.of(["a", [{"content": "b"}, {"content": "c"}]], {}))
        ['a', 'b']
    """
    texts = []
    for row, completion in enumerate(batch.completions):
        messages = [completion] if isinstance(completion, Mapping) else completion
        if isinstance(messages, (list, tuple)) and messages and isinstance(messages[0], Mapping):
            completion = {"content": messages[0].get("content")}
        texts.append(completion_text(completion, row=row))
    return texts


def references(batch: Batch, key: str) -> list[str | None]:
    """The reference of each row as text, from the column `key`; one reference holds for all rows.

    Raises:
        ColumnError: there is no such column, its length is wrong, or it holds what is not text.
    """
    given = batch.columns.get(key)
    if isinstance(given, str):
        values: list[Any] = [given] * len(batch)
    elif isinstance(given, (list, tuple)) and len(given) == 1:
        values = list(given) * len(batch)
    else:
        values = batch.column(key)
    for row, value in enumerate(values):
        if value is not None and not isinstance(value, str):
            raise ColumnError(
                f"column {key!r}, row {batch.row(row)} is {value!r}; the original reads references as text: "
                "convert the column with str"
            )
    return values
