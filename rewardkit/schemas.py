r"""A reward for JSON that satisfies a JSON Schema, checked in bounded time.

>>> from rewardkit.schemas import JsonSchema
>>> point = JsonSchema(schema={"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}})
>>> point(['{"x": 1.5}', '{"x": "1.5"}', "x is 1.5"])
[1.0, 0.0, 0.0]
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rewardkit.bounded_schema import canonical, cut, first_fault, validator_of
from rewardkit.contract import Batch, ColumnError, Outcome, Reward
from rewardkit.sections import check_section, final_part, tag_body, trimmed
from rewardkit.strict_json import strict_json

_JSON = re.compile(r"json(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, repr=False)
class JsonSchema(Reward):
    r"""1.0 where the answer is JSON that satisfies the schema, else 0.0.

    The answer is what follows the last ``</think>``, or the body of the last `section` in it; its outer
    white space and a byte order mark do not count. It is read strictly: nothing may surround the JSON, no
    name may occur twice in an object, NaN, infinities and numbers beyond a float are refused. What cannot be
    read, is nested more than 64 levels deep or longer than `max_characters` is an unparseable_answer. Source:
    JSON Schema (json-schema.org), drafts 3 to 2020-12, through the package `jsonschema`, with two repairs: decimals are
    exact (19.99 is a multiple of 0.01), and patterns, unique items and the check as a whole are bounded.
    ``format`` is not asserted, and no reference is ever fetched.

    Range {0.0, 1.0}; ``None`` where the row's schema is ``None``. The empty completion earns 0.0. How a model
    might cheat it: a schema sees the shape, so the least value that it allows earns all, such as empty
    strings or, where nothing is required, ``{}``; and ``$`` in a pattern also matches before a line break
    at the end. Require names, bound lengths, and let another reward pay for what is right.

    Attributes:
        schema: a mapping, or the JSON text of one, kept as text in canonical form; ``None`` takes each row's
            schema from the column `schema_key`. The draft is that of ``$schema``, else 2020-12.
        schema_key: the column with the schemas, mappings or texts; ``None`` is "schema". A single schema
            holds for all rows. Prefer texts: Arrow fills the names that a mapping lacks with nulls.
        section: the tag that holds the JSON; ``None`` for all of the final part.
        fenced: one Markdown fence, plain or marked json, may enclose the JSON: three or more ticks or tildes, as
            many at the end, on lines of their own or not.
        max_characters: longer answers are not read, at least 1.
        seconds: what checking one answer may take, more than 0; then 0.0 with the status "timeout".

    Raises:
        ImportError: the package `jsonschema` is not installed.
        ValueError, TypeError: a schema that is none, refers to what it does not hold or to itself without
            end, or has an empty enum; both `schema` and `schema_key`; a limit or tag name that is none.
        ColumnError: no column of schemas, or a row that holds none, with the row.

    Example:
        >>> from rewardkit.schemas import JsonSchema, json_schema
        >>> JsonSchema(schema={"type": "array", "items": {"type": "integer"}}, section="answer")(
        ...     ["<answer>[1, 2]</answer>", "<answer>\n```json\n[1]\n```\n</answer>", '<answer>["1"]</answer>', ""])
        [1.0, 1.0, 0.0, 0.0]
        >>> numbers = {"properties": {"x": {"items": {"type": "number"}}}}
        >>> json_schema.explain(['{"x": [1, "2"]}'], schema=[numbers])[0].detail
        "$.x[1]: '2' is not of type 'number'"
    """

    schema: Mapping[str, Any] | str | None = None
    schema_key: str | None = None
    section: str | None = None
    fenced: bool = True
    max_characters: int = 100_000
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.max_characters, int) or self.max_characters < 1:
            raise ValueError(f"max_characters must be an integer of at least 1, got {self.max_characters!r}")
        if not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"seconds must be a positive number, got {self.seconds}")
        check_section(self.section)
        if self.schema is not None:
            if self.schema_key is not None:
                raise ValueError(f"schema and schema_key={self.schema_key!r} exclude each other; give one")
            object.__setattr__(self, "schema", canonical(self.schema))
            validator_of(str(self.schema))

    def outcomes(self, batch: Batch) -> list[Outcome]:
        """Correct, wrong with the first violation, no_answer, unparseable_answer or timeout."""
        if self.schema is not None:
            validator = validator_of(str(self.schema))
            return [self._judge(text, validator) for text in batch.texts]
        key = self.schema_key or "schema"
        single = isinstance(batch.columns.get(key), (str, Mapping))
        rows = [batch.columns[key]] * len(batch) if single else batch.column(key)
        validators = [_row_validator(value, key, batch.row(index)) for index, value in enumerate(rows)]
        return [self._judge_row(text, *pair, key) for text, pair in zip(batch.texts, validators, strict=True)]

    def _judge_row(self, text: str, validator: Any, schema: str, key: str) -> Outcome:
        if validator is None:
            return Outcome(None, "not_scored", f"the row has no {key}", gold_column=key)
        return self._judge(text, validator)._replace(gold=schema[:200], gold_column=key)

    def _judge(self, text: str, validator: Any) -> Outcome:
        final = final_part(text)
        body = final if self.section is None else tag_body(final, self.section)
        if body is None:
            return Outcome(0.0, "no_answer", f"no <{self.section}> in the final part")
        answer = _unfenced(trimmed(body)) if self.fenced else trimmed(body)
        if not answer:
            return Outcome(0.0, "no_answer", "nothing there")
        return self._checked(answer, validator)._replace(extracted=answer[:200])

    def _checked(self, answer: str, validator: Any) -> Outcome:
        if len(answer) > self.max_characters:
            return Outcome(0.0, "unparseable_answer", f"{len(answer)} characters, more than {self.max_characters}")
        try:
            value = strict_json(answer)
        except ValueError as error:
            return Outcome(0.0, "unparseable_answer", cut(f"no JSON: {error}"))
        try:
            fault = first_fault(validator, value, self.seconds)
        except TimeoutError:
            return Outcome(0.0, "timeout", f"the check took longer than {self.seconds:g} s")
        except RecursionError:  # the depth is bounded, but the caller may stand deep in the stack itself
            return Outcome(0.0, "unparseable_answer", "nested too deeply to be checked")
        return Outcome(0.0, "wrong", fault) if fault else Outcome(1.0, "correct")


def _row_validator(value: Any, key: str, row: int) -> tuple[Any, str]:
    """The validator of a row and its schema in canonical form; ``None`` for a row without one."""
    if value is None:
        return None, ""
    try:
        schema = canonical(value)
        return validator_of(schema), schema
    except (ValueError, TypeError) as error:
        raise ColumnError(f"column {key!r}, row {row}: {error}; use None for 'not scored'") from error


def _unfenced(text: str) -> str:
    """What stands in the one Markdown fence around the text; the text itself where there is none."""
    length = len(text) - len(text.lstrip(text[0])) if text[:1] in ("`", "~") else 0
    if length < 3 or len(text) < 2 * length or not text.endswith(text[:length]):
        return text
    inside = text[length:-length].strip()
    mark = _JSON.match(inside)
    return inside[mark.end() :].strip() if mark else inside


json_schema = JsonSchema()
