"""The words of a type's JSON schema: which there are, and which of them can be used as they stand.

API servers write draft 4 with words of their own (``relation``, ``permission``, ``view``) and now
and then a word that no library takes. What cannot be used is left out, so that the rest still
checks something.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ..documents import one_or_more
from ..mapping.patterns import ENGINE_STEPS, PatternError, compile_pattern
from ..refs import Json

TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")

_OWN = (
    "relation",
    "relation_property",
    "relation_column",
    "permission",
    "view",
    "unique",
    "indexed",
    "sql",
    "hidden",
    "propertiesOrder",
    "on_delete_cascade",
    "nullable",
    "detailed",
    "itemPropertiesOrder",
    "readOnly",
    "writeOnly",
)
_ABOUT = (
    "title",
    "description",
    "default",
    "examples",
    "$id",
    "id",
    "definitions",
    "const",
)


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_list(value: Json) -> bool:
    return isinstance(value, list) and bool(value)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict)


def _is_truth(value: Json) -> bool:
    return isinstance(value, bool)


def _are_texts(value: Json) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, str) for item in value
    )


def is_pattern(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


_LONGEST_NAME = 100
"""Characters of a property's name for which a pattern of names has to be quick."""


def _is_quick(pattern: str) -> bool:
    """Whether a pattern may be tried on names of properties: the library does so without bounds."""
    try:
        steps = compile_pattern(pattern).worst_case(_LONGEST_NAME)
    except PatternError:
        return False
    return steps * _LONGEST_NAME <= ENGINE_STEPS


def _is_type(value: Json) -> bool:
    if isinstance(value, str):
        return value in TYPES
    return _is_list(value) and all(item in TYPES for item in value)


def _is_schema(value: Json) -> bool:
    return isinstance(value, (dict, bool))


def _are_schemas(value: Json) -> bool:
    return _is_list(value) and all(isinstance(item, dict) for item in value)


CHECKS: Mapping[str, tuple[Callable[[Json], bool], str]] = {
    "type": (_is_type, f"one or a list of {', '.join(TYPES)}"),
    "properties": (_is_object, "an object of properties"),
    "patternProperties": (_is_object, "an object of patterns"),
    "additionalProperties": (_is_schema, "true, false or a schema"),
    "required": (_are_texts, "a list of names of properties"),
    "enum": (_is_list, "a list of values"),
    "format": (_is_text, "the name of a format"),
    "pattern": (is_pattern, "a regular expression"),
    "minimum": (_is_number, "a number"),
    "maximum": (_is_number, "a number"),
    "exclusiveMinimum": (
        lambda value: _is_truth(value) or _is_number(value),
        "true, false or a number",
    ),
    "exclusiveMaximum": (
        lambda value: _is_truth(value) or _is_number(value),
        "true, false or a number",
    ),
    "multipleOf": (
        lambda value: _is_number(value) and value > 0,
        "a number above 0",
    ),
    "minLength": (_is_count, "a whole number"),
    "maxLength": (_is_count, "a whole number"),
    "minItems": (_is_count, "a whole number"),
    "maxItems": (_is_count, "a whole number"),
    "minProperties": (_is_count, "a whole number"),
    "maxProperties": (_is_count, "a whole number"),
    "uniqueItems": (_is_truth, "true or false"),
    "items": (lambda value: isinstance(value, (dict, list)), "a schema"),
    "allOf": (_are_schemas, "a list of schemas"),
    "anyOf": (_are_schemas, "a list of schemas"),
    "oneOf": (_are_schemas, "a list of schemas"),
    "not": (_is_object, "a schema"),
    "dependencies": (_is_object, "an object"),
    "relation": (_is_text, "the id of a type"),
    "$ref": (_is_text, "the address of a schema"),
    "$schema": (_is_text, "the address of a dialect"),
}
"""Each word that checks something: whether its value can be used, and what it should be."""

_ADDRESSES = ("id", "$id")
"""Where a schema says it lies: nothing is fetched from anywhere, so it does not matter."""

KNOWN = (*CHECKS, *_OWN, *_ABOUT)


def usable(schema: Json) -> Json:
    """The schema without what no library takes: a property schema that is no object, an unknown
    type, a bad pattern.
    """
    if not isinstance(schema, dict):
        if isinstance(schema, bool):
            return schema
        return {}
    kept = {
        word: value
        for word, value in schema.items()
        if word not in _ADDRESSES
        and (word not in CHECKS or CHECKS[word][0](value))
    }
    for word in ("properties", "patternProperties", "definitions"):
        if isinstance(kept.get(word), dict):
            kept[word] = {
                name: usable(inner)
                for name, inner in kept[word].items()
                if word != "patternProperties" or _is_quick(name)
            }
    for word in ("items", "additionalProperties", "not"):
        if word in kept:
            kept[word] = _each(kept[word], usable)
    for word in ("allOf", "anyOf", "oneOf"):
        if word in kept:
            kept[word] = [usable(inner) for inner in kept[word]]
    return kept


def with_nulls(schema: Json) -> Json:
    """The schema with null allowed for every property that need not be there: to the orchestrator,
    null is absent.
    """
    if not isinstance(schema, dict):
        return schema
    changed = dict(schema)
    required = changed.get("required", ())
    if "properties" in changed:
        listed = {
            name: with_nulls(inner)
            for name, inner in changed["properties"].items()
        }
        changed["properties"] = listed | {
            name: _or_null(inner)
            for name, inner in listed.items()
            if name not in required
        }
    if "items" in changed:
        changed["items"] = _each(changed["items"], with_nulls)
    return changed


def _each(schemas: Json, change: Callable[[Json], Json]) -> Json:
    """A schema, or each of a list of them, changed."""
    if isinstance(schemas, list):
        return [change(schema) for schema in schemas]
    return change(schemas)


def _or_null(schema: Json) -> Json:
    if not isinstance(schema, dict):
        return schema
    changed = dict(schema)
    if "type" in changed:
        types = one_or_more(changed["type"])
        if "null" not in types:
            types = [*types, "null"]
        changed["type"] = types
    if "enum" in changed and None not in changed["enum"]:
        changed["enum"] = [*changed["enum"], None]
    return changed
