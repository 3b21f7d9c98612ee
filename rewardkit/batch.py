"""One call of the contract: the completions, their texts, the columns beside them, the groups they form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

Message: TypeAlias = Mapping[str, Any]
Completion: TypeAlias = "str | Message | Sequence[Message]"

GROUND_TRUTH_KEYS = ("ground_truth", "answer", "solution", "target", "label")
"""Columns that may hold the reference answer, in the order in which they are looked for."""


class ColumnError(ValueError):
    """A column of the data set is missing, has the wrong length or holds what cannot be used."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One call of the contract: the completions as they came, and every other column under its name.

    Attributes:
        completions: strings or message lists.
        columns: prompts, the columns of the data set and what the trainer adds, by name.
        parent: the batch that this one was selected from, and the rows taken; ``None`` for a whole call.
        unfit: names of lists that have no value per completion of the whole call, with their lengths.
    """

    completions: Sequence[Completion]
    columns: Mapping[str, Any] = field(default_factory=dict)
    parent: tuple[Batch, tuple[int, ...]] | None = field(default=None, repr=False)
    unfit: Mapping[str, int] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, completions: Any, columns: Mapping[str, Any]) -> Batch:
        """Check the completions and gather the call.

        Raises:
            TypeError: `completions` is one string, one message or no sequence at all.
        """
        if isinstance(completions, (str, bytes, Mapping, Set)) or not hasattr(completions, "__len__"):
            raise TypeError(
                f"completions must be a list with one entry per completion, got {short(completions)}; "
                "wrap a single completion in a list"
            )
        rows = [list(c) if hasattr(c, "tolist") else c for c in _as_list(completions)]  # messages of a data frame
        return cls(rows, {name: _as_list(value) for name, value in columns.items()})

    def __len__(self) -> int:
        return len(self.completions)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The text of each completion (see :func:`completion_text`)."""
        if self.parent is not None:
            whole, rows = self.parent
            return tuple(whole.texts[row] for row in rows)
        return tuple(completion_text(c, row=i) for i, c in enumerate(self.completions))

    def row(self, index: int) -> int:
        """The row of the whole call that is `index` here, for messages."""
        if self.parent is None:
            return index
        whole, rows = self.parent
        return whole.row(rows[index])

    def column(self, name: str) -> list[Any]:
        """The column `name` as a list with one value per completion.

        Raises:
            ColumnError: there is no such column, or its length is not the number of completions.
        """
        if self.columns.get(name) is None:
            raise ColumnError(f"column {name!r} is missing; the call has {self._present()}")
        values = self.columns[name]
        if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
            raise ColumnError(f"column {name!r} must be a list, got {short(values)}")
        self._require_fit(name, len(values), len(self))
        return list(values)

    def _require_fit(self, name: str, rows: int, wanted: int) -> None:
        if name in self.unfit and self.parent is not None:
            self.parent[0]._require_fit(name, self.unfit[name], len(self.parent[0]))
        if rows != wanted:
            raise ColumnError(f"column {name!r} has {rows} rows for {wanted} completions")

    def ground_truths(self, key: str | None = None) -> tuple[str, list[Any]]:
        """Name and values of the reference column: `key`, else the first of :data:`GROUND_TRUTH_KEYS`.

        A single reference (one string or number, or a list of one) holds for every completion. A value
        that is itself a list means "any of these".

        Raises:
            ColumnError: no such column, a wrong length, or a reference that is empty or not finite.
        """
        candidates = GROUND_TRUTH_KEYS if key is None else (key,)
        name = next((c for c in candidates if self.columns.get(c) is not None), None)
        if name is None:
            wanted = repr(key) if key is not None else "one of " + ", ".join(GROUND_TRUTH_KEYS)
            raise ColumnError(
                f"no ground truth: expected the column {wanted}, the call has {self._present()}; "
                "name the column with answer_key="
            )
        raw = self.columns[name]
        if isinstance(raw, (str, int, float)) or not hasattr(raw, "__len__"):
            raw = [raw] * len(self)
        elif len(raw) == 1 != len(self):
            raw = list(raw) * len(self)
        values = Batch(self.completions, {name: raw}, self.parent, self.unfit).column(name)
        values = [_cells(v) if getattr(v, "ndim", 0) else v for v in values]  # array cells, as Parquet has them
        for index, value in enumerate(values):
            _check_ground_truth(value, name, self.row(index))
        return name, values

    @property
    def step(self) -> int:
        """The optimizer steps done so far: ``trainer_state.global_step``, or the column ``global_step``.

        Raises:
            ColumnError: the call has neither.
        """
        state = self.columns.get("trainer_state")
        value = state.get("global_step") if isinstance(state, Mapping) else getattr(state, "global_step", None)
        value = self.columns.get("global_step") if value is None else value
        if value is None or isinstance(value, bool) or not hasattr(value, "__index__"):
            raise ColumnError(
                f"no training step: the call has {self._present()}; a scheduled weight reads "
                "trainer_state.global_step; where there is none, pass global_step= (an integer)"
            )
        return int(value)

    def groups(self, size: int | None = None) -> list[list[int]]:
        """The rows of each group of completions that answer one prompt.

        Args:
            size: completions per prompt, each group in one run; ``None`` takes ``num_generations`` of the
                call, else the runs of equal prompts (two neighbouring rows of one prompt would merge).

        Raises:
            ColumnError: nothing tells the groups apart, or the batch does not hold whole groups.
        """
        if self.parent is not None:
            whole, rows = self.parent
            here = {row: index for index, row in enumerate(rows)}
            groups = [[here[row] for row in group if row in here] for group in whole.groups(size)]
            return [group for group in groups if group]
        size = self._num_generations() if size is None else size
        if size is None:
            return self._runs_of_prompts()
        if size < 1 or len(self) % size:
            raise ColumnError(
                f"{len(self)} completions are not whole groups of num_generations={size}; "
                "score whole groups, or leave the number out and pass prompts="
            )
        return [list(range(start, start + size)) for start in range(0, len(self), size)]

    def _num_generations(self) -> int | None:
        given: Any = self.columns.get("num_generations")
        if given is not None and hasattr(given, "__len__"):
            values = set(given)
            if len(values) > 1:
                raise ColumnError(f"num_generations must be one number, got {sorted(values)}")
            return int(values.pop()) if values else None
        if given is None:
            return None
        if isinstance(given, bool) or not hasattr(given, "__index__"):
            raise ColumnError(f"num_generations must be a whole number, got {short(given)}")
        return int(given)

    def _runs_of_prompts(self) -> list[list[int]]:
        if self.columns.get("prompts") is None and len(self):
            raise ColumnError(
                f"no groups: the call has {self._present()}; pass prompts= (one per completion) or num_generations="
            )
        prompts = self.column("prompts") if len(self) else []
        groups: list[list[int]] = []
        for index, prompt in enumerate(prompts):
            if index and _same(prompt, prompts[index - 1]):
                groups[-1].append(index)
            else:
                groups.append([index])
        return groups

    def select(self, rows: Sequence[int]) -> Batch:
        """The batch of these rows alone; columns with one value per completion are cut alike."""
        if len(rows) == len(self):
            return self
        columns = {name: self._cut(name, value, rows) for name, value in self.columns.items()}
        lengths = {name: len(value) for name, value in self.columns.items() if isinstance(value, list)}
        unfit = {name: n for name, n in lengths.items() if n not in (1, len(self)) or name in self.unfit}
        return Batch([self.completions[row] for row in rows], columns, (self, tuple(rows)), unfit)

    def _cut(self, name: str, value: Any, rows: Sequence[int]) -> Any:
        if name == "log_extra" and callable(value):
            return _Scattered(value, tuple(rows), len(self))
        if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__") or len(value) != len(self):
            return value
        return [value[row] for row in rows]

    def _present(self) -> str:
        return ", ".join(sorted(k for k, v in self.columns.items() if v is not None)) or "no columns"


def _as_list(value: Any) -> Any:
    """A column as a list of Python values, whatever holds it; what is no column as it is."""
    if isinstance(value, (list, str, bytes, Mapping)) or not hasattr(value, "__len__"):
        return value
    if hasattr(value, "to_pylist"):  # Arrow
        return value.to_pylist()
    if not hasattr(value, "tolist"):
        return list(value) if isinstance(value, Sequence) else value
    return value.item() if getattr(value, "ndim", 1) == 0 else _cells(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two prompts are equal, also as the arrays that data frames hold."""
    arrays = hasattr(one, "tolist") or hasattr(other, "tolist")
    return bool(list(one) == list(other) if arrays else one == other)


@dataclass(frozen=True)
class _Scattered:
    """A trainer's ``log_extra`` for some rows of a batch: the others are logged as ``None``."""

    log_extra: Callable[[str, list[Any]], None]
    rows: tuple[int, ...]
    count: int

    def __call__(self, column: str, values: Sequence[Any]) -> None:
        if len(values) != len(self.rows):
            raise ValueError(f"log_extra({column!r}) got {len(values)} values for {len(self.rows)} completions")
        whole: list[Any] = [None] * self.count
        for row, value in zip(self.rows, values, strict=True):
            whole[row] = value
        self.log_extra(column, whole)


def _cells(array: Any) -> list[Any]:
    """The cells of an array; those in fewer than 64 bits by their shortest decimal: 0.1, not 0.10000000149."""
    narrow = getattr(array.dtype, "kind", "") == "f" and array.dtype.itemsize < 8  # of numpy and pandas
    if narrow and getattr(array, "ndim", 1) == 1:
        return [float(cell) if float(cell).is_integer() else float(str(cell)) for cell in array]
    return list(array.tolist())


def _check_ground_truth(value: Any, name: str, row: int) -> None:
    where = f"ground truth in column {name!r}, row {row}"
    if isinstance(value, (list, tuple)):
        if not value:
            raise ColumnError(f"{where} is an empty list; give at least one accepted answer, or None")
        for option in value:
            if option is None or isinstance(option, (list, tuple)):
                raise ColumnError(f"{where} lists {option!r}; every accepted answer must be text or a number")
            _check_ground_truth(option, name, row)
    elif isinstance(value, str):
        if not value.strip():
            raise ColumnError(f"{where} is blank; fill it, drop the row, or set it to None for 'not scored'")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ColumnError(f"{where} is {value}; a reference must be finite")
    elif value is not None and (isinstance(value, (bytes, Mapping)) or not hasattr(value, "__float__")):
        raise ColumnError(f"{where} is {short(value)}; expected text, a number or a list of them")


def completion_text(completion: Completion, *, row: int | None = None) -> str:
    """The text that a reward judges.

    A string is its own text. Of a message list it is the content of the assistant messages, joined by
    line breaks, so a conversation with several turns is judged as one text; content may be a list of typed
    parts, of which the text parts count. What stands outside of the content (``reasoning_content``, thinking
    parts, tool calls) is not read.

    Args:
        completion: a string, a message, or a list of messages.
        row: its index in the batch, for the error message.

    Raises:
        TypeError: neither a string nor messages.

    Example:
        >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "42"}]}])
        '42'
    """
    if isinstance(completion, str):
        return completion
    messages = [completion] if isinstance(completion, Mapping) else completion
    at = "" if row is None else f" in row {row}"
    if not isinstance(messages, (list, tuple)) or not all(isinstance(m, Mapping) for m in messages):
        raise TypeError(f"a completion must be text or a list of messages, got {short(completion)}{at}")
    return "\n".join(_content_text(m, at) for m in messages if m.get("role", "assistant") == "assistant")


def _content_text(message: Message, at: str) -> str:
    content = message.get("content")
    if content is None:  # a message that only calls a tool
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, (list, tuple)):
        raise TypeError(f"the content of a message must be text or a list of parts, got {short(content)}{at}")
    if not all(isinstance(part, (str, Mapping)) for part in content):
        raise TypeError(f"a part of a message's content must be text or a mapping, got {short(content)}{at}")
    return "".join(p if isinstance(p, str) else str(p.get("text") or "") for p in content)


def short(value: object) -> str:
    """Type and beginning of a value, for messages."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
