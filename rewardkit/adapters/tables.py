"""Scoring rows of a table: which columns go into a stack, which come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rewardkit.adapters.components import component_paths, component_values
from rewardkit.contract import Batch, Reward


@dataclass(frozen=True, kw_only=True)
class TableScorer:
    """A stack over the columns of a table.

    Attributes:
        stack: what is scored.
        completions: the column with the completions.
        prompts: the column with the prompts; ignored where the table has none.
        total: the column that the stack's values go to.
        prefix: stands before each component's path in the names of their columns.
    """

    stack: Reward
    completions: str = "completion"
    prompts: str = "prompt"
    total: str = "reward"
    prefix: str = "rewards/"

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The paths of the stack's components."""
        return component_paths(self.stack)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The columns that come out, the total first."""
        return (self.total, *(f"{self.prefix}{path}" for path in self.paths))

    def scored(self, table: Mapping[str, list[Any]]) -> dict[str, list[float | None]]:
        """The columns that come out; ``None`` where nothing was scored.

        Raises:
            KeyError: there is no column of completions.
            ColumnError, RewardError, TypeError: as for the stack.
        """
        if self.completions not in table:
            raise KeyError(f"no column {self.completions!r} among {', '.join(table)}; name it with completions=")
        columns = {name: values for name, values in table.items() if name not in (self.completions, self.prompts)}
        columns["prompts"] = table.get(self.prompts)  # type: ignore[assignment]
        outcomes = self.stack.score(Batch.of(table[self.completions], columns))
        rows = [component_values(outcome, self.paths) for outcome in outcomes]
        values = [[outcome.value for outcome in outcomes], *([row[path] for row in rows] for path in self.paths)]
        return dict(zip(self.names, values, strict=True))


def plain(values: Any, kind: str = "") -> list[Any]:
    """A column as a list, arrays within its cells too; what pandas calls missing is ``None``.

    Args:
        values: an array, a series or a list.
        kind: the Arrow type of a list, where it came from Arrow; arrays and series have their own.

    Example:
        >>> import numpy as np
        >>> plain(np.array([np.array([1, 2]), None], dtype=object))
        [[1, 2], None]
        >>> plain(np.array([0.1], dtype=np.float32))
        [0.1]
    """
    listed = values.tolist() if hasattr(values, "tolist") else list(values)
    missing = values.isna().tolist() if hasattr(values, "isna") else [False] * len(listed)
    narrow = _narrow(str(getattr(values, "dtype", kind)))
    return [None if absent else _plain_cell(value, narrow) for value, absent in zip(listed, missing, strict=True)]


def _plain_cell(value: Any, narrow: str | None) -> Any:
    if hasattr(value, "tolist"):
        return _plain_cell(value.tolist(), _narrow(str(getattr(value, "dtype", ""))))
    if isinstance(value, Mapping):
        return {name: _plain_cell(item, narrow) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain_cell(item, narrow) for item in value]
    return _shortest(value, narrow) if narrow is not None and isinstance(value, float) else value


def _narrow(kind: str) -> str | None:
    """The numpy type of the floats in a column, where it is narrower than Python's."""
    kind = kind.lower()
    if "double" in kind or "float64" in kind or "bfloat16" in kind:
        return None
    if "halffloat" in kind or "float16" in kind:
        return "float16"
    return "float32" if "float" in kind else None


def _shortest(value: float, narrow: str) -> float:
    """The number that was written: 0.1 is 0.10000000149 as a float32, and no completion would say so."""
    import numpy as np

    return value if value.is_integer() else float(str(np.dtype(narrow).type(value)))
