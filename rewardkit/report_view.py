"""How a report looks: a table in a terminal, HTML in a notebook."""

from __future__ import annotations

import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardkit.breakdown import Component
    from rewardkit.report import Report, Row

SHOWN = 20
"""Completions in a table; the others are counted."""

HEAD_WIDTH = 10

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


def as_text(report: Report) -> str:
    """The tables as text, as wide as the terminal; without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), color_system=None, legacy_windows=False)
    wide = Console(file=io.StringIO(), color_system=None, width=max(console.width, 80))
    wide.print(as_renderable(report))
    assert isinstance(wide.file, io.StringIO)
    return wide.file.getvalue().rstrip()


def as_renderable(report: Report) -> Any:
    """Two tables for rich: the completions by component, and the components over all completions."""
    from rich.console import Group

    title = _literal(f"{report.name}: contributions by completion")
    parts: list[Any] = [title, _completions(report), "components", _components(report)]
    marks = {c.status for row in report.rows[:SHOWN] for c in row.components} & MARKS.keys()
    if marks:
        parts.append("  ".join(f"{MARKS[status]} {status}" for status in MARKS if status in marks))
    return Group(*parts)


def paths(report: Report) -> list[str]:
    """The paths of all components, in the order of the stack."""
    return [summary.path for summary in report.summaries]


def _completions(report: Report) -> Any:
    from rich.table import Table

    from rewardkit.report import Row

    weights = {s.path: s.weight for s in report.summaries}
    hidden = len(report) - SHOWN
    caption = f"and {hidden:,} more" if hidden > 0 else None
    table = Table(caption=caption, caption_justify="left")
    table.add_column("#", justify="right")
    table.add_column("total", justify="right", style="bold")
    for path in weights:
        table.add_column(_head(path, weights[path]), justify="right", overflow="fold")
    for row in report.rows[:SHOWN]:
        assert isinstance(row, Row)
        found = {c.path: c for c in row.components}
        cells = [_cell(found.get(path)) for path in weights]
        table.add_row(str(row.index), _number(row.total), *cells)
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
        return ""
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
