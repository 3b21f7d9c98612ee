"""The code of a function as a digest that layout, comments and docstrings do not change."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

_Defined = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def function_digest(target: Any) -> str:
    """What a function (or class, partial, method, callable object) does, as 16 hexadecimal digits.

    It covers the source without comments, decorators, annotations' layout and docstrings, the values of defaults
    and closures, and the arguments of a partial. What a function reads from its module is not followed.
    """
    return hashlib.sha256(_text(target).encode()).hexdigest()[:16]


def _text(target: Any) -> str:
    if isinstance(target, partial):
        given = [*map(_value, target.args), *(f"{k}={_value(v)}" for k, v in sorted(target.keywords.items()))]
        return f"partial({_text(target.func)}, {', '.join(given)})"
    if isinstance(target, MethodType):
        return f"{_value(target.__self__)}.{_text(target.__func__)}"
    if isinstance(target, FunctionType):
        return _function(target)
    if isinstance(target, (type, BuiltinFunctionType)):
        return _source(target) or f"{target.__module__}:{target.__qualname__}"
    return f"{_text(type(target))}({_value(target)})"


def _function(function: FunctionType) -> str:
    defaults = [_value(v) for v in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())]
    cells = [_value(cell.cell_contents) for cell in function.__closure__ or ()]
    return f"{_source(function) or _bytecode(function.__code__)}|{defaults}|{cells}"


def _source(target: Any) -> str:
    """The normalised source; empty where it cannot be had (a builtin, a REPL) or does not stand alone (a lambda)."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(target)))
    except (OSError, TypeError, SyntaxError):
        return ""
    if len(tree.body) != 1 or not isinstance(tree.body[0], _Defined):
        return ""
    for node in ast.walk(tree):
        if isinstance(node, _Defined):
            node.decorator_list = []
            documented = ast.get_docstring(node, clean=False) is not None
            node.body = (node.body[1:] if documented else node.body) or [ast.Pass()]
    tree.body[0].name = "_"
    return ast.unparse(tree)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()}|{constants}|{code.co_names}|{code.co_varnames}"


def _value(value: Any) -> str:
    """A captured value: numbers and texts by what they are, functions by their code, others by type and fields."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_value(k)}: {_value(v)}' for k, v in value.items())}}}"
    if isinstance(value, (partial, MethodType, FunctionType, BuiltinFunctionType, type)):
        return _text(value)
    held = sorted(vars(value).items()) if hasattr(value, "__dict__") else []
    return f"{type(value).__qualname__}({', '.join(f'{k}={_shallow(v)}' for k, v in held)})"


def _shallow(value: Any) -> str:
    """One level below an object: cycles end here."""
    plain = value is None or isinstance(value, (bool, int, float, str, bytes, FunctionType))
    return _value(value) if plain else type(value).__qualname__
