r"""A reward for reasoning that is laid out in steps: numbered lines, bullets, "First," to "Finally,".

>>> from rewardkit import ReasoningSteps
>>> ReasoningSteps(target=2, section="think")(["<think>Step 1: 2+2=4\nStep 2: 4+1=5</think>", "Step 1: 5"])
[1.0, 0.0]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.sections import check_section
from rewardkit.sections import section as section_of

_EMPHASIS = "[*_]{0,3}"  # Markdown: "**1. Add**", "**Step 1**: add"
_IN_TEXT = re.compile(
    rf"(?<![^\W_])(?:Step (?P<step>[0-9]{{1,6}}){_EMPHASIS}:|(?P<word>First|Second|Next|Finally){_EMPHASIS},)"
)
_STEP = re.compile(rf"{_EMPHASIS}Step ([0-9]{{1,6}}){_EMPHASIS}[.)](?![0-9])")
_NUMBERED = re.compile(
    rf"{_EMPHASIS}(?:([0-9]{{1,6}}){_EMPHASIS}\.(?![0-9])"  # "1." and not "1.5"
    r"|\(?([0-9]{1,6})\)(?=\s)(?!\s*[-+*/=^<>×·÷]\s))"  # "1) add", "(1) add" and not "(1) + (2)"
)
_BULLET = re.compile(r"(?:[-*+]\s|•)\s*")
_SHOWN = 6  # markers that the detail names


@dataclass(frozen=True, kw_only=True, repr=False)
class ReasoningSteps(Reward):
    r"""The number of distinct step markers, full marks from `target` on.

    value = min(1, n / target), n = how many different markers occur. A marker is

    - ``Step 1:`` anywhere in the text, or ``Step 1.`` at the start of a line, one for each number;
    - a line that begins with ``1.``, ``1)`` or ``(1)``, one for each number;
    - a line that begins with a bullet, ``-``, ``*``, ``+`` or ``•``, one for each different text behind it;
    - ``First,`` ``Second,`` ``Next,`` or ``Finally,`` anywhere in the text, as capitalised here.

    Emphasis around a marker (``**1. Add**``, ``**Step 1**: add``) changes nothing, and a line may begin with the
    marks of a quotation or a heading.

    Source: reasoning_steps_reward of open-r1, which pays for the three steps that a reader can follow. Mended
    here: numbered lines count on every line (there on the first alone), indented or not; a marker that is
    repeated earns nothing; ``1.5``, ``-3``, ``---`` and ``**bold**`` at the start of a line are no steps.

    Range [0.0, 1.0]; the empty completion and a missing section earn 0.0. How a model might cheat it: by
    writing the markers with nothing behind them, all on one line. Weigh it far below the reward for being
    right, and drop it once the layout is learnt.

    Attributes:
        target: distinct markers for the full value, an integer of at least 1.
        section: the tag in whose body to look, its last complete pair, where "think" may be opened by the
            prompt; ``None`` for the whole completion.

    Raises:
        ValueError: a target that is no integer of at least 1, a section that is no tag name.

    Example:
        >>> from rewardkit import reasoning_steps
        >>> reasoning_steps(["1. Add.\n2. Double.\n3. Done.", "First, add. Finally, 4.", "First, First, First,", ""])
        [1.0, 0.6666666666666666, 0.3333333333333333, 0.0]
        >>> reasoning_steps.explain(["Step 1: add\n- 2 and 2\n- make 4"])[0].detail
        'Step 1:, - 2 and 2, - make 4'
    """

    target: int = 3
    section: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.target, int) or self.target < 1:
            raise ValueError(f"target must be an integer of at least 1, got {self.target!r}")
        check_section(self.section)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share of the target, with the first markers as detail."""
        return [self._share(section_of(text, self.section)) for text in batch.texts]

    def _share(self, text: str) -> Outcome:
        found = list(dict.fromkeys(_markers(text)))  # distinct, in order
        shown = ", ".join(marker[:40] for marker in found[:_SHOWN])
        detail = f"{shown} and {len(found) - _SHOWN} more" if len(found) > _SHOWN else shown
        return Outcome(min(1.0, len(found) / self.target), "scored", detail)


def _markers(text: str) -> Iterator[str]:
    """Every marker as it is told apart: a number without leading zeros, a bullet with its line."""
    for line in text.splitlines():
        line = line.strip().lstrip("># \t")
        numbered, step, bullet = _NUMBERED.match(line), _STEP.match(line), _BULLET.match(line)
        if numbered:
            yield f"{int(numbered[1] or numbered[2])}."
        elif step:
            yield f"Step {int(step[1])}:"
        elif bullet and any(map(str.isalnum, line)):  # "- - -" is a rule across the page
            yield f"- {line[bullet.end() :]}"
        for found in _IN_TEXT.finditer(line):
            yield f"{found['word']}," if found["word"] else f"Step {int(found['step'])}:"


reasoning_steps = ReasoningSteps()
