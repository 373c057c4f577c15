"""Whether a type's own description can be right: ``schema.yaml`` of a catalogue's folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..documents import elements
from ..refs import Json
from ..source import JsonPath
from .bodies import Shape
from .findings import Finding, Findings, did_you_mean, hint, near
from .formats import FORMATS
from .schema_words import CHECKS, KNOWN

_KEYS = (
    "id",
    "singular",
    "plural",
    "prefix",
    "url",
    "namespace",
    "title",
    "description",
    "parent",
    "metadata",
    "schema",
    "type",
    "extends",
    "actions",
    "indexes",
    "on_parent_delete_cascade",
    "isolation_level",
    "view",
)
_METADATA = (
    "state_versioning",
    "template_path",
    "sync_key_template",
    "sync_skip_config_prefix",
    "nosync",
    "sync_plain",
    "sync_property",
    "type",
    "view",
    "two_step_deletion",
)
_TENANT = "tenant_id"
"""A project of OpenStack, which need not be a resource."""
_TRUTHS = (
    "state_versioning",
    "sync_skip_config_prefix",
    "nosync",
    "sync_plain",
)


def check_type(entry: Json, folder: str, types: Collection[str]) -> Findings:
    """What is wrong with the description of a type.

    :param folder: the name of its folder, which is its id.
    :param types: the ids of all types.
    """
    if not isinstance(entry, dict):
        yield Finding((), "expected an object with id, prefix and schema")
        return
    yield from _check_words(entry, _KEYS, (), "a type")
    if entry.get("id") != folder:
        yield Finding(
            ("id",), f"the id should be the name of its folder, {folder!r}"
        )
    for name in ("singular", "plural", "title", "description", "prefix", "url"):
        if name in entry and not isinstance(entry[name], str):
            yield Finding((name,), "should be a text")
    yield from _check_path(entry)
    metadata = entry.get("metadata")
    if isinstance(metadata, dict):
        yield from _check_words(
            metadata, _METADATA, ("metadata",), "the metadata"
        )
        for name in _TRUTHS:
            if name in metadata and not isinstance(metadata[name], bool):
                yield Finding(("metadata", name), "should be true or false")
    elif metadata is not None:
        yield Finding(("metadata",), "expected an object")
    if "schema" not in entry:
        yield Finding((), "there is no schema; without one, no body is checked")
    else:
        yield from _check_schema(entry["schema"], ("schema",), types)


def _check_path(entry: Mapping[str, Json]) -> Findings:
    """Names that are usually one: the id and the singular, the last part of the path and the
    plural.
    """
    singular, kind = entry.get("singular"), entry.get("id")
    if isinstance(singular, str) and singular != kind:
        yield hint(
            ("singular",),
            f"the singular is {singular!r}, and the id is {kind!r}",
        )
    prefix, plural = entry.get("prefix"), entry.get("plural")
    if (
        "url" in entry
        or not isinstance(prefix, str)
        or not isinstance(plural, str)
    ):
        return
    last = prefix.rstrip("/").rpartition("/")[2]
    if last != plural:
        yield hint(
            ("prefix",),
            f"the path ends in {last!r}, and the plural is {plural!r}; commands take"
            " both",
        )


def _check_words(
    entry: Mapping[str, Json], known: Collection[str], path: JsonPath, what: str
) -> Findings:
    """Names that come near a known one. Others may be an API server's own."""
    for name in entry:
        if name not in known and (meant := near(name, known)):
            yield Finding(
                (*path, name),
                f"{what} has no {name!r}; did you mean {meant[0]}?",
            )


# The JSON schema ----------------------------------------------------------------------------------


def _check_schema(
    schema: Json, path: JsonPath, types: Collection[str]
) -> Findings:
    if not isinstance(schema, dict):
        yield Finding(path, "expected a JSON schema: an object")
        return
    for word, value in schema.items():
        if word in CHECKS and not CHECKS[word][0](value):
            yield Finding((*path, word), f"expected {CHECKS[word][1]}")
    yield from _check_words(schema, KNOWN, path, "a JSON schema")
    yield from _check_parts(schema, path, types)
    yield from _check_relation(schema, path, types)
    yield from _check_values(schema, path)
    name = schema.get("format")
    if (
        isinstance(name, str)
        and name not in FORMATS
        and (meant := near(name, FORMATS))
    ):
        yield Finding(
            (*path, "format"),
            f"there is no format {name!r}; did you mean {meant[0]}?",
        )


def _check_parts(
    schema: Mapping[str, Json], path: JsonPath, types: Collection[str]
) -> Findings:
    listed = schema.get("properties")
    if isinstance(listed, dict):
        for name, inner in listed.items():
            yield from _check_schema(inner, (*path, "properties", name), types)
        yield from _check_required(
            schema.get("required"), listed, (*path, "required")
        )
    if isinstance(schema.get("items"), dict):
        yield from _check_schema(schema["items"], (*path, "items"), types)
    yield from _check_kinds(schema, path)


def _check_required(
    required: Json, listed: Mapping[str, Json], path: JsonPath
) -> Findings:
    for place, name in enumerate(elements(required)):
        if isinstance(name, str) and name not in listed:
            text = f"{name!r} is required and no property; {did_you_mean(name, listed)}"
            yield Finding((*path, place), text)


def _check_kinds(schema: Mapping[str, Json], path: JsonPath) -> Findings:
    """Whether the type goes with the other words."""
    kinds = schema.get("type")
    if kinds is None:
        return
    named = [kinds]
    if isinstance(kinds, list):
        named = kinds
    values = schema.get("enum")
    if (
        len(named) > 1
        and "null" in named
        and isinstance(values, list)
        and None not in values
    ):
        yield Finding(
            (*path, "enum"), "null is among the types and not among the values"
        )
    if "properties" in schema and "object" not in named:
        yield Finding(
            (*path, "type"), "it has properties, so its type should be object"
        )
    if "items" in schema and "array" not in named:
        yield Finding(
            (*path, "type"), "it has items, so its type should be array"
        )


def _check_relation(
    schema: Mapping[str, Json], path: JsonPath, types: Collection[str]
) -> Findings:
    relation = schema.get("relation")
    if not isinstance(relation, str) or relation in types:
        return
    if meant := near(relation, sorted(types)):
        yield Finding(
            (*path, "relation"),
            f"there is no type {relation!r}; did you mean {meant[0]}?",
        )
    elif path[-1:] != (_TENANT,):
        yield hint(
            (*path, "relation"),
            f"there is no type {relation!r}; no mapping can go that way",
        )


def _check_values(schema: Mapping[str, Json], path: JsonPath) -> Findings:
    """The default and the values of an enum fit the rest."""
    rest = {
        word: value
        for word, value in schema.items()
        if word not in ("default", "enum", "description", "title")
    }
    values = elements(schema.get("enum"))
    shape = Shape(rest)
    for place, value in enumerate(values):
        if not shape.takes(value):
            yield Finding(
                (*path, "enum", place), "it does not fit the rest of the schema"
            )
    default = schema.get("default")
    if default is not None and (
        not shape.takes(default) or (values and default not in values)
    ):
        yield Finding(
            (*path, "default"), "it does not fit the rest of the schema"
        )
