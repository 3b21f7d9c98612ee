"""How simulations and differences look in a terminal. Nothing that was recorded is read as markup."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rewardkit.breakdown import is_rounding
from rewardkit.report_view import MARKS

if TYPE_CHECKING:
    from rewardkit.replay.difference import Example, RewardDiff
    from rewardkit.replay.findings import Finding
    from rewardkit.replay.simulation import Simulation
    from rewardkit.replay.summaries import ComponentShare, StepSummary

STEPS = 12
"""Steps in a table; more are thinned out evenly, the first and the last stay."""
SHARES = 5
"""Components of which the share is shown step by step: those with the most of it."""
HEAD_WIDTH = 10
FINDINGS = 20
EXAMPLES = 3
EXCERPT = 160
"""Characters of a completion."""

COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def as_text(renderable: Any) -> str:
    """As wide as the terminal, without colours."""
    from rich.console import Console

    width = max(Console(file=io.StringIO(), color_system=None).width, 80)
    file = io.StringIO()
    Console(file=file, color_system=None, width=width).print(renderable)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip().splitlines())


def simulation_tables(simulation: Simulation) -> Any:
    """Components, steps and findings."""
    from rich.console import Group

    s = simulation
    size = s.rollouts.sizes.most_common(1)[0][0]
    groups = _count(len(s.dead), "group") + (f" of {size}" if len(s.rollouts.sizes) == 1 else "")
    lines = [
        f"{s.name} on {len(s):,} completions: {groups}, {_count(len(s.steps), 'step')}",
        f"reward {_number(s.mean)} ± {_number(s.std)}, {percent(s.dead_groups)} of the groups dead, "
        f"{s.not_scored:,} not scored",
    ]
    parts: list[Any] = [*map(literal, lines), _components(s.components)]
    if len(s.steps) > 1:
        parts.append(_steps(s))
    return Group(*parts, *_findings(s.findings))


def diff_tables(diff: RewardDiff) -> Any:
    """What changes, by component, and the rows that change the most."""
    from rich.console import Group

    groups, rows = len(diff.new.dead), len(diff.new)
    signs = ", ".join(f"{kind} {len(rows):,}" for kind, rows in diff.sign_changes.items() if rows)
    lines = [
        f"{diff.old.name} → {diff.new.name} on {rows:,} completions",
        f"{len(diff.changed):,} rewards change; {sum(map(len, diff.sign_changes.values())):,} advantages change sign"
        + (f" ({signs})" if signs else ""),
        f"{len(diff.best_changed):,} of {groups:,} groups prefer another completion; "
        f"dead groups {percent(diff.old.dead_groups)} → {percent(diff.new.dead_groups)}",
        f"correlation of rewards {_correlation(diff.totals)}; of advantages {_correlation(diff.advantages)}",
    ]
    examples = [part for example in diff.examples(EXAMPLES) for part in _example(example)]
    return Group(*map(literal, lines), _changes(diff), *examples)


def _components(components: Sequence[ComponentShare]) -> Any:
    shown = [c for c in components if not is_rounding(c.path)]
    counted = [{status: n for status, n in c.statuses.items() if status != "scored"} for c in shown]
    columns: dict[str, list[str]] = {
        "weight": [_number(c.weight) for c in shown],
        "mean": [_number(c.mean) for c in shown],
        "adds": ["" if _only_wraps(c) else _number(c.contribution) for c in shown],
        "share": ["" if _only_wraps(c) else percent(c.share) for c in shown],
        "varies": [percent(c.varies) for c in shown],
        "clipped": [percent(c.clipped) if c.clipped else "" for c in shown],
        "status": [" ".join(f"{MARKS.get(status) or f'{status} '}{n:,}" for status, n in c.items()) for c in counted],
    }
    names = ["  " * c.path.count("/") + c.path.rpartition("/")[2] for c in shown]
    return _table("component", names, {head: cells for head, cells in columns.items() if any(cells)})


def _only_wraps(component: ComponentShare) -> bool:
    """Whether it adds nothing of its own, not even what a clip takes."""
    return component.composed and not component.clipped


def _table(head: str, names: Sequence[str], columns: Mapping[str, Sequence[str]], caption: str | None = None) -> Any:
    """A table with a column of names; numbers stand right, what may be long is folded."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, caption=caption, caption_justify="left")
    table.add_column(head, no_wrap=True)
    for name in columns:
        table.add_column(literal(name), justify="left" if name == "status" else "right", overflow="fold")
    for row, name in enumerate(names):
        table.add_row(literal(name), *(literal(cells[row]) for cells in columns.values()))
    return table


def _steps(simulation: Simulation) -> Any:
    ranked = sorted((c for c in simulation.components if c.share), key=lambda c: -abs(c.share or 0.0))[:SHARES]
    shown = thinned(simulation.steps, STEPS)
    columns = {
        "rows": [f"{step.completions:,}" for step in shown],
        "reward": [_number(step.mean) for step in shown],
        "std": [_number(step.std) for step in shown],
        "dead": [percent(step.dead / step.groups) for step in shown],
    }
    for c in (c for c in simulation.components if c in ranked):
        columns[_broken(c.path.rpartition("/")[2])] = [percent(step.shares.get(c.path)) for step in shown]
    caption = f"{len(shown)} of {len(simulation.steps):,} steps; below each component its share"
    return _table("step", [str(step.step) for step in shown], columns, caption)


def _broken(name: str) -> str:
    """A name over several lines, broken behind underscores, so that its column stays narrow."""
    lines = [""]
    for piece in name.replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1] + piece) > HEAD_WIDTH:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)


def _findings(findings: Sequence[Finding]) -> list[Any]:
    lines = [literal(f"{f.severity}: {escaped(f.sentence, 400)}", COLOURS[f.severity]) for f in findings[:FINDINGS]]
    hidden = len(findings) - FINDINGS
    return [*lines, literal(f"and {hidden:,} more findings")] if hidden > 0 else lines


def _changes(diff: RewardDiff) -> Any:
    columns = {
        "mean": [_both(_number(c.old_mean), _number(c.new_mean)) for c in diff.components],
        "adds": [_both(_number(c.old_contribution), _number(c.new_contribution)) for c in diff.components],
        "Δ adds": [_number(c.change) for c in diff.components],
        "share": [_both(percent(c.old_share), percent(c.new_share)) for c in diff.components],
    }
    return _table("component", [c.path for c in diff.components], columns)


def _both(old: str, new: str) -> str:
    return old if old == new else f"{old} → {new}"


def _example(example: Example) -> Iterable[Any]:
    e = example
    yield literal(
        f"{e.source}, line {e.line} (step {e.step}): reward {_number(e.old_total)} → {_number(e.new_total)}, "
        f"advantage {_number(e.old_advantage)} → {_number(e.new_advantage)}",
        "bold",
    )
    yield literal(f"  {escaped(e.completion, EXCERPT)}")
    yield literal(f"  old: {escaped(e.old_why, 400)}")
    yield literal(f"  new: {escaped(e.new_why, 400)}")


def thinned(steps: Sequence[StepSummary], limit: int) -> list[StepSummary]:
    """At most `limit` of them, evenly spread."""
    if len(steps) <= limit:
        return list(steps)
    return [steps[round(place * (len(steps) - 1) / (limit - 1))] for place in range(limit)]


def literal(text: str, style: str = "") -> Any:
    """Text that rich does not read as markup."""
    from rich.text import Text

    return Text(text, style=style)


def escaped(text: str, limit: int) -> str:
    """The beginning of a text on one line; what could steer a terminal is written out.

    Example:
        >>> print(escaped("red: \\x1b[31m\\n", 80))
        red: \\x1b[31m\\n
    """
    cut = text[:limit]
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
    return f"{shown} …" if len(text) > limit else shown


def percent(share: float | None) -> str:
    """A share as it is shown."""
    return "–" if share is None else f"{share:.1%}".replace("-0.0%", "0.0%")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _correlation(values: tuple[float | None, float | None]) -> str:
    return f"{_number(values[0])} (ranks {_number(values[1])})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
