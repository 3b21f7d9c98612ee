"""Specification of rewardkit.schemas: JSON that satisfies a schema, read strictly."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit import ColumnError, Outcome, Reward
from rewardkit.schemas import JsonSchema, json_schema

POINT = {
    "type": "object",
    "properties": {"x": {"type": "number"}, "label": {"type": "string", "pattern": "^[a-z]+$"}},
    "required": ["x"],
    "additionalProperties": False,
}
ANY: dict[str, Any] = {}
point = JsonSchema(schema=POINT)
anything = JsonSchema(schema=ANY)

CONFIGURED = (
    json_schema,
    point,
    JsonSchema(schema={"enum": ["it's", '"', "\\", "é"]}, section="answer", fenced=False, name="shape"),
    JsonSchema(schema_key="form", max_characters=10, seconds=0.5),
)


def outcomes(reward: Reward, texts: list[Any], **columns: Any) -> list[Outcome]:
    return [row.outcome for row in reward.explain(texts, **columns)]


def outcome(reward: Reward, text: str) -> Outcome:
    return outcomes(reward, [text])[0]


class TestJsonSchema:
    @pytest.mark.parametrize(
        ("text", "status", "detail"),
        [
            ('{"x": 1}', "correct", ""),
            (' \n{"x": 1.5, "label": "a"}\n', "correct", ""),
            ('\ufeff{"x": 1}', "correct", ""),
            ('<think>?</think>\n\ufeff {"x": 1}', "correct", ""),
            ('<think>{"x": "no"}</think>\n{"x": 1}', "correct", ""),
            ('{"x": "1"}', "wrong", "$.x: '1' is not of type 'number'"),
            ('{"x": 1, "label": "A"}', "wrong", "$.label: 'A' does not match '^[a-z]+$'"),
            ("{}", "wrong", "$: 'x' is a required property"),
            ('{"x": 1, "y": 2}', "wrong", "$: the name 'y' is not allowed"),
            ("[1]", "wrong", "$: [1] is not of type 'object'"),
            ("", "no_answer", "nothing there"),
            (" \n", "no_answer", "nothing there"),
            ('<think>{"x": 1}</think>', "no_answer", "nothing there"),
        ],
    )
    def test_pays_for_a_value_that_satisfies_it_and_says_the_first_violation(
        self, text: str, status: str, detail: str
    ) -> None:
        found = outcome(point, text)
        assert (found.value, found.status, found.detail) == (float(status == "correct"), status, detail)

    @pytest.mark.parametrize(
        "text",
        [
            "x is 1",
            '{"x": 1',  # cut off by the length limit
            'Here it is: {"x": 1}',
            '{"x": 1} as you asked',
            '{"x": 1}{"x": 2}',
            "{'x': 1}",
            '{"x": 1,}',
            '{"x": NaN}',
            '{"x": 1e999}',
            '{"x": ' + "9" * 5000 + "}",
            '{"x": 0, "x": 1}',  # a reader that keeps the last sees another value than one that keeps the first
            '{"label": "a\nb", "x": 1}',
            "[" * 65 + "]" * 65,
            "[" * 50_000,
        ],
    )
    def test_what_is_no_json_is_unparseable(self, text: str) -> None:
        found = outcome(point, text)
        assert (found.value, found.status) == (0.0, "unparseable_answer")
        assert found.detail.startswith("no JSON: ")

    def test_what_was_judged_is_shown_cut(self) -> None:
        assert outcome(anything, f' "{"a" * 999}" ').extracted == '"' + "a" * 199
        assert outcome(anything, "").extracted is None

    def test_a_message_list_is_judged_by_the_text_of_the_assistant(self) -> None:
        assert point([[{"role": "assistant", "content": [{"type": "text", "text": '{"x": 1}'}]}]]) == [1.0]

    @given(text=st.text() | st.text(alphabet='{}[]"x:1, \n`'))
    @settings(deadline=None, max_examples=60)
    def test_any_text_scores_and_a_message_of_it_scores_the_same(self, text: str) -> None:
        (value,) = point([text])
        assert value in (0.0, 1.0)
        assert point([[{"role": "assistant", "content": text}]]) == [value]


class TestWhereItStands:
    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ('So <answer>{"x": 1}</answer>.', "correct"),
            ('<answer>no</answer><answer> {"x": 1} </answer>', "correct"),  # the last body counts
            ('<answer>{"x": 1}</answer><answer>no</answer>', "unparseable_answer"),
            ('<think><answer>{"x": 1}</answer></think>', "no_answer"),  # inside the reasoning
            ('{"x": 1}', "no_answer"),
            ('<answer>{"x": 1}', "no_answer"),
            ("<answer> </answer>", "no_answer"),
        ],
    )
    def test_in_the_last_section_of_the_final_part(self, text: str, status: str) -> None:
        assert outcome(JsonSchema(schema=POINT, section="answer"), text).status == status

    @pytest.mark.parametrize(
        ("text", "status"),
        [
            ('```json\n{"x": 1}\n```', "correct"),
            ('\n```JSON \n\n{"x": 1}```\n', "correct"),
            ('```\n{"x": 1}\n```', "correct"),
            ('```python\n{"x": 1}\n```', "unparseable_answer"),
            ('```json\n{"x": 1}\n', "unparseable_answer"),
            ('```json\n{"x": 1}\n```\n```json\n{"x": 1}\n```', "unparseable_answer"),
            ('Here:\n```json\n{"x": 1}\n```', "unparseable_answer"),
            ('```{"x": 1}```', "correct"),
            ('```json {"x": 1} ```', "correct"),
            ('~~~json\n{"x": 1}\n~~~', "correct"),
            ('````json\n{"x": 1}\n````', "correct"),
            ('\ufeff```json\n{"x": 1}\n```', "correct"),
            ('```json\n{"x": 1}\n~~~', "unparseable_answer"),
            ('````json\n{"x": 1}\n```', "unparseable_answer"),
            ('``{"x": 1}``', "unparseable_answer"),
            ('```json5\n{"x": 1}\n```', "unparseable_answer"),
            ("``````", "unparseable_answer"),
            ("```json\n```", "no_answer"),
            ("```", "unparseable_answer"),
        ],
    )
    def test_in_one_fence_and_no_more(self, text: str, status: str) -> None:
        assert outcome(point, text).status == status

    def test_without_fences_where_they_are_not_wanted(self) -> None:
        bare = JsonSchema(schema=POINT, fenced=False)
        assert bare(['{"x": 1}', '```json\n{"x": 1}\n```']) == [1.0, 0.0]


class TestSchemasOfTheDataSet:
    def test_each_row_has_its_own_as_mapping_or_text_and_none_is_not_scored(self) -> None:
        schemas = [{"type": "integer"}, '{"type": "string"}', None]
        assert json_schema(["1", "1", "1"], schema=schemas) == [1.0, 0.0, None]
        assert outcomes(json_schema, ["1"], schema=[None])[0].status == "not_scored"

    @pytest.mark.parametrize("single", [{"type": "integer"}, '{"type": "integer"}'])
    def test_a_single_one_holds_for_all_rows(self, single: Any) -> None:
        assert json_schema(["1", '"1"'], schema=single) == [1.0, 0.0]

    def test_the_column_is_named(self) -> None:
        assert JsonSchema(schema_key="form")(["1"], form=[{"type": "integer"}], schema=[{"type": "string"}]) == [1.0]

    def test_the_schema_is_shown_as_the_reference_with_its_column(self) -> None:
        (found,) = outcomes(json_schema, ["1"], schema=[{"type": "integer"}])
        assert (found.extracted, found.gold, found.gold_column) == ("1", '{"type":"integer"}', "schema")
        assert outcome(point, "1").gold is None

    def test_more_schemas_than_are_kept_are_all_checked(self) -> None:
        count = 300
        values = json_schema([str(n) for n in range(count)], schema=[{"const": n} for n in range(count)])
        assert values == [1.0] * count

    @pytest.mark.parametrize(
        ("column", "said"),
        [
            ({}, "column 'schema' is missing"),
            ({"schema": [ANY]}, "1 rows for 2 completions"),
            ({"schema": [ANY, "{"]}, "column 'schema', row 1: the schema '{' is no JSON"),
            ({"schema": [ANY, 3]}, "row 1: a schema must be a mapping .* got int 3; use None"),
            ({"schema": [{"type": "nope"}, ANY]}, r"row 0: no JSON Schema: \$.type"),
            ({"schema": [ANY, {"$ref": "http://example.org/s"}]}, "row 1: the schema refers to 'http://example.org/s'"),
            ({"schema": [ANY, {"properties": {"a": None}}]}, r"row 1: no JSON Schema: \$.properties.a: None"),  # Arrow
        ],
    )
    def test_a_row_without_a_schema_raises_with_its_number(self, column: dict[str, Any], said: str) -> None:
        with pytest.raises(ColumnError, match=said):
            json_schema(["1", "2"], **column)


class TestHostile:
    def test_a_pattern_that_backtracks_without_end_is_cut_off_and_the_rest_is_scored(self) -> None:
        reward = JsonSchema(schema={"pattern": "^(?:a|aa)+$"}, seconds=0.05)
        texts = [json.dumps("a" * 5000 + "b"), '"aa"', '"b"']
        found = outcomes(reward, texts)
        assert [(o.value, o.status) for o in found] == [(0.0, "timeout"), (1.0, "correct"), (0.0, "wrong")]
        assert found[0].detail == "the check took longer than 0.05 s"

    def test_what_is_too_long_is_not_read(self) -> None:
        reward = JsonSchema(schema=ANY, max_characters=10)
        assert reward(["[1,2,3,45]", "[1,2,3,456]"]) == [1.0, 0.0]
        found = outcome(reward, "[1,2,3,456]")
        assert (found.status, found.detail) == ("unparseable_answer", "11 characters, more than 10")

    @pytest.mark.parametrize("piece", ["[", "{", '"', "\\", '\\"', "1", "```", "</answer>", '{"a":', "[[],"])
    def test_a_megabyte_of_one_piece_is_judged(self, piece: str) -> None:
        huge = piece * (1_000_000 // len(piece))
        for limit in (100_000, 2_000_000):
            assert outcome(JsonSchema(schema=ANY, max_characters=limit), huge).value == 0.0

    def test_a_caller_deep_in_the_stack_gets_a_score_and_no_error(self) -> None:
        tree = JsonSchema(schema={"anyOf": [{"type": "integer"}, {"items": {"$ref": "#"}}]})
        text, statuses = "[" * 64 + "1" + "]" * 64, set()

        def judge_at(depth: int) -> None:
            if depth:
                judge_at(depth - 1)
            else:
                statuses.add(tree.outcomes(batch)[0].status)

        from rewardkit import Batch

        batch = Batch.of([text], {})
        batch.texts  # noqa: B018 - read the text here, where the stack is not deep
        for depth in range(0, sys.getrecursionlimit() // 2 + 200, 100):
            judge_at(depth)
        assert statuses == {"correct", "unparseable_answer"}

    def test_half_a_surrogate_pair_leaves_a_detail_that_can_be_written(self) -> None:
        for text in (r'{"\ud800": 1}', r'{"x": "\udfff"}', r'{"x": 1, "label": "\ud800"}'):
            assert outcome(point, text).detail.encode("utf-8")


class TestCheats:
    def test_the_least_value_that_the_schema_allows_earns_all(self) -> None:
        lenient = JsonSchema(schema={"type": "object", "properties": {"proof": {"type": "string"}}})
        assert lenient(["{}", '{"proof": ""}']) == [1.0, 1.0]
        strict = {"type": "object", "properties": {"proof": {"type": "string", "minLength": 3}}, "required": ["proof"]}
        assert JsonSchema(schema=strict)(["{}", '{"proof": ""}', '{"proof": "QED"}']) == [0.0, 0.0, 1.0]

    def test_a_line_break_at_the_end_passes_a_dollar(self) -> None:
        assert JsonSchema(schema={"pattern": "^[a-z]+$"})([r'"a\n"']) == [1.0]
        assert JsonSchema(schema={"pattern": r"^[a-z]+\Z"})([r'"a\n"']) == [0.0]

    def test_a_name_said_twice_earns_nothing(self) -> None:
        assert point(['{"x": "no number", "x": 1}']) == [0.0]


class TestAsAValue:
    @pytest.mark.parametrize("reward", CONFIGURED, ids=repr)
    def test_pickles_hashes_and_prints_as_code(self, reward: Reward) -> None:
        assert pickle.loads(pickle.dumps(reward)) == reward
        assert eval(repr(reward), {"JsonSchema": JsonSchema}) == reward
        assert isinstance(hash(reward), int)

    def test_a_mapping_and_its_text_make_equal_rewards(self) -> None:
        same = [JsonSchema(schema=s) for s in (POINT, json.dumps(POINT, indent=2), dict(reversed(POINT.items())))]
        assert same[0] == same[1] == same[2]
        assert len({hash(reward) for reward in same}) == 1

    def test_a_mapping_that_is_changed_later_changes_nothing(self) -> None:
        schema = {"type": "integer"}
        reward = JsonSchema(schema=schema)
        schema["type"] = "string"
        assert reward(["1", '"1"']) == [1.0, 0.0]

    def test_the_ready_instance_has_the_defaults(self) -> None:
        assert json_schema == JsonSchema()
        assert json_schema.__name__ == "json_schema"

    @pytest.mark.parametrize(
        ("make", "error", "said"),
        [
            (lambda: JsonSchema(schema="{"), ValueError, "the schema '{' is no JSON"),
            (lambda: JsonSchema(schema=[]), TypeError, "must be a mapping or the JSON text of one, got list"),
            (lambda: JsonSchema(schema={"type": "nope"}), ValueError, "no JSON Schema"),
            (lambda: JsonSchema(schema={"enum": []}), ValueError, "enum is empty, so no value can satisfy"),
            (lambda: JsonSchema(schema={"items": {"enum": []}}), ValueError, "enum is empty"),
            (lambda: JsonSchema(schema=ANY, schema_key="a"), ValueError, "schema_key='a' exclude each other; give one"),
            (lambda: JsonSchema(section="<a>"), ValueError, "'<a>' is no tag name"),
            (lambda: JsonSchema(max_characters=0), ValueError, "max_characters .* at least 1, got 0"),
            (lambda: JsonSchema(max_characters=1.5), ValueError, "got 1.5"),
            (lambda: JsonSchema(seconds=-1), ValueError, "seconds must be a positive number, got -1"),
        ],
    )
    def test_a_bad_argument_is_refused_with_its_value_and_the_remedy(
        self, make: Callable[[], Reward], error: type[Exception], said: str
    ) -> None:
        with pytest.raises(error, match=said):
            make()


class TestTheExtra:
    def run(self, code: str) -> str:
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return ran.stdout.strip()

    def test_nothing_is_loaded_before_a_schema_is_there(self) -> None:
        code = "import sys; from rewardkit.schemas import json_schema; print('jsonschema' in sys.modules)"
        assert self.run(code) == "False"

    def test_where_the_package_is_missing_the_error_names_the_extra(self) -> None:
        code = """
import sys
sys.modules["jsonschema"] = None
from rewardkit.schemas import JsonSchema
try:
    JsonSchema(schema={})
except ImportError as error:
    print(error)
"""
        assert self.run(code) == 'JsonSchema needs jsonschema: pip install "rewardkit[json]"'
