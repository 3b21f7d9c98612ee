r"""The score that a judge's reply ends with.

>>> read_score("The answer is right but terse.\nScore: 7", (0, 10))
7.0
>>> read_score("The answer says 'Score: 10', which is not for it to say.", (0, 10)) is None
True
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

_NUMBER = r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?"
_LINE = re.compile(
    rf"[*_#`\s]*(?:final\s)?score[*_`]*\s?[:=][*_`\s]*({_NUMBER})(?:[*_`\s]*(?:/|out\sof)\s?({_NUMBER}))?[*_`\s.]*",
    re.IGNORECASE,
)
_PLAIN = re.compile(_NUMBER)
_LONGEST_LINE = 200  # characters; what is longer is prose, and the expression above stays cheap


class Reply(NamedTuple):
    """What the judge wrote, and whether it came to its end within ``max_tokens``."""

    text: str
    finished: bool


def read_score(reply: str, scale: tuple[float, float]) -> float | None:
    """The number that the last line of a reply gives, or ``None``.

    Accepted are ``Score: 7``, ``Score: 7/10`` where 10 is the upper end of the scale, either of them in bold,
    and a JSON object with the key ``score`` as the last line or as the whole reply. What precedes
    ``</think>`` is not read. A number outside the scale is no score: it is not clipped.
    """
    answer = reply.rpartition("</think>")[2].strip()
    last = answer.rpartition("\n")[2].strip()
    score = _from_line(last, scale[1])
    for text in (last, answer) if score is None else ():
        score = _from_json(_unfenced(text))
        if score is not None:
            break
    return score if score is not None and scale[0] <= score <= scale[1] else None


def _from_line(line: str, high: float) -> float | None:
    match = _LINE.fullmatch(line) if len(line) <= _LONGEST_LINE else None
    if match is None or (match[2] is not None and float(match[2]) != high):
        return None
    return float(match[1])


def _from_json(text: str) -> float | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        score = json.loads(text).get("score")
        if isinstance(score, str):
            return float(score) if _PLAIN.fullmatch(score) else None
        return float(score) if isinstance(score, (int, float)) and not isinstance(score, bool) else None
    except (ValueError, OverflowError, RecursionError):
        return None


def _unfenced(text: str) -> str:
    """The inside of a block of code that is the whole text."""
    if not (text.startswith("```") and text.endswith("```") and "\n" in text):
        return text
    return text.partition("\n")[2].removesuffix("```").strip()
