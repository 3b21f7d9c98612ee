"""Two rewards with one fingerprint give the same values.

>>> from rewardkit import boxed_accuracy
>>> fingerprint(2 * boxed_accuracy) == fingerprint((2.0 * boxed_accuracy).named("accuracy"))
True
>>> fingerprint(2 * boxed_accuracy) == fingerprint(3 * boxed_accuracy)
False
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any

from rewardkit.contract import Reward
from rewardkit.digest import function_digest
from rewardkit.functions import Function, PerCompletion
from rewardkit.spec_names import SpecError

_LARGEST = 2**53
"""Up to here every whole number is a float."""


def fingerprint(reward: Reward) -> str:
    """16 hexadecimal digits that change when the values that a reward gives may change, and with nothing else.

    It covers every setting, defaults included, the revision of each class, and the code of functions (without
    comments, docstrings and layout) with what they hold. Names are left out: they change the log, not the values.

    Raises:
        SpecError: it holds something that cannot be told apart from others of its type.
    """
    try:
        canonical = json.dumps(_canonical(reward), sort_keys=True, ensure_ascii=True)
    except RecursionError as error:
        raise SpecError(f"{reward.__name__} is nested too deeply for a fingerprint") from error
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    """Every setting, numbers alike, functions by their code, no names."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return {"number": repr(float(value) + 0.0) if abs(value) <= _LARGEST else repr(value)}  # -0.0 is 0.0
    if isinstance(value, (list, tuple)):
        return [_canonical(item) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted(json.dumps(_canonical(item), sort_keys=True) for item in value)
    if isinstance(value, Mapping):
        return {"map": [[_canonical(k), _canonical(v)] for k, v in value.items()]}
    if isinstance(value, (Function, PerCompletion)):
        return {"function": function_digest(value.function), "per_completion": isinstance(value, PerCompletion)}
    if is_dataclass(value) and not isinstance(value, type):
        return _canonical_node(value)
    return {"function": function_digest(value)}


def _canonical_node(value: Any) -> dict[str, Any]:
    settings = {f.name: _canonical(getattr(value, f.name)) for f in fields(value) if f.name != "name" and _counts(f)}
    return {"type": type(value).__qualname__, "code": function_digest(type(value)), "settings": settings}


def _counts(f: Field[Any]) -> bool:
    """Whether a field has a part in the values: retries and caches, say, have not."""
    return f.compare and bool(f.metadata.get("behaviour", True))
