"""``diff``: what changes on recorded rollouts when a stack is replaced by another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rewardkit.cli.errors import UsageError, nearest
from rewardkit.cli.options import add_json, add_rollouts, read_recording, recording_errors, write_rows
from rewardkit.cli.printing import show, show_json
from rewardkit.cli.stacks import load_stack

HELP = "which rewards and advantages change on recorded rollouts from one stack to another"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_rollouts(parser)
    before = parser.add_mutually_exclusive_group(required=True)
    before.add_argument("--old", metavar="STACK", help="the stack before: a spec file, a ready reward, module:name")
    before.add_argument("--recorded", metavar="COLUMN", help="instead of --old: what was paid, a column such as reward")
    parser.add_argument("--new", metavar="STACK", required=True, help="the stack after")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="module:name", help="what specs may import; repeatable"
    )
    parser.add_argument("--examples", type=int, default=5, metavar="N", help="rows in the JSON (default: 5)")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print the difference."""
    from rewardkit.replay import diff

    old = args.recorded if args.old is None else load_stack(args.old, allow=args.allow, option="--old")
    new = load_stack(args.new, allow=args.allow, option="--new")
    rollouts = read_recording(args)
    if args.old is None and args.recorded not in rollouts.columns:
        known = nearest(args.recorded, rollouts.columns)
        raise UsageError(f"--recorded: the recording has no column {args.recorded!r}{known}")
    with recording_errors(args):
        change = diff(old, new, rollouts, scale_rewards=args.scale_rewards)
    if args.output is not None:
        write_rows(args.output, change.to_dicts())
    if args.json:
        show_json(change.to_dict(args.examples))
    else:
        show(change)
    return 0
