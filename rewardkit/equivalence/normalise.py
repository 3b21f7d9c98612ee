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

_COMMANDS = (  # a doubled backslash is a line break of a matrix, so "\\ " holds no command
    (re.compile(r"(?<!\\)\\[,;: ]|\\q?quad(?![a-zA-Z])|\\?\$"), " "),
    (re.compile(r"(?<![a-zA-Z])\\! ?"), ""),  # "1,\!000", but not "\pi\!r"
    (re.compile(r"\\(?:left|right|displaystyle|textstyle)(?![a-zA-Z])"), ""),
    (re.compile(r"\^\\circ(?![a-zA-Z])|\^\{\\circ\}|\\degree|°"), ""),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\\leq(?:slant)?(?![a-zA-Z])"), r"\\le "),
    (re.compile(r"\\geq(?:slant)?(?![a-zA-Z])"), r"\\ge "),
    (re.compile(r"\\[lr]vert(?![a-zA-Z])"), "|"),
    (re.compile(r"√ ?(\d+|[a-zA-Z])"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![\\a-zA-Z])(sin|cos|tan|ln|log)(?=\()|(?<![\\a-zA-Z])(pi)(?![a-zA-Z])"), r"\\\1\2 "),
    (re.compile(r"(?<=\d)(?: ?\*| ?\\cdot(?![a-zA-Z])) ?(?=[a-zA-Z]|\\pi|\\sqrt)"), " "),  # 3 \cdot i is 3i
)  # fmt: skip
_WRAPPERS = ((r"\(", r"\)"), (r"\[", r"\]"))
_SYMBOLS = str.maketrans(
    {
        **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)},  # full-width ASCII
        "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ",
        "≤": r"\le ", "≥": r"\ge ", "½": r"\frac{1}{2}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
        "\u00a0": " ", "\u202f": " ", "\u2009": " ", "~": " ",
    }
)  # fmt: skip
# "\pi r" and "1 1/2" need their space: without it they would be other things. So does "5 apples", which the
# numbers tell from "5x", and outside brackets "2, 100", which is not 2,100.
_NEEDLESS_SPACE = re.compile(
    r"(?<!\d) (?=\d)|(?<=\d) (?!\d|[^\W\d_]{2})|(?<=\}) (?![^\W\d_]{2})|(?<![\da-zA-Z}]) | (?![\da-zA-Z])"
)
_NEEDLESS_OUTSIDE = re.compile(rf"(?:{_NEEDLESS_SPACE.pattern})(?!(?<=\d, )\d{{3}}(?!\d))")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*")
_LETTERS = re.compile(r"[^\W\d_]{2}")


def normal_form(text: str) -> str:
    """The text without wrappers, styling, layout spaces and a final full stop.

    Spaces are dropped unless the text consists of words alone, or dropping one would join what it parts.
    """
    return text if len(text) > MAX_CHARS else _normal_form(text)


@lru_cache(maxsize=4_096)
def _normal_form(text: str) -> str:
    text = _unwrap(text.translate(_SYMBOLS).strip())
    for command, plain in _COMMANDS:
        text = command.sub(plain, text)
    text = " ".join(text.replace("{,}", ",").replace(r"\%", "%").split()).rstrip(" ;,")
    if text.endswith(".") and not text.endswith(".."):  # an ellipsis stays: 0.333... is not 0.333
        text = text[:-1].rstrip()
    if is_words(text):
        return text
    return (_NEEDLESS_SPACE if text[:1] in tuple("([{\\|") else _NEEDLESS_OUTSIDE).sub("", text)


def is_words(text: str) -> bool:
    """Whether the text is plain language: words of letters, at least one of them longer than a symbol."""
    return _WORDS.fullmatch(text) is not None and _LETTERS.search(text) is not None


def _unwrap(text: str) -> str:
    for start, end in _WRAPPERS:
        if len(text) >= len(start) + len(end) and text.startswith(start) and text.endswith(end):
            return text[len(start) : -len(end)].strip()
    return text
