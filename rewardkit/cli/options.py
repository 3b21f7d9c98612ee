"""Arguments that several commands share, and the parser that says what was meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rewardkit.batch import ColumnError
from rewardkit.cli.columns import COMPLETION_COLUMNS, Columns, find_columns, read_renames
from rewardkit.cli.errors import UsageError, nearest
from rewardkit.cli.jsonl import JsonlFile
from rewardkit.cli.lines import as_line
from rewardkit.cli.parquet import ParquetFile
from rewardkit.cli.printing import plain_errors
from rewardkit.cli.stacks import load_stack
from rewardkit.contract import Reward

if TYPE_CHECKING:
    from rewardkit.replay import Rollouts

NAMED = 20
"""Rejected rows that are named on the terminal."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, with the option that was meant."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage."""
        raise UsageError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of any parser; an unknown option is an error before a missing one is."""
        options = self._option_string_actions
        for word in [] if self._subparsers is not None else list(args or []):
            name = word.partition("=")[0]
            if word == "--":
                break
            if name.startswith("--") and name not in options:
                raise UsageError(f"{self.prog} has no option {name}{nearest(name, options)}")
        return super().parse_known_args(args, namespace)


def add_file(parser: argparse.ArgumentParser) -> None:
    """The positional FILE."""
    parser.add_argument("file", metavar="FILE", type=Path, help="JSONL (or .jsonl.gz) or Parquet, a completion a row")


def add_stack(parser: argparse.ArgumentParser) -> None:
    """``--stack`` and ``--allow``."""
    parser.add_argument(
        "--stack",
        required=True,
        metavar="STACK",
        help="a spec file (.json, .toml), a ready reward or preset (see `list`), or module:name",
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="module:name", help="what a spec may import; repeatable"
    )


def add_columns(parser: argparse.ArgumentParser) -> None:
    """The columns of the file; all others go to the rewards under their own names."""
    group = parser.add_argument_group("columns")
    looked_for = ", ".join(COMPLETION_COLUMNS)
    group.add_argument("--completion-column", metavar="NAME", help=f"default: the first of {looked_for}")
    group.add_argument("--prompt-column", metavar="NAME", help="default: prompt, if there is one")
    group.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="rename a column first; repeatable"
    )
    group.add_argument(
        "--num-generations", type=positive, metavar="N", help="completions per prompt, for rewards that compare them"
    )
    group.add_argument("--step", type=whole, metavar="N", help="the training step, for scheduled weights")


def add_data(parser: argparse.ArgumentParser) -> None:
    """A data set with references, and how to read it."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a data set: JSONL, JSON or Parquet")
    parser.add_argument("--answer-key", metavar="NAME", help="the column of the references (default: the stack's)")
    parser.add_argument("--prompt-key", metavar="NAME", help="the column of the prompts (default: prompt, question, …)")
    parser.add_argument("--template", metavar="TEXT", help="the form of a completion, with {answer} in it")
    parser.add_argument("--seed", type=whole, default=0, metavar="N", help="of the sample (default: 0)")
    parser.add_argument("--step", type=whole, default=0, metavar="N", help="the training step, for scheduled weights")


def add_rollouts(parser: argparse.ArgumentParser) -> None:
    """A recording, and how to read it."""
    text = "a run's folder, TRL's output folder, or JSONL, JSON, Parquet with prompt and completion"
    parser.add_argument("rollouts", metavar="ROLLOUTS", type=Path, help=text)
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="write a line of JSON per row")
    group = parser.add_argument_group("the recording")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--num-generations", type=positive, metavar="N", help="completions per prompt")
    either.add_argument("--group-by", metavar="NAME", help="a column that tells the groups apart")
    group.add_argument("--dataset", metavar="FILE", help="where the prompts came from, for columns not recorded")
    group.add_argument("--split", default="train", metavar="NAME", help="rows of a run's log (default: train)")
    group.add_argument("--steps-per-rollout", type=positive, metavar="N", help="steps that one batch served")
    group.add_argument(
        "--scale-rewards", choices=("group", "batch", "none"), default="group", help="what divides (default: group)"
    )


def read_recording(args: argparse.Namespace) -> Rollouts:
    """The rollouts that were named; rows that cannot be used are told on stderr."""
    from rewardkit.replay import read_rollouts

    require_path(args.rollouts)
    with plain_errors():
        rollouts = read_rollouts(
            args.rollouts,
            num_generations=args.num_generations,
            group_by=args.group_by,
            dataset=args.dataset,
            split=args.split,
            steps_per_rollout=args.steps_per_rollout,
        )
    for row in rollouts.rejected[:NAMED]:
        print(f"rejected {row.source}, line {row.line}: {row.reason}", file=sys.stderr)
    if len(rollouts.rejected) > NAMED:
        print(f"and {len(rollouts.rejected) - NAMED:,} more rows", file=sys.stderr)
    return rollouts


@contextmanager
def recording_errors(args: argparse.Namespace) -> Iterator[None]:
    """As `plain_errors`; where a column was not recorded the remedy is the data set that the prompts came from.

    Raises:
        UsageError: in place of a ValueError, a TypeError or a missing library.
    """
    try:
        with plain_errors():
            yield
    except UsageError as error:
        lacking, separator, _ = str(error).partition(" the call has ")
        lacks = "no ground truth" in lacking or lacking.endswith("is missing;")
        if not (isinstance(error.__cause__, ColumnError) and separator and lacks):
            raise
        where = "the recording does not have it: name the data set that the prompts came from with --dataset FILE"
        if args.dataset is not None:
            where = f"neither the recording nor {args.dataset} has it"
        raise UsageError(f"{lacking.rstrip(',;')}; {where}") from error


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A line of JSON per row."""
    path.write_bytes(b"".join(map(as_line, rows)))


def require_path(path: Path) -> None:
    """Refuse what is not there.

    Raises:
        UsageError: there is no such file or folder; it names the one that was meant.
    """
    if not path.exists():
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UsageError(f"there is no file {str(path)!r}{nearest(path.name, beside) if beside else ''}")


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def stack_of(args: argparse.Namespace) -> Reward:
    """The stack that was named."""
    return load_stack(args.stack, allow=args.allow)


def open_rows(path: Path) -> JsonlFile | ParquetFile:
    """The file as rows, by its name.

    Raises:
        UsageError: there is no such file, or it has another format.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file")
    require_path(path)
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        return ParquetFile(path)
    if name.removesuffix(".gz").endswith((".jsonl", ".ndjson", ".json")):
        return JsonlFile(path)
    raise UsageError(f"{path} is neither JSONL nor Parquet; the name must end in .jsonl, .jsonl.gz or .parquet")


def columns_of(args: argparse.Namespace, record: dict[str, Any] | None) -> Columns:
    """The columns of a file by its first row; without a row nothing is known."""
    renames = read_renames(args.rename)
    if record is None:
        return Columns(completion=args.completion_column, prompt=args.prompt_column, rename=renames)
    return find_columns(record, completion=args.completion_column, prompt=args.prompt_column, rename=renames)


def group_size(stack: Reward, given: int | None) -> int | None:
    """Completions per prompt: what the user says, else what the stack is set to.

    Raises:
        UsageError: they are not the same.
    """
    sizes = {size for size in _sizes(stack) if size is not None} | ({given} if given is not None else set())
    if len(sizes) > 1:
        named = " and ".join(map(str, sorted(sizes)))
        raise UsageError(f"--num-generations: groups of {named} are asked for, by the argument or in the stack")
    return sizes.pop() if sizes else None


def _sizes(reward: Reward) -> Sequence[int | None]:
    size = getattr(reward, "num_generations", None)
    return [size if isinstance(size, int) else None, *(s for child in reward.children for s in _sizes(child))]


def positive(text: str) -> int:
    """An argument of at least 1."""
    return _integer(text, 1)


def whole(text: str) -> int:
    """An argument of at least 0."""
    return _integer(text, 0)


def _integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"expected an integer of at least {least}, got {text!r}")
    return value
