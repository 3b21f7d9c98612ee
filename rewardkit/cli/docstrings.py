"""What a reward's docstring says of it: one line, its range, what the empty completion earns."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import pairwise
from types import ModuleType

from rewardkit.contract import Reward, as_code

_RANGE = re.compile(r"\bRange:? (?P<range>.+?)(?:;|\.(?=\s|$))")
_EMPTY = re.compile(
    r"[Tt]he empty (?:completion|string)\b[^.;]*?\bearns? (?P<earned>[^\s();,]*[^\s();,.](?:\([^)]*\))?)"
)
_SETTING = re.compile(r"\b[a-z_]+\b(?!=)")


@dataclass(frozen=True, kw_only=True)
class Description:
    """What ``list`` shows of a reward.

    Attributes:
        name: of the ready reward.
        summary: the first line of its docstring.
        range: its values, with the settings of this reward in place of their names; empty if not stated.
        empty: what the empty completion earns; empty if not stated.
    """

    name: str
    summary: str
    range: str
    empty: str


def describe(name: str, reward: Reward) -> Description:
    """A ready reward by its docstring.

    Example:
        >>> from rewardkit import keywords
        >>> describe("keywords", keywords).range
        '[0.0, 0.5]'
    """
    text = docstring(name, reward)
    texts = [" ".join(t.split()) for t in (text, inspect.cleandoc(type(reward).__doc__ or ""))]
    stated = next((found["range"] for t in texts if (found := _RANGE.search(t))), "")
    empty = next((found["earned"] for t in texts if (found := _EMPTY.search(t))), "")
    return Description(
        name=name,
        summary=_first_sentence(" ".join(text.split("\n\n", 1)[0].split()).replace("``", "")),
        range=_with_settings(stated, reward),
        empty=_with_settings(empty, reward),
    )


def docstring(name: str, reward: Reward) -> str:
    """The docstring of a ready reward: the text below its definition, else that of its class."""
    for module in _modules(reward):
        text = _below_definitions(module).get(name.rpartition(".")[2])
        if text:
            return text
    return inspect.cleandoc(type(reward).__doc__ or "")


def settings(reward: Reward) -> dict[str, str]:
    """Every setting as code, defaults included."""
    return {f.name: as_code(getattr(reward, f.name)) for f in fields(reward) if f.repr and f.name != "name"}


def _modules(reward: Reward) -> Iterator[ModuleType]:
    """The modules of presets, where a ready stack has a docstring of its own."""
    from rewardkit import presets

    yield from (module for name, module in sys.modules.items() if name.startswith(f"{presets.__name__}."))


@lru_cache(maxsize=64)
def _below_definitions(module: ModuleType) -> dict[str, str]:
    """The strings that stand below ``name = ...`` at the top of a module."""
    body = ast.parse(inspect.getsource(module)).body
    found: dict[str, str] = {}
    for node, below in pairwise(body):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(node, ast.Assign) and isinstance(text, str):
            found |= {target.id: inspect.cleandoc(text) for target in node.targets if isinstance(target, ast.Name)}
    return found


def _with_settings(text: str, reward: Reward) -> str:
    """The names of settings replaced by their values: ``[0.0, cap]`` is ``[0.0, 0.5]``."""
    values = {f.name: getattr(reward, f.name) for f in fields(reward)}
    numbers = {name: value for name, value in values.items() if type(value) in (int, float)}
    return _SETTING.sub(lambda word: f"{numbers.get(word[0], word[0])}", text.replace("``", ""))


def _first_sentence(summary: str) -> str:
    head, separator, _ = summary.partition(". ")
    return head + "." if separator else summary
