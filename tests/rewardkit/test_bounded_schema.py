"""Specification of rewardkit.bounded_schema: JSON Schema as jsonschema checks it, but bounded."""

from __future__ import annotations

import json
import threading
from types import MappingProxyType
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardkit.bounded_schema import canonical, first_fault, validator_of
from rewardkit.strict_json import MAX_DEPTH

DRAFTS = [
    "http://json-schema.org/draft-03/schema#",
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
]
BACKTRACKING = "^(?:a|aa)+$"
HOSTILE = "a" * 5000 + "b"
NESTED = json.loads("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH)
MANY = [None] * 500_000


def fault(schema: dict[str, Any], value: Any, seconds: float = 5.0) -> str:
    return first_fault(validator_of(canonical(schema)), value, seconds)


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, 2.0]) | st.sampled_from(["", "a"])
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.sampled_from("abc"), v, max_size=3), max_leaves=8
)


def keywords(schema: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas made of the keywords that are written anew here, and of some that are not."""
    named = st.dictionaries(st.sampled_from(["a", "b"]), schema, max_size=2)
    optional: dict[str, st.SearchStrategy[Any]] = {
        "type": st.sampled_from(["object", "array", "integer", "string"]),
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b|c"]), schema, max_size=2),
        "additionalProperties": schema | st.booleans(),
        "items": schema,
        "uniqueItems": st.booleans(),
        "multipleOf": st.sampled_from([1, 2, 0.5]),
        "pattern": st.sampled_from(["^a?$", "a"]),
        "anyOf": st.lists(schema, min_size=1, max_size=2),
        "not": schema,
        "minItems": st.integers(0, 2),
    }
    return st.fixed_dictionaries({}, optional=optional)


schemas = st.recursive(st.just({}), keywords, max_leaves=4)


@given(schema=schemas, value=values)
@settings(deadline=None, max_examples=100)
def test_agrees_with_jsonschema_where_that_is_right(schema: dict[str, Any], value: Any) -> None:
    valid = jsonschema.Draft202012Validator(schema).is_valid(value)
    assert (fault(schema, value) == "") == valid


class TestCanonical:
    @pytest.mark.parametrize(
        "schema",
        [
            {"type": "object", "required": ["a", "b"]},
            {"required": ("a", "b"), "type": "object"},
            MappingProxyType({"type": "object", "required": np.array(["a", "b"])}),
            ' {"required": ["a", "b"],\n"type": "object"}',
        ],
    )
    def test_is_one_text_for_equal_schemas(self, schema: Any) -> None:
        assert canonical(schema) == '{"required":["a","b"],"type":"object"}'

    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ("{", "the schema '{' is no JSON"),
            ('{"type": "a", "type": "b"}', "'type' occurs more than once"),
            ("[1]", r"must be a mapping or the JSON text of one, got list \[1\]"),
            (3, "got int 3"),
            ({"enum": [float("nan")]}, "not JSON compliant"),
            ({"enum": [{1, 2}]}, "holds {1, 2}, which is no JSON"),
        ],
    )
    def test_refuses_what_is_no_json_object(self, schema: Any, said: str) -> None:
        with pytest.raises((ValueError, TypeError), match=said):
            canonical(schema)


class TestKeywords:
    @pytest.mark.parametrize(
        ("value", "unit", "multiple"),
        [
            (19.99, 0.01, True),
            (0.3, 0.1, True),
            (19.995, 0.01, False),
            (7, 3, False),
            (9, 3, True),
            (1e308, 1e-300, True),
        ],
    )
    def test_multiples_are_those_of_the_decimals_as_written(self, value: float, unit: float, multiple: bool) -> None:
        assert (fault({"multipleOf": unit}, value) == "") == multiple

    @pytest.mark.parametrize(
        ("items", "unique"),
        [
            ([1, True, "1", "", None, False, 0], True),
            ([[1], [True], {}, []], True),
            ([1, 1.0], False),
            ([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}], False),
            ([["list"], "list"], True),
        ],
    )
    def test_unique_is_what_json_schema_calls_equal(self, items: list[Any], unique: bool) -> None:
        assert (fault({"uniqueItems": True}, items) == "") == unique
        assert fault({"uniqueItems": False}, items) == ""

    def test_many_unique_objects_are_compared_in_one_pass(self) -> None:
        assert fault({"uniqueItems": True}, [{"a": number} for number in range(20_000)]) == ""

    def test_names_are_additional_where_neither_a_property_nor_a_pattern_has_them(self) -> None:
        schema = {"properties": {"a": {}}, "patternProperties": {"^x": {}}, "additionalProperties": False}
        assert fault(schema, {"a": 1, "xy": 2}) == ""
        assert fault(schema, {"a": 1, "b": 2}) == "$: the name 'b' is not allowed"
        typed = {"properties": {"a": {}}, "additionalProperties": {"type": "string"}}
        assert fault(typed, {"a": 1, "b": 2}) == "$.b: 2 is not of type 'string'"

    def test_patterns_may_be_those_of_ecma_script(self) -> None:
        assert fault({"pattern": r"^\p{L}+$"}, "é") == ""
        assert fault({"pattern": r"^\p{L}+$"}, "1") == r"$: '1' does not match '^\\p{L}+$'"

    @pytest.mark.parametrize("draft", DRAFTS)
    def test_every_draft_has_its_own_rules_under_the_same_limits(self, draft: str) -> None:
        schema = {
            "$schema": draft,
            "definitions": {"text": {"type": "string", "pattern": BACKTRACKING}},
            "properties": {"x": {"$ref": "#/definitions/text"}, "y": {"$ref": "#"}},
            "additionalProperties": False,
        }
        assert fault(schema, {"x": "aa", "y": {"x": "a"}}) == ""
        assert fault(schema, {"y": {"y": {"x": "b"}}}) == f"$.y.y.x: 'b' does not match {BACKTRACKING!r}"
        with pytest.raises(TimeoutError):
            fault(schema, {"y": {"x": HOSTILE}}, seconds=0.05)

    def test_the_draft_decides(self) -> None:
        tuple_form = {"items": [{"type": "string"}]}
        assert fault({"$schema": DRAFTS[3], **tuple_form}, [1]) == "$[0]: 1 is not of type 'string'"
        with pytest.raises(ValueError, match=r"no JSON Schema: .*items"):
            fault(tuple_form, [1])

    def test_a_format_is_not_asserted(self) -> None:
        assert fault({"format": "ipv4"}, "no address") == ""


class TestLimits:
    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"pattern": BACKTRACKING}, HOSTILE),
            ({"patternProperties": {BACKTRACKING: {}}}, {HOSTILE: 1}),
            ({"patternProperties": {BACKTRACKING: {}}, "additionalProperties": False}, {HOSTILE: 1}),
            ({"propertyNames": {"pattern": BACKTRACKING}}, {HOSTILE: 1}),
            ({"items": {"not": {"pattern": BACKTRACKING}}}, [HOSTILE]),
            ({"type": "array", "items": {"anyOf": [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]}}, NESTED),
            ({"items": {"type": "null"}}, MANY),
        ],
    )
    def test_what_takes_too_long_is_stopped(self, schema: dict[str, Any], value: Any) -> None:
        with pytest.raises(TimeoutError):
            fault(schema, value, seconds=0.05)

    def test_the_deepest_value_that_is_read_can_be_checked(self) -> None:
        leaf = {"type": "integer"}
        node = {"type": "object", "properties": {"c": {"$ref": "#"}}, "additionalProperties": False}
        schema = {"anyOf": [leaf, {"allOf": [{"oneOf": [node, {"type": "null"}]}]}]}
        assert fault(schema, json.loads('{"c":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)) == ""

    def test_the_limit_of_one_thread_is_not_that_of_another(self) -> None:
        seen: list[str] = []
        patient = threading.Thread(target=lambda: seen.append(fault({"pattern": "^a*$"}, HOSTILE, seconds=60.0)))
        patient.start()
        with pytest.raises(TimeoutError):
            fault({"pattern": BACKTRACKING}, HOSTILE, seconds=0.05)
        patient.join()
        assert seen[0].startswith("$: 'aaa")

    def test_the_message_is_cut_and_can_be_written_to_a_file(self) -> None:
        said = fault({"additionalProperties": {"type": "string"}}, {"\ud800" * 300: "x" * 1000, "b" * 500: 1})
        assert len(said) <= 200
        assert said.encode("utf-8")


class TestSchemasThatAreNone:
    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ({"type": "nope"}, r"no JSON Schema: \$.type: 'nope' is not valid"),
            ({"properties": {"a": None}}, r"no JSON Schema: \$.properties.a: None is not of type"),
            ({"pattern": "("}, r"pattern '\(' is no regular expression: missing"),
            ({"properties": {"a": {"patternProperties": {"[": {}}}}}, r"pattern '\[' is no regular expression"),
            ({"$schema": "http://example.org/mine"}, "'http://example.org/mine' is no draft of JSON Schema"),
            ({"$schema": 7}, "'7' is no draft"),
            ({"enum": []}, "enum is empty, so no value can satisfy the schema; list the values"),
            ({"$ref": "#/$defs/a", "$defs": {"a": {"items": {"enum": []}}}}, "enum is empty"),
            ({"$defs": {"a": {"$schema": DRAFTS[3]}}}, r"\$schema stands below the top level"),
            ({"$ref": "#"}, "refers to itself without end"),
            ({"anyOf": [{"type": "string"}, {"allOf": [{"$ref": "#"}]}]}, "refers to itself without end"),
            ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "use additionalProperties"),
            ({"$ref": "#/x", "x": 3}, r"no JSON Schema: \$: 3 is not of type 'object', 'boolean'"),
            ({"$ref": "#/x", "x": {"type": "nope"}}, "no JSON Schema: .*'nope'"),
        ],
    )
    def test_are_refused_before_any_value_is_seen(self, schema: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=said):
            validator_of(canonical(schema))

    def test_a_property_may_be_called_enum(self) -> None:
        assert fault({"properties": {"enum": {"type": "integer"}}, "default": {"enum": []}}, {"enum": 1}) == ""

    @pytest.mark.parametrize(
        "ref",
        ["https://example.org/s.json", "other.json", "#/nope", "#nope", "file:///etc/passwd", DRAFTS[-1]],
    )
    def test_a_reference_that_leads_out_is_refused_and_nothing_is_fetched(
        self, ref: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_network(*_: Any, **__: Any) -> None:
            raise AssertionError("a reference was fetched")

        monkeypatch.setattr("urllib.request.urlopen", no_network)
        monkeypatch.setattr("socket.socket.connect", no_network)
        with pytest.raises(ValueError, match=r"refers to .*, which it does not hold; nothing is fetched"):
            validator_of(canonical({"properties": {"a": {"$ref": ref}}}))

    @pytest.mark.parametrize(
        "schema",
        [
            {"$ref": "#/$defs/c", "$defs": {"c": {"type": "integer"}}},
            {"$ref": "#here", "$defs": {"c": {"$anchor": "here", "type": "integer"}}},
            {"$id": "http://a/b", "$ref": "c", "$defs": {"c": {"$id": "http://a/c", "type": "integer"}}},
            {"$ref": "#/parts/c", "parts": {"c": {"type": "integer"}}},
        ],
    )
    def test_references_inside_are_followed(self, schema: dict[str, Any]) -> None:
        assert fault(schema, 1) == ""
        assert fault(schema, "1") == "$: '1' is not of type 'integer'"
