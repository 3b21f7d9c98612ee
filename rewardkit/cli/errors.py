"""What a user did wrong at the command line: one line on stderr, exit status 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """An argument or a file that cannot be used; the message names the remedy."""


def nearest(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or what there is.

    Example:
        >>> nearest("scroe", ["score", "list"])
        "; did you mean 'score'?"
        >>> nearest("zzz", ["score", "list"])
        '; there are list, score'
    """
    listed = sorted(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(listed) or 'none'}"
