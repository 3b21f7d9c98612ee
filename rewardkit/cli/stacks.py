"""``--stack``: a spec file, the name of a ready reward, or ``module:name``."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rewardkit.cli.errors import UsageError, nearest
from rewardkit.contract import Reward
from rewardkit.functions import as_reward
from rewardkit.spec import SpecError, load_spec, ready_rewards

SPEC_SUFFIXES = (".json", ".toml")


def load_stack(text: str, *, allow: Sequence[str] = (), option: str = "--stack") -> Reward:
    """The reward that `text` names.

    Args:
        text: a file that ends in .json or .toml (a spec), ``module:name`` (imported, from the current folder too),
            or a ready reward or preset.
        allow: ``module:name`` of what a spec may import.
        option: where it was named, for messages.

    Raises:
        UsageError: nothing of that name, or what it names is no reward.

    Example:
        >>> load_stack("boxed_accuracy")
        BoxedAccuracy()
    """
    try:
        if text.endswith(SPEC_SUFFIXES):
            return _from_file(text, allow)
        return _imported(text) if ":" in text else _ready(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from error


def _ready(text: str) -> Reward:
    known = ready_rewards()
    if text in known:
        return known[text]
    if f"presets.{text}" in known:
        raise UsageError(f"there is no ready reward {text!r}; the preset is named 'presets.{text}'")
    raise UsageError(
        f"there is no ready reward {text!r}{nearest(text, known)} "
        "(or give a spec file ending in .json or .toml, or module:name)"
    )


def find_modules_here() -> None:
    """Let modules of the current folder be imported, as ``python -m`` does."""
    here = str(Path.cwd())
    if "" not in sys.path and here not in map(os.path.abspath, sys.path):
        sys.path.insert(0, here)


def _from_file(text: str, allow: Sequence[str]) -> Reward:
    if allow:
        find_modules_here()
    try:
        return load_spec(text, allow=allow)
    except SpecError as error:
        raise UsageError(re.sub(r"allow=\[([^\]]*)\]", _as_options, str(error))) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{text} cannot be read: {error}") from error


def _as_options(allow: re.Match[str]) -> str:
    return " ".join(f"--allow {name.strip(chr(39))}" for name in allow[1].split(", "))


def _imported(text: str) -> Reward:
    module_name, _, name = text.partition(":")
    if module_name.endswith(".py") or "/" in module_name or not name:
        stem = Path(module_name).stem or "module"
        raise UsageError(f"write {stem}:{name or 'name'}, a module and what is in it, instead of {text!r}")
    find_modules_here()
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise UsageError(f"{module_name!r} cannot be imported: {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [attribute for attribute in vars(found) if not attribute.startswith("_")]
            raise UsageError(f"{module_name} has no {part!r}{nearest(part, public)}")
        found = getattr(found, part)
    if isinstance(found, type) or not callable(found):
        raise UsageError(
            f"{text} is {_kind(found)}; name a reward, such as an instance of a Reward class, or a function "
            "of the contract"
        )
    return as_reward(found)


def _kind(found: Any) -> str:
    return f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"
