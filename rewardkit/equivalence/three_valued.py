"""Verdicts that may be undecided."""

from __future__ import annotations

from collections.abc import Iterable


def all_of(verdicts: Iterable[bool | None]) -> bool | None:
    """False at the first that is false, else ``None`` where one is undecided, else true."""
    result: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        result = result if verdict else None
    return result
