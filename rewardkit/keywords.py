r"""A reward for the words of a list that occur, such as the markers of step-by-step reasoning.

>>> from rewardkit import Keywords
>>> Keywords(words=["because", "therefore"], section="think")(["<think>Because 1+1=2</think> therefore"])
[0.1]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.sections import check_section
from rewardkit.sections import section as section_of


@dataclass(frozen=True, kw_only=True, repr=False)
class Keywords(Reward):
    r"""`value` for every distinct word of the list that occurs, at most `cap`.

    value of a completion = min(cap, value * hits), hits = how many of the words occur at least once.
    Source: the reasoning-marker bonuses of R1 reproductions (open-r1's reasoning_steps is one), with the
    count taken over distinct words, so that repeating one earns nothing.

    Range [0.0, cap]; the empty completion and a missing section earn 0.0. How a model might cheat it: by
    reciting the list. Keep `cap` far below the reward for being right.

    Attributes:
        words: what is looked for; a phrase with spaces is matched as written. At least one, none blank,
            none twice.
        value: per word, positive. For a list of banned words, weigh the reward: ``-1.0 * Keywords(...)``.
        cap: the most that a completion earns, positive.
        section: the tag in whose body to look, its last complete pair ("think" may be opened by the prompt);
            ``None`` for the whole completion.
        whole_words: a word does not count inside a longer one ("then" in "strengthen"), in any alphabet.
            Leave it off for text that is written without spaces.
        ignore_case: capital and small letters are the same.

    Raises:
        ValueError, TypeError: no words, a blank or repeated one, a value or cap that is not positive.

    Example:
        >>> from rewardkit import keywords
        >>> keywords(["First, add. Therefore it is 2.", "first first first", "2", ""])
        [0.2, 0.1, 0.0, 0.0]
    """

    words: Sequence[str] = ("first", "second", "next", "because", "therefore", "however", "check", "finally")
    value: float = 0.1
    cap: float = 0.5
    section: str | None = None
    whole_words: bool = False
    ignore_case: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.words, str):
            raise TypeError(f"words must be a sequence of words, got the text {self.words!r}; put it in a list")
        object.__setattr__(self, "words", tuple(self.words))
        if not self.words:
            raise ValueError("words is empty; list at least one word to look for")
        folded = [self._folded(word) for word in self.words]
        for word, same in zip(self.words, folded, strict=True):
            if not word.strip():
                raise ValueError(f"words holds {word!r}, which occurs in every text; remove it")
            if folded.count(same) > 1:
                raise ValueError(f"words holds {word!r} more than once; list every word once")
        for name in ("value", "cap"):
            number = getattr(self, name)
            if not (math.isfinite(number) and number > 0):
                raise ValueError(f"{name} must be a positive number, got {number}; for a penalty weigh the reward")
        check_section(self.section)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The bonus, with the words that were found as detail."""
        wanted = [(word, self._folded(word)) for word in self.words]
        return [self._bonus(self._folded(section_of(text, self.section)), wanted) for text in batch.texts]

    def _bonus(self, text: str, wanted: Sequence[tuple[str, str]]) -> Outcome:
        occurs = _occurs_whole if self.whole_words else str.__contains__
        found = [word for word, folded in wanted if occurs(text, folded)]
        return Outcome(min(self.cap, self.value * len(found)), "scored", ", ".join(found))

    def _folded(self, text: str) -> str:
        return text.casefold() if self.ignore_case else text


def _occurs_whole(text: str, word: str) -> bool:
    """Whether `word` occurs outside a longer one; only an edge that is a letter or digit can be grown on."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        grown_left = word[0].isalnum() and text[at - 1 : at].isalnum()
        grown_right = word[-1].isalnum() and text[end : end + 1].isalnum()
        if not grown_left and not grown_right:
            return True
        at = text.find(word, at + 1)
    return False


keywords = Keywords()
