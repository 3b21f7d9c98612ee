r"""A reward for varied wording, within a completion or against the other completions of its group.

>>> from rewardkit import NgramDiversity
>>> NgramDiversity(ngram_size=1)(["one two three four", "no no no no"])
[1.0, 0.25]
>>> NgramDiversity(within="group", num_generations=3)(["add both sides", "add both sides", "square the root"])
[0.0, 0.0, 1.0]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.length import token_ids


@dataclass(frozen=True, kw_only=True, repr=False)
class NgramDiversity(Reward):
    r"""The share of n-grams that are new: to the completion itself, or to its group.

    within="completion": value = distinct n-grams / all n-grams of the completion. Source: distinct-n, Li et
    al., A Diversity-Promoting Objective Function for Neural Conversation Models (arXiv 1510.03055).

    within="group": value = distinct n-grams that no other completion of the group has / distinct n-grams of
    the completion. It pays for solving one prompt in several ways; equal completions earn 0.0 each. A group
    of one has nothing to be compared with and is not scored (``None``).

    Range [0.0, 1.0]; the empty completion, and any of fewer than n items, earns 0.0. How a model might cheat
    it: within a completion by brevity (n words are one n-gram, all of it distinct) and within a group by
    gibberish that no other completion will hit upon. Add it with a small weight to a reward for being right.

    Attributes:
        ngram_size: words or tokens in an n-gram, at least 1.
        unit: "words", lower-cased and separated by white space, or "tokens", from the column
            ``completion_ids``. Choose tokens for languages that are written without spaces.
        within: what an n-gram is to be new to, "completion" or "group".
        num_generations: completions in a group, for within="group"; ``None`` goes by the call, as
            ``Batch.groups`` says.

    Raises:
        ValueError: an argument out of its range.
        ColumnError: unit="tokens" and the call has no ``completion_ids``; groups that nothing tells.

    Example:
        >>> from rewardkit import ngram_diversity
        >>> ngram_diversity(["so it is so it is", "every word of this is new", "so"])
        [0.6, 1.0, 0.0]
        >>> ngram_diversity.explain(["so it is so it is"])[0].detail
        '3 of 5 2-grams are distinct'
    """

    ngram_size: int = 2
    unit: Literal["words", "tokens"] = "words"
    within: Literal["completion", "group"] = "completion"
    num_generations: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.ngram_size, int) or self.ngram_size < 1:
            raise ValueError(f"ngram_size must be an integer of at least 1, got {self.ngram_size!r}")
        if self.unit not in ("words", "tokens"):
            raise ValueError(f'unit={self.unit!r} is unknown; use "words" or "tokens"')
        if self.within not in ("completion", "group"):
            raise ValueError(f'within={self.within!r} is unknown; use "completion" or "group"')
        size = self.num_generations
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"num_generations must be an integer of at least 1 or None, got {size!r}")

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share, with the two counts as detail."""
        texts = batch.texts if self.unit == "words" else ()
        rows: list[Sequence[Hashable]] = [text.lower().split() for text in texts]
        if self.unit == "tokens":
            rows = list(token_ids(batch))
        if self.within == "completion":
            return [self._distinct(items) for items in rows]
        found: dict[int, Outcome] = {}
        for group in batch.groups(self.num_generations):
            found.update(zip(group, self._unshared([rows[i] for i in group]), strict=True))
        return [found[row] for row in range(len(batch))]

    def _distinct(self, items: Sequence[Hashable]) -> Outcome:
        total = len(items) - self.ngram_size + 1
        if total < 1:
            return self._too_short()
        distinct = len(self._ngrams(items))
        return Outcome(distinct / total, "scored", f"{distinct} of {total} {self.ngram_size}-grams are distinct")

    def _unshared(self, group: Sequence[Sequence[Hashable]]) -> list[Outcome]:
        """The outcomes of one group: n-grams are counted once per completion."""
        if len(group) == 1:
            return [Outcome(None, "not_scored", "a group of one has nothing to compare with")]
        ngrams = [self._ngrams(items) for items in group]
        holders = Counter(ngram for own in ngrams for ngram in own)
        return [self._own_share(own, holders) for own in ngrams]

    def _own_share(self, own: set[tuple[Hashable, ...]], holders: Counter[tuple[Hashable, ...]]) -> Outcome:
        if not own:
            return self._too_short()
        unshared = sum(holders[ngram] == 1 for ngram in own)
        detail = f"{unshared} of {len(own)} {self.ngram_size}-grams are in no other completion of the group"
        return Outcome(unshared / len(own), "scored", detail)

    def _too_short(self) -> Outcome:
        return Outcome(0.0, "scored", f"fewer than {self.ngram_size} {self.unit}")

    def _ngrams(self, items: Sequence[Hashable]) -> set[tuple[Hashable, ...]]:
        return set(zip(*(islice(items, i, None) for i in range(self.ngram_size)), strict=False))


ngram_diversity = NgramDiversity()
