"""Rewards to the data of a spec."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from rewardkit.batch import short
from rewardkit.spec_names import SpecError, path_of, type_name
from rewardkit.spec_types import fits, hints_of, written

DEPTH = 64
"""How deeply the tables and lists of a spec may be nested, written or read."""


def encode(value: Any, where: str, depth: int = 0) -> Any:
    """A value as data; None, infinities and functions as tables with the key ``$``.

    Raises:
        SpecError: what has no name or form in a spec, or is nested too deeply; it names the place.
    """
    if isinstance(value, (bool, int, str)):
        return value
    if depth > DEPTH:
        raise too_deep(where)
    if value is None:
        return {"$": "none"}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$": "float", "value": repr(value)}
    if isinstance(value, (list, tuple)):
        return [encode(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, (frozenset, set)):
        return sorted((encode(item, where, depth + 1) for item in value), key=json.dumps)
    if isinstance(value, Mapping):
        items = [[encode(k, where, depth + 3), encode(v, f"{where}[{k!r}]", depth + 3)] for k, v in value.items()]
        return {"$": "map", "items": items}
    if is_dataclass(value) and not isinstance(value, type):
        return _encode_node(value, where, depth)
    if callable(value):
        return {"$": "function", "path": path_of(value, where)}
    raise SpecError(f"{where}: {value!r} of type {type(value).__name__} has no form in a spec")


def too_deep(where: str) -> SpecError:
    """The error of a spec that is nested more than ``DEPTH`` deep; of the place, its beginning."""
    place = where if len(where) <= 200 else f"{where[:200]}..."
    return SpecError(f"{place}: nested more than {DEPTH} deep, which a spec cannot be")


def _encode_node(value: Any, where: str, depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"type": type_name(type(value), where)}
    cls: Any = type(value)
    hints = hints_of(cls)
    for f in fields(value):
        setting = getattr(value, f.name)
        require_fit(setting, hints.get(f.name, Any), f"{where}.{f.name}")
        if f.init and not _is_default(f, setting):
            node[f.name] = encode(setting, f"{where}.{f.name}", depth + 1)
    return node


def require_fit(setting: Any, hint: Any, where: str) -> None:
    """Refuse what is not of the type that its field is annotated with, written or read."""
    if not fits(setting, hint):
        raise SpecError(f"{where}: expected {written(hint)}, got {short(setting)}")


def _is_default(f: Field[Any], setting: Any) -> bool:
    default = f.default_factory() if f.default_factory is not MISSING else f.default
    return default is not MISSING and type(default) is type(setting) and bool(default == setting)
