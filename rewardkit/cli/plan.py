"""A scoring run before it begins: the arguments, checked against the file and the stack."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rewardkit.cli.chunks import RUN_LIMIT, Cutting
from rewardkit.cli.errors import UsageError
from rewardkit.cli.jsonl import JsonlFile
from rewardkit.cli.lanes import cores
from rewardkit.cli.lines import OWN_NAMES, Job
from rewardkit.cli.options import columns_of, group_size, open_rows, stack_of
from rewardkit.cli.output import Files, Output, Run, State, identity, read_state
from rewardkit.cli.parquet import ParquetFile
from rewardkit.cli.scoring import Scoring
from rewardkit.cli.to_parquet import require_pyarrow
from rewardkit.contract import Reward
from rewardkit.spec import SpecError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is scored, how, and where to.

    Attributes:
        source: the rows.
        files: what is written.
        job: what is done with a chunk of rows.
        cutting: how the rows are cut into chunks.
        workers: processes that score; 1 is this one.
        keep_going: whether a chunk that the stack refuses whole is kept aside like any bad row.
    """

    source: JsonlFile | ParquetFile
    files: Files
    job: Job
    cutting: Cutting
    workers: int
    keep_going: bool

    @classmethod
    def of(cls, args: argparse.Namespace) -> Plan:
        """The run that the arguments ask for.

        Raises:
            UsageError: they do not fit each other, the file or the stack.
        """
        source, stack = open_rows(args.file), stack_of(args)
        files = Files(args.output or default_output(args.file))
        if files.output.suffix not in (".jsonl", ".parquet"):
            raise UsageError(f"--output: {files.output} must end in .jsonl or .parquet")
        if files.scores != files.output:
            require_pyarrow()
        if files.output.resolve() == args.file.resolve():
            raise UsageError(f"--output: {files.output} is the file that is read")
        record = source.first_record()
        columns = columns_of(args, record)
        if args.copy_columns and record is not None:
            _refuse_own_names(list(columns.renamed(record)))
        size = group_size(stack, args.num_generations)
        scoring = Scoring(stack=stack, columns=columns, num_generations=size, step=args.step)
        return cls(
            source=source,
            files=files,
            job=Job(scoring=scoring, breakdown=args.breakdown, copy_columns=args.copy_columns),
            cutting=Cutting(
                batch_size=args.batch_size,
                num_generations=size,
                prompt=columns.prompt_in_file,
                longest=RUN_LIMIT * args.batch_size,
            ),
            workers=args.workers or cores(),
            keep_going=args.keep_going,
        )

    @property
    def run(self) -> Run:
        """What must be the same for a run to go on."""
        scoring, columns = self.job.scoring, self.job.scoring.columns
        settings = {
            "batch_size": self.cutting.batch_size,
            "num_generations": scoring.num_generations,
            "step": scoring.step,
            "breakdown": self.job.breakdown,
            "copy_columns": self.job.copy_columns,
            "completion_column": columns.completion,
            "prompt_column": columns.prompt,
            "rename": dict(columns.rename),
        }
        stack = {"fingerprint": _fingerprint(scoring.stack), "name": scoring.stack.__name__, "parts": [*self.job.paths]}
        return Run(input=identity(self.source.path), stack=stack, settings=settings)

    def open(self, *, resume: bool, overwrite: bool) -> Output:
        """The files of the run, at the place where it begins.

        Raises:
            UsageError: they exist and nothing was said of them, or they are of another run.
        """
        run = self.run
        existing = self.files.state.exists() or self.files.output.exists()
        if existing and not (resume or overwrite):
            raise UsageError(f"{self.files.output} exists; --resume goes on with it, --overwrite starts afresh")
        state = read_state(self.files, run) if resume and existing else State()
        if not (resume and existing):
            self.files.clear()
        self.files.output.parent.mkdir(parents=True, exist_ok=True)
        return Output(self.files, run, state)


def default_output(path: Path) -> Path:
    """Beside the input.

    Example:
        >>> default_output(Path("runs/rollouts.jsonl.gz")).as_posix()
        'runs/rollouts.scores.jsonl'
    """
    name = path.name.removesuffix(".gz")
    return path.with_name(f"{Path(name).stem}.scores.jsonl")


def _refuse_own_names(names: list[str]) -> None:
    clash = next((name for name in OWN_NAMES if name in names), None)
    if clash is not None:
        raise UsageError(
            f"--copy-columns: the file has a column {clash!r}, the name of one that is written; rename it with "
            f"--rename {clash}=NAME"
        )


def _fingerprint(stack: Reward) -> str | None:
    try:
        return stack.fingerprint
    except SpecError:  # it holds what has no digest; then it cannot be resumed
        return None
