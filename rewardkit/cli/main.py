"""The command line: ``python -m rewardkit COMMAND``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from rewardkit.cli import attack, audit, diff, explain, list_rewards, score, simulate
from rewardkit.cli.errors import UsageError, nearest
from rewardkit.cli.options import Parser
from rewardkit.contract import ColumnError, RewardError

COMMANDS: dict[str, ModuleType] = {
    "score": score,
    "explain": explain,
    "audit": audit,
    "attack": attack,
    "simulate": simulate,
    "diff": diff,
    "list": list_rewards,
}
PROG = "python -m rewardkit"


def parser() -> Parser:
    """The whole command line."""
    whole = Parser(prog=PROG, description="Rewards for language models, at the command line.", allow_abbrev=False)
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for name, module in COMMANDS.items():
        module.add(commands.add_parser(name, help=module.HELP, description=module.HELP, allow_abbrev=False))
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        The exit status: 0, 1 (a finding, such as a row that could not be scored), 2 (what was asked for cannot be
        done; one line on stderr says why) or 130 (Ctrl-C).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        if not words:
            parser().print_help()
            return 0
        if not words[0].startswith("-") and words[0] not in COMMANDS:
            raise UsageError(f"there is no command {words[0]!r}{nearest(words[0], COMMANDS)}")
        args = parser().parse_args(words)
        status: int = COMMANDS[args.command].run(args, words)
        sys.stdout.flush()
        return status
    except (UsageError, ColumnError, RewardError) as error:
        print("error:", *str(error).split(), file=sys.stderr)  # one line
        return 2
    except SystemExit as stop:  # of --help
        return int(stop.code or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
