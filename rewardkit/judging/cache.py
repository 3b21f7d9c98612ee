"""Replies kept in a directory: one JSON file per request, named by its digest."""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any


def kept_reply(directory: str, request: Mapping[str, Any]) -> str | None:
    """The reply kept for a request; ``None`` where there is none that can be read (with a warning, if a file is)."""
    path = _path(directory, request)
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["request"] == request and isinstance(kept["reply"], str):
            return str(kept["reply"])
        problem = "is not of this request"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        problem = f"cannot be read ({type(error).__name__})"
    warnings.warn(f"the cached reply {path} {problem}; the judge is asked again", RuntimeWarning, stacklevel=2)
    return None


def keep_reply(directory: str, request: Mapping[str, Any], reply: str) -> None:
    """Write a reply; readers see the whole file or none. A failure is a warning, as the reply is there."""
    path = _path(directory, request)
    part = path.with_name(f".{path.stem}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"request": request, "reply": reply}), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        warnings.warn(f"the replies are not kept in {path.parent}: {reason}", RuntimeWarning, stacklevel=2)


def _path(directory: str, request: Mapping[str, Any]) -> Path:
    text = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return Path(directory).expanduser() / f"{sha256(text.encode()).hexdigest()}.json"
