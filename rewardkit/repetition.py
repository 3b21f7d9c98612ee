r"""A penalty for saying the same again: the share of n-grams that are not new.

>>> from rewardkit import RepetitionPenalty
>>> RepetitionPenalty(ngram_size=1)(["one two three four", "no no no no"])
[0.0, -0.75]
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.length import token_ids


@dataclass(frozen=True, kw_only=True, repr=False)
class RepetitionPenalty(Reward):
    r"""The share of repeated n-grams times `max_penalty`.

    value = (1 - unique / total) * max_penalty over the n-grams of the completion; 0.0 where it is shorter
    than n. Source: Yeo et al., Demystifying Long Chain-of-Thought Reasoning, appendix C.2
    (arXiv 2502.03373), in the form used by open-r1 (words) and TRL (tokens).

    Range (max_penalty, 0.0], or exactly 0.0 for max_penalty=0; the empty completion earns 0.0. How a model
    might cheat it: by changing one word of n between the copies, or by short completions.

    Attributes:
        ngram_size: words or tokens in an n-gram, at least 1.
        max_penalty: the limit of the penalty, at most 0.
        unit: "words", lower-cased and separated by white space, or "tokens", from the column
            ``completion_ids``. Choose tokens for languages that are written without spaces.

    Raises:
        ValueError: an argument out of its range.
        ColumnError: unit="tokens" and the call has no ``completion_ids``.

    Example:
        >>> from rewardkit import repetition_penalty
        >>> repetition_penalty(["so it is so it is so it", "every word of this is new", ""])
        [-0.5, 0.0, 0.0]
    """

    ngram_size: int = 3
    max_penalty: float = -1.0
    unit: Literal["words", "tokens"] = "words"

    def __post_init__(self) -> None:
        if not isinstance(self.ngram_size, int) or self.ngram_size < 1:
            raise ValueError(f"ngram_size must be an integer of at least 1, got {self.ngram_size!r}")
        if not (math.isfinite(self.max_penalty) and self.max_penalty <= 0):
            raise ValueError(f"max_penalty must be 0 or negative, got {self.max_penalty}; it is added, not subtracted")
        if self.unit not in ("words", "tokens"):
            raise ValueError(f'unit={self.unit!r} is unknown; use "words" or "tokens"')

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The penalty, with the two counts as detail."""
        if self.unit == "tokens":
            return [self._penalty(ids) for ids in token_ids(batch)]
        return [self._penalty(text.lower().split()) for text in batch.texts]

    def _penalty(self, items: Sequence[Hashable]) -> Outcome:
        total = len(items) - self.ngram_size + 1
        if total < 1:
            return Outcome(0.0, "scored", f"fewer than {self.ngram_size} {self.unit}")
        unique = len(set(zip(*(islice(items, i, None) for i in range(self.ngram_size)), strict=False)))
        detail = f"{unique} of {total} {self.ngram_size}-grams are unique"
        value = (1 - unique / total) * self.max_penalty
        return Outcome(value or 0.0, "scored", detail)  # `or`: a product of zero may carry a minus sign


repetition_penalty = RepetitionPenalty()
