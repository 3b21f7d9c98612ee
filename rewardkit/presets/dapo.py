r"""The reward of DAPO as verl computes it: +1 or -1 for the last ``Answer:`` line, less a charge near the limit.

>>> from rewardkit import presets
>>> presets.dapo(["... Answer: 18", "It is 18."], ground_truth="18", completion_ids=[[0] * 20480, [0] * 9])
[0.0, -1.0]
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rewardkit.combine import combine
from rewardkit.contract import Batch, Outcome, Reward, Status
from rewardkit.length import token_ids
from rewardkit.presets.first_message import references

ANSWER = re.compile(r"(?i)Answer\s*:\s*([^\n]+)")
TAIL, BOX_TAIL = 300, 100
"""Characters at the end of a completion in which the line, or the box, is looked for."""

NONE_FOUND = "[INVALID]"
"""What verl takes for the answer where there is no line."""

REPLACED = {
    "an ": "", "a ": "", ".$": "$", r"\$": "", "\\ ": "", " ": "", "mbox": "text",
    r",\text{and}": ",", r"\text{and}": ",", r"\text{m}": r"\text{}",
}  # fmt: skip
REMOVED = (
    *"square ways integers dollars mph inches hours km units".split(), r"\ldots",
    *"sue points feet minutes digits cents degrees cm gm pounds meters meals edges students childrentickets".split(),
    "multiples", r"\text{s}", r"\text{.}", "\\text{\ns}", r"\text{}^2", r"\text{}^3", "\\text{\n}", r"\text{}",
    r"\mathrm{th}", r"^\circ", r"^{\circ}", r"\;", r",\!", "{,}", '"', r"\dots",
)  # fmt: skip
"""The replacements and removals, in order, of the evaluation of Minerva (arXiv 2206.14858, appendix D.1)."""

UNWRAPPED = tuple(re.compile(rf"\\{command}\{{(.*?)\}}") for command in ("text", "textbf", "overline"))
FORMULA = re.compile(r".*?\$(.*?)\$.*")
BOX = re.compile(r"\\boxed\{(.*)\}")
SHORT_FRACTION, SHORT_ROOT = re.compile(r"frac([^{])(.)"), re.compile(r"sqrt([^{])")


@dataclass(frozen=True, kw_only=True, repr=False)
class DapoAccuracy(Reward):
    r"""verl's ``math_dapo``: 1.0 where the last ``Answer:`` line is the reference after normalisation, else -1.0.

    Looked at are the last 300 characters; the last ``Answer: ...`` there, in any case, is the answer. Answer and
    reference lose units, articles, dollars and spaces as in Minerva's evaluation and are compared as text. Source:
    verl/utils/reward_score/math_dapo.py, verl 0.9.1; DAPO, section 2.4 (arXiv 2503.14476). The quirks, all kept:

    - 1/2 and 0.5 differ, and so do ``\frac{1}{2}`` and ``1/2``;
    - letters go with the units: ``banana 3`` and ``banan3`` are equal;
    - of ``x = 3`` the part behind the last ``=`` counts;
    - without a line, a ``\boxed{}`` in the last 100 characters counts, if it is the reference to the letter. Older
      releases, DAPO's own runs among them, had no such fallback: ``box_fallback=False``.

    Range {-1.0, 1.0}; the empty completion earns -1.0, and ``None`` as reference is not scored. How a model might
    cheat it: the line is all that is read, so the reasoning may be anything, or nothing. The mended plain reward is
    `boxed_accuracy`: alone and normalised within a group, 0 and 1 give the advantages of -1 and 1.

    Attributes:
        box_fallback: a box counts where there is no line.
        answer_key: the column of the references, which are text.

    Raises:
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import dapo_accuracy
        >>> dapo_accuracy(["Answer: $18$ dollars", r"\boxed{18}", "18", "Answer: 36/2"], ground_truth="18")
        [1.0, 1.0, -1.0, -1.0]
    """

    box_fallback: bool = True
    answer_key: str = "ground_truth"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Plus or minus one, with what was compared."""
        pairs = zip(batch.texts, references(batch, self.answer_key), strict=True)
        return [self._judge(text[-TAIL:], truth) for text, truth in pairs]

    def _judge(self, tail: str, truth: str | None) -> Outcome:
        if truth is None:
            return Outcome(None, "not_scored", "no reference", gold_column=self.answer_key)
        lines = ANSWER.findall(tail)
        answer, gold = normalised(lines[-1] if lines else NONE_FOUND), normalised(truth)
        if answer == NONE_FOUND and self.box_fallback:
            boxed = last_box(tail[-BOX_TAIL:])
            answer, gold = (answer, gold) if boxed is None else (boxed, truth)
        right = answer == gold
        status: Status = "correct" if right else ("no_answer" if answer == NONE_FOUND else "wrong")
        return Outcome(
            1.0 if right else -1.0, status, extracted=answer[:200], gold=gold[:200], gold_column=self.answer_key
        )


@dataclass(frozen=True, kw_only=True, repr=False)
class DapoOverlong(Reward):
    r"""verl's overlong penalty: nothing until the buffer begins, then a straight line without a floor.

    value = min(0, -(n - (max_response_length - buffer)) / buffer * penalty_factor), n = tokens. Source: verl's reward
    manager "dapo", verl 0.9.1, with the numbers of DAPO's recipe; DAPO, equation 13 (arXiv 2503.14476). The quirk,
    kept: nothing holds it at -penalty_factor, so a completion beyond max_response_length pays more and more. verl
    never sees one, as it cuts responses there; a trainer with another limit does.

    Range (-inf, 0.0]; the empty completion earns 0.0. How a model might cheat it: by giving up early. The mended
    plain reward is `soft_overlong`.

    Attributes:
        max_response_length: the limit, in tokens.
        buffer: the tokens before the limit that are charged, from 1 to max_response_length.
        penalty_factor: the charge at the limit, positive.

    Raises:
        ValueError: an argument out of its range.
        ColumnError: the call has no ``completion_ids``.

    Example:
        >>> from rewardkit.presets import DapoOverlong
        >>> penalty = DapoOverlong(max_response_length=100, buffer=20)
        >>> penalty(["..."] * 4, completion_ids=[[0] * 80, [0] * 90, [0] * 100, [0] * 200])
        [0.0, -0.5, -1.0, -6.0]
    """

    max_response_length: int = 20480
    buffer: int = 4096
    penalty_factor: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.buffer <= self.max_response_length:
            raise ValueError(
                f"buffer must be between 1 and max_response_length={self.max_response_length}, got {self.buffer}"
            )
        if not (math.isfinite(self.penalty_factor) and self.penalty_factor > 0):
            raise ValueError(
                f"penalty_factor must be a positive number, got {self.penalty_factor}; the sign is its own"
            )

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The charge for each length."""
        return [Outcome(self._charge(len(ids)), "scored", f"{len(ids)} tokens") for ids in token_ids(batch)]

    def _charge(self, length: int) -> float:
        exceeding = length - (self.max_response_length - self.buffer)
        return float(min(-exceeding / self.buffer * self.penalty_factor, 0))


def normalised(answer: str) -> str:
    r"""An answer as Minerva's evaluation compares it.

    >>> normalised(r"x = $\frac12$ dollars"), normalised("1,800"), normalised(r"\text{(A)}")
    ('\\frac{1}{2}', '1800', '(A)')
    """
    answer = answer.split("=")[-1]
    for written, instead in REPLACED.items():
        answer = answer.replace(written, instead)
    for written in REMOVED:
        answer = answer.replace(written, "")
    answer = FORMULA.sub(r"$\1$", answer)
    for wrapped in UNWRAPPED:
        answer = wrapped.sub(r"\1", answer)
    answer = BOX.sub(r"\1", answer)
    answer = SHORT_ROOT.sub(r"sqrt{\1}", SHORT_FRACTION.sub(r"frac{\1}{\2}", answer)).replace("$", "")
    digits = answer.replace(",", "")
    return (digits if digits.isdigit() else answer).strip()


def last_box(text: str) -> str | None:
    r"""The content of the last ``\boxed{}``, up to the brace that closes it; ``None`` if there is none or it is open.

    >>> last_box(r"\boxed{1} or \boxed{\frac{1}{2}}."), last_box(r"\boxed{1} or \boxed{2")
    ('\\frac{1}{2}', None)
    """
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return None


dapo_accuracy = DapoAccuracy()
dapo_overlong = DapoOverlong()

dapo = combine(dapo_accuracy, dapo_overlong, name="dapo")
"""DAPO's recipe in verl: the answer at 1 or -1, and the penalty with 20480 tokens, a buffer of 4096 and factor 1.0.
Range [-2, 1] for completions of at most 20480 tokens."""
