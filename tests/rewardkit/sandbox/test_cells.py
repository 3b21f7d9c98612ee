"""Specification of the tests in a cell of a data set: the forms that are read, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy
import pytest

from rewardkit import ColumnError
from rewardkit.sandbox import Case, InputOutput, TestText, read_cases
from rewardkit.sandbox.statements import script

PAIRS = [InputOutput("1", "2"), InputOutput("3", "4")]
MAPPINGS = [{"input": "1", "output": "2"}, {"input": "3", "output": "4"}]


def read(value: Any) -> list[Case] | None:
    return read_cases(value, column="tests", row=7)


@pytest.mark.parametrize(
    "value",
    [
        MAPPINGS,
        tuple(MAPPINGS),
        numpy.array(MAPPINGS, dtype=object),
        json.dumps(MAPPINGS),
        {"input": ["1", "3"], "output": ["2", "4"]},  # a list of mappings as Arrow keeps it
        {"inputs": ["1", "3"], "outputs": ["2", "4"]},
        json.dumps({"inputs": ["1", "3"], "outputs": ["2", "4"]}),
        {"language": "python", "test_cases": [{**m, "fn_name": None, "type": "stdin_stdout"} for m in MAPPINGS]},
        [{**m, "type": None, "testtype": "stdin"} for m in MAPPINGS],  # as Arrow fills up, and as LiveCodeBench has it
        {"inputs": numpy.array(["1", "3"]), "outputs": numpy.array(["2", "4"]), "fn_name": None},
    ],
)
def test_pairs_are_read_in_the_forms_of_public_data_sets(value: Any) -> None:
    assert read(value) == PAIRS


def test_a_single_pair_or_text_is_one_test() -> None:
    assert read(MAPPINGS[0]) == PAIRS[:1]
    assert read("assert f(1) == 2") == [TestText("assert f(1) == 2")]


def test_texts_and_pairs_may_be_mixed() -> None:
    assert read(["assert f(1)", MAPPINGS[0]]) == [TestText("assert f(1)"), PAIRS[0]]


def test_none_is_no_tests_at_all() -> None:
    assert read(None) is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "are empty; give at least one test"),
        ("[]", "are empty"),
        ({"inputs": [], "outputs": []}, "are empty"),
        ({}, "a mapping needs as many inputs as outputs"),
        ({"inputs": ["1"], "outputs": []}, "a mapping needs as many inputs as outputs"),
        ("[1, 2", "begin like JSON and are none"),
        ("{'input': 1}", "begin like JSON and are none"),
        (5, "are 5; expected a list of tests"),
        ([5], "hold 5; expected {'input': ..., 'output': ...} or assert statements"),
        ([{"input": "1"}], "'input' and 'output' must both be text"),
        ([{"input": 1, "output": 2}], "'input' and 'output' must both be text"),
        ([{"fn_name": "f", "input": "1", "output": "2"}], "a call; write it as text: 'assert f(1, 2) == 3'"),
        ({"fn_name": "f", "inputs": ["1"], "outputs": ["2"]}, "a call; write it as text"),
        ([{"testtype": "functional", "input": "1", "output": "2"}], "a call; write it as text"),
        ([{"test_type": "functional", "input": "1", "output": "2"}], "a call; write it as text"),
        ([{"type": "function_call", "input": "1", "output": "2"}], "a call; write it as text"),
        (["assert ("], "which is no test: '(' was never closed"),
        (["x\0"], "which is no test: source code string cannot contain null bytes"),
        ([""], "which is no test: nothing in it runs"),
        (["def check(f):\n    assert f(1)"], "which is no test: nothing in it runs: call what it defines"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_row(value: Any, message: str) -> None:
    with pytest.raises(ColumnError) as error:
        read(value)
    assert str(error.value).startswith("tests in column 'tests', row 7 ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "names", "modules"),
    [
        ("assert f(1) == g", ["f", "g"], []),
        ("assert abs(len([])) == 0 and f", ["f"], []),  # built-in names are never the program's
        ("assert math.pi and f.x", ["f"], ["math"]),
        ("assert math(1) == 2", ["math"], []),  # a function of that name
        ("assert __name__", [], []),
    ],
)
def test_the_names_of_the_program_are_told_from_the_rest(text: str, names: list[str], modules: list[str]) -> None:
    assert json.loads(script(text)) == {"text": text, "names": names, "modules": modules}
