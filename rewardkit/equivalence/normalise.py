r"""One spelling for one thing: LaTeX that only changes how an answer looks is taken away.

>>> normal_form(r"$\left( \dfrac{1}{2},\, 3 \right)$")
'(\\frac{1}{2},3)'
>>> normal_form(r"\text{ Blue  car. }")
'Blue car'
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_CHARS = 10_000
"""Longer texts are compared as they are: no answer is that long."""

_DROP = re.compile(
    r"\\left(?![a-zA-Z])|\\right(?![a-zA-Z])|\\displaystyle|\\[!,;:]|\\ |\\\$|\^\\circ|\^\{\\circ\}|\\degree|°"
)
_FRACTION = re.compile(r"\\[dtc]frac(?![a-zA-Z])")
_STYLED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}")
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_SYMBOLS = str.maketrans(
    {
        **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},  # full-width ASCII
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ",
        "≤": r"\le ", "≥": r"\ge ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "~": " ",
    }
)  # fmt: skip
_SPELLINGS = (
    ("{,}", ","),
    (r"\%", "%"),
    (r"\leq", r"\le"),
    (r"\geq", r"\ge"),
    (r"\lvert", "|"),
    (r"\rvert", "|"),
)
# "\\pi r" and "1 1/2" need their space: without it they would be other things.
_NEEDLESS_SPACE = re.compile(r"(?<!\d) (?=\d)|(?<=\d) (?!\d)|(?<![\da-zA-Z]) | (?![\da-zA-Z])")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*")


@lru_cache(maxsize=16_384)
def normal_form(text: str) -> str:
    """The text without wrappers, styling, layout spaces and a final full stop.

    Spaces are dropped unless the text consists of words alone, or dropping one would join what it parts.
    """
    if len(text) > MAX_CHARS:
        return text
    text = _unwrap(text.translate(_SYMBOLS).strip())
    text = _FRACTION.sub(r"\\frac", _DROP.sub("", text))
    text = _STYLED.sub(r" \1 ", text)
    for old, new in _SPELLINGS:
        text = text.replace(old, new)
    text = " ".join(text.split()).rstrip(" .;,")
    return text if is_words(text) else _NEEDLESS_SPACE.sub("", text)


def is_words(text: str) -> bool:
    """Whether the text is plain language: words of letters, and more than a single symbol."""
    return len(text) > 1 and _WORDS.fullmatch(text) is not None


def _unwrap(text: str) -> str:
    for start, end in _WRAPPERS:
        if len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end):
            return text[len(start) : -len(end)].strip()
    return text
