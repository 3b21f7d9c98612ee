"""``attack``: what does a stack pay for besides being right?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rewardkit.cli.errors import UsageError, nearest
from rewardkit.cli.options import add_data, add_json, add_stack, require_path, stack_of, whole
from rewardkit.cli.printing import plain_errors, show, show_json

HELP = "try a catalogue of exploits on a stack: what earns more than an honest answer?"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_data(parser)
    add_stack(parser)
    parser.add_argument("--sample", type=whole, default=64, metavar="N", help="rows to try (default: 64); 0: all")
    parser.add_argument("--why", metavar="EXPLOIT", help="show the completion with which this exploit earned most")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print what was found; 1 if an exploit pays, else 0."""
    from rewardkit.audit import CATALOGUE, attack

    names = [exploit.name for exploit in CATALOGUE]
    if args.why is not None and args.why not in names:
        raise UsageError(f"--why: there is no exploit {args.why!r}{nearest(args.why, names)}")
    require_path(args.file)
    stack = stack_of(args)
    with plain_errors():
        report = attack(
            stack,
            args.file,
            sample=args.sample or None,
            seed=args.seed,
            step=args.step,
            template=args.template,
            answer_key=args.answer_key,
            prompt_key=args.prompt_key,
        )
    if args.json:
        show_json(report.to_dicts())
    elif args.why is not None:
        print(report.why(args.why))
    else:
        show(report)
    return report.exit_status
