"""``score``: a file of completions in, a file of scores out."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rewardkit.cli.errors import UsageError
from rewardkit.cli.options import add_columns, add_file, add_json, add_stack, positive
from rewardkit.cli.output import Output
from rewardkit.cli.pipeline import carry_out
from rewardkit.cli.plan import Plan
from rewardkit.cli.progress import summary
from rewardkit.cli.to_parquet import convert

HELP = "score a file of completions: JSONL or Parquet in, scores out"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_file(parser)
    add_stack(parser)
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="JSONL or Parquet (default: *.scores.jsonl)")
    parser.add_argument("--breakdown", action="store_true", help="write each component's weight, contribution, status")
    parser.add_argument("--copy-columns", action="store_true", help="write the columns of the input beside the scores")
    add_columns(parser)
    group = parser.add_argument_group("running")
    group.add_argument("--batch-size", type=positive, default=1024, metavar="N", help="rows per call (default: 1024)")
    group.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core); 1: this one")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--resume", action="store_true", help="go on where an earlier run stopped")
    either.add_argument("--overwrite", action="store_true", help="replace the output of an earlier run")
    group.add_argument("--keep-going", action="store_true", help="do not stop where the stack refuses row after row")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Score; 0 if every row has a score, 1 if some were kept aside, 130 after Ctrl-C."""
    started, plan = time.monotonic(), Plan.of(args)
    output = plan.open(resume=args.resume, overwrite=args.overwrite)
    before = output.state
    if before.complete:
        print(f"{plan.files.output} is complete already", file=sys.stderr)
    elif not _score(plan, output):
        print(f"{output.state.position.row:,} rows are done and kept. To go on:", file=sys.stderr)
        print(f"  {resume_command(argv)}", file=sys.stderr)
        return 130
    state = output.state
    print(
        summary(state.counts, time.monotonic() - started, state.position.row - before.position.row)
        + f"\nscores: {plan.files.output}"
        + (f"\nrejected rows and their reasons: {plan.files.rejected}" if state.counts.rejected else ""),
        file=sys.stderr,
    )
    if args.json:
        print(json.dumps({"rows": state.position.row, **state.counts._asdict(), "output": str(plan.files.output)}))
    return 1 if state.counts.rejected else 0


def _score(plan: Plan, output: Output) -> bool:
    """Carry out the plan; false after Ctrl-C."""
    try:
        with output:
            finished = carry_out(plan, output)
            if finished and plan.files.scores != plan.files.output:
                convert(plan.files.scores, plan.files.output)
            if finished:
                output.finish()
    except UsageError:
        if output.state.position.row == 0:
            plan.files.clear()
        raise
    return finished


def resume_command(argv: Sequence[str]) -> str:
    """The command that goes on.

    Example:
        >>> resume_command(["score", "my file.jsonl", "--stack", "keywords", "--overwrite"])
        "python -m rewardkit score 'my file.jsonl' --stack keywords --resume"
    """
    words = [word for word in argv if word not in ("--resume", "--overwrite")]
    return shlex.join(["python", "-m", "rewardkit", *words, "--resume"])
