"""The command line: one directory in, two paths out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from grpo_engine.report import write_report


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
