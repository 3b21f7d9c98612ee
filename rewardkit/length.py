r"""Rewards for the length of a completion: steps, the cosine schedule, the overlong penalty.

A length is counted in words, characters or tokens, or by a function of your own. Tokens are those of the
trainer's column ``completion_ids``; nothing is tokenised here.

    >>> from rewardkit import LengthBand
    >>> LengthBand(steps={0: 0.0, 3: 1.0}, section="think")(["<think>one two three</think>", "one two three"])
    [1.0, 0.0]
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from rewardkit.accuracy import boxed_accuracy
from rewardkit.contract import (
    Batch,
    Call,
    ColumnError,
    Composite,
    Outcome,
    Part,
    Plan,
    Reward,
    RewardError,
    RewardFunction,
)
from rewardkit.functions import as_reward
from rewardkit.sections import check_section
from rewardkit.sections import section as section_of

UnitName = Literal["words", "characters", "tokens"]
Unit = UnitName | Callable[[str], int]
Steps = Mapping[float, float] | Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True, repr=False)
class LengthBand(Reward):
    r"""The value of the highest threshold that the length reaches.

    value = v_k for t_k <= length < t_(k+1), over the steps (t_0 = 0, v_0), (t_1, v_1), ...; the last value
    holds for every greater length. A falling value is a penalty for length.

    Range: the values given; the empty completion and a missing section have length 0 and earn v_0. How a
    model might cheat it: by filler, a word repeated a hundred times is a hundred words. Pair it with
    `repetition_penalty`, and let the last threshold be one that an honest solution reaches.

    Attributes:
        steps: (threshold, value) pairs, or a dict of them; thresholds rise strictly from 0.
        unit: "words" (separated by white space), "characters", "tokens", or a function from text to int.
        section: the tag whose body is measured, its last pair ("think" may begin in the prompt); ``None`` for all.

    Raises:
        ValueError: steps out of order or not finite, an unknown unit, tokens of a section, no tag name.
        ColumnError: tokens are counted and the call has no ``completion_ids``.

    Example:
        >>> from rewardkit import length_band
        >>> length_band(["", "too short", "word " * 20, "word " * 400])
        [0.0, 0.0, 0.25, 0.75]
    """

    steps: Steps = ((0, 0.0), (20, 0.25), (50, 0.5), (100, 0.75))
    unit: Unit = "words"
    section: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", _checked_steps(self.steps))
        check_unit(self.unit)
        check_section(self.section)
        if self.unit == "tokens" and self.section is not None:
            raise ValueError(
                f"section={self.section!r} cannot be counted in tokens: completion_ids has no sections; "
                'use unit="words" or "characters", or a function that tokenises the text'
            )

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The step that each length reaches."""
        steps = _pairs(self.steps)
        thresholds = [threshold for threshold, _ in steps]
        return [
            Outcome(steps[bisect_right(thresholds, n) - 1][1], "scored", measured(n, self.unit))
            for n in lengths_of(batch, self.unit, self.section)
        ]


@dataclass(frozen=True, kw_only=True, repr=False)
class CosineLength(Composite):
    r"""Correctness scaled by length: short right answers earn most, long wrong ones lose least.

    value = b + (a - b) / 2 * (1 + cos(pi * min(length / max_length, 1)))

    a is earned at length 0 and b from max_length on: (max_value_correct, min_value_correct) for a right
    answer, (min_value_wrong, max_value_wrong) for a wrong one, so that a model which does not know yet is
    moved to think longer. The length is held at max_length, beyond which a bare cosine would rise again.
    Source: Yeo et al., Demystifying Long Chain-of-Thought Reasoning, appendix C.1 (arXiv 2502.03373); the
    defaults are those of TRL.

    Range [min_value_wrong, max_value_correct]; ``None`` where `correctness` does not score. The empty
    completion is a wrong answer of length 0 and earns min_value_wrong. How a model might cheat it: padding
    a wrong answer to max_length halves its loss.

    Attributes:
        max_length: where the schedule ends, positive, in `unit`.
        correctness: any reward; more than 0.5 counts as right. A plain function is accepted.
        min_value_wrong: a wrong answer of length 0.
        max_value_wrong: a wrong answer of max_length or more.
        min_value_correct: a right answer of max_length or more.
        max_value_correct: a right answer of length 0.
        unit: "words", "characters", "tokens", or a function from text to int; ``None`` counts tokens where
            the call has ``completion_ids``, else characters.

    Raises:
        ValueError: a max_length that is not positive, values out of order or not finite, an unknown unit.
        ColumnError: tokens are counted and the call has no ``completion_ids``; what `correctness` raises.

    Example:
        >>> from rewardkit import CosineLength
        >>> reward = CosineLength(max_length=100)
        >>> completions, ids = [r"\boxed{2}", r"\boxed{3}", r"\boxed{2}"], [[0] * 0, [0] * 100, [0] * 100]
        >>> reward(completions, ground_truth="2", completion_ids=ids)
        [1.0, -0.5, 0.5]
    """

    max_length: float = 1000
    correctness: RewardFunction = boxed_accuracy
    min_value_wrong: float = -1.0
    max_value_wrong: float = -0.5
    min_value_correct: float = 0.5
    max_value_correct: float = 1.0
    unit: Unit | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "correctness", as_reward(self.correctness))
        if not (math.isfinite(self.max_length) and self.max_length > 0):
            raise ValueError(f"max_length must be a positive number, got {self.max_length}")
        names = ("min_value_wrong", "max_value_wrong", "min_value_correct", "max_value_correct")
        for low, high in pairwise(names):
            below, above = getattr(self, low), getattr(self, high)
            if not (math.isfinite(below) and math.isfinite(above) and below <= above):
                raise ValueError(f"{low}={below} must be finite and at most {high}={above}; swap or change them")
        if self.unit is not None:
            check_unit(self.unit)

    def plan(self, batch: Batch) -> Plan:
        """Each verdict of `correctness`, moved along the schedule."""
        unit = self.unit or ("characters" if batch.columns.get("completion_ids") is None else "tokens")
        correctness = as_reward(self.correctness)
        (verdicts,) = yield [Call(correctness.__name__, correctness, batch)]
        return [self._scaled(v, n, unit) for v, n in zip(verdicts, lengths_of(batch, unit), strict=True)]

    def _scaled(self, verdict: Outcome, length: float, unit: Unit) -> Outcome:
        parts = (Part(as_reward(self.correctness).__name__, None, verdict),)
        if verdict.value is None:
            return verdict._replace(status="not_scored", detail=joined(verdict.status, verdict.detail), parts=parts)
        right = verdict.value > 0.5
        at_start, at_end = (
            (self.max_value_correct, self.min_value_correct) if right else (self.min_value_wrong, self.max_value_wrong)
        )
        progress = min(length / self.max_length, 1.0)  # clamped: the cosine would come back
        value = at_end + (at_start - at_end) / 2 * (1 + math.cos(math.pi * progress))
        status = verdict.status if verdict.status != "scored" else ("correct" if right else "wrong")
        detail = joined(verdict.detail, measured(length, unit))
        return verdict._replace(value=value, status=status, detail=detail, parts=parts, unclipped=None)


@dataclass(frozen=True, kw_only=True, repr=False)
class SoftOverlong(Reward):
    r"""A penalty that grows over the last `cache` tokens before the limit.

    value = 0                                      for length <= max_length - cache
            (max_length - cache - length) / cache  for max_length - cache < length <= max_length
            -1                                     for length > max_length

    Source: DAPO, equation 13 (arXiv 2503.14476), with its numbers as defaults. Some trainers ship it without
    the floor of -1; here -1 is the least.

    Range [-1.0, 0.0]; the empty completion earns 0.0. How a model might cheat it: by giving up early, as no
    answer at all is never too long. Add it to a reward for being right.

    Attributes:
        max_length: the limit, positive, in `unit`; at most what the trainer lets the model generate, or the
            penalty is never seen.
        cache: width of the slope, from 0 (a step) to max_length.
        unit: "tokens", "words", "characters", or a function from text to int.

    Raises:
        ValueError: max_length or cache out of range, an unknown unit.
        ColumnError: tokens are counted and the call has no ``completion_ids``.

    Example:
        >>> from rewardkit import SoftOverlong
        >>> penalty = SoftOverlong(max_length=100, cache=20, unit="characters")
        >>> penalty(["a" * 80, "a" * 90, "a" * 100, "a" * 500])
        [0.0, -0.5, -1.0, -1.0]
    """

    max_length: float = 20480
    cache: float = 4096
    unit: Unit = "tokens"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_length) and self.max_length > 0):
            raise ValueError(f"max_length must be a positive number, got {self.max_length}")
        if not 0 <= self.cache <= self.max_length:
            raise ValueError(f"cache must be between 0 and max_length={self.max_length}, got {self.cache}")
        check_unit(self.unit)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The penalty of each length."""
        return [Outcome(self._penalty(n), "scored", measured(n, self.unit)) for n in lengths_of(batch, self.unit)]

    def _penalty(self, length: float) -> float:
        free = self.max_length - self.cache
        if length <= free:
            return 0.0
        return (free - length) / self.cache if length <= self.max_length else -1.0


def token_ids(batch: Batch) -> list[Sequence[int]]:
    """The completions as token ids: the column ``completion_ids``, arrays turned into lists.

    Raises:
        ColumnError: there is no such column, its length is wrong, or a row is no sequence.
    """
    if batch.columns.get("completion_ids") is None:
        raise ColumnError(
            "tokens are to be counted, but the call has no column 'completion_ids'; pass the token ids of "
            'the completions, or count unit="words"'
        )
    rows: list[Any] = [row.tolist() if hasattr(row, "tolist") else row for row in batch.column("completion_ids")]
    for i, row in enumerate(rows):
        if isinstance(row, str) or not hasattr(row, "__len__"):
            raise ColumnError(f"column 'completion_ids', row {i} is {row!r}; expected a list of token ids")
    return rows


def lengths_of(batch: Batch, unit: Unit, section: str | None = None) -> list[float]:
    """The length of each completion, or of one of its sections."""
    if unit == "tokens":
        return [len(ids) for ids in token_ids(batch)]
    measure = {"words": _words, "characters": len}[unit] if isinstance(unit, str) else unit
    lengths: list[float] = [measure(section_of(text, section)) for text in batch.texts]
    for row, length in enumerate(lengths):
        if not isinstance(length, (int, float)) or not 0 <= length < math.inf:
            raise RewardError(f"unit {_unit_name(unit)} gave {length!r} in row {row}; it must return a count")
    return lengths


def _words(text: str) -> int:
    return len(text.split())


def measured(length: float, unit: Unit) -> str:
    """A length with its unit."""
    return f"{length} {_unit_name(unit)}"


def _unit_name(unit: Unit) -> str:
    return unit if isinstance(unit, str) else str(getattr(unit, "__name__", type(unit).__name__))


def joined(*details: str) -> str:
    """Details in one sentence, without the empty ones."""
    return "; ".join(filter(None, details))


def check_unit(unit: Unit) -> None:
    """Refuse a unit that is none."""
    if unit not in get_args(UnitName) and not callable(unit):
        raise ValueError(f'unit={unit!r} is unknown; use "words", "characters", "tokens" or a function of text')


def _pairs(steps: Steps) -> tuple[tuple[float, float], ...]:
    rows = steps.items() if isinstance(steps, Mapping) else steps
    return tuple((threshold, value) for threshold, value in rows)


def _checked_steps(steps: Steps) -> tuple[tuple[float, float], ...]:
    pairs = _pairs(steps)
    if not pairs or pairs[0][0] != 0:
        raise ValueError(f"steps must start at length 0, got {steps!r}; add (0, value) in front")
    for threshold, value in pairs:
        if not (math.isfinite(threshold) and math.isfinite(value)):
            raise ValueError(f"steps holds ({threshold}, {value}); thresholds and values must be finite")
    for (low, _), (high, _) in pairwise(pairs):
        if low >= high:
            raise ValueError(f"steps has the threshold {high} after {low}; sort them, each one once")
    return pairs


length_band = LengthBand()
cosine_length = CosineLength()
soft_overlong = SoftOverlong()
