"""The tests in a cell of a data set, in the forms that public data sets have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rewardkit.contract import ColumnError
from rewardkit.sandbox.cases import Case, InputOutput, TestText
from rewardkit.sandbox.statements import script

_CUT = 120
_KINDS = ("type", "testtype", "test_type")  # of open-r1 and TACO, LiveCodeBench, and other data sets
_PROGRAMS = ("stdin", "stdin_stdout")


def read_cases(value: Any, *, column: str, row: int) -> list[Case] | None:
    """The tests in a cell: ``None`` for none at all, i.e. "not scored".

    Accepted: a list of ``{"input": ..., "output": ...}`` and of statements as text; one such text or mapping;
    a mapping of two lists, ``{"inputs": [...], "outputs": [...]}``; ``{"test_cases": [...]}`` around a list;
    JSON of any of these.

    Raises:
        ColumnError: it is empty or none of these; the message names the row.

    Example:
        >>> read_cases('[{"input": "1", "output": "2"}]', column="tests", row=0)
        [InputOutput(input='1', output='2')]
        >>> read_cases(["assert add(1, 1) == 2"], column="tests", row=0)
        [TestText(text='assert add(1, 1) == 2')]
    """
    where = f"tests in column {column!r}, row {row}"
    if value is None:
        return None
    cases = [_case(item, where) for item in _items(value, where)]
    if not cases:
        raise ColumnError(f"{where} are empty; give at least one test, or None for 'not scored'")
    return cases


def _items(value: Any, where: str) -> Sequence[Any]:
    if isinstance(value, str):
        return _items(_from_json(value, where), where) if value.lstrip()[:1] in ("[", "{") else [value]
    if hasattr(value, "tolist"):  # an array, as Parquet has them
        value = value.tolist()
    if isinstance(value, Mapping) and "test_cases" in value:
        return _items(value["test_cases"], where)
    if isinstance(value, Mapping):
        inputs, outputs = (value.get(f"{name}s", value.get(name)) for name in ("input", "output"))
        if isinstance(inputs, str) or isinstance(outputs, str):
            return [value]
        if inputs is None or outputs is None or len(inputs) != len(outputs):
            raise ColumnError(f"{where} are {_short(value)}; a mapping needs as many inputs as outputs")
        return [{**value, "input": i, "output": o} for i, o in zip(inputs, outputs, strict=True)]
    if not isinstance(value, (list, tuple)):
        raise ColumnError(f"{where} are {_short(value)}; expected a list of tests, text or JSON of it")
    return value


def _from_json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ColumnError(f"{where} begin like JSON and are none: {error}") from None


def _case(item: Any, where: str) -> Case:
    if isinstance(item, str):
        try:
            script(item)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ColumnError(f"{where} hold {_short(item)}, which is no test: {error}") from None
        return TestText(item)
    if not isinstance(item, Mapping):
        raise ColumnError(f"{where} hold {_short(item)}; expected {{'input': ..., 'output': ...}} or assert statements")
    if item.get("fn_name") or any((item.get(key) or "stdin") not in _PROGRAMS for key in _KINDS):
        raise ColumnError(f"{where} hold {_short(item)}, a call; write it as text: 'assert f(1, 2) == 3'")
    given, wanted = item.get("input"), item.get("output")
    if not isinstance(given, str) or not isinstance(wanted, str):
        raise ColumnError(f"{where} hold {_short(item)}; 'input' and 'output' must both be text")
    return InputOutput(given, wanted)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _CUT else f"{text[:_CUT]}..."
