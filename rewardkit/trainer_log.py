"""What a trainer is told of the components, where it offers ``log_metric`` and ``log_extra``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rewardkit.batch import Batch
from rewardkit.breakdown import ROUNDING, Component, components
from rewardkit.outcome import Outcome

REPORTED = ("error", "timeout", "undecided", "unparseable_ground_truth", "gated")
"""Statuses that are counted in the log where they occur."""


def log_components(name: str, batch: Batch, outcomes: Sequence[Outcome]) -> None:
    """Hand the numbers of every component to the trainer.

    The trainer logs the values of the reward itself; of a reward without parts only the counts are added.
    Metrics, per component: ``rewards/{path}/mean`` (values, unweighted), ``rewards/{path}/contribution`` (mean
    of what was added to the total), ``rewards/{path}/weight`` where a schedule sets it, ``rewards/{path}/clipped``
    and ``rewards/{path}/{status}`` (counts of completions, for the statuses of :data:`REPORTED`). Extra columns, one
    value per completion: ``{path}`` and ``{path}/status``.
    """
    log_metric: Callable[[str, float], None] | None = batch.columns.get("log_metric")
    log_extra: Callable[[str, list[Any]], None] | None = batch.columns.get("log_extra")
    by_path: dict[str, list[Component | None]] = {}
    for row, outcome in enumerate(outcomes):
        for component in components(outcome, name):
            if component.path != ROUNDING:
                by_path.setdefault(component.path, [None] * len(outcomes))[row] = component
    for path, rows in by_path.items():
        known = [c for c in rows if c is not None]
        own = path == name  # its values are the trainer's to log
        if log_metric is not None:
            _log_counts(log_metric, path, known)
            if not own:
                _log_means(log_metric, path, known, any(other.startswith(f"{path}/") for other in by_path))
        if log_extra is not None and not own:
            log_extra(path, [None if c is None else c.value for c in rows])
            log_extra(f"{path}/status", [None if c is None else c.status for c in rows])


def _log_means(log_metric: Callable[[str, float], None], path: str, rows: Sequence[Component], composed: bool) -> None:
    added = [c.contribution for c in rows if c.contribution is not None]
    numbers = {
        "mean": [c.value for c in rows if c.value is not None],
        "contribution": added if any(added) or not composed else [],  # its parts have it
        "weight": [c.weight for c in rows if c.scheduled and c.weight is not None],
    }
    for label, values in numbers.items():
        if values:
            log_metric(f"rewards/{path}/{label}", sum(values) / len(values))


def _log_counts(log_metric: Callable[[str, float], None], path: str, rows: Sequence[Component]) -> None:
    clipped = sum(c.clipped for c in rows)
    if clipped:
        log_metric(f"rewards/{path}/clipped", float(clipped))
    for status in REPORTED:
        count = sum(c.status == status for c in rows)
        if count:
            log_metric(f"rewards/{path}/{status}", float(count))
