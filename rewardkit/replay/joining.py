"""Columns of a data set for rollouts that were sampled from it: found again by the prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rewardkit.batch import ColumnError, short
from rewardkit.replay.layouts import COMPLETIONS, PROMPTS
from rewardkit.table import read_table

if TYPE_CHECKING:
    from rewardkit.replay.rollouts import Rollouts


def columns_by_prompt(rollouts: Rollouts, dataset: Any) -> tuple[list[Any], list[Any], dict[str, list[Any]]]:
    """Prompts and completions as the trainer had them, and the data set's columns, one value per completion.

    A run's log holds the last message of a conversation, and the completion as text; both become messages again.

    Raises:
        ColumnError: no prompts on one of the sides, a prompt that the data set does not have, or has with
            different columns.
    """
    table = read_table(dataset)
    name = next((name for name in PROMPTS if name in table), None)
    if name is None or rollouts.prompts is None:
        side = "data set has no column 'prompt'" if name is None else "rollouts have no prompts"
        raise ColumnError(f"the {side}, by which the rows would be found; put the columns into the rollouts instead")
    index = _index(table[name])
    wanted = [c for c in table if c not in (*PROMPTS, *COMPLETIONS) and c not in rollouts.columns]
    found: dict[str, int] = {}
    rows = [_row(_key(prompt), index, found, table, wanted) for prompt in rollouts.prompts]
    prompts = [table[name][row] for row in rows]
    completions = [_shaped(c, p) for c, p in zip(rollouts.completions, prompts, strict=True)]
    return prompts, completions, {c: [table[c][row] for row in rows] for c in wanted}


def _index(prompts: Sequence[Any]) -> dict[str, list[int]]:
    """Rows by what a log may hold of their prompt: all of it, or the content of the last message."""
    index: dict[str, list[int]] = {}
    for row, prompt in enumerate(prompts):
        keys = {_key(prompt)}
        if _is_messages(prompt):
            content = prompt[-1].get("content")
            keys.add(_key(content if isinstance(content, str) else str(content)))
        for key in keys:
            index.setdefault(key, []).append(row)
    return index


def _row(
    key: str, index: Mapping[str, list[int]], found: dict[str, int], table: Mapping[str, list[Any]], wanted: list[str]
) -> int:
    """The row of the data set; each prompt is looked at once."""
    if key not in found:
        rows = index.get(key)
        if not rows:
            raise ColumnError(f"the data set does not have the prompt {short(json.loads(key))} of the rollouts")
        differing = [c for c in wanted if any(table[c][row] != table[c][rows[0]] for row in rows)]
        if differing:
            raise ColumnError(
                f"the data set has the prompt {short(json.loads(key))} {len(rows)} times, with differing "
                f"{', '.join(differing)}; which one was sampled cannot be told"
            )
        found[key] = rows[0]
    return found[key]


def _key(prompt: Any) -> str:
    """A prompt as text by which it is found; fields of messages that are empty in one of the two do not count."""
    if _is_messages(prompt):
        prompt = [{k: v for k, v in message.items() if v is not None} for message in prompt]
    return json.dumps(prompt, sort_keys=True, default=str)


def _is_messages(prompt: Any) -> bool:
    return isinstance(prompt, (list, tuple)) and bool(prompt) and all(isinstance(m, Mapping) for m in prompt)


def _shaped(completion: Any, prompt: Any) -> Any:
    if isinstance(completion, str) and _is_messages(prompt):
        return [{"role": "assistant", "content": completion}]
    return completion
