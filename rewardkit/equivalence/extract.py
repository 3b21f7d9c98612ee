r"""Which text is the answer: the last box of a completion, the final answer of a reference.

>>> last_boxed(r"First \boxed{3}, no: \boxed{\frac{1}{2}}")
'\\frac{1}{2}'
>>> reference_answer("16 - 3 - 4 = 9, and 9 * 2 = 18.\n#### 18")
'18'
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rewardkit.equivalence.check import check
from rewardkit.sections import final_part

OnConflict = Literal["last", "reject"]

# A token that can change the nesting of braces: a box that opens, an escaped character, a brace.
_BRACES = re.compile(r"(?<!\\)(\\+)(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """An answer, ``None`` where there is none, and where it comes from."""

    text: str | None
    why: str


def boxes(text: str) -> list[str]:
    r"""The contents of all ``\boxed{...}`` and ``\fbox{...}`` with balanced braces that are in no other box.

    One pass over the text with a stack of open braces, so nesting costs nothing extra. A box that never
    closes (a truncated completion) does not count. LaTeX that was escaped once too often
    (``\\boxed{\\frac{1}{2}}``) is read as it was meant.
    """
    start_at = text.find("box")
    while start_at > 0 and text[start_at - 1] in "f\\":  # braces before the first box cannot matter
        start_at -= 1
    if start_at < 0:
        return []
    stack: list[tuple[int, int]] = []  # (backslashes before "boxed", 0 for a bare brace; where its content starts)
    found: list[tuple[int, int, int]] = []
    for match in _BRACES.finditer(text, start_at):
        token = match.group()
        if match.group(1) or token == "{":
            stack.append((len(match.group(1) or ""), match.end()))
        elif token == "}" and stack:
            slashes, start = stack.pop()
            if slashes:
                while found and found[-1][1] > start:  # boxes inside this one
                    found.pop()
                found.append((slashes, start, match.start()))
    return [text[s:e] if slashes % 2 else text[s:e].replace("\\\\", "\\") for slashes, s, e in found]


def last_boxed(text: str) -> str | None:
    r"""The content of the last ``\boxed{...}``; ``None`` without one. See :func:`boxes`."""
    found = boxes(text)
    return found[-1] if found else None


def reference_answer(ground_truth: str) -> str:
    r"""The answer within a reference: after the last ``####``, else its last box, else all of it."""
    if "####" in ground_truth:
        return ground_truth[ground_truth.rfind("####") + 4 :].strip()
    boxed = last_boxed(ground_truth)
    return (ground_truth if boxed is None else boxed).strip()


def known_conflict(on_conflict: str) -> None:
    """Refuse what is neither "last" nor "reject"."""
    if on_conflict not in ("last", "reject"):
        raise ValueError(f"on_conflict must be 'last' or 'reject', got {on_conflict!r}")


def extract_answer(text: str, *, on_conflict: OnConflict = "last") -> Answer:
    r"""The boxed answer of a completion, as the rewards read it, and why it is that one.

    Args:
        text: a completion. Only what follows the last ``</think>`` is read.
        on_conflict: "last": the last box counts. "reject": no answer where the boxes hold different ones.

    Example:
        >>> extract_answer(r"<think>\boxed{3}</think> So \boxed{4}.")
        Answer(text='4', why='the only box of the final part')
        >>> extract_answer(r"\boxed{4} or \boxed{-4}", on_conflict="reject").text is None
        True
    """
    known_conflict(on_conflict)
    found = boxes(final_part(text))
    if not found:
        return Answer(None, r"no \boxed{} in the final part")
    if len(found) == 1:
        return Answer(found[0], "the only box of the final part")
    if on_conflict == "reject":
        other = next((box for box in dict.fromkeys(found[:-1]) if not check(box, found[-1])), None)
        if other is not None:
            return Answer(None, f"the boxes hold different answers: {other[:100]!r} and {found[-1][:100]!r}")
    return Answer(found[-1], f"the last of {len(found)} boxes of the final part")
