"""Names of tags, the strings they are written as, and how often those occur."""

from __future__ import annotations

import re
from collections.abc import Sequence


def tag_names(tags: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple, refused unless each is a tag name and stands there once."""
    if isinstance(tags, str):
        raise TypeError(f'tags must be a sequence of names, got the text {tags!r}; write tags=("{tags}",)')
    names = tuple(tags)
    if not names:
        raise ValueError('tags is empty; name at least one section, such as tags=("answer",)')
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][\w-]*", name):
            raise ValueError(f"{name!r} is no tag name; give letters, digits, - and _ without the brackets")
        if names.count(name) > 1:
            raise ValueError(f"tag {name!r} is listed {names.count(name)} times; name every section once")
    return names


def marks(tags: Sequence[str]) -> list[str]:
    """Opening and closing tag of each name, in order."""
    return [mark for tag in tags for mark in (f"<{tag}>", f"</{tag}>")]


def not_once(text: str, pieces: Sequence[str]) -> dict[str, int]:
    """The pieces that do not occur exactly once, with how often they do."""
    return {piece: times for piece in pieces if (times := text.count(piece)) != 1}


def times(what: str, count: int) -> str:
    """How often something occurs, in words."""
    return f"no {what}" if count == 0 else f"{what} occurs {count} times"
