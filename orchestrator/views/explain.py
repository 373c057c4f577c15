"""What a type of resource is: its properties, how its templates are fed, and who refers to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from ..core.checks.mappings.templates import choices
from ..core.keys import Keys
from ..core.mapping.nodes import (
    Concat,
    ForEach,
    If,
    Node,
    Output,
)
from ..core.mapping.spelling import spelling
from ..core.properties import Properties
from ..core.refs import Json
from ..core.schemas import ResourceType
from ..core.templates import BadTemplate, Template

_SECTION = re.compile(r"^(\w+):")
_OUTPUT = re.compile(r"^( +)([^\s:#{-][^:]*):")
_DESCRIPTION = re.compile(
    r"""^\ +description:\ *(?P<block>[^"'>|\ ].*)$
    |description:\ *(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^,}]*))""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ExplainedProperty:
    """A property of the bodies."""

    name: str
    """With the names of the objects that it lies in, separated by dots; ``[]`` is a list."""
    type: str
    """Its JSON types."""
    required: bool
    relation: str
    """The type of the resource that it names; empty when it names none."""
    note: str
    """Its allowed values, or its form."""


@dataclass(frozen=True, slots=True)
class ExplainedParameter:
    """A parameter of a template."""

    template: str
    name: str
    mapping: str
    """As somebody may have written it."""
    reads: tuple[str, ...] = ()
    """The outputs of other stacks that it reads, as ``key of property``."""


@dataclass(frozen=True, slots=True)
class ExplainedOutput:
    """An output of a template, as its text has it."""

    template: str
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Referrer:
    """A property of another type that names resources of this one."""

    type: str
    property: str


@dataclass(frozen=True, slots=True)
class TypeView:
    """One type."""

    id: str
    keys: str
    """The form of its keys, without the prefix."""
    versioned: bool
    fault: str
    templates: tuple[str, ...]
    """Those that its mapping can choose; empty: nothing is built, or the choice is not known."""
    chosen_by: str
    """The mapping that chooses the template; empty when nothing is built."""
    properties: tuple[ExplainedProperty, ...]
    parameters: tuple[ExplainedParameter, ...]
    outputs: tuple[ExplainedOutput, ...]
    faults: tuple[str, ...]
    """Why templates cannot be used."""
    referred_by: tuple[Referrer, ...]

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


Templates = Mapping[str, Template | BadTemplate]


def explain(keys: Keys, kind: ResourceType, templates: Templates) -> TypeView:
    """A type.

    :param templates: those that are in force, by id.
    """
    chosen = _chosen(kind)
    found = {name: templates.get(name) for name in chosen}
    usable = [one for one in found.values() if isinstance(one, Template)]
    return TypeView(
        kind.id,
        f"/{kind.pattern}",
        kind.versioned,
        kind.fault,
        tuple(chosen),
        spelling(kind.template) if kind.template else "",
        tuple(_properties(kind.json_schema, kind.properties)),
        tuple(one for template in usable for one in _parameters(template)),
        tuple(one for template in usable for one in _outputs(template)),
        tuple(_faults(found)),
        tuple(_referrers(keys, kind.id)),
    )


def _chosen(kind: ResourceType) -> list[str]:
    """The templates that a type's mapping can choose."""
    if kind.template is None:
        return []
    found = choices(kind.template) or ()
    return sorted(name for name in found if isinstance(name, str) and name)


def _faults(
    found: Mapping[str, Template | BadTemplate | None],
) -> Iterator[str]:
    for name, template in found.items():
        if template is None:
            yield f"there is no template {name}"
        elif isinstance(template, BadTemplate):
            yield template.reason


# Properties ---------------------------------------------------------------------------------------


def _properties(
    schema: Json, relations: Properties, before: str = ""
) -> Iterator[ExplainedProperty]:
    """The properties of a JSON schema, at any depth."""
    if not isinstance(schema, dict):
        yield from _bare(relations, before)
        return
    listed = schema.get("properties")
    needed = schema.get("required")
    if not isinstance(listed, dict):
        return
    for name, entry in listed.items():
        entry = entry if isinstance(entry, dict) else {}
        required = isinstance(needed, list) and name in needed
        relation = relations.relations.get(name, "")
        below = relations.below(name)
        if "" in below.relations:
            relation = below.relations[""]
        path = f"{before}{name}"
        types = _types(entry)
        note = _note(entry)
        yield ExplainedProperty(path, types, required, relation, note)
        items = entry.get("items")
        yield from _inside(entry, items, below, path)


def _inside(
    entry: Json, items: Json, below: Properties, path: str
) -> Iterator[ExplainedProperty]:
    """The properties of an object, or of the elements of a list."""
    if isinstance(entry.get("properties"), dict):
        yield from _properties(entry, below, f"{path}.")
    elif isinstance(items, dict) and isinstance(items.get("properties"), dict):
        yield from _properties(items, below, f"{path}[].")


def _bare(relations: Properties, before: str) -> Iterator[ExplainedProperty]:
    """What is known of a type whose list has no schemas for bodies: its relations."""
    for name, kind in relations.relations.items():
        yield ExplainedProperty(f"{before}{name}", "", False, kind, "")
    for name, below in relations.nested.items():
        yield from _bare(below, f"{before}{name}.")


def _types(entry: Mapping[str, Json]) -> str:
    kind = entry.get("type", "")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    return str(kind)


def _note(entry: Mapping[str, Json]) -> str:
    """What a value may be."""
    if isinstance(entry.get("enum"), list):
        return f"one of {', '.join(map(str, entry['enum']))}"
    for name in ("format", "pattern"):
        if isinstance(entry.get(name), str):
            return f"{name} {entry[name]}"
    return ""


# Templates ----------------------------------------------------------------------------------------


def _parameters(template: Template) -> Iterator[ExplainedParameter]:
    for name, node in template.mappings:
        reads = tuple(dict.fromkeys(_reads(node)))
        mapping = spelling(node).strip('"')
        yield ExplainedParameter(template.id, name, mapping, reads)


def _reads(node: Node) -> Iterator[str]:
    """The outputs that a mapping reads."""
    match node:
        case Output(key, path):
            way = ".".join(hop.property or "its elements" for hop in path)
            yield f"{key} of {way}"
        case Concat(parts):
            for part in parts:
                yield from _reads(part)
        case If(then=then, otherwise=otherwise):
            yield from _reads(then)
            yield from _reads(otherwise)
        case ForEach(_, body):
            yield from _reads(body)
        case _:
            return


def _outputs(template: Template) -> Iterator[ExplainedOutput]:
    """The outputs that the template's text names; those that Jinja makes are left out."""
    inside, indent = False, ""
    name = description = ""
    for line in template.text.splitlines():
        if found := _SECTION.match(line):
            inside, indent = found.group(1) == "outputs", ""
        found = _OUTPUT.match(line)
        if not inside or found is None:
            continue
        indent = indent or found.group(1)
        if found.group(1) == indent:
            if name:
                yield ExplainedOutput(template.id, name, description)
            name, description = found.group(2).strip(), ""
        if told := _DESCRIPTION.search(line):
            words = next(filter(None, told.groups()), "")
            description = description or words.strip()
    if name:
        yield ExplainedOutput(template.id, name, description)


# Others -------------------------------------------------------------------------------------------


def _referrers(keys: Keys, kind: str) -> Iterator[Referrer]:
    """The properties of all types that name resources of this type."""
    for other in keys.schemas:
        for path, relation in _paths(other.properties):
            if relation == kind:
                yield Referrer(other.id, path)


def _paths(
    properties: Properties, before: str = ""
) -> Iterator[tuple[str, str]]:
    for name, relation in properties.relations.items():
        yield f"{before}{name}".rstrip("."), relation
    for name, below in properties.nested.items():
        yield from _paths(below, f"{before}{name}.")
