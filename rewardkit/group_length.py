r"""A reward for being shorter than the other completions of the group, as in Kimi k1.5.

>>> from rewardkit import GroupLength
>>> reward = GroupLength(num_generations=3, unit="words")
>>> reward([r"So \boxed{2}", r"Well then it is \boxed{2}", r"Hm hm hm \boxed{3}"], ground_truth="2")
[0.5, -0.5, -0.16666666666666663]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rewardkit.accuracy import boxed_accuracy
from rewardkit.contract import Batch, Call, Composite, Outcome, Part, Plan, RewardFunction
from rewardkit.functions import as_reward
from rewardkit.length import Unit, check_unit, joined, lengths_of, measured


@dataclass(frozen=True, kw_only=True, repr=False)
class GroupLength(Composite):
    r"""Shorter than the group earns, longer pays; a wrong answer can only pay.

    lambda = 0.5 - (length - shortest) / (longest - shortest), over the completions of one prompt
    value = lambda for a right answer, min(0, lambda) for a wrong one; 0.0 where all are equally long

    Source: Kimi k1.5, section 2.3.3 (arXiv 2501.12599). It is added to the reward for being right, with a
    weight, and there only after a first phase without it. open-r1's len_reward takes shortest and longest over the
    whole call, where the prompts of other groups decide, and counts characters.

    Every completion of the group takes part in shortest and longest, also one that `correctness` does not
    score, which is itself not scored. Behind a gate the group is what the gate lets through.

    Range [-0.5, 0.5]. The empty completion, wrong and the shortest, earns 0.0; a group of one earns 0.0. How a
    model might cheat it: by giving up, as a short wrong answer loses nothing; by a bare guess, which where it
    is right earns most. Keep its weight far below the reward for being right.

    Attributes:
        correctness: any reward; more than 0.5 counts as right. A plain function is accepted.
        num_generations: completions in a group; ``None`` goes by the call, as ``Batch.groups`` says.
        unit: "words", "characters", "tokens", or a function from text to int; ``None`` counts tokens where
            the call has ``completion_ids``, else characters.

    Raises:
        ValueError, TypeError: an unknown unit, a num_generations below 1, a correctness that cannot be called.
        ColumnError: groups that nothing tells; tokens without ``completion_ids``; what `correctness` raises.

    Example:
        >>> from rewardkit import group_length
        >>> completions, prompts = [r"\boxed{2}", r"It is \boxed{2}", r"\boxed{7}", r"7!"], ["1+1"] * 2 + ["3+4"] * 2
        >>> group_length(completions, prompts=prompts, answer=["2", "2", "7", "7"])
        [0.5, -0.5, -0.5, 0.0]
    """

    correctness: RewardFunction = boxed_accuracy
    num_generations: int | None = None
    unit: Unit | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "correctness", as_reward(self.correctness))
        size = self.num_generations
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"num_generations must be an integer of at least 1 or None, got {size!r}")
        if self.unit is not None:
            check_unit(self.unit)

    def plan(self, batch: Batch) -> Plan:
        """Each verdict of `correctness`, paid by the place of its length within the group."""
        groups = batch.groups(self.num_generations)
        unit = self.unit or ("characters" if batch.columns.get("completion_ids") is None else "tokens")
        lengths = lengths_of(batch, unit)
        correctness = as_reward(self.correctness)
        (verdicts,) = yield [Call(correctness.__name__, correctness, batch)]
        found = list(verdicts)
        for group in groups:
            places = _places([lengths[row] for row in group])
            for row, place in zip(group, places, strict=True):
                part = Part(correctness.__name__, None, verdicts[row])  # it decides and is not added
                found[row] = _paid(part, place, measured(lengths[row], unit))
        return found


def _places(lengths: Sequence[float]) -> list[float]:
    """Lambda of each length: 0.5 for the shortest of the group, -0.5 for the longest."""
    shortest, longest = min(lengths), max(lengths)
    if shortest == longest:
        return [0.0] * len(lengths)
    return [0.5 - (length - shortest) / (longest - shortest) for length in lengths]


def _paid(part: Part, place: float, measured: str) -> Outcome:
    verdict = part.outcome
    if verdict.value is None:
        return verdict._replace(status="not_scored", detail=joined(verdict.status, verdict.detail), parts=(part,))
    right = verdict.value > 0.5
    value = place if right else min(0.0, place)
    status = verdict.status if verdict.status != "scored" else ("correct" if right else "wrong")
    detail = joined(verdict.detail, measured)
    return verdict._replace(value=value, status=status, detail=detail, parts=(part,), unclipped=None)


group_length = GroupLength()
