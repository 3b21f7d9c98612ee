"""Test statements as they are sent to a sandbox: with the names in them that are the program's."""

from __future__ import annotations

import ast
import builtins
import json
import sys
import warnings
from functools import lru_cache

_BUILTINS = frozenset(dir(builtins))
_IDLE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.Pass)


@lru_cache(4096)
def script(text: str) -> str:
    """The statements as JSON, with the names that they use: what the tests' process is given.

    The names of modules (``math`` in ``math.pi``) stand for the modules, whether the program imports them or
    not; built-in names are never the program's.

    Raises:
        SyntaxError, ValueError: the text is no Python, or nothing in it runs, so that every program would pass.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\d" in the text of a test is its author's affair
        tree = ast.parse(text)
    if all(isinstance(statement, _IDLE) or _is_text(statement) for statement in tree.body):
        raise ValueError("nothing in it runs: call what it defines, such as check(add)")
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)} - _BUILTINS
    names = {name for name in names if not name.startswith("__")}
    owners = {node.value.id for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    modules = owners & names & sys.stdlib_module_names
    return json.dumps({"text": text, "names": sorted(names - modules), "modules": sorted(modules)})


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
