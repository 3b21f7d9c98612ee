r"""The rewards of the classic GSM8K demonstration of GRPO, quirks included.

The gist grpo_demo.py by willccb, copied into many notebooks since. It maps the column ``answer`` of GSM8K to what
follows ``####``, stripped; do the same before using these.

    >>> from rewardkit import presets
    >>> one_line = "<reasoning>\n6 * 3 = 18\n</reasoning>\n<answer>\n18\n</answer>\n"
    >>> two_lines = one_line.replace("6 * 3", "6 * 2 = 12\n12 + 6")
    >>> presets.willccb_gsm8k([one_line, two_lines], answer="18")
    [3.5, 3.0]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewardkit.combine import combine
from rewardkit.contract import Batch, Outcome, Reward, judged
from rewardkit.presets.first_message import first_messages, references

CREDIT, CHARGE = 0.125, 0.001
BETWEEN = re.compile(r"</reasoning>\s*<answer>")


@dataclass(frozen=True, kw_only=True, repr=False)
class WillccbCorrectness(Reward):
    r"""``correctness_reward_func``: 2.0 where the text in the answer tags is the reference to the letter, else 0.0.

    The text stands between the last ``<answer>`` and the next ``</answer>``, stripped; without tags it is the whole
    completion. Source: grpo_demo.py by willccb. The quirks, all kept: ``18.0``, ``$18`` and ``1,800`` for 1800 are
    wrong; a bare ``18`` without any tag is right.

    Range {0.0, 2.0}; the empty completion earns 0.0 (2.0 beside an empty reference). How a model might cheat it: by
    answering without reasoning. The mended plain reward is `answer_accuracy`, times 2.

    Attributes:
        answer_key: the column of the references, which are text: what follows ``####``, not the whole solution.

    Raises:
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import willccb_correctness
        >>> willccb_correctness(["<answer>\n18\n</answer>", "18", "<answer>18.0</answer>", ""], answer="18")
        [2.0, 2.0, 0.0, 0.0]
    """

    answer_key: str = "answer"

    def _default_name(self) -> str:
        return "correctness_reward_func"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right or wrong, with what was compared."""
        pairs = zip(first_messages(batch), references(batch, self.answer_key), strict=True)
        return [self._judge(tagged(text), truth) for text, truth in pairs]

    def _judge(self, answer: str, truth: str | None) -> Outcome:
        if truth is None:  # the demonstration finds no answer equal to None
            return Outcome(0.0, "unparseable_ground_truth", "no reference", gold_column=self.answer_key)
        right = answer == truth
        outcome = judged(right, extracted=answer[:200], gold=truth[:200], gold_column=self.answer_key)
        return outcome._replace(value=2.0 if right else 0.0)


@dataclass(frozen=True, kw_only=True, repr=False)
class WillccbInt(Reward):
    r"""``int_reward_func``: 0.5 where the text in the answer tags consists of digits, else 0.0.

    Source: grpo_demo.py by willccb; the text is that of `WillccbCorrectness`. The quirks, all kept: ``-3``, ``1,800``
    and ``2.5`` earn nothing, ``²`` does.

    Range {0.0, 0.5}; the empty completion earns 0.0. How a model might cheat it: by any digit. The mended plain
    reward is `numeric_accuracy`, which asks for the right number.

    Example:
        >>> from rewardkit.presets import willccb_int
        >>> willccb_int(["<answer>\n7\n</answer>", "7", "-7", "7.0", ""])
        [0.5, 0.5, 0.0, 0.0, 0.0]
    """

    def _default_name(self) -> str:
        return "int_reward_func"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Half a point, with the text as evidence."""
        return [_half(answer.isdigit(), answer) for answer in map(tagged, first_messages(batch))]


@dataclass(frozen=True, kw_only=True, repr=False)
class WillccbStrictFormat(Reward):
    r"""``strict_format_reward_func``: 0.5 for the exact layout with one line of reasoning, else 0.0.

    value = 0.5 if ``re.match`` finds ``^<reasoning>\n.*?\n</reasoning>\n<answer>\n.*?\n</answer>\n$`` without DOTALL,
    else 0.0; computed here line by line. Source: grpo_demo.py by willccb. The quirks, all kept: the dot matches no
    line break, so reasoning of two lines earns 0.0; the last line break is required, and one more is allowed.

    Range {0.0, 0.5}; the empty completion earns 0.0. How a model might cheat it: with blank lines inside of the tags,
    or by never reasoning beyond a line. The mended plain reward is `strict_format` with tags=("reasoning", "answer").

    Example:
        >>> from rewardkit.presets import willccb_strict_format
        >>> layout = "<reasoning>\n{}\n</reasoning>\n<answer>\n18\n</answer>\n"
        >>> willccb_strict_format([layout.format("6 * 3"), layout.format("6 *\n3"), layout.format("6 * 3").strip()])
        [0.5, 0.0, 0.0]
    """

    def _default_name(self) -> str:
        return "strict_format_reward_func"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Half a point for the layout."""
        return [_half(_is_strict(text)) for text in first_messages(batch)]


@dataclass(frozen=True, kw_only=True, repr=False)
class WillccbSoftFormat(Reward):
    r"""``soft_format_reward_func``: 0.5 for reasoning and answer tags at the start, each pair on one line, else 0.0.

    value = 0.5 if ``re.match`` finds ``<reasoning>.*?</reasoning>\s*<answer>.*?</answer>`` without DOTALL, else 0.0;
    computed here by plain search. Source: grpo_demo.py by willccb. The quirks, all kept: the dot matches no line break,
    so the layout that the prompt asks for, with tags on their own lines, earns 0.0 even where the strict reward pays;
    anything may follow, nothing may precede.

    Range {0.0, 0.5}; the empty completion earns 0.0. How a model might cheat it: ``<reasoning></reasoning><answer>
    </answer>`` on one line. The mended plain reward is `soft_format` with tags=("reasoning", "answer").

    Example:
        >>> from rewardkit.presets import willccb_soft_format
        >>> one = "<reasoning>6 * 3</reasoning> <answer>18</answer>"
        >>> willccb_soft_format([one, one + " and so on", one.replace(" * ", " *\n"), "So " + one, ""])
        [0.5, 0.5, 0.0, 0.0, 0.0]
    """

    def _default_name(self) -> str:
        return "soft_format_reward_func"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Half a point for the tags."""
        return [_half(_is_soft(text)) for text in first_messages(batch)]


@dataclass(frozen=True, kw_only=True, repr=False)
class WillccbXmlCount(Reward):
    r"""``xmlcount_reward_func``: 0.125 for each of four pieces that occurs once, less 0.001 for what follows, twice.

    The pieces are ``<reasoning>⏎``, ``⏎</reasoning>⏎``, ``⏎<answer>⏎`` and ``⏎</answer>``. The third takes 0.001 with
    it for each character after the last ``⏎</answer>⏎`` (of the whole text where there is none), the fourth 0.001 for
    each character but one after the last ``⏎</answer>``. Source: grpo_demo.py by willccb. The quirks, all kept:
    trailing text is charged twice; a completion that is cut off before ``</answer>``, or ends with it and no line
    break, pays for all of its characters, without a floor.

    Range (-inf, 0.5]; the empty completion earns 0.0. How a model might cheat it: bare tags around nothing earn all
    of it. The mended plain reward is `xml_count` with tags=("reasoning", "answer").

    Example:
        >>> from rewardkit.presets import willccb_xml_count
        >>> done = "<reasoning>\n6 * 3\n</reasoning>\n<answer>\n18\n</answer>\n"
        >>> [round(v, 3) for v in willccb_xml_count([done, done + "So it is.", done[:-1], done[:-11], ""])]
        [0.5, 0.482, 0.449, 0.333, 0.0]
    """

    def _default_name(self) -> str:
        return "xmlcount_reward_func"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The count, in the order of the original's additions."""
        return [Outcome(_xml_count(text), "scored") for text in first_messages(batch)]


def tagged(text: str) -> str:
    """What stands between the last ``<answer>`` and the next ``</answer>``, or all there is."""
    return text.split("<answer>")[-1].split("</answer>")[0].strip()


def _half(right: bool, answer: str | None = None) -> Outcome:
    return judged(right, extracted=answer and answer[:200])._replace(value=0.5 if right else 0.0)


def _is_strict(text: str) -> bool:
    lines = text.split("\n", 8)
    marks = [line for number, line in enumerate(lines) if number not in (1, 4)]
    layout = ["<reasoning>", "</reasoning>", "<answer>", "</answer>", ""]
    return marks in (layout, [*layout, ""])


def _is_soft(text: str) -> bool:
    """Lazy repetitions ask only whether the marks exist in order; none may stand across a line break."""
    if not text.startswith("<reasoning>"):
        return False
    line_end, searched = _line_end(text, 0), -1
    for between in BETWEEN.finditer(text, len("<reasoning>")):
        if between.start() >= line_end:
            return False
        end = _line_end(text, between.end())
        if end != searched and text.find("</answer>", between.end(), end) >= 0:
            return True
        searched = end  # what an earlier start did not find there, a later one will not
    return False


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _xml_count(text: str) -> float:
    count = 0.0
    if text.count("<reasoning>\n") == 1:
        count += CREDIT
    if text.count("\n</reasoning>\n") == 1:
        count += CREDIT
    if text.count("\n<answer>\n") == 1:
        count += CREDIT
        count -= len(text.split("\n</answer>\n")[-1]) * CHARGE
    if text.count("\n</answer>") == 1:
        count += CREDIT
        count -= (len(text.split("\n</answer>")[-1]) - 1) * CHARGE
    return count


willccb_correctness = WillccbCorrectness()
willccb_int = WillccbInt()
willccb_strict_format = WillccbStrictFormat()
willccb_soft_format = WillccbSoftFormat()
willccb_xml_count = WillccbXmlCount()

willccb_gsm8k = combine(
    willccb_xml_count,
    willccb_soft_format,
    willccb_strict_format,
    willccb_int,
    willccb_correctness,
    name="willccb_gsm8k",
)
"""The five rewards of the demonstration, 1.0 each, in its order. Range (-inf, 3.5]: the soft and the
strict format never pay together, and text after the last tag is charged without a floor."""
