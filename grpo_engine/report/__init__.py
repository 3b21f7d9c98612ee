"""One page and one picture of a training run, made from the files in its directory.

`python -m grpo_engine.report RUN_DIR` reads `metrics.jsonl`, `completions.jsonl` and `config.json` and writes
`report.html` and `report.png` beside them.
"""

from __future__ import annotations

from pathlib import Path

from grpo_engine.report.page import render_page
from grpo_engine.report.picture import draw_picture
from grpo_engine.report.reading import read_run

__all__ = ["write_report"]


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
