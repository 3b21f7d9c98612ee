"""What a simulation says about a stack, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from rewardkit.breakdown import is_rounding

if TYPE_CHECKING:
    from rewardkit.replay.simulation import Simulation
    from rewardkit.replay.summaries import ComponentShare

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

MANY = 0.5
"""Dead groups are a warning from here on: every other prompt is sampled for nothing."""
SOME = 0.1
"""Clipped or unscored rows are a warning from here on."""
LITTLE = 0.01
"""A component with less of the advantage's variance hardly teaches."""
MOST = 0.9
"""One with more decides alone."""

FAILURES = ("error", "timeout", "undecided", "unparseable_ground_truth")
"""Statuses that say something about the stack or its references, not about the completion."""


class Finding(NamedTuple):
    """One sentence on a stack.

    Attributes:
        severity: "error" (it cannot train), "warning" (it does something that you may not want) or "note".
        sentence: what.
    """

    severity: Severity
    sentence: str


def findings_of(simulation: Simulation) -> list[Finding]:
    """All findings, the worst first."""
    found = [
        *_of_rollouts(simulation),
        *_of_groups(simulation),
        *(
            finding
            for c in simulation.components
            if not is_rounding(c.path)
            for finding in _of_component(c, simulation)
        ),
        *_of_pairs(simulation),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _of_rollouts(simulation: Simulation) -> Iterator[Finding]:
    rollouts = simulation.rollouts
    if rollouts.rejected:
        first = rollouts.rejected[0]
        yield Finding(
            "warning",
            f"{len(rollouts.rejected):,} rows were kept aside, the first in {first.source}, line {first.line}: "
            f"{first.reason}",
        )
    for note in rollouts.notes:
        yield Finding("note", note)
    if set(rollouts.sizes) == {1}:
        yield Finding("error", "every group has one completion, so every advantage is 0; say num_generations=")


def _of_groups(simulation: Simulation) -> Iterator[Finding]:
    missing = simulation.not_scored / len(simulation)
    if missing:
        level: Severity = "error" if missing == 1.0 else "warning" if missing >= SOME else "note"
        yield Finding(level, f"{missing:.1%} of the completions are not scored and teach nothing")
    dead, groups = sum(simulation.dead), len(simulation.dead)
    if dead and missing < 1.0:
        level = "error" if dead == groups else "warning" if dead >= MANY * groups else "note"
        yield Finding(level, f"{dead:,} of {groups:,} groups are dead: all their rewards are equal")
    if simulation.dead_by_clip:
        yield Finding("warning", f"{simulation.dead_by_clip:,} groups are dead only because clips make them equal")


def _of_component(component: ComponentShare, simulation: Simulation) -> Iterator[Finding]:
    c = component
    if c.clipped >= SOME:
        yield Finding("warning", f"a clip of {c.path} binds in {c.clipped:.1%} of the completions")
    elif c.clipped:
        yield Finding("note", f"a clip of {c.path} binds in {c.clipped:.1%} of the completions")
    failures = [f"{c.statuses[status]:,} × {status}" for status in FAILURES if c.statuses.get(status)]
    if failures and not c.composed:
        yield Finding("warning", f"{c.path} could not judge some completions: {', '.join(failures)}")
    if c.composed:
        return
    if not c.varies:
        yield _constant(c, simulation)
    elif c.share is not None:
        yield from _of_share(c, len([s for s in simulation.shares.values() if s]))


def _constant(component: ComponentShare, simulation: Simulation) -> Finding:
    values = {value for value in simulation.columns[component.path].values if value is not None}
    if not component.scored:
        return Finding("warning", f"{component.path} scores no completion")
    where = f"gives {values.pop():.6g} everywhere" if len(values) == 1 else "never varies within a group"
    means = "moves no advantage" if component.weight is not None else "tells no completion from another"
    return Finding("warning", f"{component.path} {where}: it {means}")


def _of_share(component: ComponentShare, sharing: int) -> Iterator[Finding]:
    share = component.share or 0.0
    if share <= -LITTLE:
        yield Finding("warning", f"{component.path} works against the total: its share of the variance is {share:.1%}")
    elif share < LITTLE:
        yield Finding("note", f"{component.path} hardly teaches: its share of the variance is {share:.1%}")
    elif share >= MOST and sharing > 1:
        yield Finding("note", f"{component.path} decides almost alone: its share of the variance is {share:.1%}")


def _of_pairs(simulation: Simulation) -> Iterator[Finding]:
    for pair in simulation.pairs:
        moves = f"correlation {pair.correlation:.2f} within groups"
        if pair.correlation > 0:
            yield Finding("warning", f"{pair.first} and {pair.second} repeat one another ({moves})")
        else:
            left = f"{pair.kept:.1%} of their variance is left"
            yield Finding("warning", f"{pair.first} and {pair.second} cancel one another ({moves}; {left})")
