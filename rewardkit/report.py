r"""The breakdown of a batch: one row per completion, and in it what every component gave and why.

>>> from rewardkit import boxed_accuracy, combine, strict_format
>>> stack = combine(boxed_accuracy, strict_format, weights=[2.0, 0.5])
>>> report = stack.explain([r"\boxed{1/2}", "I do not know."], answer="0.5")
>>> [row.total for row in report]
[2.0, 0.0]
>>> report[0]["boxed_accuracy"].contribution
2.0
>>> print(boxed_accuracy.explain([r"\boxed{1/3}"], answer="0.5").why(0))
Completion 0 earned 0. boxed_accuracy gave 0 (wrong: '1/3': 1/3 ≠ 0.5; answer is '0.5').
>>> report.to_dicts()[1]["components"][0]["status"]
'no_answer'
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from rewardkit.breakdown import Component, components, is_rounding
from rewardkit.driving import Spent
from rewardkit.outcome import Outcome, Part, Status

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Row:
    """One completion of a report.

    Attributes:
        index: its place in the batch.
        outcome: what the reward gave, with its parts.
        components: every component, each above those that it is made of; their contributions add up to the
            total exactly.
    """

    index: int
    outcome: Outcome
    components: tuple[Component, ...]

    @property
    def total(self) -> float | None:
        """What the completion earned; ``None`` for "not scored"."""
        return self.outcome.value

    @property
    def value(self) -> float | None:
        """The total."""
        return self.outcome.value

    @property
    def status(self) -> Status:
        """Why."""
        return self.outcome.status

    @property
    def detail(self) -> str:
        """One short sentence; may be empty."""
        return self.outcome.detail

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the outcome, as a tree."""
        return self.outcome.parts

    def __repr__(self) -> str:
        earned = "not scored" if self.total is None else f"{self.total:g}"
        return f"<row {self.index}: {earned}, {self.status}, {len(self.components)} components>"

    def __getitem__(self, name: str) -> Component:
        """A component by its path, or by its name where that is unique.

        Raises:
            KeyError: no such component, or several.
        """
        found = [c for c in self.components if c.path == name] or [c for c in self.components if c.name == name]
        if len(found) != 1:
            paths = ", ".join(c.path for c in self.components)
            raise KeyError(f"{name!r} names {len(found)} components of this row; there are {paths}")
        return found[0]


@dataclass(frozen=True)
class Summary:
    """A component over all completions of a report.

    Attributes:
        path: its path.
        weight: the weight of the first completion that has one.
        mean: mean value of the completions that it scored; ``None`` where there are none.
        contribution: mean contribution over all completions of the report.
        scored: completions with a value.
        clipped: completions of which a clip changed the value.
        statuses: completions by status.
        milliseconds: wall time per completion, members included.
    """

    path: str
    weight: float | None
    mean: float | None
    contribution: float
    scored: int
    clipped: int
    statuses: Mapping[str, int]
    milliseconds: float


@dataclass(frozen=True, repr=False)
class Report(Sequence[Row]):
    """What :meth:`rewardkit.Reward.explain` returns: rows by completion.

    Prints as a table, in a notebook as HTML. The rows are worked out when they are first asked for.

    Attributes:
        outcomes: what the reward gave, one per completion.
        spent: wall time by component.
        name: the name of the reward.
        completions: the texts that were judged; empty where they are not known.
    """

    outcomes: tuple[Outcome, ...]
    spent: Mapping[str, Spent] = field(default_factory=dict)
    name: str = "reward"
    completions: tuple[str, ...] = ()

    @cached_property
    def milliseconds(self) -> dict[str, float]:
        """Wall time per completion by path of the component; the whole stack under the empty path."""
        return {path: 1e3 * spent.seconds / max(spent.rows, 1) for path, spent in self.spent.items()}

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All rows."""
        times, name = self.milliseconds, self.name
        return tuple(Row(i, o, components(o, name, times)) for i, o in enumerate(self.outcomes))

    @property
    def totals(self) -> list[float | None]:
        """The total of each completion, as a call of the reward returns them."""
        return [outcome.value for outcome in self.outcomes]

    def __len__(self) -> int:
        return len(self.outcomes)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Row, ...]: ...
    @overload
    def __getitem__(self, index: str) -> list[float | None]: ...
    def __getitem__(self, index: int | slice | str) -> Row | tuple[Row, ...] | list[float | None]:
        """A row, rows, or by the path of a component its value in every row (``None`` where it has none)."""
        if not isinstance(index, str):
            return self.rows[index]
        if all(summary.path != index for summary in self.summaries):
            raise KeyError(f"no component {index!r}; there are {', '.join(s.path for s in self.summaries)}")
        found = [{c.path: c.value for c in row.components} for row in self.rows]
        return [values.get(index) for values in found]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Every component over all completions, in the order of the stack."""
        by_path: dict[str, list[Component]] = {}
        for row in self.rows:
            for component in row.components:
                by_path.setdefault(component.path, []).append(component)
        return tuple(_summary(path, rows, len(self)) for path, rows in by_path.items())

    def why(self, index: int) -> str:
        """One paragraph on what a completion earned and through which components.

        Raises:
            IndexError: there is no such completion.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"completion {index} of a report of {len(self)}")
        row = self.rows[index]
        earned = "is not scored" if row.total is None else f"earned {_number(row.total)}"
        return f"Completion {row.index} {earned}. " + " ".join(map(_sentence, row.components))

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict per completion: ``row``, ``completion``, ``total``, ``status`` and ``components`` (dicts)."""
        return [
            {
                "row": row.index,
                "completion": text,
                "total": row.total,
                "status": row.status,
                "components": [component.to_dict() for component in row.components],
            }
            for row, text in zip(self.rows, self.completions or [None] * len(self), strict=True)
        ]

    def to_pandas(self, *, detail: bool = False) -> pandas.DataFrame:
        """A table with one row per completion: ``completion``, ``total``, ``status``, and every component.

        Args:
            detail: give every field of a component as ``{path}/{field}``, instead of its value as ``{path}``.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        columns: dict[str, list[Any]] = {"completion": list(self.completions)} if self.completions else {}
        columns |= {"total": self.totals, "status": [o.status for o in self.outcomes]}
        for at, row in enumerate(self.rows):
            for component in row.components:
                cells = component.to_dict() if detail else {"path": None, "value": component.value}
                for name, value in cells.items():
                    if name != "path":
                        column = f"{component.path}/{name}" if detail else component.path
                        if column not in columns:
                            columns[column] = [None] * len(self)
                        columns[column][at] = value
        return pd.DataFrame(columns)

    def __repr__(self) -> str:
        from rewardkit.report_view import as_text

        return as_text(self)

    def __str__(self) -> str:
        from rewardkit.report_view import as_text, in_colour

        return as_text(self, colour=in_colour())

    def __rich__(self) -> Any:
        from rewardkit.report_view import as_renderable

        return as_renderable(self)

    def _repr_html_(self) -> str:
        from rewardkit.report_view import as_html

        return as_html(self)


def _summary(path: str, rows: Sequence[Component], count: int) -> Summary:
    values = [c.value for c in rows if c.value is not None]
    added = [c.contribution for c in rows if c.contribution is not None]
    return Summary(
        path=path,
        weight=next((c.weight for c in rows if c.weight is not None), None),
        mean=math.fsum(values) / len(values) if values else None,
        contribution=math.fsum(added) / count,
        scored=len(values),
        clipped=sum(c.clipped for c in rows),
        statuses=dict(Counter(c.status for c in rows)),
        milliseconds=rows[0].milliseconds,
    )


def _sentence(component: Component) -> str:
    """What one component gave and added."""
    c = component
    if is_rounding(c.path):
        return f"Rounding adds {_number(c.value or 0.0)}."
    because = f"{c.status}: {c.detail}" if c.detail else c.status
    if c.value is None:
        return f"{c.path} is not scored ({because})."
    held = f"; {c.gold_column or 'the reference'} is {c.gold!r}" if c.gold is not None else ""
    said = f"{c.path} gave {_number(c.value)} ({because}{held})"
    if c.clipped:
        said += f", clipped from {_number(c.outcome.unclipped or 0.0)}"
    if c.weight is None:
        said += ", which is not added itself"
    elif c.weight != 1.0:
        said += f", times {_number(c.weight)} is {_number(c.weight * c.value)}"
    return said + "."


def _number(value: float) -> str:
    return f"{value:.6g}"
