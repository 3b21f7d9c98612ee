"""A simulation as a picture: reward and dead groups above, the components' shares below, by step."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rewardkit.breakdown import is_rounding

if TYPE_CHECKING:
    from rewardkit.replay.simulation import Simulation

COMPONENTS = 10
"""Lines in the picture, as many as the palette has colours: the components with the largest shares."""


def draw(simulation: Simulation, path: str | os.PathLike[str]) -> None:
    """Write the picture; the file's suffix says in which format.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(8, 6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_rewards(above, simulation)
    _draw_shares(below, simulation)
    figure.savefig(path, dpi=120)


def _draw_rewards(axes: Any, simulation: Simulation) -> None:
    steps = [step.step for step in simulation.steps]
    means = [_or_gap(step.mean) for step in simulation.steps]
    axes.plot(steps, means, color="tab:blue", label="mean reward", marker=".", markersize=3)
    axes.set_title(_literal(f"{simulation.name}, as it would have paid"), loc="left")
    axes.set_ylabel("reward")
    dead = axes.twinx()
    dead.fill_between(
        steps, [step.dead / step.groups for step in simulation.steps], color="tab:gray", alpha=0.25, label="dead groups"
    )
    dead.set(ylim=(0, 1), ylabel="dead groups")
    handles = [line for part in (axes, dead) for line in part.get_legend_handles_labels()[0]]
    axes.legend(handles=handles, loc="best", fontsize="small")


def _draw_shares(axes: Any, simulation: Simulation) -> None:
    known = {path: share for path, share in simulation.shares.items() if share and not is_rounding(path)}
    ranked = sorted(known, key=lambda path: -abs(known[path]))[:COMPONENTS]
    steps = [step.step for step in simulation.steps]
    for path in ranked:
        shares = [_or_gap(step.shares.get(path)) for step in simulation.steps]
        axes.plot(steps, shares, label=_literal(path), marker=".", markersize=3)
    axes.axhline(0.0, color="black", linewidth=0.5)
    axes.set(xlabel="step", ylabel="share of the advantage's variance")
    if ranked:
        axes.legend(loc="best", fontsize="small")


def _or_gap(value: float | None) -> float:
    return float("nan") if value is None else value


def _literal(text: str) -> str:
    """A name that matplotlib does not read as a formula, nor hides for its first underscore."""
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text
