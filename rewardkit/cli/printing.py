"""What commands print: tables as wide as the terminal, or JSON; and the library's errors as one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rewardkit.cli.errors import UsageError


def show(report: Any) -> None:
    """A report on stdout: in colour in a terminal, as plain text elsewhere."""
    if not sys.stdout.isatty():
        print(report)
        return
    from rich.console import Console

    Console().print(report)


def show_json(data: Any) -> None:
    """Data on stdout."""
    print(json.dumps(data, indent=1, ensure_ascii=False, default=str))


@contextmanager
def plain_errors() -> Iterator[None]:
    """What the library refuses is the user's to mend: one line, no traceback.

    Raises:
        UsageError: in place of a ValueError, a TypeError or a missing library.
    """
    try:
        yield
    except (ValueError, TypeError, ImportError) as error:
        raise UsageError(str(error)) from error
