"""Whether the mappings of a template lead anywhere: types, properties, relations, outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..mapping.nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    reads_outputs,
)
from ..refs import Json
from ..schemas import ResourceType, Schemas
from ..templates import Template
from .bodies import ALWAYS
from .findings import Finding, Findings, did_you_mean, hint

JINJA = "jinja_"
FORCED = "jinja_force_dependency"
"""How names begin that exist for their references alone: no template uses them."""
_DEPENDENCY = "dependency"
"""What every such name contains: production systems have ``jinja_dummy_dependency``, too."""

_HEAT = "heat_"
_RESERVED = ("heat_timeout",)


@dataclass(frozen=True, slots=True)
class Around:
    """What a mapping may refer to.

    *outputs* gives the outputs of a type's stacks, None when they are not known; *templates* are
    the ids of the templates that there are.
    """

    schemas: Schemas
    outputs: Callable[[str], frozenset[str] | None]
    templates: frozenset[str]


@dataclass(frozen=True, slots=True)
class _View:
    """What a mapping sees: the properties of a resource, of an element of a list, or of the end of
    a path.

    *schema* is the JSON schema, None when nothing is known of it. *where* names it in a sentence.
    """

    schema: Json
    where: str
    whole: bool = False

    def names(self) -> list[str] | None:
        """The properties, None when any name will do."""
        listed = (
            self.schema.get("properties")
            if isinstance(self.schema, dict)
            else None
        )
        if (
            not isinstance(listed, dict)
            or not listed
            or self.schema.get("additionalProperties")
        ):
            return None
        return [
            *listed,
            *(name for name in ALWAYS if self.whole and name not in listed),
        ]

    def schema_of(self, name: str) -> Json:
        listed = (
            self.schema.get("properties")
            if isinstance(self.schema, dict)
            else None
        )
        return listed.get(name) if isinstance(listed, dict) else None

    def types_of(self, name: str) -> list[str] | None:
        """The JSON types of a property, None when the schema does not say."""
        schema = self.schema if name == "" else self.schema_of(name)
        types = schema.get("type") if isinstance(schema, dict) else None
        found = [types] if isinstance(types, str) else types
        return found if isinstance(found, list) else None


def check_mappings(
    template: Template, kind: ResourceType | None, around: Around
) -> Findings:
    """Every mapping of a template, on the resources of the type that it serves; None when that is
    not known.
    """
    view = (
        _View(kind.json_schema, kind.id, whole=True)
        if kind
        else _View(None, template.id)
    )
    for name, node in template.mappings:
        if name.startswith(_HEAT) and name not in _RESERVED:
            yield Finding(
                (name,),
                f"names that begin with {_HEAT} are reserved;"
                f" {did_you_mean(name, _RESERVED)}",
            )
        for text in _check(node, view, around):
            yield Finding((name,), text)


def check_choice(kind: ResourceType, around: Around) -> Findings:
    """A type's ``template_path``, the mapping that chooses the template."""
    if kind.template is None:
        return
    if reads_outputs(kind.template):
        yield Finding(
            (),
            "it must not need another stack's output: nothing is built when it is"
            " evaluated",
        )
    for text in _check(
        kind.template, _View(kind.json_schema, kind.id, whole=True), around
    ):
        yield Finding((), text)
    for choice in choices(kind.template) or ():
        if choice is not None and choice not in around.templates:
            known = did_you_mean(str(choice), sorted(around.templates))
            yield Finding(
                (), f"there is no template {choice!r} in the catalogue; {known}"
            )


def choices(node: Node) -> set[Json] | None:
    """The values that a mapping can have, None when they are not written in it."""
    match node:
        case Constant(value):
            return (
                {value}
                if isinstance(value, (str, int, bool, type(None)))
                else None
            )
        case If(then=then, otherwise=otherwise):
            left, right = choices(then), choices(otherwise)
            return (
                left | right if left is not None and right is not None else None
            )
        case _:
            return None


def check_parameters(
    template: Template,
    kind: ResourceType | None,
    parameters: Mapping[str, Json],
) -> Findings:
    """Whether the values that a type allows for a property are allowed for the parameter that
    carries it.
    :param parameters: as the rendered template declares them.
    """
    view = _View(kind.json_schema if kind else None, template.id, whole=True)
    for name, node in template.mappings:
        if name in parameters:
            yield from _check_null(name, node, view, parameters[name])
            if isinstance(node, Field) and not node.path:
                yield from _check_carried(
                    name, view.schema_of(node.name), parameters[name]
                )


def _check_null(
    name: str, node: Node, view: _View, parameter: Json
) -> Findings:
    """A property that need not be there, carried by a parameter that takes no null."""
    if (
        not isinstance(node, Field | Output)
        or node.ignore_missing
        or not isinstance(parameter, dict)
    ):
        return
    first = (
        node.path[0].property
        if node.path
        else node.name
        if isinstance(node, Field)
        else ""
    )
    required = (
        view.schema.get("required") if isinstance(view.schema, dict) else None
    )
    if (
        not isinstance(required, list)
        or not required
        or first in (*required, *ALWAYS)
    ):
        return
    if parameter.get("default") is None:
        yield hint(
            (name,),
            f"{first} need not be there, and the parameter has no default: Heat refuses"
            " null",
        )


def _check_carried(name: str, schema: Json, parameter: Json) -> Findings:
    if not isinstance(schema, dict) or not isinstance(parameter, dict):
        return
    types = schema.get("type")
    named = (
        [types]
        if isinstance(types, str)
        else types
        if isinstance(types, list)
        else []
    )
    if ("array" in named or "object" in named) and parameter.get(
        "type"
    ) in _PLAIN:
        yield Finding(
            (name,),
            f"the property is {' or '.join(map(str, named))}, "
            f"and the parameter {parameter['type']}; "
            "declare it json",
        )
    values = schema.get("enum")
    constraints = parameter.get("constraints")
    for constraint in constraints if isinstance(constraints, list) else ():
        allowed = (
            constraint.get("allowed_values")
            if isinstance(constraint, dict)
            else None
        )
        if isinstance(allowed, list) and isinstance(values, list):
            refused = [
                value
                for value in values
                if value is not None and str(value) not in map(str, allowed)
            ]
            for value in refused:
                yield Finding(
                    (name,),
                    f"the type allows {value!r}, and the template's parameter does not",
                )


_PLAIN = ("string", "number", "boolean")


# One mapping --------------------------------------------------------------------------------------


def _check(node: Node, view: _View, around: Around) -> Iterator[str]:
    match node:
        case Field(name, path):
            yield from _check_field(name, path, view, around)
        case ObjectField(owner, name):
            yield from _check_object_field(owner, name, view)
        case Output(key, path):
            yield from _check_output(key, path, view, around)
        case Concat(parts):
            yield from _check_parts(parts, view, around)
        case If():
            yield from _check_if(node, view, around)
        case ForEach(items, body):
            yield from _check_loop(items, body, view, around)


def _check_field(
    name: str, path: tuple[Hop, ...], view: _View, around: Around
) -> Iterator[str]:
    faults, end = _follow(path, view, around)
    yield from faults
    if end is not None:
        yield from _check_name(name, end)


def _check_name(name: str, view: _View) -> Iterator[str]:
    if name == "":
        if view.whole:
            yield (
                "an empty field is the element of a loop, and there is no loop"
                " around it"
            )
        return
    names = view.names()
    if names is not None and name not in names:
        yield f"{view.where} has no property {name!r}; {did_you_mean(name, names)}"


def _check_object_field(owner: str, name: str, view: _View) -> Iterator[str]:
    faults = list(_check_name(owner, view))
    yield from faults
    types = view.types_of(owner)
    if types is not None and "object" not in types:
        yield f"property {owner!r} of {view.where} is no object, so it has no {name!r}"
    elif not faults:
        yield from _check_name(
            name,
            _View(view.schema_of(owner), f"property {owner!r} of {view.where}"),
        )


def _check_output(
    key: str, path: tuple[Hop, ...], view: _View, around: Around
) -> Iterator[str]:
    faults, end = _follow(path, view, around)
    yield from faults
    if end is None:
        return
    kind = around.schemas.get(end.where)
    if kind is not None and kind.template is None:
        yield f"{end.where} is not built, so it has no output {key!r}"
        return
    outputs = around.outputs(end.where)
    if outputs is not None and key not in outputs:
        meant = did_you_mean(key, sorted(outputs))
        yield f"the template of {end.where} has no output {key!r}; {meant}"


def _check_parts(
    parts: tuple[Node, ...], view: _View, around: Around
) -> Iterator[str]:
    for part in parts:
        if reads_outputs(part):
            yield (
                "a stack's output cannot be put together with texts: it is known only"
                " later"
            )
        yield from _check(part, view, around)


def _check_if(node: If, view: _View, around: Around) -> Iterator[str]:
    if reads_outputs(node.left) or reads_outputs(node.right):
        yield "a stack's output cannot be compared: it is known only when the job runs"
    for part in (node.left, node.right, node.then, node.otherwise):
        yield from _check(part, view, around)


def _check_loop(
    items: Node, body: Node, view: _View, around: Around
) -> Iterator[str]:
    yield from _check(items, view, around)
    elements: Json = None
    where = "the element"
    if isinstance(items, Field) and not items.path:
        where = f"an element of {items.name!r}"
        types = view.types_of(items.name)
        if types is not None and "array" not in types:
            yield f"property {items.name!r} of {view.where} is no list"
            return
        schema = view.schema_of(items.name)
        elements = schema.get("items") if isinstance(schema, dict) else None
    if isinstance(body, ForEach) and reads_outputs(body):
        yield "a loop over outputs inside another loop is not supported"
    yield from _check(body, _View(elements, where), around)


# Paths --------------------------------------------------------------------------------------------


def _follow(
    path: tuple[Hop, ...], view: _View, around: Around
) -> tuple[list[str], _View | None]:
    """What is wrong on the way, and what is seen at its end; None when that is not known."""
    for hop in path:
        faults = list(_check_name(hop.property, view)) if hop.property else []
        relation = _relation(hop, view)
        faults += _check_hop(hop, relation, view, around)
        if faults:
            return faults, None
        kind = hop.type or relation
        known = around.schemas.get(kind) if kind else None
        if known is None:
            return [], None
        view = _View(known.json_schema, known.id, whole=True)
    return [], view


def _relation(hop: Hop, view: _View) -> str | None:
    """The type that the property leads to, as the schema says; an element of a list of ids is the
    property ``""``.
    """
    schema = view.schema if hop.property == "" else view.schema_of(hop.property)
    relation = schema.get("relation") if isinstance(schema, dict) else None
    return relation if isinstance(relation, str) else None


def _check_hop(
    hop: Hop, relation: str | None, view: _View, around: Around
) -> Iterator[str]:
    name = (
        f"property {hop.property!r} of {view.where}"
        if hop.property
        else view.where
    )
    types = view.types_of(hop.property)
    if types is not None and "string" not in types and "integer" not in types:
        yield f"{name} holds no id, so no path leads through it"
    elif hop.type is None and relation is None and view.schema is not None:
        yield (
            f"{name} has no relation in the schema; name the type in the hop: {{type:"
            " …, id: …}"
        )
    elif hop.type is not None and around.schemas.get(hop.type) is None:
        known = [kind.id for kind in around.schemas]
        yield f"there is no type {hop.type!r}; {did_you_mean(hop.type, known)}"
    elif hop.type is not None and relation is not None and relation != hop.type:
        yield f"{name} leads to {relation}, as its relation says, and not to {hop.type}"


# Names that the template uses ---------------------------------------------------------------------


def check_names(template: Template, used: Mapping[str, int]) -> Findings:
    """Mapped ``jinja_`` names that the template does not use. Those that are taken for their
    references are hints.
    :param used: the variables of the template's text, with their lines.
    """
    for name, node in template.mappings:
        if not name.startswith(JINJA) or name in used or _DEPENDENCY in name:
            continue
        text = f"the template does not use {name}"
        if _takes_references(node):
            yield hint(
                (name,),
                f"{text}; if it is there for its reference alone, let its name begin"
                f" with {FORCED}",
            )
        else:
            yield Finding(
                (name,), f"{text}; {did_you_mean(name, used)}" if used else text
            )


def _takes_references(node: Node) -> bool:
    match node:
        case Field(path=path) | Output(path=path):
            return bool(path)
        case Concat(parts):
            return any(map(_takes_references, parts))
        case If():
            return any(
                map(
                    _takes_references,
                    (node.left, node.right, node.then, node.otherwise),
                )
            )
        case ForEach(items, body):
            return _takes_references(items) or _takes_references(body)
        case _:
            return False
