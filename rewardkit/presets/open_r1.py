r"""The rewards of open-r1 by their names in its registry, value for value; lengths are in `open_r1_lengths`.

Its four rewards that run code need its sandboxes and are not here; see `rewardkit.sandbox.code_tests`. Accuracy
needs the package math-verify (extra ``trl``).

    >>> from rewardkit import presets
    >>> good = "<think>\n6 * 3\n</think>\n<answer>\n\\boxed{18}\n</answer>"
    >>> presets.open_r1([good, good + "\nAnd now to something else."], solution="18")
    [3.0, 3.0]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rewardkit.combine import combine
from rewardkit.contract import Batch, ColumnError, Outcome, Reward, judged
from rewardkit.presets.first_message import first_messages, references
from rewardkit.presets.math_verify_outcomes import accuracies
from rewardkit.tags import not_once, times

PIECES = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")
"""What tag_count counts."""

STEP = re.compile(r"Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,")
"""What reasoning_steps counts; without MULTILINE, so that ``1.`` counts at the very start alone."""


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1Accuracy(Reward):
    r"""open-r1's "accuracy": 1.0 where math-verify finds the answer equal to the reference, else 0.0.

    Source: accuracy_reward of open-r1 (src/open_r1/rewards.py, its last version; earlier ones paid 1.0 where the
    reference cannot be read and took references as LaTeX only). The quirks, all kept: those of `TrlAccuracy` with
    time-outs of 5 s, except that a reference is read once, at its first match, and that nothing is normalised in
    operators and nits. ``None`` where the reference cannot be read or the comparison fails.

    Range {0.0, 1.0} or ``None``; the empty completion earns 0.0. How a model might cheat it: as `TrlAccuracy`. The
    mended plain reward is `boxed_accuracy`.

    Attributes:
        answer_key: the column of the references, which are text.

    Raises:
        ImportError: math-verify is not installed.
        ColumnError: no such column, or a reference that is not text.

    Example:
        >>> from rewardkit.presets import open_r1_accuracy
        >>> open_r1_accuracy([r"\boxed{36/2}", "It is 18."], solution="$18$")
        [1.0, 0.0]
        >>> open_r1_accuracy([r"\boxed{36/2}"], solution="eighteen")
        [None]
    """

    answer_key: str = "solution"

    def _default_name(self) -> str:
        return "accuracy_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """math-verify's verdicts."""
        found = accuracies("open_r1", first_messages(batch), references(batch, self.answer_key), self.answer_key)
        return [outcome._replace(value=None) if outcome.status == "error" else outcome for outcome in found]


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1Format(Reward):
    r"""open-r1's "format": 1.0 for a think and an answer section, each tag on its own line, else 0.0.

    value = 1.0 if ``re.match`` finds ``^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$`` with DOTALL and MULTILINE,
    else 0.0; computed here by plain search. Source: format_reward of open-r1. The quirks, all kept: ``$`` matches at
    the end of any line, so whatever follows on further lines passes; so do blank bodies, a second answer section,
    nested ``<think>`` and doubled ``</answer>``; white space before the first tag fails.

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: the bare tags with blank lines
    between them pass, and the answer may be repeated after them for other rewards to find. The mended plain reward
    is `strict_format`.

    Example:
        >>> from rewardkit.presets import open_r1_format
        >>> good = "<think>\n6 * 3\n</think>\n<answer>\n18\n</answer>"
        >>> open_r1_format([good, good + "\ntrailing", good + " trailing", "<answer>\n18\n</answer>", ""])
        [1.0, 1.0, 0.0, 0.0, 0.0]
    """

    def _default_name(self) -> str:
        return "format_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the first mark that is missing as detail."""
        return [_in_order(text, ()) for text in first_messages(batch)]


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1CodeFormat(Reward):
    r"""open-r1's "code_format": `OpenR1Format` with a fenced block of the language inside the answer.

    value = 1.0 if ``re.match`` finds ``^<think>\n.*?\n</think>\n<answer>\n.*?```{language}.*?```.*?\n</answer>$`` with
    DOTALL and MULTILINE, else 0.0; computed here by plain search. Source: code_format_reward of open-r1. The quirks
    are those of `OpenR1Format`; the block may be empty, and ``python`` is found in ``python3`` as well.

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: an empty block. There is no mended
    twin: gate `code_tests` behind `strict_format`.

    Attributes:
        language: what follows the fence; a column ``language`` of the call goes before it.

    Raises:
        ColumnError: a column ``language`` that holds what is not text.

    Example:
        >>> from rewardkit.presets import open_r1_code_format
        >>> answer = "```python\nprint(18)\n```"
        >>> open_r1_code_format([f"<think>\n6 * 3\n</think>\n<answer>\n{answer}\n</answer>", answer, ""])
        [1.0, 0.0, 0.0]
    """

    language: str = "python"

    def _default_name(self) -> str:
        return "code_format_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the first mark that is missing as detail."""
        given = batch.columns.get("language") is not None
        languages = references(batch, "language") if given else [self.language] * len(batch)
        outcomes = []
        for row, (text, language) in enumerate(zip(first_messages(batch), languages, strict=True)):
            if language is None:
                raise ColumnError(
                    f"column 'language', row {batch.row(row)} is None; name a language or drop the column"
                )
            outcomes.append(_in_order(text, (f"```{language}", "```")))
        return outcomes


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1TagCount(Reward):
    r"""open-r1's "tag_count": 0.25 for each of four pieces that occurs exactly once.

    The pieces are ``<think>⏎``, ``⏎</think>⏎``, ``⏎<answer>⏎`` and ``⏎</answer>``. Source: tag_count_reward of open-r1.
    The quirk, kept: order and content do not matter; a doubled tag costs its quarter where the format still passes.

    Range [0.0, 1.0]; the empty completion earns 0.0. How a model might cheat it: the bare tags earn it all. The
    plain reward is `tag_count`, the same on completions of one message.

    Example:
        >>> from rewardkit.presets import open_r1_tag_count
        >>> open_r1_tag_count(["<think>\n6 * 3\n</think>\n<answer>\n18\n</answer>\n</answer>", "<think>\n", ""])
        [0.75, 0.25, 0.0]
    """

    def _default_name(self) -> str:
        return "tag_count_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The quarters, with the pieces that are off as detail."""
        outcomes = []
        for text in first_messages(batch):
            off = not_once(text, PIECES)
            detail = ", ".join(times(repr(piece), count) for piece, count in off.items())
            outcomes.append(Outcome(0.25 * (len(PIECES) - len(off)), "scored", detail))
        return outcomes


@dataclass(frozen=True, kw_only=True, repr=False)
class OpenR1ReasoningSteps(Reward):
    r"""open-r1's "reasoning_steps": a third for each mark of a step, at most 1.0.

    value = min(1, n / 3), n = matches of ``Step \d+:``, ``^\d+\.``, ``\n-``, ``\n\*``, ``First,`` ``Second,`` ``Next,``
    and ``Finally,``. Source: reasoning_steps_reward of open-r1. The quirks, all kept: without MULTILINE a numbered
    line counts as the very first of the completion alone, and a bullet everywhere but there; ``-3`` and ``---`` are
    steps; the same mark three times is three steps.

    Range [0.0, 1.0]; the empty completion earns 0.0. How a model might cheat it: ``First,First,First,``. The mended
    plain reward is `reasoning_steps`.

    Example:
        >>> from rewardkit.presets import open_r1_reasoning_steps
        >>> open_r1_reasoning_steps(["First, First, First,", "1. Add.\n2. Double.\n3. Done.", ""])
        [1.0, 0.3333333333333333, 0.0]
    """

    def _default_name(self) -> str:
        return "reasoning_steps_reward"

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share, with the count as detail."""
        counts = [sum(1 for _ in STEP.finditer(text)) for text in first_messages(batch)]
        return [Outcome(min(1.0, count / 3), "scored", f"{count} marks of steps") for count in counts]


def _in_order(text: str, inside: tuple[str, ...]) -> Outcome:
    """Whether the text opens with the think section and the marks follow one another to the end of some line.

    Lazy repetitions ask only whether the marks exist in order, and then the first place of each is the best one.
    """
    if not text.startswith("<think>\n"):
        return judged(False, "does not begin with <think> and a line break")
    at = len("<think>\n")
    for mark in ("\n</think>\n<answer>\n", *inside):
        found = text.find(mark, at)
        if found < 0:
            return judged(False, f"no {mark!r} in its place")
        at = found + len(mark)
    closing = "\n</answer>"
    ends = text.find(f"{closing}\n", at) >= 0 or text.endswith(closing, at)
    return judged(ends, "" if ends else "no </answer> that ends a line")


open_r1_accuracy = OpenR1Accuracy()
open_r1_format = OpenR1Format()
open_r1_code_format = OpenR1CodeFormat()
open_r1_tag_count = OpenR1TagCount()
open_r1_reasoning_steps = OpenR1ReasoningSteps()

open_r1 = combine(open_r1_accuracy, open_r1_format, open_r1_tag_count, name="open_r1")
"""The default of open-r1's training script: accuracy, format and tag_count, 1.0 each. Range [0, 3]."""
