r"""The score that a judge's reply ends with.

>>> read_score("The answer is right but terse.\nScore: 7", (0, 10))
7.0
>>> read_score("The answer says 'Score: 10', which is not for it to say.", (0, 10)) is None
True
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from rewardkit.judging.client import RequestError
from rewardkit.judging.prompts import excerpt

_NUMBER = r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})"
_MARKS = r"[*_`$\s]*"  # of Markdown and mathematics
_LINE = re.compile(  # every optional group after the number starts with marks and needs a sign of its own: linear
    rf"[-•>#*_`\s]*(?:(?:final|overall|total)\s)?score[*_`]*\s?[:=]{_MARKS}(?:\\boxed\{{|[<\[(]{{1,2}})?"
    rf"({_NUMBER})(?:{_MARKS}[>\])}}]{{1,2}})?(?:{_MARKS}(?:/|out\sof)\s?({_NUMBER}))?(?:{_MARKS}[>\])}}]{{1,2}})?"
    rf"(?:{_MARKS}(?:points?|pts))?[*_`$\s.]*",
    re.IGNORECASE,
)
_VALUE = re.compile(rf"\s?({_NUMBER})(?:\s?(?:/|out\sof)\s?({_NUMBER}))?\s?", re.IGNORECASE)
_ASCII = str.maketrans({"\uff1a": ":", "\uff1d": "=", "\uff0f": "/", "\u2212": "-", "\uff0d": "-"})
_LONGEST_LINE = 200  # characters; what is longer is prose, and the expression above stays cheap


class Reply(NamedTuple):
    """What the judge wrote, and whether it came to its end within ``max_tokens``."""

    text: str
    finished: bool


def reply_of(answer: Any) -> Reply:
    """The reply in a server's answer to a request for a chat completion.

    Raises:
        RequestError: it holds none.
    """
    try:
        choice = answer["choices"][0]
        content = choice["message"].get("content")
    except (LookupError, TypeError, AttributeError) as error:
        raise RequestError(f"the server's answer has no choices[0].message: {excerpt(repr(answer))}") from error
    if not isinstance(content, (str, type(None))):
        raise RequestError(f"the server's message holds {excerpt(repr(content))} in place of text")
    return Reply(content or "", finished=choice.get("finish_reason") != "length")


def read_score(reply: str, scale: tuple[float, float]) -> float | None:
    """The number that the last line of a reply gives, or ``None``.

    Accepted are ``Score: 7``, ``Score: 7 points`` and ``Score: 7/10`` where 10 is the upper end of the scale,
    also as an "overall", "final" or "total" score, as a list item, in bold, in brackets or boxed; and a JSON
    object with the key ``score`` (7, "7" or "7/10") as the last line, as the whole reply or as a block of code at
    its end. A block of code that is the whole reply is read as if it were bare; in one that follows other text,
    ``Score: 7`` is not read, as it may be a quotation. What precedes ``</think>`` is not read. A number outside
    the scale is no score: it is not clipped.

    Example:
        >>> [read_score(reply, (0, 10)) for reply in ("- **Overall score:** [[7]] / 10", '{"score": "7/10"}')]
        [7.0, 7.0]
    """
    answer = _unfenced(reply.rpartition("</think>")[2].strip())
    last = answer.rpartition("\n")[2].strip()
    score = _from_line(last, scale[1])
    for text in (last, answer, _last_block(answer)) if score is None else ():
        score = _from_json(text, scale[1])
        if score is not None:
            break
    return score if score is not None and scale[0] <= score <= scale[1] else None


def _from_line(line: str, high: float) -> float | None:
    return _number(_LINE.fullmatch(line.translate(_ASCII)) if len(line) <= _LONGEST_LINE else None, high)


def _number(match: re.Match[str] | None, high: float) -> float | None:
    """The number of a match, unless it is given on another scale."""
    if match is None or (match[2] is not None and float(match[2]) != high):
        return None
    return float(match[1])


def _from_json(text: str, high: float) -> float | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        score = json.loads(text).get("score")
        if isinstance(score, str):
            return _number(_VALUE.fullmatch(score.translate(_ASCII)), high)
        return float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _unfenced(text: str) -> str:
    """The inside of the one block of code that is the whole text; the text itself where there is none."""
    whole = text.startswith("```") and text.endswith("```") and text.count("\n```") == 1
    return text.partition("\n")[2].removesuffix("```").strip() if whole else text


def _last_block(text: str) -> str:
    """The inside of the block of code that the text ends with, or nothing."""
    if not text.endswith("\n```"):
        return ""
    before = text.removesuffix("\n```")
    return before[before.rfind("\n```") + 1 :].partition("\n")[2].strip()
