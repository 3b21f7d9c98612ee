"""What a run comes to: its headline figures, and curves thinned to what a screen can show."""

from __future__ import annotations

import math

from grpo_engine.report.reading import Curves, Row, Run, Values

MAX_POINTS = 2_000  # a curve has no use for more points than a wide screen has pixels
MAX_SERIES = 100  # curves of each split, a bound on a run that logs a metric per prompt


def components(curves: Curves) -> list[str]:
    """Names of the reward functions, in the order in which they were logged."""
    return [name[8:-5] for name in curves.series if name.startswith("rewards/") and name.endswith("/mean")]


def summary(run: Run) -> Row:
    """The headline figures, from every logged step (the curves may be thinned)."""
    accuracy = accuracy_name(run.held_out)
    _, rewards = run.train.points("reward")
    _, tokens = run.train.points("num_tokens")
    steps, times = run.train.points("step_time")  # an entry is the mean over the steps since the one before
    seconds = sum(time * (step - before) for time, step, before in zip(times, steps, [0, *steps], strict=False))
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
        "seconds": seconds,
        "tokens": tokens[-1] if tokens else None,
    }


def accuracy_name(held_out: Curves) -> str | None:
    """The series that tells whether the model got better: a component called accuracy, else the first."""
    names = sorted(components(held_out), key=lambda name: "accuracy" not in name)
    if names:
        return f"rewards/{names[0]}/mean"
    return "reward" if "reward" in held_out.series else None


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
