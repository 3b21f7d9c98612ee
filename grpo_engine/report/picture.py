"""The picture: six panels for a README."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from grpo_engine.report.headline import accuracy_name, components, summary, thin
from grpo_engine.report.reading import Curves, Run, texts

SMOOTHING = 0.6  # weight of the past in the picture's thick lines; the page has a slider
COLOURS = ("#2563c9", "#b8500a", "#0b7a6d", "#7a45bf", "#b82b58", "#6b6a0c")
INK, MUTED, RULE = "#1c2024", "#60646c", "#e4e5e9"
SHARES = {
    "frac_reward_zero_std": "groups with equal rewards",
    "completions/clipped_ratio": "truncated completions",
    "clip_ratio": "clipped ratios",
}


def draw_picture(run: Run, path: Path) -> None:
    """Six panels, 1500 x 900 pixels, for a README."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    train, held_out = thin(run.train), thin(run.held_out)
    spaced = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)  # inches
    figure = Figure(figsize=(15, 9), dpi=100, layout=spaced, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 3)
    _draw_rewards(axes[0, 0], axes[0, 1], train, held_out)
    _draw_length(axes[0, 2], train)
    _draw_lines(axes[1, 0], train, {"entropy": "entropy"}, COLOURS)
    divergence = axes[1, 0].twinx()
    _draw_lines(divergence, train, {"kl": "KL"}, COLOURS[1:])
    _finish(divergence, "", "upper right")
    _finish(axes[1, 0], "Entropy (left) and KL to the reference (right)", "upper left")
    _draw_lines(axes[1, 1], train, SHARES, COLOURS)
    _finish(axes[1, 1], "Dead groups and clipping, as shares", zero=True)
    _draw_phases(axes[1, 2], train)
    headline = (summary(run)["title"], run.name, texts(run.config.get("environment")).get("device"))
    text = "  ·  ".join(dict.fromkeys(filter(None, headline)))
    figure.suptitle(_label(text, 120), x=0.015, ha="left", fontsize=15, color=INK, parse_math=False)
    with warnings.catch_warnings():  # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(path)


def _draw_rewards(reward: Any, held: Any, train: Curves, held_out: Curves) -> None:
    names = {f"rewards/{name}/mean": name for name in components(train)[: len(COLOURS)]}
    _draw_lines(reward, train, {"reward": "reward"} | names)
    _draw_lines(reward, held_out, {"reward": ""} | dict.fromkeys(names, ""), circles=True)
    _finish(reward, "Reward and its components (circles: held-out)", "upper left", columns=2)
    accuracy = accuracy_name(held_out)
    if accuracy:
        _draw_lines(held, held_out, {accuracy: names.get(accuracy, accuracy)}, COLOURS, circles=True)
        steps, values = held_out.points(accuracy)
        for step, value in {steps[0]: values[0], steps[-1]: values[-1]}.items():
            held.annotate(f"{value:.3g}", (step, value), (0, 9), textcoords="offset points", ha="center", color=INK)
    _finish(held, "Held-out accuracy", "lower right")


def _draw_length(axes: Any, train: Curves) -> None:
    low, high = (dict(zip(*train.points(f"completions/{end}_length"), strict=True)) for end in ("min", "max"))
    both = [step for step in low if step in high]
    if both:
        axes.fill_between(both, [low[s] for s in both], [high[s] for s in both], color=COLOURS[0], alpha=0.15, lw=0)
    _draw_lines(axes, train, {"completions/mean_length": "mean"}, COLOURS)
    _finish(axes, "Completion length in tokens (band: min to max)", zero=True)


def _draw_phases(axes: Any, train: Curves) -> None:
    timed = {name[5:]: values for name, values in train.series.items() if name.startswith("time/")}
    layers = [[value or 0.0 for value in values] for values in timed.values()]
    if layers:
        labels = [_label(name) for name in timed]
        axes.stackplot(train.steps, *layers, labels=labels, colors=COLOURS, alpha=0.75, lw=0)
    _finish(axes, "Seconds per step, by phase", zero=True)


def _draw_lines(
    axes: Any,
    curves: Curves,
    labels: dict[str, str],
    colours: Sequence[str] = (INK, *COLOURS),
    *,
    circles: bool = False,
) -> None:
    """Draw series: training as a pale line under its smoothed one, held-out values as dashed circles."""
    for (name, label), colour in zip(labels.items(), colours, strict=False):
        steps, values = curves.points(name)
        if not steps:
            continue
        if circles:
            axes.plot(steps, values, "o--", color=colour, lw=1, ms=6, mfc="white", mew=1.6, label=_label(label))
        else:
            axes.plot(steps, values, "o" if len(steps) == 1 else "-", color=colour, lw=0.8, alpha=0.3)
            axes.plot(steps, _smooth(values), color=colour, lw=1.9, label=_label(label))


def _label(text: str, limit: int = 30) -> str:
    """A text that the picture can hold, without a leading underscore: matplotlib would hide its entry."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:limit])
    return f" {shown}…" if len(text) > limit else f" {shown}"


def _smooth(values: Sequence[float]) -> list[float]:
    """Exponential moving average that does not start at zero (divided by the weight seen so far).

    >>> _smooth([2.0, 2.0])
    [2.0, 2.0]
    """
    total, weight, smoothed = 0.0, 0.0, []
    for value in values:
        total, weight = SMOOTHING * total + (1 - SMOOTHING) * value, SMOOTHING * weight + 1 - SMOOTHING
        smoothed.append(total / weight)
    return smoothed


def _finish(axes: Any, title: str, loc: str = "best", *, zero: bool = False, columns: int = 1) -> None:
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, pad=10, parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.margins(x=0.04, y=0.12 if columns == 1 else 0.3)  # a legend of several columns has the top to itself
    axes.set_axisbelow(True)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if title:  # a second axis has neither a title nor a grid of its own
        axes.grid(axis="y", color=RULE, lw=0.8)
    if zero:
        axes.set_ylim(bottom=0)
    if not axes.has_data():
        axes.set_yticks([])
        axes.tick_params(labelbottom=False)
        axes.text(0.5, 0.5, title and "not logged", color=MUTED, ha="center", transform=axes.transAxes)
    entries = [
        (handle, label) for handle, label in zip(*axes.get_legend_handles_labels(), strict=True) if label.strip()
    ]
    if entries:
        legend = axes.legend(
            *zip(*entries, strict=True), loc=loc, ncols=columns, fontsize=9, labelcolor=MUTED, frameon=False
        )
        for text in legend.get_texts():
            text.set_parse_math(False)  # a function may be called anything, "$" included
