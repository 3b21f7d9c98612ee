"""One page and one picture of a training run, made from the files in its directory.

`python -m grpo_engine.report RUN_DIR` reads `metrics.jsonl`, `completions.jsonl` and `config.json` and
writes `report.html` and `report.png` beside them. The page is one file that asks the network for nothing.
What a model wrote is untrusted: it reaches the page as JSON in which no tag can start, and the page's
script shows it with `textContent` only.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

MAX_POINTS = 2_000  # a curve has no use for more points than a wide screen has pixels
MAX_SERIES = 100  # curves of each split, a bound on a run that logs a metric per prompt
MAX_BYTES = 4_500_000  # of embedded JSON, so that the page opens at once and can be mailed
KEPT_RECORDS = {"train": 300, "eval": 100}  # completions embedded of each split
KEPT_PER_STEP = 16  # a few whole groups of a step, in the order in which they were written
TEXT_LIMIT = 20_000  # characters of a prompt or completion; halved until the page fits
SMOOTHING = 0.6  # weight of the past in the picture's thick lines; the page has a slider
PLACEHOLDER = "{{RUN}}"
COLOURS = ("#2563c9", "#b8500a", "#0b7a6d", "#7a45bf", "#b82b58", "#6b6a0c")
INK, MUTED, RULE = "#1c2024", "#60646c", "#e4e5e9"
SHARES = {
    "frac_reward_zero_std": "groups with equal rewards",
    "completions/clipped_ratio": "truncated completions",
    "clip_ratio": "clipped ratios",
}

Row = dict[str, Any]
Values = list[float | None]


@dataclass(frozen=True)
class Curves:
    """What was logged of one split: `series[name][i]` belongs to `steps[i]`, None where it was not logged."""

    steps: list[int] = field(default_factory=list)
    series: dict[str, Values] = field(default_factory=dict)

    def points(self, name: str) -> tuple[list[int], list[float]]:
        """Steps and values of a series, without the gaps."""
        pairs = [(s, v) for s, v in zip(self.steps, self.series.get(name, []), strict=False) if v is not None]
        return [step for step, _ in pairs], [value for _, value in pairs]


@dataclass(frozen=True)
class Run:
    """What the files of a run directory say; `notes` names everything that was left out."""

    name: str
    config: Row
    train: Curves
    held_out: Curves
    completions: list[Row]
    notes: list[str]


def write_report(run_dir: str | Path) -> tuple[Path, Path]:
    """Write `report.html` and `report.png` into a run directory, from the files that are there.

    Args:
        run_dir: the trainer's output directory. `metrics.jsonl` must exist; `config.json` and
            `completions.jsonl` may be missing, and any file may end in a half-written line.

    Returns:
        The paths of the page and of the picture.

    Raises:
        FileNotFoundError: there is no `metrics.jsonl`, so this is not a run directory.
    """
    run = read_run(Path(run_dir))
    page, picture = Path(run_dir) / "report.html", Path(run_dir) / "report.png"
    page.write_text(render_page(run), encoding="utf-8")
    draw_picture(run, picture)
    return page, picture


# ---------------------------------------------------------------------------------------------- reading


def read_run(run_dir: Path) -> Run:
    """Read the files of a run directory."""
    if not (run_dir / "metrics.jsonl").is_file():
        raise FileNotFoundError(
            f"run_dir: expected a directory in which a trainer wrote metrics.jsonl, got {str(run_dir)!r}; "
            "pass the output_dir of a run that logged at least one step"
        )
    notes: list[str] = []
    train, held_out = _read_metrics(run_dir / "metrics.jsonl", notes)
    return Run(
        name=run_dir.resolve().name,
        config=_read_config(run_dir / "config.json", notes),
        train=train,
        held_out=held_out,
        completions=_read_completions(run_dir / "completions.jsonl", notes),
        notes=notes,
    )


def _rows(path: Path, notes: list[str]) -> Iterator[tuple[int, int, Row]]:
    """Yield (step, byte offset, row) of a JSONL file; a torn last line is an interrupted run, no fault."""
    offset = skipped = 0
    with path.open("rb") as file:
        for line in file:
            step, row = _parse(line)
            if step is not None:
                yield step, offset, row
            elif line.endswith(b"\n") and line.strip():
                skipped += 1
            offset += len(line)
    if skipped:
        notes.append(f"{skipped:,} unreadable lines of {path.name} were skipped.")


def _parse(line: bytes) -> tuple[int | None, Row]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None, {}
    step = _number(row.get("step")) if isinstance(row, dict) else None
    return (None, {}) if step is None else (int(step), row)


def _number(value: Any) -> float | None:
    """A finite float, or None for anything that cannot be drawn (null, NaN, infinities, text).

    >>> [_number(value) for value in (1, 0.5, float("nan"), None, "0.5", True)]
    [1.0, 0.5, None, None, None, None]
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        return None
    return float(value) if math.isfinite(value) else None


def _read_config(path: Path, notes: list[str]) -> Row:
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError):
        config = None
    if not isinstance(config, dict):
        notes.append("config.json is missing or unreadable.")
        return {}
    return config


def _read_metrics(path: Path, notes: list[str]) -> tuple[Curves, Curves]:
    train: list[tuple[int, Row]] = []
    held_out: list[tuple[int, Row]] = []
    for step, _, row in _rows(path, notes):
        evaluation = {name[5:]: value for name, value in row.items() if name.startswith("eval_")}
        rows, values = (held_out, evaluation) if evaluation else (train, row)
        while rows and rows[-1][0] > step:  # a resumed run writes the steps after its checkpoint again
            rows.pop()
        if rows and rows[-1][0] == step:
            rows[-1][1].update(values)
        else:
            rows.append((step, values))
    return _curves(train), _curves(held_out)


def _curves(rows: Sequence[tuple[int, Row]]) -> Curves:
    names = dict.fromkeys(name for _, row in rows for name in row if name not in ("step", "epoch"))
    series = {name: [_number(row.get(name)) for _, row in rows] for name in names}
    drawn = {name: values for name, values in series.items() if any(value is not None for value in values)}
    return Curves([step for step, _ in rows], drawn)


def _read_completions(path: Path, notes: list[str]) -> list[Row]:
    """The kept records: the first steps and the last, and steps evenly spread between them.

    Two passes over the file, so that a run's gigabytes of text are never held at once.
    """
    if not path.is_file():
        notes.append("completions.jsonl is missing: no completion was recorded.")
        return []
    offsets: dict[str, list[tuple[int, int]]] = {split: [] for split in KEPT_RECORDS}
    for step, offset, row in _rows(path, notes):
        kept = offsets["eval" if row.get("split") == "eval" else "train"]
        while kept and kept[-1][0] > step:  # as above: the resumed run's records replace these
            kept.pop()
        kept.append((step, offset))
    chosen = sorted(offset for split, kept in offsets.items() for offset in _spread(kept, KEPT_RECORDS[split]))
    total = sum(map(len, offsets.values()))
    if len(chosen) < total:
        notes.append(f"{len(chosen):,} of {total:,} completions are shown, from evenly spread steps.")
    with path.open("rb") as file:
        return [_parse(file.readline())[1] for offset in chosen if file.seek(offset) >= 0]


def _spread(records: Sequence[tuple[int, int]], limit: int) -> list[int]:
    """Offsets of at most `limit` records: whole steps where they fit, first and last step included."""
    by_step: dict[int, list[int]] = {}
    for step, offset in records:
        by_step.setdefault(step, []).append(offset)
    if len(records) <= limit:
        return [offset for _, offset in records]
    widest = min(KEPT_PER_STEP, max(map(len, by_step.values())))
    steps, count = list(by_step), max(2, limit // widest)
    if len(steps) > count:
        steps = [steps[round(i * (len(steps) - 1) / (count - 1))] for i in range(count)]
    return [offset for step in steps for offset in by_step[step][:widest]]


# ------------------------------------------------------------------------------------------------- page


def render_page(run: Run) -> str:
    """The page as text: the template with the run's JSON in its one placeholder."""
    template = resources.files("grpo_engine").joinpath("report_page.html").read_text(encoding="utf-8")
    notes = list(run.notes)
    bucket = math.ceil(len(run.train.steps) / MAX_POINTS)
    if bucket > 1:
        notes.append(f"Every point of a curve stands for {bucket} steps: their mean, or their extreme for a bound.")
    data: Row = summary(run) | {
        "train": asdict(thin(run.train)),
        "held_out": asdict(thin(run.held_out)),
        "config": _texts(run.config.get("config")),
        "environment": _texts(run.config.get("environment")),
    }
    limit, room = TEXT_LIMIT, MAX_BYTES - len(_embed(data))
    while len(_embed(records := [_shorten(row, limit) for row in run.completions])) > room and limit > 100:
        limit //= 2
    if any(len(str(row.get(text))) > limit for row in run.completions for text in ("prompt", "completion")):
        notes.append(f"Texts longer than {limit:,} characters are shown without their middle.")
    return template.replace(PLACEHOLDER, _embed(data | {"completions": records, "notes": notes}), 1)


def _embed(value: Any) -> str:
    r"""JSON that is safe inside a script element: ASCII, and without a character that could start a tag.

    >>> print(_embed("</script>"))
    "\u003c/script\u003e"
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _texts(mapping: Any) -> dict[str, str]:
    """The items of a mapping as texts, text itself without quotes."""
    items = mapping.items() if isinstance(mapping, dict) else ()
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in items}


def _shorten(row: Row, limit: int) -> Row:
    """One record as the page shows it: three texts, numbers that are finite or null, and the extras."""
    rewards = row.get("rewards")
    return {
        "step": int(row["step"]),
        "split": "eval" if row.get("split") == "eval" else "train",
        "prompt": _elide(row.get("prompt"), limit),
        "completion": _elide(row.get("completion"), limit),
        "reward": _number(row.get("reward")),
        "advantage": _number(row.get("advantage")),
        "rewards": {k: _number(v) for k, v in rewards.items()} if isinstance(rewards, dict) else {},
        "extra": {k: _elide(v, min(limit, 1_000)) for k, v in _texts(row.get("extra")).items()},
    }


def _elide(value: Any, limit: int) -> str:
    """A text of about `limit` characters; the end is kept as well, because the answer is there."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    return f"{head}\n[… {len(text) - len(head) - len(tail):,} characters left out …]\n{tail}"


def thin(curves: Curves) -> Curves:
    """At most MAX_POINTS points: the mean of each bucket of steps, or the extreme of a minimum or maximum."""
    size = max(1, math.ceil(len(curves.steps) / MAX_POINTS))
    starts = range(0, len(curves.steps), size)
    series = {
        name: [_pool(name, values[start : start + size]) for start in starts]
        for name, values in list(curves.series.items())[:MAX_SERIES]
    }
    return Curves([curves.steps[start : start + size][-1] for start in starts], series)


def _pool(name: str, values: Values) -> float | None:
    numbers = [value for value in values if value is not None]
    if not numbers:
        return None
    pooled = min(numbers) if "/min_" in name else max(numbers) if "/max_" in name else sum(numbers) / len(numbers)
    return float(f"{pooled:.6g}")


# -------------------------------------------------------------------------------------------- headline


def components(curves: Curves) -> list[str]:
    """Names of the reward functions, in the order in which they were logged."""
    return [name[8:-5] for name in curves.series if name.startswith("rewards/") and name.endswith("/mean")]


def summary(run: Run) -> Row:
    """The headline figures, from every logged step (the curves may be thinned)."""
    accuracy = accuracy_name(run.held_out)
    _, rewards = run.train.points("reward")
    _, tokens = run.train.points("num_tokens")
    window = max(1, min(10, len(rewards) // 2))
    recipe = run.config.get("recipe")
    return {
        "title": recipe if isinstance(recipe, str) and recipe else run.name,
        "name": run.name,
        "accuracy": accuracy,
        "held_out_points": list(zip(*run.held_out.points(accuracy), strict=True)) if accuracy else [],
        "reward": [sum(some) / window for some in (rewards[:window], rewards[-window:])] if rewards else [],
        "window": window,
        "steps": run.train.steps[-1] if run.train.steps else 0,
        "seconds": sum(run.train.points("step_time")[1]),
        "tokens": tokens[-1] if tokens else None,
    }


def accuracy_name(held_out: Curves) -> str | None:
    """The series that tells whether the model got better: a component called accuracy, else the first."""
    names = sorted(components(held_out), key=lambda name: "accuracy" not in name)
    if names:
        return f"rewards/{names[0]}/mean"
    return "reward" if "reward" in held_out.series else None


# --------------------------------------------------------------------------------------------- picture


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
    headline = (summary(run)["title"], run.name, _texts(run.config.get("environment")).get("device"))
    text = "  ·  ".join(dict.fromkeys(filter(None, headline)))
    figure.suptitle(_label(text, 120), x=0.015, ha="left", fontsize=15, color=INK, parse_math=False)
    with warnings.catch_warnings():  # a name in a script that the font lacks is drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(path)


def _draw_rewards(reward: Any, held: Any, train: Curves, held_out: Curves) -> None:
    names = {f"rewards/{name}/mean": name for name in components(train)[: len(COLOURS)]}
    _draw_lines(reward, train, {"reward": "reward"} | names)
    _draw_lines(reward, held_out, {"reward": ""} | dict.fromkeys(names, ""), circles=True)
    _finish(reward, "Reward and its components (circles: held-out)")
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
            axes.plot(steps, values, color=colour, lw=0.8, alpha=0.3)
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


def _finish(axes: Any, title: str, loc: str = "best", *, zero: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=11.5, color=INK, pad=10, parse_math=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.margins(x=0.04, y=0.12)
    axes.set_axisbelow(True)
    if title:  # a second axis has neither a title nor a grid of its own
        axes.grid(axis="y", color=RULE, lw=0.8)
    if zero:
        axes.set_ylim(bottom=0)
    if not axes.has_data():
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, "not logged", color=MUTED, ha="center", transform=axes.transAxes)
    entries = [
        (handle, label) for handle, label in zip(*axes.get_legend_handles_labels(), strict=True) if label.strip()
    ]
    if entries:
        legend = axes.legend(*zip(*entries, strict=True), loc=loc, fontsize=9, labelcolor=MUTED, frameon=False)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a function may be called anything, "$" included


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: one directory in, two paths out."""
    parser = argparse.ArgumentParser(
        prog="python -m grpo_engine.report",
        description="Write report.html and report.png into a run directory, from the files that are there.",
    )
    parser.add_argument("run_dir", type=Path, help="a trainer's output directory, with metrics.jsonl in it")
    try:
        for path in write_report(parser.parse_args(arguments).run_dir):
            print(path)
    except FileNotFoundError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
