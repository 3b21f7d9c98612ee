"""What the fields of a recorded row mean, by the program that wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rewardkit.batch import completion_text, short
from rewardkit.replay.records import TRL_FILE, Record, Rejected

PROMPTS = ("prompt", "prompts")
COMPLETIONS = ("completion", "completions")
STEPS = ("step", "global_step")
"""Fields that hold the prompt, the completion and the training step, in the order in which they are looked for."""

TRAIN = "train"
_RUN_LOG_FIELDS = {"split", "prompt", "completion", "reward", "rewards", "extra"}


class Layout(NamedTuple):
    """How to read rows.

    Attributes:
        split: of a run log, which rows count.
        steps_per_rollout: optimizer steps that one batch of rollouts serves.
    """

    split: str = TRAIN
    steps_per_rollout: int = 1


class Rollout(NamedTuple):
    """One row, understood.

    Attributes:
        prompt: as recorded; ``None`` where there is none.
        completion: text or messages.
        step: the step it is filed under; 0 where none is recorded.
        scored_at: the optimizer steps that were done when the trainer scored it.
        columns: everything else.
        source: the file it came from.
        line: its place in it, from 1.
    """

    prompt: Any
    completion: Any
    step: int
    scored_at: int
    columns: dict[str, Any]
    source: str
    line: int


def read_rollout(record: Record, layout: Layout) -> Rollout | Rejected | str:
    """The row as a rollout; the name of its split where that is not the wanted one."""
    row = record.row
    if row.keys() >= _RUN_LOG_FIELDS and isinstance(row["rewards"], Mapping):
        if row["split"] != layout.split:
            return str(row["split"])
        columns = _run_log_columns(row)
        trained = row["split"] == TRAIN
    else:
        columns = {name: value for name, value in row.items() if name not in (*PROMPTS, *COMPLETIONS, *STEPS)}
        trained = TRL_FILE.fullmatch(record.source) is not None
    problem = _problem(row)
    if problem:
        return Rejected(record.source, record.line, problem, dict(row))
    step = int(_first(row, STEPS) or 0)
    done = scored_at(step, layout.steps_per_rollout) if trained else step
    columns = _components_apart(columns)
    return Rollout(_first(row, PROMPTS), _first(row, COMPLETIONS), step, done, columns, record.source, record.line)


def scored_at(step: int, steps_per_rollout: int) -> int:
    """The steps done when a trainer scored what it filed under `step`: it counts the step before it writes.

    Example:
        >>> [scored_at(step, 1) for step in (0, 1, 2)]
        [0, 0, 1]
        >>> [scored_at(step, 4) for step in (1, 4, 5)]
        [0, 0, 4]
    """
    return max(step - 1, 0) // steps_per_rollout * steps_per_rollout


def _run_log_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """What grpo_engine nests, flat: ``rewards/{name}``, and the extra columns under their own names."""
    own = {name: row[name] for name in row if name not in _RUN_LOG_FIELDS and name not in STEPS}
    rewards = {f"rewards/{name}": value for name, value in row["rewards"].items()}
    extra = row["extra"] if isinstance(row["extra"], Mapping) else {}
    return {**extra, **own, **rewards, "reward": row["reward"]}


def _components_apart(columns: dict[str, Any]) -> dict[str, Any]:
    """What a stack of ours logged of its component X (X and X/status) as ``rewards/X``.

    Its name may be a column's that a reward reads: ``truncated`` is both.
    """
    logged = {name for name in columns if f"{name}/status" in columns}
    if not logged:
        return columns
    logged |= {f"{name}/status" for name in logged}
    return {f"rewards/{name}" if name in logged else name: value for name, value in columns.items()}


def _problem(row: Mapping[str, Any]) -> str | None:
    """Why the row cannot be used."""
    completion = _first(row, COMPLETIONS)
    if completion is None:
        return f"no completion: the row has {', '.join(map(str, row)) or 'no fields'}"
    try:
        completion_text(completion)
    except TypeError as error:
        return str(error)
    step = _first(row, STEPS)
    if step is None or (isinstance(step, (int, float)) and not isinstance(step, bool) and step == step // 1 >= 0):
        return None
    return f"the step must be an integer of at least 0, got {short(step)}"


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)
