"""How audits look in a terminal; nothing that comes from data is read as markup."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rewardkit.audit.attack_report import AttackReport
    from rewardkit.audit.gold_report import GoldAudit

SHOWN = 20
"""Findings in a table; the others are counted."""

WIDTH = 40
"""Characters of a reference, the last ones: that is where its answer is."""

COLOURS = {"beats right": "bold red", "raises": "bold red", "beats wrong": "yellow", "inflates right": "yellow"}


def as_text(report: GoldAudit | AttackReport) -> str:
    """The table as text, as wide as the terminal; without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), color_system=None, legacy_windows=False)
    wide = Console(file=io.StringIO(), color_system=None, width=max(console.width, 100))
    wide.print(report.__rich__())
    assert isinstance(wide.file, io.StringIO)
    return "\n".join(line.rstrip() for line in wide.file.getvalue().rstrip().splitlines())


def gold_table(report: GoldAudit) -> Any:
    """What was found, problems first."""
    from rich.console import Group
    from rich.table import Table

    earned = f"{report.name}: {report.earned:,} of {report.rows:,} references earn their own reward"
    counts = ", ".join(f"{kind} {count:,}" for kind, count in report.counts.items())
    title = _literal(f"{earned}; {counts or 'nothing found'}", "bold" if report.ok else "bold red")
    if not report.findings:
        return title
    hidden = len(report.findings) - SHOWN
    table = Table(caption=f"and {hidden:,} more" if hidden > 0 else None)
    table.add_column("row", justify="right")
    for head in ("what", "reference", "status", "detail"):
        table.add_column(head, overflow="fold")
    for f in report.findings[:SHOWN]:
        row = "all" if f.row is None else f"{f.row:,}"
        gold = " ".join(f.gold[-WIDTH:].split())
        gold = gold if len(f.gold) <= WIDTH else f"…{gold}"
        table.add_row(
            row, _literal(f.kind, "red" if f.is_problem else "yellow"), *map(_literal, (gold, f.status, f.detail))
        )
    return Group(title, table, _forms(report.forms))


def attack_table(report: AttackReport) -> Any:
    """The findings by severity, and the exploits that found nothing."""
    from rich.console import Group
    from rich.table import Table

    earns = f"right {report.right:.4g}, wrong {report.wrong:.4g}, empty {report.empty:.4g}"
    found = f"{len(report.findings)} of {len(report.results)} exploits pay" if report.findings else "no exploit pays"
    title = _literal(f"{report.name}: {found}; on {report.rows:,} rows an honest answer earns: {earns}", "bold")
    rest = ", ".join(result.exploit for result in report.results if not result.level)
    parts: list[Any] = [title]
    if report.findings:
        table = Table()
        for head in ("exploit", "finding", "through"):
            table.add_column(head, overflow="fold")
        for head in ("earns", "> wrong", "≥ right"):
            table.add_column(head, justify="right")
        table.add_column("what it does", overflow="fold")
        for r in report.findings:
            shares = (f"{r.beats_wrong:.0%}", f"{r.beats_right:.0%}")
            mean = "–" if r.mean is None else f"{r.mean:.4g}"
            what = f"{r.description} {r.raised}".strip()
            table.add_row(
                _literal(r.exploit),
                _literal(r.level, COLOURS[r.level]),
                _literal(r.through),
                mean,
                *shares,
                _literal(what),
            )
        parts.append(table)
    for cause in dict.fromkeys(r.explained_by for r in report.results if r.explained_by):
        names = ", ".join(r.exploit for r in report.results if r.explained_by == cause)
        parts.append(_literal(f"no more than {cause} earns: {names}"))
    if rest:
        parts.append(_literal(f"without profit: {rest}"))
    parts.append(_forms(report.forms))
    if report.left_out:
        parts.append(
            _literal(f"{report.left_out:,} rows were left out: their honest answers are not scored; see audit")
        )
    return Group(*parts)


def _forms(forms: Sequence[str]) -> Any:
    """How the honest completions looked, on one line each."""
    return _literal("\n".join(f"honest form: {form!r}" for form in forms))


def _literal(text: str, style: str = "") -> Any:
    """Text that rich does not read as markup, and a terminal not as orders."""
    from rich.text import Text

    return Text("".join(c if c.isprintable() or c == "\n" else "�" for c in text), style=style)
