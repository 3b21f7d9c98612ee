r"""The rewards of open-r1 for lengths and repetition, value for value, with the quirks of the originals.

>>> from rewardkit.presets import open_r1_cosine
>>> padded = [r"\boxed{18}" + " " * (length - 10) for length in (10, 1000, 2000)]
>>> [round(value, 3) for value in open_r1_cosine(padded, solution="$18$")]
[1.0, 0.5, 1.0]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.length import SoftOverlong
from rewardkit.presets.first_message import first_messages, references
from rewardkit.presets.math_verify_outcomes import accuracies
from rewardkit.repetition import RepetitionPenalty


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1Length(Reward):
    r"""open-r1's "length": short completions of the call gain, long ones lose.

    value = s where right, min(0, s) where wrong; s = 0.5 - (n - min) / (max - min), n = characters; all 0.0 where
    max = min. Source: len_reward of open-r1, after Kimi k1.5 (arXiv 2501.12599). The quirks, all kept: min and max are
    those of the whole call, where Kimi takes the completions of one prompt, so a value depends on what else is in
    the batch; characters, not tokens; a reference that cannot be read counts as a right answer; the answer is handed
    to math-verify in the place of the reference.

    Range [-0.5, 0.5]; the empty completion is a wrong answer of length 0 and earns 0.0. How a model might cheat it:
    a bare box with a guess. The mended plain reward is `group_length`.

    Attributes:
        answer_key: the column of the references, which are text.

    Raises:
        ImportError: math-verify is not installed.
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import open_r1_length
        >>> open_r1_length([r"\boxed{18}", r"It is \boxed{18}.", r"I say it is \boxed{7}."], solution="$18$")
        [0.5, -0.0833..., -0.5]
    """

    answer_key: str = "solution"

    def _default_name(self) -> str:
        return "len_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share of each length between the shortest and the longest of the call."""
        texts = first_messages(batch)
        verdicts = accuracies("open_r1_reversed", texts, references(batch, self.answer_key), self.answer_key)
        lengths = [len(text) for text in texts]
        low, high = min(lengths, default=0), max(lengths, default=0)
        return [
            verdict._replace(
                value=_among(length, low, high, right=verdict.value is None or verdict.value > 0),
                detail=f"{length} characters among {low} to {high}",
            )
            for verdict, length in zip(verdicts, lengths, strict=True)
        ]


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1Cosine(Reward):
    r"""open-r1's "cosine": correctness scaled by length along a cosine that does not stop at `max_len`.

    value = low + 0.5 * (high - low) * (1 + cos(pi * n / max_len)), n = characters; (low, high) is
    (min_value_correct, max_value_correct) where right and (max_value_wrong, min_value_wrong) where wrong. Source:
    get_cosine_scaled_reward of open-r1, after Yeo et al. (arXiv 2502.03373). The quirks, all kept: nothing holds n at
    max_len, so a right answer earns 1.0 again at twice the length and a wrong one -1.0; characters, not tokens; a
    reference that cannot be read earns 1.0; the answer is handed to math-verify in the place of the reference. The
    defaults are the factory's; open-r1's script passes min_value_wrong=0.0 and max_value_wrong=-0.5, which turns
    the slope of wrong answers round.

    Range [min_value_wrong, max_value_correct]; the empty completion earns min_value_wrong. How a model might cheat
    it: by padding a right answer to twice max_len, or a wrong one to max_len. The mended plain reward is
    `cosine_length`.

    Attributes:
        min_value_wrong: a wrong answer of length 0.
        max_value_wrong: a wrong answer of length max_len.
        min_value_correct: a right answer of length max_len.
        max_value_correct: a right answer of length 0.
        max_len: half the period of the cosine, positive, in characters.
        answer_key: the column of the references, which are text.

    Raises:
        ImportError: math-verify is not installed.
        ValueError: a max_len that is not positive, a value that is not finite.
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import OpenR1Cosine
        >>> OpenR1Cosine(max_len=10)([r"\boxed{18}", r"\boxed{18}" + " " * 10, r"\boxed{7}", ""], solution="$18$")
        [0.5, 1.0, -0.512..., -1.0]
    """

    min_value_wrong: float = -1.0
    max_value_wrong: float = -0.5
    min_value_correct: float = 0.5
    max_value_correct: float = 1.0
    max_len: float = 1000
    answer_key: str = "solution"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_len) and self.max_len > 0):
            raise ValueError(f"max_len must be a positive number, got {self.max_len}")
        for name in ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be finite, got {getattr(self, name)}")

    def _default_name(self) -> str:
        return "cosine_scaled_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Each verdict, moved along the cosine."""
        texts = first_messages(batch)
        verdicts = accuracies("open_r1_reversed", texts, references(batch, self.answer_key), self.answer_key)
        return [self._scaled(verdict, len(text)) for verdict, text in zip(verdicts, texts, strict=True)]

    def _scaled(self, verdict: Outcome, length: int) -> Outcome:
        if verdict.value is None:
            return verdict._replace(value=1.0)
        low, high = (self.max_value_wrong, self.min_value_wrong)
        if verdict.value > 0:
            low, high = (self.min_value_correct, self.max_value_correct)
        value = low + 0.5 * (high - low) * (1.0 + math.cos(length / self.max_len * math.pi))
        return verdict._replace(value=value, detail=f"{length} characters")


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1RepetitionPenalty(Reward):
    r"""open-r1's "repetition_penalty": the share of repeated n-grams of words times `max_penalty`.

    value = (1 - unique / total) * max_penalty over the n-grams of lower-cased words; 0.0 where there are fewer than n.
    Source: get_repetition_penalty_reward of open-r1 with its script's numbers, after Yeo et al. (arXiv 2502.03373).
    Its branch for Chinese (the package jieba) is not here: its registry never asks for it.

    Range (max_penalty, 0.0]; the empty completion earns 0.0. How a model might cheat it: by changing one word of n.
    The plain reward is `repetition_penalty`, the same on completions of one message, with tokens for languages
    without spaces.

    Attributes:
        ngram_size: words in an n-gram, at least 1.
        max_penalty: the limit of the penalty, at most 0.

    Raises:
        ValueError: an argument out of its range.

    Example:
        >>> from rewardkit.presets import open_r1_repetition_penalty
        >>> open_r1_repetition_penalty(["so it is so it is so it", "so it", ""])
        [-0.5, 0.0, 0.0]
    """

    ngram_size: int = 3
    max_penalty: float = -1.0

    def __post_init__(self) -> None:
        if not isinstance(self.ngram_size, int) or self.ngram_size < 1:
            raise ValueError(f"ngram_size must be an integer of at least 1, got {self.ngram_size!r}")
        if not (math.isfinite(self.max_penalty) and self.max_penalty <= 0):
            raise ValueError(f"max_penalty must be 0 or negative, got {self.max_penalty}; it is added, not subtracted")

    def _default_name(self) -> str:
        return "repetition_penalty_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The penalty, with the two counts as detail."""
        plain = RepetitionPenalty(ngram_size=self.ngram_size, max_penalty=self.max_penalty)
        return plain.score(Batch(first_messages(batch)))


def _among(length: int, low: int, high: int, *, right: bool) -> float:
    if low == high:
        return 0.0
    share = 0.5 - (length - low) / (high - low)
    return float(share if right else min(0, share))


open_r1_length = OpenR1Length()
open_r1_cosine = OpenR1Cosine()
open_r1_repetition_penalty = OpenR1RepetitionPenalty()

open_r1_soft_overlong = SoftOverlong(max_length=16384, cache=4096, name="soft_overlong_punishment_reward")
"""open-r1's "soft_overlong_punishment" with its script's numbers: in tokens, with the floor of -1; no quirk."""
