"""What is wrong with one mapping: names, paths, loops and outputs that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from ...documents import members
from ...mapping.nodes import (
    Concat,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
    reads_outputs,
)
from ...refs import Json
from ..findings import did_you_mean
from .views import Around, View


def faults_of(node: Node, view: View, around: Around) -> Iterator[str]:
    """What is wrong with a mapping, or a part of one."""
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
    name: str, path: tuple[Hop, ...], view: View, around: Around
) -> Iterator[str]:
    faults, end = _follow(path, view, around)
    yield from faults
    if end is not None:
        yield from _check_name(name, end)


def _check_name(name: str, view: View) -> Iterator[str]:
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


def _check_object_field(owner: str, name: str, view: View) -> Iterator[str]:
    faults = list(_check_name(owner, view))
    yield from faults
    types = view.types_of(owner)
    if types is not None and "object" not in types:
        yield f"property {owner!r} of {view.where} is no object, so it has no {name!r}"
    elif not faults:
        yield from _check_name(
            name,
            View(view.schema_of(owner), f"property {owner!r} of {view.where}"),
        )


def _check_output(
    key: str, path: tuple[Hop, ...], view: View, around: Around
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
    parts: tuple[Node, ...], view: View, around: Around
) -> Iterator[str]:
    for part in parts:
        if reads_outputs(part):
            yield (
                "a stack's output cannot be put together with texts: it is known only"
                " later"
            )
        yield from faults_of(part, view, around)


def _check_if(node: If, view: View, around: Around) -> Iterator[str]:
    if reads_outputs(node.left) or reads_outputs(node.right):
        yield "a stack's output cannot be compared: it is known only when the job runs"
    for part in (node.left, node.right, node.then, node.otherwise):
        yield from faults_of(part, view, around)


def _check_loop(
    items: Node, body: Node, view: View, around: Around
) -> Iterator[str]:
    yield from faults_of(items, view, around)
    elements: Json = None
    where = "the element"
    if isinstance(items, Field) and not items.path:
        where = f"an element of {items.name!r}"
        types = view.types_of(items.name)
        if types is not None and "array" not in types:
            yield f"property {items.name!r} of {view.where} is no list"
            return
        elements = members(view.schema_of(items.name)).get("items")
    if isinstance(body, ForEach) and reads_outputs(body):
        yield "a loop over outputs inside another loop is not supported"
    yield from faults_of(body, View(elements, where), around)


# Paths --------------------------------------------------------------------------------------------


def _follow(
    path: tuple[Hop, ...], view: View, around: Around
) -> tuple[list[str], View | None]:
    """What is wrong on the way, and what is seen at its end; None when that is not known."""
    for hop in path:
        faults: list[str] = []
        if hop.property:
            faults += _check_name(hop.property, view)
        relation = _relation(hop, view)
        faults += _check_hop(hop, relation, view, around)
        if faults:
            return faults, None
        known = around.schemas.get(hop.type or relation or "")
        if known is None:
            return [], None
        view = View.of_type(known)
    return [], view


def _relation(hop: Hop, view: View) -> str | None:
    """The type that the property leads to, as the schema says; an element of a list of ids is the
    property ``""``.
    """
    relation = members(view.at(hop.property)).get("relation")
    if isinstance(relation, str):
        return relation
    return None


def _check_hop(
    hop: Hop, relation: str | None, view: View, around: Around
) -> Iterator[str]:
    name = view.where
    if hop.property:
        name = f"property {hop.property!r} of {view.where}"
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
