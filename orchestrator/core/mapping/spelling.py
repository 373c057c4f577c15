"""A tree as a mapping again, for messages."""

from __future__ import annotations

import json

from ...errors import shortened
from ..refs import Json
from .nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    Hop,
    If,
    Node,
    ObjectField,
    Output,
)


def spelling(node: Node) -> str:
    """The mapping as somebody may have written it, cut to the length of a message."""
    return shortened(json.dumps(_spelled(node), ensure_ascii=False))


def _spelled(node: Node) -> Json:
    match node:
        case Constant(str(value)):
            return f"C{value}"
        case Constant(value):
            return {"constant": value}
        case Field():
            return _field(node)
        case ObjectField(owner, name):
            return f"O{owner}:{name}"
        case Output(key, path):
            return {"output_key": key, "path": _path(path)}
        case Concat(parts):
            return "A" + "&".join(str(_spelled(part)) for part in parts)
        case If(test, left, right, then, otherwise):
            return {
                "if_mapping": {test: [_spelled(left), _spelled(right)]},
                "then_mapping": _spelled(then),
                "else_mapping": _spelled(otherwise),
            }
        case ForEach(items, body):
            return {"for_field": _spelled(items), "for_mapping": _spelled(body)}
        case _:
            return "Vauto_filled"


def _field(node: Field) -> Json:
    if node.path:
        return {"field": node.name, "path": _path(node.path)}
    if node.name:
        return f"P{node.name}"
    return {"field": ""}


def _path(path: tuple[Hop, ...]) -> Json:
    return [_hop(hop) for hop in path]


def _hop(hop: Hop) -> Json:
    if hop.type:
        return {"type": hop.type, "id": hop.property}
    return hop.property
