"""The type of a resource, also of one inside a property of another: a group's members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ...refs import Json
from ...source import JsonPath
from ..findings import Finding, Findings, hint, kind_of, near
from .scope import Scope
from .types import HeatTypes
from .values import check_properties

_FILES = (".yaml", ".yml", ".template", ".json")
_NESTED = (
    "is a file, and none is sent to Heat; put its resources into this template"
)
_PLUGIN = "(a plug-in's type is named in the catalogue's heat_types.yaml)"

_MEMBERS = {
    "OS::Heat::ResourceGroup": "resource_def",
    "OS::Heat::AutoScalingGroup": "resource",
}
"""Types whose members are defined by one of their properties, and which."""
_INDEX = "%index%"
"""What stands for a member's number in a group, where ``index_var`` does not say otherwise."""


def check_type(kind: Json, path: JsonPath, heat: HeatTypes) -> Findings:
    """The type of a resource."""
    if kind is None:
        yield Finding(path, "it has no type")
    elif not isinstance(kind, str):
        yield Finding(
            (*path, "type"), f"the type should be a text, not {kind_of(kind)}"
        )
    elif _is_file(kind):
        yield Finding(
            (*path, "type"),
            f"{kind!r} {_NESTED}",
        )
    elif kind not in heat.kinds:
        meant = near(kind, sorted(heat.kinds))
        text = ""
        if meant:
            text = f"; did you mean {meant[0]}?"
        yield Finding(
            (*path, "type"), f"Heat has no type {kind!r}{text} {_PLUGIN}"
        )
    elif heat.kinds[kind].retired:
        yield hint(
            (*path, "type"),
            f"{kind} was retired: Heat {heat.release} takes it and does nothing",
        )


def _is_file(kind: str) -> bool:
    return kind.lower().endswith(_FILES) or "://" in kind


def _check_files(value: Json, path: JsonPath) -> Findings:
    """A resource inside a property, such as a group's ``resource_def``, that is a file."""
    if isinstance(value, dict):
        kind = value.get("type")
        if (
            isinstance(kind, str)
            and _is_file(kind)
            and ("properties" in value or len(value) == 1)
        ):
            yield Finding(
                (*path, "type"),
                f"{kind!r} {_NESTED}",
            )
        for name, inner in value.items():
            yield from _check_files(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _check_files(inner, (*path, place))


def check_nested(
    kind: Json, properties: Json, path: JsonPath, scope: Scope
) -> Findings:
    """What stands inside the properties of a resource of type *kind*: files, and members."""
    yield from _check_files(properties, path)
    name = None
    if isinstance(kind, str):
        name = _MEMBERS.get(kind)
    member = None
    if isinstance(properties, dict) and name:
        member = properties.get(name)
    if name and isinstance(member, dict) and scope.call(member, path) is None:
        inside = replace(
            scope, wildcards=scope.wildcards | frozenset(_indexes(properties))
        )
        yield from _check_member(member, (*path, name), inside)


def _indexes(properties: Mapping[str, Json]) -> Iterator[str]:
    given = properties.get("index_var", _INDEX)
    yield given if isinstance(given, str) and given else _INDEX


def _check_member(
    member: Mapping[str, Json], path: JsonPath, scope: Scope
) -> Findings:
    kind, properties = member.get("type"), member.get("properties")
    if isinstance(kind, dict) or (isinstance(kind, str) and _is_file(kind)):
        return  # Made by a function; or told already, as a file.
    yield from check_type(kind, path, scope.heat)
    known = None
    if isinstance(kind, str):
        known = scope.heat.kinds.get(kind)
    if not isinstance(properties, dict | None):
        yield Finding(
            (*path, "properties"),
            f"expected an object, not {kind_of(properties)}",
        )
    elif known and scope.call(properties, path) is None:
        below = path
        if properties:
            below = (*path, "properties")
        yield from check_properties(properties or {}, known, below, scope)
        yield from check_nested(kind, properties, below, scope)
