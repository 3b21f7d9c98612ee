"""``audit``: does each reference of a data set earn its own reward?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rewardkit.cli.options import add_data, add_json, add_stack, positive, require_path, stack_of
from rewardkit.cli.printing import plain_errors, show, show_json

HELP = "does each reference of a data set, given as the answer, earn its own reward?"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    add_data(parser)
    add_stack(parser)
    parser.add_argument("--sample", type=positive, metavar="N", help="look at N rows only (default: all)")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print what was found; 1 if there is a problem, else 0."""
    from rewardkit.audit import audit

    require_path(args.file)
    stack = stack_of(args)
    with plain_errors():
        found = audit(
            stack,
            args.file,
            template=args.template,
            answer_key=args.answer_key,
            prompt_key=args.prompt_key,
            sample=args.sample,
            seed=args.seed,
            step=args.step,
        )
    if args.json:
        show_json(found.to_dicts())
    else:
        show(found)
    return found.exit_status
