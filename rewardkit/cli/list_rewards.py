"""``list``: the ready rewards and presets, or one of them in full."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rewardkit.cli.docstrings import Description, describe, docstring, settings
from rewardkit.cli.errors import UsageError, nearest
from rewardkit.cli.options import add_json
from rewardkit.contract import Reward
from rewardkit.spec import ready_rewards

HELP = "the ready rewards and presets with their ranges, or one of them in full"


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="show this one in full")
    add_json(parser)


def run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Print a table or a page."""
    known = ready_rewards()
    if args.name is not None:
        if args.name not in known:
            raise UsageError(f"there is no ready reward {args.name!r}{nearest(args.name, known)}")
        _print_one(args.name, known[args.name], as_json=args.json)
        return 0
    described = [describe(name, reward) for name, reward in known.items()]
    described.sort(key=lambda d: d.name.startswith("presets."))
    if args.json:
        print(json.dumps([asdict(description) for description in described], indent=1))
    else:
        _print_table(described)
    return 0


def _print_table(described: Sequence[Description]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
    table.add_column("reward", ratio=1)
    table.add_column("range", max_width=20)
    table.add_column("empty earns", max_width=11)
    for d in described:
        what = Text.assemble((d.name, "bold"), "\n", d.summary)
        table.add_row(what, Text(d.range or "–"), Text(d.empty or "–"), end_section=True)
    Console().print(table)
    print("One in full: python -m rewardkit list NAME")


def _print_one(name: str, reward: Reward, *, as_json: bool) -> None:
    description = describe(name, reward)
    if as_json:
        page: dict[str, Any] = {**asdict(description), "code": repr(reward), "settings": settings(reward)}
        print(json.dumps({**page, "docstring": docstring(name, reward)}, indent=1))
        return
    print(f"{name} = {reward!r}\n\n{docstring(name, reward)}\n\nSettings:")
    for setting, value in settings(reward).items():
        print(f"    {setting}: {value}")
