"""Numbers in running text."""

from __future__ import annotations

import re

from rewardkit.equivalence.algebra import normal
from rewardkit.equivalence.polynomials import TooLarge, Undefined, rational
from rewardkit.equivalence.reader import read
from rewardkit.equivalence.tree import Call, Number, Product, Quantity

_UNSIGNED = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_WRITTEN = re.compile(
    rf"(?<![\w.])[+-]?(?:\\frac\{{\d+\}}\{{\d+\}}|(?:{_UNSIGNED})(?:/\d+|[eE][+-]?\d+(?!\w)|\s?(?:\\times|\*)\s?10\^\{{?-?\d+\}}?)?)%?",
    re.ASCII,
)
_TAIL = 10_000


def last_number(text: str) -> str | None:
    """The last number written in a running text, or ``None``.

    Only the last 10,000 characters are read.

    Example:
        >>> last_number("So 3 boxes cost $1,050.50 in all.")
        '1,050.50'
    """
    tail = text[-_TAIL:].replace("{,}", ",").replace(r"\%", "%").replace(r"\dfrac", r"\frac")
    found = None
    for match in _WRITTEN.finditer(tail):
        found = match.group()
    return found


def is_number(text: str) -> bool:
    """Whether the whole text is one rational number, with a unit or a percent sign perhaps."""
    node = read(text).value
    if isinstance(node, Quantity):
        node = node.value
    while isinstance(node, Call) and node.name in ("percent", "degree"):
        (node,) = node.args
    if isinstance(node, Product):  # -5%, 3 \times 10^8 and \frac{1}{2} of 8 are numbers too
        try:
            return rational(normal(node)) is not None
        except (TooLarge, Undefined):
            return False
    return isinstance(node, Number)
