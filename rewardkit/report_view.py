"""How a report looks: a table in a terminal, HTML in a notebook."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardkit.breakdown import Component
    from rewardkit.report import Report, Row

SHOWN = 20
"""Completions in a table; the others are counted."""

HEAD_WIDTH = 10
MINIMUM_WIDTH = 80
SHORTEST_TEXT, LONGEST_TEXT = 16, 40  # of a completion in the table

MARKS = {
    "correct": "✓",
    "wrong": "✗",
    "no_answer": "∅",
    "unparseable_answer": "?",
    "unparseable_ground_truth": "?",
    "undecided": "?",
    "timeout": "⧖",
    "error": "!",
    "gated": "⊘",
    "not_scored": "–",
}
COLOURS = {"correct": "green", "wrong": "red", "no_answer": "red", "gated": "yellow", "error": "bold red"}


def as_text(report: Report, *, colour: bool = False) -> str:
    """The tables as text, as wide as the terminal."""
    from rich.console import Console

    width = max(Console().width, MINIMUM_WIDTH)
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colour,
        color_system="auto" if colour else None,
        legacy_windows=False,
    )
    console.print(as_renderable(report))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().rstrip()


def in_colour() -> bool:
    """Whether what is printed goes to a terminal that wants colours (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


@dataclass(frozen=True)
class as_renderable:  # noqa: N801 - a function of the report, that rich asks for the width
    """Two tables for rich: the completions by component, and the components over all completions."""

    report: Report

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        report = self.report
        yield _literal(f"{report.name}: contributions by completion")
        yield from _completions(report, options.max_width)
        hidden = len(report) - SHOWN
        if hidden > 0:
            yield f"and {hidden:,} more completions"
        yield "components"
        yield _components(report)
        marks = {c.status for row in report.rows[:SHOWN] for c in row.components} & MARKS.keys()
        if marks:
            yield "  ".join(f"{MARKS[status]} {status}" for status in MARKS if status in marks)


def _completions(report: Report, width: int) -> Iterator[Any]:
    """One table, or several one below the other where the width asks for it; no number is broken."""
    from rich.cells import cell_len

    rows = [(row, {c.path: c for c in row.components}) for row in report.rows[:SHOWN]]
    columns = [(_head(s.path, s.weight), [_cell(found.get(s.path)) for _, found in rows]) for s in report.summaries]
    widest = max([5, *(len(_number(row.total)) for row, _ in rows)])
    fixed = 7 + max([1, *(len(str(row.index)) for row, _ in rows)]) + widest
    pieces: list[list[tuple[Any, list[Any]]]] = [[]]
    used = fixed
    for head, cells in columns:
        wide = 3 + max(cell_len(line) for text in (head, *cells) for line in text.plain.split("\n"))
        if pieces[-1] and used + wide > width:
            pieces.append([])
            used = fixed
        pieces[-1].append((head, cells))
        used += wide
    left = width - used if len(pieces) == 1 else 0
    for piece in pieces:
        yield _table(report, rows, piece, left)


def _table(report: Report, rows: Any, columns: Sequence[tuple[Any, list[Any]]], left: int) -> Any:
    from rich.table import Table

    table = Table()
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("total", justify="right", style="bold", no_wrap=True)
    for head, _ in columns:
        table.add_column(head, justify="right", no_wrap=True)
    texts = report.completions if left >= SHORTEST_TEXT + 3 else ()
    if texts:
        table.add_column("completion", no_wrap=True, overflow="ellipsis", max_width=min(left - 3, LONGEST_TEXT))
    for i, (row, _) in enumerate(rows):
        cells = [cells[i] for _, cells in columns]
        shown = [_literal(" ".join(texts[i][: 4 * LONGEST_TEXT].split()))] if texts else []
        table.add_row(str(row.index), _number(row.total), *cells, *shown)
    return table


def _components(report: Report) -> Any:
    from rich.table import Table

    table = Table()
    table.add_column("component", no_wrap=True)
    for head in ("weight", "mean", "adds", "scored", "ms"):
        table.add_column(head, justify="right")
    table.add_column("status", overflow="fold")
    for s in report.summaries:
        counts = [f"{MARKS.get(status) or f'{status} '}{count:,}" for status, count in s.statuses.items()]
        counts += [f"✂{s.clipped:,}"] if s.clipped else []
        numbers = [_number(s.weight), _number(s.mean), _number(s.contribution), f"{s.scored:,}"]
        table.add_row(_literal(_indented(s.path)), *numbers, f"{s.milliseconds:.3f}", " ".join(counts))
    return table


def _indented(path: str) -> str:
    """The last part of a path, set in by its depth."""
    return "  " * path.count("/") + path.rpartition("/")[2]


def _head(path: str, weight: float | None) -> Any:
    """A column's head, broken at underscores so that a narrow one stays readable."""
    lines = [""]
    for piece in path.rpartition("/")[2].replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1] + piece) > HEAD_WIDTH:
            lines.append("")
        lines[-1] += piece
    return _literal("\n".join([*lines, *([] if weight in (None, 1.0) else [f"× {weight:.4g}"])]))


def _cell(component: Component | None) -> Any:
    if component is None:
        return _literal("")
    number = component.value if component.weight is None else component.contribution
    mark = MARKS.get(component.status, "") + ("✂" if component.clipped else "")
    text = f"({_number(number)})" if component.weight is None else _number(number)
    return _literal(f"{text} {mark}".rstrip(), COLOURS.get(component.status, ""))


def _literal(text: str, style: str = "") -> Any:
    """Text that rich does not read as markup: names and paths may hold brackets."""
    from rich.text import Text

    return Text(text, style=style)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def as_html(report: Report) -> str:
    """The same two tables for a notebook; everything that came from a completion is escaped."""
    shown: Sequence[Row] = report.rows[:SHOWN]
    weights = {s.path: s.weight for s in report.summaries}
    head = "".join(
        f"<th>{escape(path)}{'' if weight in (None, 1.0) else f' × {weight:.4g}'}</th>"
        for path, weight in weights.items()
    )
    body = "".join(_html_row(row, list(weights)) for row in shown)
    more = f"<p>and {len(report) - SHOWN:,} more</p>" if len(report) > SHOWN else ""
    components = "".join(
        f"<tr><td style='text-align:left'>{escape(s.path)}</td><td>{_number(s.weight)}</td><td>{_number(s.mean)}</td>"
        f"<td>{_number(s.contribution)}</td><td>{s.scored:,}</td><td>{s.clipped:,}</td><td>{s.milliseconds:.3f}</td>"
        f"<td style='text-align:left'>{escape(', '.join(f'{k} {v}' for k, v in s.statuses.items()))}</td></tr>"
        for s in report.summaries
    )
    titles = "<th>component</th><th>weight</th><th>mean</th><th>contribution</th><th>scored</th><th>clipped</th>"
    return (
        f"<div><p><b>{escape(report.name)}</b>: contributions by completion</p>"
        f"<table><thead><tr><th>#</th><th>total</th>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
        f"<table><thead><tr>{titles}<th>ms</th><th>status</th></tr></thead><tbody>{components}</tbody></table></div>"
    )


def _html_row(row: Row, order: Sequence[str]) -> str:
    found = {c.path: c for c in row.components}
    cells = "".join(
        f"<td title='{escape(_title(found.get(path)), quote=True)}'>{escape(str(_cell(found.get(path))))}</td>"
        for path in order
    )
    return f"<tr><td>{row.index}</td><td><b>{_number(row.total)}</b></td>{cells}</tr>"


def _title(component: Component | None) -> str:
    return "" if component is None else f"{component.status}: {component.detail}".rstrip(": ")
