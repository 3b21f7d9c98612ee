r"""The stacks of this project, made of its plain rewards.

>>> from rewardkit import presets
>>> good = "<think>\n3 * 4 = 12\n</think>\n<answer>\n\\boxed{12}\n</answer>"
>>> presets.gsm8k_r1([good, r"\boxed{12}", "no idea"], answer="... #### 12")
[2.0, 1.0, 0.0]
"""

from __future__ import annotations

from rewardkit.accuracy import BoxedAccuracy, ChoiceAccuracy
from rewardkit.combine import combine
from rewardkit.keywords import Keywords
from rewardkit.length import LengthBand
from rewardkit.structure import SoftFormat, StrictFormat
from rewardkit.tag_counts import XmlCount

gsm8k_r1 = combine(
    BoxedAccuracy(),
    StrictFormat(tags=("think", "answer")),
    XmlCount(tags=("think", "answer")),
    weights=(1.0, 0.5, 1.0),
    name="gsm8k_r1",
)
"""The stack of `recipes.gsm8k_r1`: 1.0 for the right boxed answer, 0.5 for the strict format, and up to 0.5
for single tags on the way there. Range [0, 2]."""

_TAGS = ("reasoning", "answer")
_LETTER = r"\\boxed\{[A-D]\}"

sudoku_choice = combine(
    ChoiceAccuracy(options="ABCD", section="answer", tag=None, verbatim=True),
    StrictFormat(tags=_TAGS, answer_pattern=rf"\n{_LETTER}\n"),
    SoftFormat(tags=_TAGS, answer_pattern=r"[\s\S]*[A-D][\s\S]*"),
    XmlCount(pieces=("<reasoning>\n", "\n</reasoning>\n", "\n</answer>"), credit=0.125, charge=0.001, free=1),
    LengthBand(steps=((0, 0.0), (20, 0.25), (50, 0.5), (100, 0.75)), unit="words", section="reasoning"),
    Keywords(words=("row", "column", "sum", "unique", "digit", "no repeat", "clue"), value=0.1, cap=0.5),
    weights=(2.0, 1.0, 0.5, 1.0, 1.0, 1.0),
    name="sudoku_choice",
)
"""Sudoku with four answers to choose from. Range [0, 5.125].

2.0 for the right letter boxed inside the answer tag; 1.0 for the strict layout with nothing else around it;
0.5 for reasoning tags followed by answer tags that hold a letter A-D; 0.125 for each of three tags that occurs
exactly once, less 0.001 for each character beyond the first after the last closing answer tag, never below 0;
0 / 0.25 / 0.5 / 0.75 for reasoning of at least 0 / 20 / 50 / 100 words; 0.1 for each of seven keywords that the
completion contains (in any case), at most 0.5."""
