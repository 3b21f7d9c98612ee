"""What a trainer is told of the components, where it offers ``log_metric`` and ``log_extra``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from rewardkit.batch import Batch
from rewardkit.breakdown import Component, components, is_rounding, root_path
from rewardkit.choices import Gated
from rewardkit.combine import Clipped, Combined
from rewardkit.contract import Reward
from rewardkit.guarding import Guarded
from rewardkit.layout import Node, nodes
from rewardkit.outcome import Outcome

RARE = ("timeout", "undecided", "unparseable_ground_truth")
"""Statuses that are counted by the calls in which they occur."""


def log_components(reward: Reward, batch: Batch, outcomes: Sequence[Outcome]) -> None:
    """Hand the numbers of every component to the trainer, which logs the values of the reward itself.

    Components of a named stack are logged below its name (``rewards/{name}/{path}``), so that two stacks do not mix.
    Metrics, per component: ``rewards/{path}/mean`` (of its values, unweighted), ``rewards/{path}/contribution`` (what
    it added to the total, over all completions that have one), ``rewards/{path}/weight`` where a schedule sets it;
    how many completions were ``clipped``, ``gated`` or in ``error`` where that can happen, and how many met one of
    :data:`RARE`. Extra columns, one value per completion: ``{path}`` of what is added, and ``{path}/status`` where a
    reference, a gate or a failure decides. All names but the rare ones are the same in every call.
    """
    log_metric: Callable[[str, float], None] | None = batch.columns.get("log_metric")
    log_extra: Callable[[str, list[Any]], None] | None = batch.columns.get("log_extra")
    rows = _by_path(reward.__name__, outcomes)
    below = list(nodes(reward))
    root = Node(root_path(reward.__name__, [node.path for node in below]), reward, True)
    prefix = f"{reward.name}/" if reward.name and below else ""
    scored = sum(outcome.value is not None for outcome in outcomes)
    for node in (root, *below):
        own = rows.get(node.path, [None] * len(outcomes))
        known = [component for component in own if component is not None]
        label = node.path if node is root else prefix + node.path
        if log_metric is not None:
            if node is not root:  # its values are the trainer's to log
                _log_mean(log_metric, known, label)
            if scored and (_clips(node) or (node.added and node is not root)):
                added = sum(c.contribution for c in known if c.contribution is not None)
                log_metric(f"rewards/{label}/contribution", added / scored)
            _log_counts(log_metric, node, known, label)
        if log_extra is not None and node.added and node is not root:
            log_extra(label, [None if c is None else c.value for c in own])
            if _is_judged(node):
                log_extra(f"{label}/status", [None if c is None else c.status for c in own])


def _by_path(name: str, outcomes: Sequence[Outcome]) -> dict[str, list[Component | None]]:
    rows: dict[str, list[Component | None]] = {}
    for row, outcome in enumerate(outcomes):
        for component in components(outcome, name):
            if not is_rounding(component.path):
                if component.path not in rows:
                    rows[component.path] = [None] * len(outcomes)
                rows[component.path][row] = component
    return rows


def _log_mean(log_metric: Callable[[str, float], None], rows: Sequence[Component], label: str) -> None:
    values = [c.value for c in rows if c.value is not None]
    if values:
        log_metric(f"rewards/{label}/mean", sum(values) / len(values))
    weight = next((c.scheduled for c in rows if c.scheduled is not None), None)
    if weight is not None:
        log_metric(f"rewards/{label}/weight", weight)


def _log_counts(log_metric: Callable[[str, float], None], node: Node, rows: Sequence[Component], label: str) -> None:
    if _clips(node):
        log_metric(f"rewards/{label}/clipped", float(sum(c.clipped for c in rows)))
    counts = Counter(str(c.status) for c in rows)
    possible = {"gated": Gated, "error": Guarded}
    for status in ("gated", "error", *RARE):
        always = any(isinstance(reward, possible.get(status, ())) for reward in node.wrappers)
        if always or counts[status]:
            log_metric(f"rewards/{label}/{status}", float(counts[status]))


def _clips(node: Node) -> bool:
    return any(
        isinstance(reward, Clipped) or (isinstance(reward, Combined) and reward.limits is not None)
        for reward in node.wrappers
    )


def _is_judged(node: Node) -> bool:
    """Whether its status says more than "scored"."""
    return any(isinstance(r, (Gated, Guarded)) or hasattr(r, "answer_key") for r in node.wrappers)
