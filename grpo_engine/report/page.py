"""The page: one HTML file that asks the network for nothing.

What a model wrote is untrusted: it reaches the page as JSON in which no tag can start, and the page's script shows
it with `textContent` only.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from importlib import resources
from typing import Any

from grpo_engine.report.headline import MAX_POINTS, summary, thin
from grpo_engine.report.reading import Row, Run, number, texts

MAX_BYTES = 4_500_000  # of embedded JSON, so that the page opens at once and can be mailed
TEXT_LIMIT = 20_000  # characters of a prompt or completion; halved until the page fits
PLACEHOLDER = "{{RUN}}"


def render_page(run: Run) -> str:
    """The page as text: the template with the run's JSON in its one placeholder."""
    template = resources.files("grpo_engine.report").joinpath("page.html").read_text(encoding="utf-8")
    notes = list(run.notes)
    bucket = math.ceil(len(run.train.steps) / MAX_POINTS)
    if bucket > 1:
        notes.append(f"Every point of a curve stands for {bucket} steps: their mean, or their extreme for a bound.")
    data: Row = summary(run) | {
        "train": asdict(thin(run.train)),
        "held_out": asdict(thin(run.held_out)),
        "config": texts(run.config.get("config")),
        "environment": texts(run.config.get("environment")),
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


def _shorten(row: Row, limit: int) -> Row:
    """One record as the page shows it: three texts, numbers that are finite or null, and the extras."""
    rewards = row.get("rewards")
    return {
        "step": int(row["step"]),
        "split": "eval" if row.get("split") == "eval" else "train",
        "prompt": _elide(row.get("prompt"), limit),
        "completion": _elide(row.get("completion"), limit),
        "reward": number(row.get("reward")),
        "advantage": number(row.get("advantage")),
        "rewards": {k: number(v) for k, v in rewards.items()} if isinstance(rewards, dict) else {},
        "extra": {k: _elide(v, min(limit, 1_000)) for k, v in texts(row.get("extra")).items()},
    }


def _elide(value: Any, limit: int) -> str:
    """A text of about `limit` characters; the end is kept as well, because the answer is there."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    return f"{head}\n[… {len(text) - len(head) - len(tail):,} characters left out …]\n{tail}"
