"""Scores made-up completions of rows of a data set as a trainer would; what raises is told row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from rewardkit.contract import Batch, ColumnError, Outcome, Reward
from rewardkit.table import Columns

Scored: TypeAlias = "Outcome | Exception"

RESERVED = frozenset(
    "prompt prompts completion completions completion_ids num_generations global_step trainer_state log_metric "
    "log_extra truncated finish_reason".split()
)
"""Columns of a data set that a call does not take over: they are the trainer's."""

CHUNK_ROWS, CHUNK_CHARACTERS = 4_096, 8_000_000
"""What one call holds at most."""

_TOKEN = re.compile(r"\w{1,4}|[^\w\s]|\s{4}")


class Trial(NamedTuple):
    """A completion of a row; `cut` where it met the length limit."""

    row: int
    text: str
    cut: bool = False


@dataclass(frozen=True)
class Scorer:
    """A stack, the data set, and what a trainer adds to a call.

    Attributes:
        reward: the stack.
        columns: the data set.
        prompt_key: the column with the prompts; ``None`` where there is none.
        step: what scheduled weights read.
        end_tokens: ids that end a completion that was not cut.
        group: completions per prompt, for members that compare them; 1 where there are none.
    """

    reward: Reward
    columns: Columns
    prompt_key: str | None
    step: int = 0
    end_tokens: tuple[int, ...] = ()
    group: int = 1

    def score(self, trials: Sequence[Trial]) -> list[Scored]:
        """The outcome of each trial, or what it raised; whole groups where members compare them."""
        return [outcome for chunk in self._chunks(trials) for outcome in self._outcomes(self._batch(chunk))]

    def _chunks(self, trials: Sequence[Trial]) -> Iterator[Sequence[Trial]]:
        start = characters = 0
        for at in range(0, len(trials), self.group):
            size = sum(len(trial.text) for trial in trials[at : at + self.group])
            if at > start and (at + self.group - start > CHUNK_ROWS or characters + size > CHUNK_CHARACTERS):
                yield trials[start:at]
                start, characters = at, 0
            characters += size
        if trials:
            yield trials[start:]

    def _batch(self, trials: Sequence[Trial]) -> Batch:
        columns: dict[str, Any] = {
            name: [values[trial.row] for trial in trials]
            for name, values in self.columns.items()
            if name not in RESERVED
        }
        prompts = [None if self.prompt_key is None else self.columns[self.prompt_key][t.row] for t in trials]
        columns["prompts"] = None if self.prompt_key is None else prompts
        columns["completion_ids"] = self._token_ids(trials)
        columns["finish_reason"] = ["length" if trial.cut else "stop" for trial in trials]
        columns["global_step"] = self.step
        columns["num_generations"] = self.group
        completions = [_like(prompt, trial.text) for prompt, trial in zip(prompts, trials, strict=True)]
        return Batch.of(completions, columns)

    def _token_ids(self, trials: Sequence[Trial]) -> list[list[int]]:
        """Ids that stand for tokens: one per four letters or sign, the same for the same piece."""
        known: dict[str, int] = {}
        ends, first = list(self.end_tokens[:1]), max(self.end_tokens, default=2) + 1
        rows = [[first + known.setdefault(piece, len(known)) for piece in _TOKEN.findall(t.text)] for t in trials]
        return [ids if trial.cut else ids + ends for ids, trial in zip(rows, trials, strict=True)]

    def _outcomes(self, batch: Batch) -> list[Scored]:
        """Those of the whole batch; where it raises those of its halves, down to what raised."""
        try:
            return list(self.reward.score(batch))
        except Exception as error:  # told to the caller, with its row
            if self.reward.asynchronous and not isinstance(error, ColumnError):
                raise  # a server that is down would be asked again for every row
            if len(batch) <= self.group:
                return [error] * len(batch)
        middle = len(batch) // self.group // 2 * self.group
        halves = (range(middle), range(middle, len(batch)))
        return [outcome for rows in halves for outcome in self._outcomes(batch.select(rows))]


def _like(prompt: Any, text: str) -> Any:
    """The completion as messages where the prompt is messages."""
    is_chat = isinstance(prompt, (list, tuple)) and all(isinstance(message, Mapping) for message in prompt)
    return [{"role": "assistant", "content": text}] if is_chat else text
