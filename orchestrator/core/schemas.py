"""Resource types: the API server's schema list (Gohan's ``GET /gohan/v0.1/schemas`` form), parsed
once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from ..errors import InvalidInput, MappingSyntaxError
from .documents import members
from .mapping.nodes import Node
from .mapping.parser import parse
from .paths import Pattern, parse_key_template
from .properties import (
    NO_PROPERTIES,
    Properties,
    body_schema_of,
    parse_properties,
    relations_of,
)
from .refs import Json, Ref

HEAT_TEMPLATES_PATH = "v2.0/heat_templates"
"""Where templates lie below the config prefix, whatever the schema list says (CONTRACT section 2).
"""

_NO_RESOURCES = ("nosync", "sync_plain", "sync_property")
"""Metadata of types that are no resources: the API server writes nothing of them, or something else
than a config."""

_METADATA = (
    "template_path",
    "state_versioning",
    "sync_key_template",
    "sync_skip_config_prefix",
    "type",
    *_NO_RESOURCES,
)
"""The metadata that is read; the rest is the API server's own business."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One type of resource.

    *path* is its folder below each prefix, ``v2.0/ports``.
    *key_template* replaces it where keys are made of more than the id; *outside_config* says that
    those keys of its configs do not begin with the config prefix.
    *versioned*: the API server counts the versions of its configs.
    *template* is the mapping that chooses the template, or None when there is nothing to build.
    *is_resource* is False for what only passes through etcd.
    *fault* says why the type cannot be used.
    *json_schema* is what its bodies should look like, as the list has it.
    """

    id: str
    path: str
    template: Node | None = None
    properties: Properties = NO_PROPERTIES
    fault: str = ""
    versioned: bool = False
    key_template: Pattern | None = None
    outside_config: bool = False
    is_resource: bool = True
    json_schema: Json = field(default=None, repr=False, compare=False)

    @property
    def pattern(self) -> Pattern:
        """The form of its keys, without the prefix."""
        return self.key_template or Pattern.of_folder(self.path)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which schema list the types are from, for people.

    *source* is an address or a file, *revision* that of the leader's record of the list (0: it is
    not stored), *fetched* when the leader read it, as ``2026-11-27T21:49:01Z``.
    """

    source: str = ""
    revision: int = 0
    fetched: str = ""

    def __str__(self) -> str:
        details: list[str] = []
        if self.revision:
            details.append(f"revision {self.revision}")
        if self.fetched:
            details.append(f"read at {self.fetched}")
        told = ", ".join(details)
        named = "the schema list"
        if self.source:
            named = f"the schema list of {self.source}"
        if told:
            return f"{named} ({told})"
        return named


class Schemas:
    """All resource types, by id and by path.

    :param origin: the list that they are from.
    :raises InvalidInput: two types have one id, or keys that could be either's; the text names
        both.
    """

    def __init__(
        self, types: Iterable[ResourceType], origin: Origin | None = None
    ) -> None:
        self.origin = origin or Origin()
        self._by_id: dict[str, ResourceType] = {}
        self._by_path: dict[str, ResourceType] = {}
        self._by_template: list[tuple[Pattern, ResourceType]] = []
        self._with_template: dict[str, ResourceType] = {}
        for kind in types:
            if kind.id in self._by_id:
                raise InvalidInput(
                    f"type {kind.id} is in the schema list twice; ids of types are"
                    " unique"
                )
            self._by_id[kind.id] = kind
            if kind.key_template:
                self._by_template.append((kind.key_template, kind))
                self._with_template[kind.path] = kind
            elif kind.path in self._by_path:
                raise InvalidInput(_one_path(self._by_path[kind.path], kind))
            else:
                self._by_path[kind.path] = kind
        self._check_folders()
        self._check_templates()
        self._alike = _alike(self._by_id)

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, kind: str) -> ResourceType | None:
        return self._by_id.get(kind)

    def json_schema(self, kind: str) -> Json:
        """What the bodies of a type should look like; None when nobody says."""
        known = self._by_id.get(kind)
        if known:
            return known.json_schema
        return None

    def at(self, path: str) -> ResourceType | None:
        """The type whose resources lie in this folder."""
        return self._by_path.get(path)

    def by_folder(self, path: str) -> ResourceType | None:
        """The same, also of a type whose keys are made by a key template: the folder of our own
        records about it."""
        return self._by_path.get(path) or self._with_template.get(path)

    def owner(self, path: str) -> tuple[ResourceType, str] | None:
        """The type and the id of the resource at a key, None when no type has such keys.

        :param path: the key without its prefix, ``v2.0/ports/port-web``.
        """
        folder, _, resource_id = path.rpartition("/")
        if (kind := self._by_path.get(folder)) is not None:
            if resource_id:
                return (kind, resource_id)
            return None
        for pattern, kind in self._by_template:
            if (variables := pattern.match(path)) is not None:
                return kind, variables["id"]
        return None

    def namesakes(self, ref: Ref) -> Iterator[Ref]:
        """The resources of other types whose stacks would have the same name: ``a_b`` with id ``c``
        and ``a`` with id ``b_c``."""
        name = ref.stack_name
        for kind in self._alike.get(ref.type, ()):
            if name.startswith(f"{kind}_") and len(name) > len(kind) + 1:
                yield Ref(kind, name[len(kind) + 1 :])

    def above(self, path: str) -> ResourceType | None:
        """The type in whose folder this key lies too deep: its id would have a slash."""
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            if kind := self._by_path.get(folder):
                return kind
        return None

    def _check_folders(self) -> None:
        for path, kind in self._by_path.items():
            if other := self.above(path):
                raise InvalidInput(
                    f"the path {path!r} of type {kind.id} lies inside the path"
                    f" {other.path!r} of type {other.id}: their keys cannot be told"
                    " apart; give one of them another prefix"
                )

    def _check_templates(self) -> None:
        for pattern, kind in self._by_template:
            for other in self._by_path.values():
                if pattern.overlaps(other.pattern):
                    raise InvalidInput(_one_path(other, kind))
        for (pattern, kind), (other_pattern, other) in combinations(
            self._by_template, 2
        ):
            if pattern.overlaps(other_pattern):
                raise InvalidInput(_one_path(kind, other))


def _alike(ids: Iterable[str]) -> dict[str, list[str]]:
    """For each type those whose ids begin with its own, or its own with theirs: only their stacks
    can have one name."""
    alike: dict[str, list[str]] = {}
    for one, other in combinations(sorted(ids), 2):
        if other.startswith(f"{one}_"):
            alike.setdefault(one, []).append(other)
            alike.setdefault(other, []).append(one)
    return alike


def _one_path(one: ResourceType, other: ResourceType) -> str:
    return (
        f"types {one.id} and {other.id} have one path: /{one.pattern} and"
        f" /{other.pattern}; each type needs keys of its own (the path is the entry's"
        " url, or its prefix where it has no url)"
    )


def parse_schemas(
    document: Json, origin: Origin | None = None, *, kept: bool = False
) -> Schemas:
    """The types of a schema list ``{"schemas": [{"id", "url" or "prefix", "metadata", "schema"},
    …]}``.

    A type whose ``template_path`` or ``sync_key_template`` does not parse is kept with its fault,
    so that the others work and each of its resources can say what is wrong.

    :param kept: the entries are those of :func:`used_of`.
    :raises InvalidInput: when the document is not a schema list at all, or two types cannot be told
        apart.
    """
    return Schemas(
        [_parse_type(entry, kept) for entry in entries_of(document)], origin
    )


def entries_of(document: Json) -> list[Json]:
    """The entries of a schema list, without those that others only inherit from.

    :raises InvalidInput: it is none.
    """
    entries = document
    if isinstance(document, dict):
        entries = document.get("schemas")
    if not isinstance(entries, list):
        raise InvalidInput(
            'a schema list looks like {"schemas": [{"id": …, "prefix": …, "schema":'
            " …}, …]}"
        )
    return [entry for entry in entries if not _is_abstract(entry)]


def used_of(entry: Mapping[str, Json]) -> dict[str, Json]:
    """What of an entry is read here: :func:`parse_schemas` makes the same type of it."""
    metadata = members(entry.get("metadata"))
    used: dict[str, Json] = {
        name: entry[name] for name in ("id", "url", "prefix") if entry.get(name)
    }
    if kept := {
        name: metadata[name]
        for name in _METADATA
        if metadata.get(name) is not None
    }:
        used["metadata"] = kept
    if properties := relations_of(entry.get("schema")):
        used["schema"] = properties
    if bodies := body_schema_of(entry.get("schema")):
        used["bodies"] = bodies
    return used


def _is_abstract(entry: Json) -> bool:
    """Whether others only inherit from it: such a type has no resources and no path."""
    return isinstance(entry, dict) and entry.get("type") == "abstract"


def _parse_type(entry: Json, kept: bool) -> ResourceType:
    kind = _type_id(entry)
    path = _path(kind, entry)
    metadata = members(entry.get("metadata"))
    template, fault = _template(kind, metadata.get("template_path"))
    key_template, key_fault = _key_template(
        kind, metadata.get("sync_key_template")
    )
    metaschema = metadata.get("type") == "metaschema"
    return ResourceType(
        id=kind,
        path=path,
        template=template,
        properties=parse_properties(entry.get("schema")),
        fault=key_fault or fault,
        versioned=metadata.get("state_versioning") is True,
        key_template=key_template,
        outside_config=key_template is not None
        and metadata.get("sync_skip_config_prefix") is True,
        is_resource=not metaschema
        and not any(metadata.get(name) for name in _NO_RESOURCES),
        json_schema=entry.get(_BODIES[kept]),
    )


_BODIES = {True: "bodies", False: "schema"}
"""Where an entry has the JSON schema of bodies, by whether the list is one that we stored."""


def _type_id(entry: Json) -> str:
    kind = members(entry).get("id")
    if not isinstance(kind, str) or not kind:
        raise InvalidInput(f"a schema without id: {str(entry)[:120]}")
    if ":" in kind or "/" in kind:
        raise InvalidInput(
            f"type {kind!r}: a type's id must not contain a colon or a slash, which"
            " separate it from the resource's id"
        )
    return kind


def _path(kind: str, entry: Mapping[str, Json]) -> str:
    """The entry's ``url`` where it has one, as upstream Gohan's have; else its ``prefix`` (CONTRACT
    section 2)."""
    for name in ("url", "prefix"):
        path = entry.get(name)
        if isinstance(path, str) and path.strip("/"):
            return path.strip("/")
    raise InvalidInput(
        f"type {kind} has neither url nor prefix; one of them says below which path its"
        " resources lie"
    )


def _template(kind: str, chosen: Json) -> tuple[Node | None, str]:
    if chosen is None:
        return None, ""
    try:
        return parse(chosen), ""
    except MappingSyntaxError as error:
        return None, f"template_path of type {kind}: {error}"


def _key_template(kind: str, text: Json) -> tuple[Pattern | None, str]:
    if text is None:
        return None, ""
    try:
        return parse_key_template(text), ""
    except InvalidInput as error:
        return None, f"sync_key_template of type {kind}: {error}"
