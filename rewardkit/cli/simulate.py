"""``simulate``: what a stack would have done on recorded rollouts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rewardkit.cli.options import (
    add_json,
    add_rollouts,
    add_stack,
    read_recording,
    recording_errors,
    stack_of,
    write_rows,
)
from rewardkit.cli.printing import show, show_json

HELP = "what a stack would have paid on recorded rollouts: dead groups, shares of the advantage, clips"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_rollouts(parser)
    add_stack(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it too: PNG, SVG or PDF")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print the simulation; 1 if it says that the stack cannot train on these groups, else 0."""
    from rewardkit.replay import simulate

    stack = stack_of(args)
    rollouts = read_recording(args)
    with recording_errors(args):
        done = simulate(stack, rollouts, scale_rewards=args.scale_rewards)
        if args.plot is not None:
            done.plot(args.plot)
    if args.output is not None:
        write_rows(args.output, done.to_dicts())
    if args.json:
        show_json(done.to_dict())
    else:
        show(done)
    return 1 if any(finding.severity == "error" for finding in done.findings) else 0
