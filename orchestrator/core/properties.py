"""The part of a type's JSON schema that mappings need: which property leads to which type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .refs import Json


@dataclass(frozen=True, slots=True)
class Properties:
    """*relations* are the properties that hold another resource's id, with its type; *nested* are
    the object properties and the elements of array properties.
    In a list of ids the element itself is the property ``""``.
    """

    relations: Mapping[str, str] = field(default_factory=dict)
    nested: Mapping[str, Properties] = field(default_factory=dict)

    def below(self, name: str) -> Properties:
        """The properties of an object property, or of an array property's elements."""
        return self.nested.get(name, NO_PROPERTIES)


NO_PROPERTIES = Properties()


def parse_properties(schema: Json) -> Properties:
    """The relations that a JSON schema names, at any depth."""
    if not isinstance(schema, dict):
        return NO_PROPERTIES
    if isinstance(schema.get("items"), dict):
        return _elements(schema["items"])
    listed = schema.get("properties")
    if not isinstance(listed, dict):
        return NO_PROPERTIES
    entries = {
        name: entry for name, entry in listed.items() if isinstance(entry, dict)
    }
    relations = {
        name: entry["relation"]
        for name, entry in entries.items()
        if isinstance(entry.get("relation"), str)
    }
    below = {
        name: parse_properties(entry)
        for name, entry in entries.items()
        if name not in relations
    }
    nested = {
        name: properties
        for name, properties in below.items()
        if properties is not NO_PROPERTIES
    }
    if relations or nested:
        return Properties(relations, nested)
    return NO_PROPERTIES


def _elements(items: Json) -> Properties:
    if isinstance(items.get("relation"), str):
        return Properties({"": items["relation"]})
    return parse_properties(items)


def relations_of(schema: Json) -> dict[str, Json]:
    """The smallest JSON schema that :func:`parse_properties` reads the same from."""
    if not isinstance(schema, dict):
        return {}
    if isinstance(items := schema.get("items"), dict):
        below = _relation_of(items)
        if below:
            return {"items": below}
        return {}
    listed = schema.get("properties")
    if not isinstance(listed, dict):
        return {}
    kept = {
        name: _relation_of(entry)
        for name, entry in listed.items()
        if isinstance(entry, dict)
    }
    kept = {name: entry for name, entry in kept.items() if entry}
    if kept:
        return {"properties": kept}
    return {}


def _relation_of(entry: Json) -> dict[str, Json]:
    relation = entry.get("relation")
    if isinstance(relation, str):
        return {"relation": relation}
    return relations_of(entry)


_TOLD = frozenset(
    (
        "title",
        "description",
        "default",
        "examples",
        "permission",
        "view",
        "propertiesOrder",
        "detailed",
        "unique",
        "indexed",
        "sql",
    )
)
"""Words of a JSON schema that say nothing about which bodies fit."""
_NAMES = ("properties", "patternProperties", "definitions", "dependencies")
"""Words under which names stand, not words."""


def body_schema_of(schema: Json) -> Json:
    """What of a JSON schema says which bodies fit: the rest may change without any effect."""
    if isinstance(schema, list):
        return [body_schema_of(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        word: _kept(word, value)
        for word, value in schema.items()
        if word not in _TOLD
    }


def _kept(word: str, value: Json) -> Json:
    if word in _NAMES and isinstance(value, dict):
        return {name: body_schema_of(inner) for name, inner in value.items()}
    if word in ("enum", "const", "required"):
        return value
    return body_schema_of(value)
