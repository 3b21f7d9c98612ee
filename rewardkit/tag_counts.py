r"""Rewards that pay in small steps while a model is still learning which tags to write.

>>> from rewardkit import tag_count, xml_count
>>> half = "<think>\n1+1\n</think>\n2"
>>> tag_count([half]), xml_count([half])
([0.5], [0.25])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rewardkit.contract import Batch, Outcome, Reward
from rewardkit.tags import marks, not_once, tag_names, times


@dataclass(frozen=True, kw_only=True, repr=False)
class TagCount(Reward):
    r"""The share of the tags that occur exactly once: a slope towards the format.

    value = (pieces that occur exactly once) / (pieces), where the pieces of the default tags are
    ``<think>⏎``, ``⏎</think>⏎``, ``⏎<answer>⏎`` and ``⏎</answer>``. Source: the tag_count reward of open-r1.

    Range [0.0, 1.0]; the empty completion earns 0.0. How a model might cheat it: the bare tags earn it all,
    in any order, around nothing. Keep its weight small and drop it when `strict_format` is earned.

    Attributes:
        tags: names of the sections, in order, at least one.
        newlines: the line breaks are part of the pieces; with ``False`` the pieces are the bare tags.

    Raises:
        ValueError, TypeError: no tags, or a bad or repeated name.

    Example:
        >>> from rewardkit import tag_count
        >>> tag_count(["<think>\n1+1\n</think>\n<answer>\n2\n</answer>", "<think>\n1+1", ""])
        [1.0, 0.25, 0.0]
    """

    tags: Sequence[str] = ("think", "answer")
    newlines: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tag_names(self.tags))

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """The share, with the pieces that are off as detail."""
        pieces = _pieces(self.tags, self.newlines)
        return [self._share(text, pieces) for text in batch.texts]

    def _share(self, text: str, pieces: Sequence[str]) -> Outcome:
        off = not_once(text, pieces)
        return Outcome((len(pieces) - len(off)) / len(pieces), "scored", _off_detail(off))


@dataclass(frozen=True, kw_only=True, repr=False)
class XmlCount(Reward):
    r"""Credit for every piece of markup that occurs exactly once, less a charge for text after the last.

    value = max(floor, credit * hits - charge * max(0, extra - free))

    hits: pieces that occur exactly once. extra: characters after the last occurrence of the last piece,
    0 where that piece is missing. Source: the xmlcount reward of the R1 demonstrations on GSM8K, which
    charges twice and has no floor.

    Range [floor, credit * number of pieces]; the empty completion earns max(floor, 0.0). How a model might
    cheat it: as `tag_count`, the bare tags earn it all; and never closing the last tag avoids the charge at
    the price of one credit.

    Attributes:
        tags: names of the sections, in order, from which the pieces are made; see `TagCount`.
        pieces: the strings to count instead of those made from `tags`; the last one marks the end.
        credit: for each piece that occurs exactly once, positive.
        charge: per character after the end, at least 0.
        floor: no value is lower than this.
        free: characters after the end that cost nothing, such as one line break.
        newlines: the line breaks are part of the pieces made from `tags`.

    Raises:
        ValueError, TypeError: bad tags, no pieces, an empty or repeated piece, a number out of its range.

    Example:
        >>> from rewardkit import xml_count
        >>> right = "<think>\n1+1\n</think>\n<answer>\n2\n</answer>"
        >>> xml_count([right, right + " " * 100, right + " " * 9000, ""])
        [0.5, 0.4, 0.0, 0.0]
    """

    tags: Sequence[str] = ("think", "answer")
    pieces: Sequence[str] | None = None
    credit: float = 0.125
    charge: float = 0.001
    floor: float = 0.0
    free: int = 0
    newlines: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", tag_names(self.tags))
        if self.pieces is not None:
            object.__setattr__(self, "pieces", _checked_pieces(self.pieces))
        if not (math.isfinite(self.credit) and self.credit > 0):
            raise ValueError(f"credit must be a positive number, got {self.credit}")
        if not (math.isfinite(self.charge) and self.charge >= 0):
            raise ValueError(f"charge must be 0 or a positive number, got {self.charge}; it is subtracted")
        if not math.isfinite(self.floor):
            raise ValueError(f"floor must be finite, got {self.floor}; a large negative number never binds")
        if self.free < 0:
            raise ValueError(f"free must be 0 or more characters, got {self.free}")

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Credits less charge, with the pieces that are off and the text after the end as detail."""
        pieces = _pieces(self.tags, self.newlines) if self.pieces is None else self.pieces
        return [self._credit(text, pieces) for text in batch.texts]

    def _credit(self, text: str, pieces: Sequence[str]) -> Outcome:
        off = not_once(text, pieces)
        end = text.rfind(pieces[-1])
        extra = 0 if end < 0 else len(text) - end - len(pieces[-1])
        earned = self.credit * (len(pieces) - len(off)) - self.charge * max(0, extra - self.free)
        trailing = f"{extra} characters after {pieces[-1]!r}" if extra > self.free else ""
        detail = "; ".join(filter(None, (_off_detail(off), trailing)))
        return Outcome(max(self.floor, earned), "scored", detail)


def _checked_pieces(pieces: Sequence[str]) -> tuple[str, ...]:
    if isinstance(pieces, str):
        raise TypeError(f"pieces must be a sequence of strings, got the text {pieces!r}; put it in a list")
    checked = tuple(pieces)
    if not checked:
        raise ValueError("pieces is empty; list at least one string to count, or leave it None")
    for piece in checked:
        if not isinstance(piece, str) or not piece:
            raise ValueError(f"pieces holds {piece!r}; every piece must be a string that is not empty")
        if checked.count(piece) > 1:
            raise ValueError(f"piece {piece!r} is listed {checked.count(piece)} times; list it once")
    return checked


def _pieces(tags: Sequence[str], newlines: bool) -> list[str]:
    """The tags as they are counted: a line break on each side, but none around the whole."""
    first, *inner, last = marks(tags)
    if not newlines:
        return [first, *inner, last]
    return [f"{first}\n", *(f"\n{mark}\n" for mark in inner), f"\n{last}"]


def _off_detail(off: dict[str, int]) -> str:
    return ", ".join(times(repr(piece), count) for piece, count in off.items())


tag_count = TagCount()
xml_count = XmlCount()
