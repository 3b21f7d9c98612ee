"""Which column of a file is what: the completions, the prompts, and all others under their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rewardkit.cli.errors import UsageError, nearest

COMPLETION_COLUMNS = ("completion", "completions", "response", "output")
"""Where completions are looked for, in this order."""

PROMPT_COLUMNS = ("prompt", "prompts")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a file, by the part they play.

    Attributes:
        completion: the column of the completions; ``None`` where it is not known (an empty file).
        prompt: the column of the prompts, if there is one.
        rename: new names by old; the two above are new names.
    """

    completion: str | None = None
    prompt: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)

    def renamed(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """The record under the new names.

        Raises:
            ValueError: two columns of one name.
        """
        if not self.rename:
            return dict(record)
        row = {self.rename.get(name, name): value for name, value in record.items()}
        if len(row) != len(record):
            raise ValueError(f"two of its columns are named alike after --rename: {', '.join(sorted(record))}")
        return row

    @property
    def prompt_in_file(self) -> str | None:
        """The prompt column by its name in the file."""
        return next((old for old, new in self.rename.items() if new == self.prompt), self.prompt)

    def call(self, rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], dict[str, Any]]:
        """Completions and columns of a call of the contract; what a row does not have is ``None``."""
        names = dict.fromkeys(name for row in rows for name in row if name not in (self.completion, self.prompt))
        columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
        if self.prompt is not None and any(self.prompt in row for row in rows):
            columns["prompts"] = [row.get(self.prompt) for row in rows]
        return [row[self.completion] for row in rows], columns  # type: ignore[index]


def find_columns(
    record: Mapping[str, Any],
    *,
    completion: str | None = None,
    prompt: str | None = None,
    rename: Mapping[str, str] | None = None,
) -> Columns:
    """The columns of a file whose first row is `record`.

    Args:
        record: a row; its names count.
        completion: the column named by the user; ``None`` looks for one of :data:`COMPLETION_COLUMNS`.
        prompt: the column named by the user; ``None`` takes ``prompt``, where there is one.
        rename: new names by old, applied before anything else.

    Raises:
        UsageError: no such column, or names that collide.

    Example:
        >>> find_columns({"question": "1 + 1?", "response": "2"}, rename={"question": "prompt"})
        Columns(completion='response', prompt='prompt', rename={'question': 'prompt'})
    """
    rename = dict(rename or {})
    unknown = next((old for old in rename if old not in record), None)
    if unknown is not None:
        raise UsageError(f"--rename: the file has no column {unknown!r}{nearest(unknown, record)}")
    try:
        names = list(Columns(rename=rename).renamed(record))
    except ValueError as error:
        raise UsageError(f"--rename: {error}") from error
    found = Columns(completion=_completion(names, completion), prompt=_prompt(names, prompt), rename=rename)
    for name, parts in (("completions", found.completion), ("prompts", found.prompt)):
        if name in names and name != parts:
            raise UsageError(
                f"the column {name!r} has the name under which the {parts or name} column goes to rewards; "
                f"choose it as the {name[:-1]} column, or rename it with --rename {name}=NAME"
            )
    return found


def _completion(names: Sequence[str], chosen: str | None) -> str:
    if chosen is not None:
        if chosen not in names:
            raise UsageError(f"--completion-column: the file has no column {chosen!r}{nearest(chosen, names)}")
        return chosen
    found = next((name for name in COMPLETION_COLUMNS if name in names), None)
    if found is None:
        raise UsageError(
            f"no column of completions: the file has {', '.join(sorted(names)) or 'no columns'}, and none is named "
            f"{', '.join(COMPLETION_COLUMNS)}; name it with --completion-column"
        )
    return found


def _prompt(names: Sequence[str], chosen: str | None) -> str | None:
    if chosen is not None and chosen not in names:
        raise UsageError(f"--prompt-column: the file has no column {chosen!r}{nearest(chosen, names)}")
    return chosen or next((name for name in PROMPT_COLUMNS if name in names), None)


def read_renames(pairs: Sequence[str]) -> dict[str, str]:
    """``old=new`` pairs of the command line.

    Raises:
        UsageError: another form, or a name twice.
    """
    renames: dict[str, str] = {}
    for pair in pairs:
        old, separator, new = pair.partition("=")
        if not (separator and old and new):
            raise UsageError(f"--rename: expected OLD=NEW, got {pair!r}")
        if old in renames or new in renames.values():
            raise UsageError(f"--rename: {pair!r} uses a name that was given before")
        renames[old] = new
    return renames
