r"""Rewards for the shape of a completion: its tags, judged without looking at what they hold.

They say yes or no; :mod:`rewardkit.tag_counts` pays in small steps while a model is still learning the shape. All
use plain string search: the number of passes over a completion depends on the number of tags, never on the text.

    >>> from rewardkit import soft_format, strict_format, tag_count
    >>> strict = "<think>\n1+1\n</think>\n<answer>\n2\n</answer>"
    >>> soft = "Well. <think>1+1</think> So it is <answer>2</answer>."
    >>> [reward([strict, soft]) for reward in (strict_format, soft_format, tag_count)]
    [[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]]
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rewardkit.contract import Batch, Outcome, Reward, judged
from rewardkit.tags import marks, not_once, tag_names, times

PATTERN_SECONDS = 1.0
"""What an ``answer_pattern`` may take per completion: a pattern is trusted, the text it meets is not."""


@dataclass(frozen=True, kw_only=True, repr=False)
class StrictFormat(Reward):
    r"""1.0 where the whole completion is the tagged sections and nothing else, else 0.0.

    With the default tags and white space around the whole ignored::

        <think>⏎reasoning⏎</think>⏎<answer>⏎the answer⏎</answer>

    Every tag occurs exactly once, in order, no body is blank, and between a closing and the next opening
    tag there is exactly one line break. Source: the format reward of DeepSeek-R1 (arXiv 2501.12948) and
    open-r1, without what passes there: trailing lines, empty bodies, doubled and nested tags.

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: one character is a body.
    It looks at the shape alone, so let it open the gate or add a little, and let another reward pay for
    what the tags hold.

    Attributes:
        tags: names of the sections, in order, at least one.
        newlines: the line breaks shown above are required. With ``False`` bodies are taken as they come
            and any or no white space separates the sections.
        answer_pattern: a regular expression (package `regex`) that must match the whole body of the last
            tag, with or without its outer white space: one that spells out the line breaks allows no
            other. It is given one second per completion; running longer is 0.0 with the status "timeout".
        prefilled: the chat template already wrote the first opening tag and its line break, so the
            completion starts inside the first body. One that repeats the opening at its start is judged
            as it is.

    Raises:
        ValueError, TypeError: no tags, a bad or repeated name, a pattern that does not compile.

    Example:
        >>> from rewardkit import StrictFormat, strict_format
        >>> strict_format(["<think>\n1+1\n</think>\n<answer>\n2\n</answer>", "<answer>\n2\n</answer>", ""])
        [1.0, 0.0, 0.0]
        >>> integer = StrictFormat(tags=["answer"], newlines=False, answer_pattern=r"-?\d+")
        >>> integer(["<answer>42</answer>", "<answer>forty-two</answer>"])
        [1.0, 0.0]
        >>> strict_format.explain(["<think>\n1\n</think>\n<answer>\n\n</answer>"])[0].detail
        'empty <answer>'
    """

    tags: Sequence[str] = ("think", "answer")
    newlines: bool = True
    answer_pattern: str | None = None
    prefilled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tag_names(self.tags))
        _check_pattern(self.answer_pattern)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the first fault as detail."""
        pattern = _compiled(self.answer_pattern)
        return [self._judge(text, pattern) for text in batch.texts]

    def _judge(self, text: str, pattern: Any) -> Outcome:
        whole, expected = self._with_prefill(text), marks(self.tags)
        fault = _order_fault(whole, expected)
        if fault:
            return judged(False, fault)
        pieces = _cut(whole, expected)
        fault = self._layout_fault(pieces)
        return judged(False, fault) if fault else _match(pattern, pieces[-2])

    def _with_prefill(self, text: str) -> str:
        opening = f"<{self.tags[0]}>" + ("\n" if self.newlines else "")
        return opening + text if self.prefilled and not text.lstrip().startswith(opening) else text

    def _layout_fault(self, pieces: list[str]) -> str:
        if not _blank(pieces[0]):
            return f"text before <{self.tags[0]}>"
        for tag, body, gap, following in zip(
            self.tags, pieces[1::2], pieces[2::2], [*self.tags[1:], None], strict=True
        ):
            fault = self._body_fault(tag, body) or self._gap_fault(tag, gap, following)
            if fault:
                return fault
        return ""

    def _body_fault(self, tag: str, body: str) -> str:
        if _blank(body):
            return f"empty <{tag}>"
        if self.newlines and not body.startswith("\n"):
            return f"no line break after <{tag}>"
        if self.newlines and not body.endswith("\n"):
            return f"no line break before </{tag}>"
        return ""

    def _gap_fault(self, tag: str, gap: str, following: str | None) -> str:
        if following is None:
            return "" if _blank(gap) else f"text after </{tag}>"
        if not _blank(gap):
            return f"text between </{tag}> and <{following}>"
        if self.newlines and gap != "\n":
            return f"not exactly one line break between </{tag}> and <{following}>"
        return ""


@dataclass(frozen=True, kw_only=True, repr=False)
class SoftFormat(Reward):
    r"""1.0 where each section is there, in order and not blank, whatever surrounds it; else 0.0.

    One scan from the left: the first ``<think>``, the first ``</think>`` after it, then the first
    ``<answer>`` after that, and so on. These first pairs are the ones judged; repetitions, other text and
    line breaks do not matter. Source: the soft format reward of the R1 demonstrations on GSM8K, which
    there scores 0 on reasoning of several lines (a dot that does not match a line break).

    Range {0.0, 1.0}; the empty completion earns 0.0. How a model might cheat it: fill the tags with one
    character each and write what it likes after them, a second and third answer included. Use
    `strict_format` once the model knows the shape.

    Attributes:
        tags: names of the sections, in order, at least one.
        answer_pattern: a regular expression (package `regex`) that must match the whole body of the last
            section found, with or without its outer white space; limited as in `StrictFormat`.

    Raises:
        ValueError, TypeError: no tags, a bad or repeated name, a pattern that does not compile.

    Example:
        >>> from rewardkit import soft_format
        >>> soft_format(["Hm. <think>1\n+1</think> So: <answer>2</answer>!", "<answer>2</answer>", ""])
        [1.0, 0.0, 0.0]
        >>> soft_format.explain(["<think>1+1</think> So <answer>2"])[0].detail
        'no </answer> after <answer>'
    """

    tags: Sequence[str] = ("think", "answer")
    answer_pattern: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tag_names(self.tags))
        _check_pattern(self.answer_pattern)

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Right, or wrong with the first section that is missing or blank as detail."""
        pattern = _compiled(self.answer_pattern)
        return [self._judge(text, pattern) for text in batch.texts]

    def _judge(self, text: str, pattern: Any) -> Outcome:
        at, body, before = 0, "", ""
        for tag in self.tags:
            opened = text.find(f"<{tag}>", at)
            if opened < 0:
                return judged(False, f"no <{tag}>{before}")
            start = opened + len(f"<{tag}>")
            closed = text.find(f"</{tag}>", start)
            if closed < 0:
                return judged(False, f"no </{tag}> after <{tag}>")
            body = text[start:closed]
            if _blank(body):
                return judged(False, f"empty <{tag}>")
            at, before = closed + len(f"</{tag}>"), f" after </{tag}>"
        return _match(pattern, body)


def _order_fault(text: str, expected: Sequence[str]) -> str:
    """Why the tags are not each there once and in order; empty where they are."""
    off = not_once(text, expected)
    if off:
        return times(*next(iter(off.items())))
    at = [text.find(mark) for mark in expected]
    for i in range(1, len(expected)):
        if at[i] < at[i - 1]:
            return f"{expected[i]} stands before {expected[i - 1]}"
    return ""


def _cut(text: str, expected: Sequence[str]) -> list[str]:
    """The text before, between and after tags that occur once and in order."""
    pieces = []
    for mark in expected:
        piece, _, text = text.partition(mark)
        pieces.append(piece)
    return [*pieces, text]


def _blank(text: str) -> bool:
    return not text or text.isspace()


def _compiled(pattern: str | None) -> Any:
    if pattern is None:
        return None
    import regex  # its matching can be stopped by the clock; loaded only where a pattern is used

    try:
        return regex.compile(pattern)  # cached by the package
    except (regex.error, TypeError) as error:
        raise ValueError(f"answer_pattern {pattern!r} is no regular expression: {error}") from error


def _check_pattern(pattern: str | None) -> None:
    """Refuse a bad pattern at once; one that `re` can read is no reason to load the package `regex`."""
    try:
        if pattern is not None:
            re.compile(pattern)
    except (re.error, TypeError):
        _compiled(pattern)


def _match(pattern: Any, body: str) -> Outcome:
    if pattern is None:
        return judged(True)
    try:
        right = any(pattern.fullmatch(text, timeout=PATTERN_SECONDS / 2) for text in (body.strip(), body))
    except TimeoutError:
        return Outcome(0.0, "timeout", f"answer_pattern took longer than {PATTERN_SECONDS:g} s")
    return judged(right, "" if right else f"the answer does not match {pattern.pattern!r}")


strict_format = StrictFormat()
soft_format = SoftFormat()
