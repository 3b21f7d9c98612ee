"""The source of a function or class without what does not matter, and the members of a class."""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from functools import cached_property
from tokenize import TokenError
from types import FunctionType
from typing import Any

_Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_CODE = (FunctionType, staticmethod, classmethod, property, cached_property)
_OF_DATACLASSES = {
    *("__init__", "__repr__", "__eq__", "__hash__", "__lt__", "__le__", "__gt__", "__ge__"),
    *("__setattr__", "__delattr__", "__replace__", "__getstate__", "__setstate__"),
}


def normalised_source(target: types.CodeType | type) -> str:
    """The source without comments, layout, docstrings, its own name and decorators (they are in what they return).

    It is empty where it cannot be had (a builtin, a REPL) or does not stand alone (a lambda).
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(target)))
    except (OSError, TypeError, SyntaxError, ValueError, TokenError):
        return ""
    defined = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(defined, _Defined):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, _Defined) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    defined.name, defined.decorator_list = "_", []
    return ast.unparse(tree)


def class_members(cls: type) -> Iterator[tuple[str, Any]]:
    """What a class itself defines, by name: its code, and its values but for those that Python keeps in classes."""
    for name, member in sorted(vars(cls).items()):
        special = name.startswith("__") and name.endswith("__")
        if name.startswith("_abc_") or (special and not isinstance(member, _CODE)):
            continue
        if not (name in _OF_DATACLASSES and _is_generated(member)):
            yield name, member


def _is_generated(member: Any) -> bool:
    if not isinstance(member, FunctionType):
        return False
    return member.__module__ == "dataclasses" or inspect.unwrap(member).__code__.co_filename == "<string>"
