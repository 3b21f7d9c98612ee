"""A JSON Schema as a validator whose work is bounded, whatever the value that it meets.

The package `jsonschema` does the work. Changed are the keywords that could run away on a hostile value (patterns
that backtrack, unique items compared in pairs), the one that is wrong on decimals, and what a reference may reach.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

from rewardkit.strict_json import strict_json

_DEADLINE: ContextVar[float] = ContextVar("_DEADLINE", default=math.inf)
"""When the check that runs in this context must have ended; the keywords of a validator take no other argument."""

_SHALLOW: tuple[Any, ...] = (None, True, 0, "", [], {})
"""One value of each type: what does not end on these is a loop in the schema, not a deep value."""


def canonical(schema: Any) -> str:
    """A schema as JSON text that is the same for equal schemas.

    Raises:
        ValueError, TypeError: no JSON object, neither as a mapping nor as text.
    """
    try:
        value = strict_json(schema) if isinstance(schema, str) else schema
    except ValueError as error:
        raise ValueError(f"the schema {schema[:100]!r} is no JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise TypeError(
            f"a schema must be a mapping or the JSON text of one, got {type(value).__name__} {value!r:.100}"
        )
    return json.dumps(value, default=_plain, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    """A mapping or an array, as Arrow and Parquet have them, in the form that `json` writes."""
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a schema holds {value!r:.100}, which is no JSON")


def cut(text: str, length: int = 200) -> str:
    """The beginning, with what no file can hold (half a surrogate pair, which JSON can spell) escaped."""
    return text[:length].encode("utf-8", "backslashreplace").decode()[:length]


@lru_cache(maxsize=256)
def validator_of(schema: str) -> Any:
    """The bounded validator of a schema in canonical form.

    Raises:
        ImportError, ValueError: see :class:`rewardkit.schemas.JsonSchema`.
    """
    try:
        import jsonschema
        import referencing
    except ImportError as error:
        raise ImportError('JsonSchema needs jsonschema: pip install "rewardkit[json]"') from error

    contents = json.loads(schema)
    # The name of the draft goes: where a reference leads back to it, jsonschema would leave the bounded class.
    draft = str(contents.pop("$schema", "https://json-schema.org/draft/2020-12/schema"))
    base = jsonschema.validators.validator_for({"$schema": draft}, default=None)
    if base is None:
        raise ValueError(f"$schema {draft!r} is no draft of JSON Schema; write it as json-schema.org does")
    try:
        base.check_schema(contents, format_checker=None)
        _check_subschemas(list(_subschemas(base, contents)))
        validator = _bounded(base)(contents, registry=referencing.Registry())
        for value in _SHALLOW:
            first_fault(validator, value, seconds=1.0)
    except jsonschema.SchemaError as error:
        raise ValueError(cut(f"no JSON Schema: {error.json_path}: {error.message}")) from error
    except (RecursionError, TimeoutError) as error:
        raise ValueError("the schema refers to itself without end") from error
    return validator


def _subschemas(base: Any, contents: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and all that it holds or refers to, each once.

    A reference is followed here, before any value is checked: one that leads nowhere, or to what is no schema,
    is a fault of the schema and must not wait for the completion that happens to reach it.
    """
    import referencing.exceptions
    import referencing.jsonschema

    specification = referencing.jsonschema.specification_with(base.ID_OF(base.META_SCHEMA))
    root = specification.create_resource(contents)
    todo, seen = [(root, referencing.Registry().resolver_with_root(root))], set()
    while todo:
        resource, resolver = todo.pop()
        here: Any = resource.contents
        if not isinstance(here, Mapping) or id(here) in seen:
            continue
        if "$schema" in here:
            raise ValueError("$schema stands below the top level of the schema; one draft holds for all of it")
        seen.add(id(here))
        yield here
        try:
            found = [resolver.lookup(str(here[k])) for k in ("$ref", "$dynamicRef", "$recursiveRef") if k in here]
        except referencing.exceptions.Unresolvable as error:
            raise ValueError(
                f"the schema refers to {error.ref!r}, which it does not hold; nothing is fetched, put it under $defs"
            ) from error
        for one in found:
            base.check_schema(one.contents, format_checker=None)
            todo.append((specification.create_resource(one.contents), one.resolver))
        below = [specification.create_resource(each) for each in specification.subresources_of(here)]
        todo += [(each, resolver.in_subresource(each)) for each in below]


def _check_subschemas(schemas: list[Mapping[str, Any]]) -> None:
    """Refuse an empty choice, patterns that do not compile, and two keywords that together cannot be bounded."""
    import regex

    if any(schema.get("enum") == [] for schema in schemas):
        raise ValueError("enum is empty, so no value can satisfy the schema; list the values that are allowed")
    patterns = {p for schema in schemas for p in (*schema.get("patternProperties", ()), schema.get("pattern", ""))}
    for pattern in sorted(patterns):
        try:
            regex.compile(pattern)
        except (regex.error, ValueError, RecursionError) as error:
            raise ValueError(f"pattern {pattern[:200]!r} is no regular expression: {error}") from error
    if all(any(keyword in schema for schema in schemas) for keyword in ("patternProperties", "unevaluatedProperties")):
        raise ValueError(
            "patternProperties together with unevaluatedProperties cannot be checked in bounded time; "
            "use additionalProperties"
        )


def first_fault(validator: Any, value: Any, seconds: float) -> str:
    """Place and message of the first violation; empty where there is none.

    Raises:
        TimeoutError: it took longer than `seconds`.
        RecursionError: the value is nested too deeply for the stack that is left.
    """
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        error = next(validator.iter_errors(value), None)
    finally:
        _DEADLINE.reset(token)
    return "" if error is None else cut(f"{cut(error.json_path, 80)}: {error.message}")


@lru_cache(maxsize=8)
def _bounded(base: Any) -> Any:
    """The validator class of a draft, with every keyword under the deadline."""
    import jsonschema

    ours = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        "multipleOf": _multiple_of,
    }
    keywords = {name: ours.get(name, keyword) for name, keyword in base.VALIDATORS.items()}
    return jsonschema.validators.extend(base, {name: partial(_timed, keyword) for name, keyword in keywords.items()})


def _timed(keyword: Callable[..., Any], validator: Any, value: Any, instance: Any, schema: Any) -> Any:
    _seconds_left()
    return keyword(validator, value, instance, schema)


def _seconds_left() -> float:
    left = _DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _matches(pattern: str, text: str) -> bool:
    import regex

    return regex.search(pattern, text, timeout=_seconds_left()) is not None


def _violation(message: str) -> Any:
    import jsonschema

    return jsonschema.ValidationError(message)


def _pattern(validator: Any, pattern: str, text: Any, schema: Any) -> Iterator[Any]:
    if isinstance(text, str) and not _matches(pattern, text):
        yield _violation(f"{text!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], values: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(values, dict):
        return
    for pattern, below in patterns.items():
        for name in filter(partial(_matches, pattern), values):
            yield from validator.descend(values[name], below, path=name, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, values: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    if not isinstance(values, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", ())
    for name, value in values.items():
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield _violation(f"the name {name!r} is not allowed")
        else:
            yield from validator.descend(value, allowed, path=name)


def _unique_items(validator: Any, wanted: bool, items: Any, schema: Any) -> Iterator[Any]:
    """In one pass: the original compares every two objects."""
    if not wanted or not isinstance(items, list):
        return
    seen = set()
    for index, item in enumerate(items):
        key = _hashable(item)
        if key in seen:
            yield _violation(f"item {index} occurs before")
            return
        seen.add(key)


def _hashable(value: Any) -> Any:
    """Equal for values that JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, list):
        return "list", tuple(map(_hashable, value))
    if isinstance(value, dict):
        return "object", frozenset((name, _hashable(below)) for name, below in value.items())
    return (value,) if isinstance(value, bool) else value


def _multiple_of(validator: Any, unit: float, number: Any, schema: Any) -> Iterator[Any]:
    """On the decimals as written: as floats, 19.99 is no multiple of 0.01."""
    if validator.is_type(number, "number") and Fraction(str(number)) % Fraction(str(unit)):
        yield _violation(f"{number!r} is not a multiple of {unit}")
