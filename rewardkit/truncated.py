r"""A penalty for a completion that the length limit cut off.

>>> from rewardkit.truncated import truncated
>>> truncated(["It is 2.", "It is the sum of"], finish_reason=["stop", "length"])
[0.0, -1.0]
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit.contract import Batch, ColumnError, Outcome, Reward
from rewardkit.length import token_ids

COLUMNS = ("truncated", "finish_reason")
"""Columns that may say it, in the order in which they are looked for."""

CUT_OFF = frozenset({"length", "max_tokens", "max_length", "model_context_window_exceeded"})
"""Finish reasons of a completion that met a limit, as vLLM, SGLang, TGI, OpenAI, Anthropic and Gemini say it."""

ENDED = frozenset(
    "stop eos eos_token stop_sequence end_turn tool_calls tool_use function_call malformed_function_call"
    " unexpected_tool_call".split()
)
"""Finish reasons of a completion that ended by itself, be it in a faulty call of a tool."""

INTERRUPTED = frozenset(
    "abort error content_filter refusal pause_turn safety image_safety recitation language blocklist"
    " prohibited_content spii model_armor other".split()
)
"""Finish reasons that are the server's doing, such as its filters: such a row is not scored."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Truncated(Reward):
    r"""`penalty` where the completion did not end by itself, else 0.0.

    Three things can tell, and the settings choose which does:

    - a column (neither `max_length` nor `eos_token_ids` given): `column`, else the first present of
      ``truncated`` and ``finish_reason``. A cell is a bool, true for cut off, or a finish reason, in capital or
      small letters, alone or as the ``type`` of a mapping (SGLang): those in `CUT_OFF` ("length", "max_tokens",
      ...) are cut off, those in `ENDED` are not; those in `INTERRUPTED` ("abort", "content_filter", ...) say
      nothing about the model, and such a row is not scored, nor is one with ``None``;
    - `max_length`: cut off = the row of ``completion_ids`` has max_length tokens or more and, where
      `eos_token_ids` is given, does not end in one of them. Without `eos_token_ids` a completion whose end
      token is the very last one allowed counts as cut off;
    - `eos_token_ids` alone: cut off = the row of ``completion_ids`` does not end in one of them. The
      trainer must keep the end token; a completion ended by a stop string counts as cut off.

    Source: the "stop properly" penalty of ProRL v2 as OpenRLHF has it for a negative coefficient, but added
    to the reward where that one replaces it. DAPO (arXiv 2503.14476) leaves such completions out of the
    loss, or slopes the penalty: `soft_overlong`.

    Range {penalty, 0.0}; the empty completion earns 0.0 where it ended by itself. How a model might cheat
    it: by ending at once, as an end without an answer is an end too. Add it to a reward for being right.

    Attributes:
        penalty: what a completion that was cut off earns, at most 0.
        max_length: the most tokens that the trainer lets the model generate, at least 1.
        eos_token_ids: the ids of all end tokens; chat models often have two.
        column: the column that says it, in place of the two columns above.

    Raises:
        ValueError, TypeError: a penalty above 0 or not finite, a max_length that is no positive integer, ids
            that are none, a column together with one of the other two.
        ColumnError: nothing in the call can tell, or a cell is neither a bool nor a known reason.

    Example:
        >>> from rewardkit.truncated import Truncated, truncated
        >>> truncated(["2", "The sum", "The"], truncated=[False, True, None])
        [0.0, -1.0, None]
        >>> ends = Truncated(penalty=-0.5, max_length=4, eos_token_ids=[2])
        >>> ends(["a", "b", "c"], completion_ids=[[7, 2], [7, 7, 7, 7], [7, 7, 7, 2]])
        [0.0, -0.5, 0.0]
    """

    penalty: float = -1.0
    max_length: int | None = None
    eos_token_ids: Sequence[int] = ()
    column: str | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.penalty) and self.penalty <= 0):
            raise ValueError(f"penalty must be 0 or negative, got {self.penalty}; it is added, not subtracted")
        if self.max_length is not None:
            if not _is_count(self.max_length) or self.max_length < 1:
                raise ValueError(f"max_length must be an integer of at least 1, got {self.max_length!r}")
            object.__setattr__(self, "max_length", int(self.max_length))
        if isinstance(self.eos_token_ids, (str, bytes)) or not hasattr(self.eos_token_ids, "__len__"):
            raise TypeError(f"eos_token_ids must be a sequence of token ids, got {self.eos_token_ids!r}; use a list")
        for token in self.eos_token_ids:
            if not _is_count(token):
                raise ValueError(f"eos_token_ids holds {token!r}, which is no token id; give integers from 0")
        object.__setattr__(self, "eos_token_ids", tuple(int(token) for token in self.eos_token_ids))
        if self.column is not None and (self.max_length is not None or self.eos_token_ids):
            raise ValueError(
                f"column={self.column!r} and max_length or eos_token_ids exclude each other; say which one decides"
            )

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The penalty, with what told it as detail."""
        if self.max_length is not None or self.eos_token_ids:
            return [self._by_ids(ids) for ids in _ids(batch)]
        name = self.column or next((c for c in COLUMNS if batch.columns.get(c) is not None), None)
        if name is None:
            raise ColumnError(
                f"nothing tells which completions were cut off: no column {' or '.join(map(repr, COLUMNS))}; name "
                "one with column=, or give max_length= or eos_token_ids= to judge by 'completion_ids'"
            )
        return [self._by_cell(value, name, batch.row(index)) for index, value in enumerate(batch.column(name))]

    def _by_ids(self, ids: Sequence[int]) -> Outcome:
        cut = self.max_length is None or len(ids) >= self.max_length
        detail = f"{len(ids)} tokens" if self.max_length is None else f"{len(ids)} of {self.max_length} tokens"
        if self.eos_token_ids:
            ended = len(ids) > 0 and ids[-1] in self.eos_token_ids
            cut = cut and not ended
            detail += ", the last one an end token" if ended else ", no end token"
        return self._outcome(cut, detail)

    def _by_cell(self, value: Any, name: str, row: int) -> Outcome:
        if getattr(value, "ndim", None) == 0:  # a scalar of numpy or torch
            value = value.item()
        said = value.get("type") if isinstance(value, Mapping) else value
        reason = said.lower() if isinstance(said, str) else ""
        if value is None or reason in INTERRUPTED:
            return Outcome(None, "not_scored", f"{name} is {value!r}")
        if isinstance(value, bool) or reason in CUT_OFF | ENDED:
            return self._outcome(value is True or reason in CUT_OFF, f"{name} is {value!r}")
        raise ColumnError(
            f"column {name!r}, row {row} is {value!r}; expected true (cut off), false, None, or one of "
            f"{', '.join(sorted(CUT_OFF | ENDED | INTERRUPTED))}"
        )

    def _outcome(self, cut: bool, detail: str) -> Outcome:
        return Outcome(float(self.penalty) if cut else 0.0, "scored", detail)


def _ids(batch: Batch) -> list[Sequence[int]]:
    if batch.columns.get("completion_ids") is None:
        raise ColumnError(
            "max_length and eos_token_ids are judged by the column 'completion_ids', which the call does not "
            "have; pass the token ids of the completions, or name a column that says it with column="
        )
    return token_ids(batch)


def _is_count(value: object) -> bool:
    """Whether it is an integer from 0, of Python or numpy."""
    return not isinstance(value, bool) and isinstance(value, numbers.Integral) and int(value) >= 0


truncated = Truncated()
