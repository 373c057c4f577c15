"""Resource types: the API server's schema list (Gohan's ``GET /gohan/v0.1/schemas`` form), parsed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import InvalidInput, MappingSyntaxError
from .mapping.nodes import Node
from .mapping.parser import parse
from .properties import NO_PROPERTIES, Properties, parse_properties
from .refs import Json

HEAT_TEMPLATES_PATH = "v2.0/heat_templates"
"""Where templates lie below the config prefix, whatever the schema list says (CONTRACT section 2)."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type of resource.

    *path* is its folder below each prefix, ``v2.0/ports``. *template* is the mapping that chooses
    the template, or None when there is nothing to build. *fault* says why the type cannot be used.
    """

    id: str
    path: str
    template: Node | None = None
    properties: Properties = NO_PROPERTIES
    fault: str = ""


class Schemas:
    """All resource types, by id and by path."""

    def __init__(self, types: Iterable[ResourceType]) -> None:
        self._by_id = {}
        self._by_path = {}
        for kind in types:
            self._by_id[kind.id] = kind
            self._by_path[kind.path] = kind

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, kind: str) -> ResourceType | None:
        return self._by_id.get(kind)

    def at(self, path: str) -> ResourceType | None:
        """The type whose resources lie in this folder."""
        return self._by_path.get(path)


def parse_schemas(document: Json) -> Schemas:
    """The types of a schema list ``{"schemas": [{"id", "prefix", "metadata", "schema"}, …]}``.

    A type whose ``template_path`` does not parse is kept with its fault, so that the others work
    and each of its resources can say what is wrong.

    :raises InvalidInput: when the document is not a schema list at all.
    """
    entries = document.get("schemas") if isinstance(document, dict) else document
    if not isinstance(entries, list):
        raise InvalidInput('a schema list looks like {"schemas": [{"id": …, "prefix": …, "schema": …}, …]}')
    return Schemas([_parse_type(entry) for entry in entries])


def _parse_type(entry: Json) -> ResourceType:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not isinstance(entry.get("prefix"), str):
        raise InvalidInput(f"a schema without id and prefix: {str(entry)[:120]}")
    kind, path = entry["id"], entry["prefix"].strip("/")
    properties = parse_properties(entry.get("schema"))
    chosen = entry["metadata"].get("template_path") if isinstance(entry.get("metadata"), dict) else None
    if chosen is None:
        return ResourceType(kind, path, None, properties)
    try:
        return ResourceType(kind, path, parse(chosen), properties)
    except MappingSyntaxError as error:
        return ResourceType(kind, path, None, properties, fault=f"template_path of type {kind}: {error}")
