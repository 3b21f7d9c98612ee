r"""A reward for reasoning in one ``<think>`` section, followed by an answer outside it.

>>> from rewardkit.think_format import think_format
>>> think_format(["<think>1+1\nis 2</think> It is 2.", "It is 2."])
[1.0, 0.0]
"""

from __future__ import annotations

from dataclasses import dataclass

from rewardkit.contract import Batch, Outcome, Reward, judged
from rewardkit.sections import trimmed
from rewardkit.tags import marks, not_once, times

OPENING, CLOSING = marks(("think",))


@dataclass(frozen=True, kw_only=True, repr=False)
class ThinkFormat(Reward):
    r"""1.0 where the completion is ``<think>reasoning</think>answer``, else 0.0.

    Both tags occur exactly once, the opening one is the very start (white space around the whole and a byte
    order mark are ignored), the reasoning is not blank, and something that is not blank follows the closing
    tag. Line breaks do not matter. Source: TRL's `think_format_reward`. An empty think, a second closing tag and a
    completion that ends with the closing tag pass there and not here; white space in front passes here and
    not there, and so does, with `prefilled`, a completion whose opening tag stands in the prompt (TRL
    issue 6966). The multi-line flag of TRL's pattern changes nothing: a match begins at the first
    character of the completion, not of any line.

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: one character is a
    reasoning and another an answer. It looks at the shape alone, so let it open the gate or add a little,
    and let another reward pay for the answer.

    Attributes:
        prefilled: the chat template already wrote ``<think>``, so the completion starts inside the
            reasoning. One that repeats the tag at its start is judged as it is.

    Example:
        >>> from rewardkit.think_format import ThinkFormat, think_format
        >>> think_format(["<think>1+1</think>2", "<think></think>2", "<think>1+1</think>", ""])
        [1.0, 0.0, 0.0, 0.0]
        >>> ThinkFormat(prefilled=True)(["1+1</think>2", "<think>1+1</think>2"])
        [1.0, 1.0]
        >>> think_format.explain(["<think>1</think>2</think>3"])[0].detail
        '</think> occurs 2 times'
    """

    prefilled: bool = False

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the first fault as detail."""
        faults = [_fault(self._with_prefill(text)) for text in batch.texts]
        return [judged(not fault, fault) for fault in faults]

    def _with_prefill(self, text: str) -> str:
        return OPENING + text if self.prefilled and not trimmed(text).startswith(OPENING) else text


def _fault(text: str) -> str:
    """Why the text has not the shape; empty where it has."""
    off = not_once(text, (OPENING, CLOSING))
    if off:
        return times(*next(iter(off.items())))
    before, _, inside = text.partition(OPENING)
    if CLOSING in before:
        return f"{CLOSING} stands before {OPENING}"
    if trimmed(before):
        return f"text before {OPENING}"
    reasoning, _, answer = inside.partition(CLOSING)
    if not reasoning.strip():
        return f"empty {OPENING}"
    return "" if answer.strip() else f"nothing after {CLOSING}"


think_format = ThinkFormat()
