"""What is known of Heat: its resource types with their properties, and its template versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ....errors import InvalidInput
from ...refs import Json

SHOW = "show"
"""The attribute that every resource has."""


@dataclass(frozen=True, slots=True)
class Property:
    """The schema of one property.

    *type* is ``string``, ``integer``, ``number``, ``boolean``, ``list``, ``map`` or ``any``.
    *element* is the schema of a list's elements, *schema* that of a map's entries; None and empty
    when anything will do. *values*, *length*, *range* and *pattern* are constraints; *custom* names
    a constraint that a plug-in of Heat checks. With *conversion*, a text or a list is turned into a
    map, and a text into a list.
    """

    type: str
    required: bool = False
    has_default: bool = False
    conversion: bool = False
    element: Property | None = None
    schema: Mapping[str, Property] = field(default_factory=dict)
    values: tuple[Json, ...] | None = None
    length: tuple[Json, Json] | None = None
    range: tuple[Json, Json] | None = None
    pattern: str | None = None
    custom: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One of Heat's resource types.

    *instead* holds pairs of properties, new and old: who gives the old one need not give the new
    one. With *any_attribute* the names of its attributes depend on what it is made of. A *retired*
    type does nothing any more, and takes any properties.
    """

    properties: Mapping[str, Property]
    attributes: frozenset[str]
    any_attribute: bool = False
    instead: tuple[tuple[str, str], ...] = ()
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """What a template of one ``heat_template_version`` may say."""

    sections: frozenset[str]
    resource: frozenset[str]
    output: frozenset[str]
    parameter: frozenset[str]
    deletion_policies: frozenset[str]
    functions: frozenset[str]
    conditions: frozenset[str]
    optional_else: bool


@dataclass(frozen=True, slots=True)
class HeatTypes:
    """All of it. *release* is the release of Heat that it was taken from."""

    release: str
    versions: Mapping[str, Version]
    kinds: Mapping[str, ResourceKind]

    @property
    def functions(self) -> frozenset[str]:
        """Every function that any version has."""
        return frozenset().union(
            *(version.functions for version in self.versions.values())
        )

    def with_plugins(self, document: Json) -> HeatTypes:
        """The same with the types of plug-ins: ``{type: {properties: {name: {type, required}},
        attributes: [name]}}``.

        A type without ``properties`` or ``attributes`` takes any.
        :raises InvalidInput: the document has another form.
        """
        if not isinstance(document, dict):
            raise InvalidInput(
                "expected an object of type: {properties, attributes}"
            )
        added = {name: _plugin(name, entry) for name, entry in document.items()}
        return HeatTypes(self.release, self.versions, {**self.kinds, **added})


ANYTHING = Property("any")


def parse_heat_types(document: Json) -> HeatTypes:
    """What :mod:`orchestrator.sandbox.heat_types` wrote."""
    versions = {
        name: _version(entry) for name, entry in document["versions"].items()
    }
    kinds = {name: _kind(entry) for name, entry in document["types"].items()}
    return HeatTypes(document["heat"], versions, kinds)


def _version(entry: Json) -> Version:
    sets = {
        name: frozenset(value)
        for name, value in entry.items()
        if isinstance(value, list)
    }
    return Version(**sets, optional_else=entry["optional_else"])


def _kind(entry: Json) -> ResourceKind:
    properties = {
        name: _property(schema) for name, schema in entry["properties"].items()
    }
    if entry.get("any_property"):
        properties = _AnyProperty()
    return ResourceKind(
        properties=properties,
        attributes=frozenset({*entry["attributes"], SHOW}),
        any_attribute=entry.get("any_attribute", False),
        retired=entry.get("retired", False),
        instead=tuple((new, old) for new, old in entry.get("instead", ())),
    )


def _property(entry: Json) -> Property:
    element, values = entry.get("element"), entry.get("values")
    if element is not None:
        element = _property(element)
    if values is not None:
        values = tuple(values)
    return Property(
        type=entry["type"],
        required=entry.get("required", False),
        has_default=entry.get("default", False),
        conversion=entry.get("conversion", False),
        element=element,
        schema={
            name: _property(inner)
            for name, inner in entry.get("schema", {}).items()
        },
        values=values,
        length=_pair(entry.get("length")),
        range=_pair(entry.get("range")),
        pattern=entry.get("pattern"),
        custom=entry.get("custom"),
    )


def _pair(value: Json) -> tuple[Json, Json] | None:
    if value is not None:
        return (value[0], value[1])
    return None


# Plug-ins -----------------------------------------------------------------------------------------

_TYPES = ("string", "integer", "number", "boolean", "list", "map", "any")


class _AnyProperty(dict[str, Property]):
    """Takes every name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Property:
        return ANYTHING

    def get(self, name: str, default: object = None) -> Property:
        return ANYTHING


def _plugin(name: str, entry: Json) -> ResourceKind:
    if entry is None:
        entry = {}
    if not isinstance(entry, dict) or not entry.keys() <= {
        "properties",
        "attributes",
    }:
        raise InvalidInput(
            f"{name}: expected an object with properties and attributes"
        )
    properties, attributes = entry.get("properties"), entry.get("attributes")
    if not isinstance(properties, dict | None):
        raise InvalidInput(
            f"{name}: properties: expected an object of name: {{type, required}}"
        )
    if not isinstance(attributes, list | None):
        raise InvalidInput(f"{name}: attributes: expected a list of names")
    if properties is None:
        known: dict[str, Property] = _AnyProperty()
    else:
        known = {
            property_name: _plugin_property(name, property_name, schema)
            for property_name, schema in properties.items()
        }
    return ResourceKind(
        properties=known,
        attributes=frozenset({*map(str, attributes or ()), SHOW}),
        any_attribute=attributes is None,
    )


def _plugin_property(kind: str, name: str, schema: Json) -> Property:
    if schema is None:
        schema = {"type": "any"}
    if (
        not isinstance(schema, dict)
        or not schema.keys() <= {"type", "required"}
        or schema.get("type", "any") not in _TYPES
    ):
        raise InvalidInput(
            f"{kind}: property {name}: expected {{type, required}}, the type being one"
            f" of {', '.join(_TYPES)}"
        )
    return Property(
        schema.get("type", "any"), required=schema.get("required") is True
    )
