"""Prompts: read and checked once, tokenised once, drawn in groups in an order that a step number determines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from grpo_engine.seeds import derived_seed

PROMPT = "prompt"
RESERVED = (
    *("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric"),
    *("truncated", "num_generations"),
)
"""What a reward function is called with; a column of the same name would be overwritten."""


class PromptData:
    """A data set of prompts with the tokenizer that reads them.

    Args:
        dataset: rows by index (a `datasets.Dataset`, or a list of dictionaries). Each has a `prompt`: a string,
            or a list of messages; every other column goes to the reward functions.
        tokenizer: the policy's tokenizer.
        chat_template_kwargs: handed to the chat template of conversational prompts.
        max_prompt_length: prompts of more tokens are left out (never cut); see `left_out`.

    Raises:
        ValueError: no rows, no prompt column, a reserved column, a prompt of the wrong kind; it names the row.
    """

    def __init__(
        self,
        dataset: Any,
        tokenizer: Any,
        *,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        max_prompt_length: int | None = None,
    ) -> None:
        self.columns = check_dataset(dataset)
        self._rows = dataset
        self._tokenizer = tokenizer
        self._template_kwargs = dict(chat_template_kwargs or {})
        self._ids: dict[int, list[int]] = {}
        self._kept = self._within(max_prompt_length)
        self.left_out = len(dataset) - len(self._kept)

    def _within(self, max_prompt_length: int | None) -> Sequence[int]:
        everything = range(len(self._rows))
        if max_prompt_length is None:
            return everything
        kept = [i for i in everything if len(self._encode(i, self._rows[i])) <= max_prompt_length]
        if not kept:
            raise ValueError(f"every prompt is longer than max_prompt_length = {max_prompt_length} tokens; raise it")
        return kept

    def __len__(self) -> int:
        return len(self._kept)

    def lengths(self, most: int = 512) -> list[int]:
        """Tokens of the prompts, or of `most` of them spread over the data set."""
        step = max(1, len(self) // most)
        return [len(self.ids(i)) for i in range(0, len(self), step)]

    def row(self, index: int) -> dict[str, Any]:
        """The row as it is in the data set."""
        row: dict[str, Any] = self._rows[self._kept[index]]
        return row

    def ids(self, index: int) -> list[int]:
        """The tokens of the prompt, chat template applied."""
        return self._encode(self._kept[index], self.row(index))

    def _encode(self, key: int, row: Mapping[str, Any]) -> list[int]:
        if key not in self._ids:
            self._ids[key] = self._tokenise(row.get(PROMPT), key)
        return self._ids[key]

    def _tokenise(self, prompt: Any, key: int) -> list[int]:
        if isinstance(prompt, str) and prompt:
            ids: list[int] = self._tokenizer(prompt)["input_ids"]
            return ids
        if is_conversational(prompt):
            prefilled = prompt[-1].get("role") == "assistant"
            encoded = self._tokenizer.apply_chat_template(
                prompt,
                tokenize=True,
                return_dict=True,
                add_generation_prompt=not prefilled,
                continue_final_message=prefilled,
                **self._template_kwargs,
            )
            return list(encoded["input_ids"])
        raise ValueError(
            f"the prompt in row {key} must be text or a list of messages, got {str(prompt)[:80]!r} "
            f"({type(prompt).__name__})"
        )


def check_dataset(dataset: Any) -> list[str]:
    """The columns of a data set, checked without a tokenizer.

    Raises:
        ValueError: no rows, rows without an index, no prompt column, a column with the name of an argument.
    """
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise ValueError(
            f"a data set needs rows by index, got {type(dataset).__name__}; "
            "turn a stream into a list or a datasets.Dataset first"
        )
    if len(dataset) == 0:
        raise ValueError("the data set is empty; there is nothing to train on")
    columns = _columns(dataset)
    _check_columns(columns)
    return columns


def is_conversational(prompt: Any) -> bool:
    """Whether a prompt is a list of messages."""
    return isinstance(prompt, (list, tuple)) and bool(prompt) and all(isinstance(m, Mapping) for m in prompt)


def _columns(dataset: Any) -> list[str]:
    names = getattr(dataset, "column_names", None)
    if names is not None:
        return list(names)
    first = dataset[0]
    if not isinstance(first, Mapping):
        raise ValueError(f"a row must be a dictionary, got {type(first).__name__}")
    for index in range(len(dataset)):
        if set(dataset[index]) != set(first):
            raise ValueError(
                f"row {index} has the columns {sorted(dataset[index])}, row 0 has {sorted(first)}; "
                "every row needs the same"
            )
    return list(first)


def _check_columns(columns: Sequence[str]) -> None:
    if PROMPT not in columns:
        raise ValueError(f"the data set has no column 'prompt'; it has {', '.join(sorted(columns))}")
    taken = sorted(set(columns) & set(RESERVED))
    if taken:
        raise ValueError(f"the column {taken[0]!r} has the name of an argument of reward functions; rename the column")


class GroupSampler:
    """Which prompts the n-th rollout uses: one endless row of shuffled epochs, cut into pieces.

    It has no state, so a resumed run needs no cursor but the number of the rollout.

    Args:
        rows: prompts in the data set.
        prompts: prompts per rollout.
        seed: of the shuffles, a different one in each epoch.
        shuffle: in the order of the data set if False.
    """

    def __init__(self, rows: int, prompts: int, *, seed: int, shuffle: bool = True) -> None:
        self._rows, self._prompts, self._seed, self._shuffle = rows, prompts, seed, shuffle
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def indices(self, rollout: int) -> list[int]:
        """The prompts of rollout number `rollout`, counted from 0."""
        start = rollout * self._prompts
        return [self._at(position) for position in range(start, start + self._prompts)]

    def _at(self, position: int) -> int:
        epoch, offset = divmod(position, self._rows)
        if not self._shuffle:
            return offset
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derived_seed(self._seed, "epoch", epoch))
            self._epoch, self._order = epoch, torch.randperm(self._rows, generator=generator)
        return int(self._order[offset])


def repeated_columns(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], times: int) -> dict[str, list[Any]]:
    """Every column but the prompt, each row's value `times` times in a row: one per completion."""
    return {c: [row[c] for row in rows for _ in range(times)] for c in columns if c != PROMPT}
