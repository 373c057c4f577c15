"""The tree of a mapping.
Both spellings parse to these nodes; only :mod:`.evaluate` gives them meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ..refs import Json
from .patterns import Pattern


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that stands in the mapping itself."""

    value: Json


@dataclass(frozen=True, slots=True)
class Hop:
    """One step to another resource.

    *property* holds the other's id (``""``: the loop's element is the id). *type* is the other's
    type; None means the property's ``relation`` in the schema says it.
    """

    property: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A property of the resource itself, or of the one at the end of *path*."""

    name: str
    path: tuple[Hop, ...] = ()
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class ObjectField:
    """Property *name* of the resource's object property *object*."""

    object: str
    name: str


@dataclass(frozen=True, slots=True)
class Output:
    """Output *key* of the stack of the resource at the end of *path*, read when the job runs."""

    key: str
    path: tuple[Hop, ...]
    ignore_missing: bool = False


@dataclass(frozen=True, slots=True)
class Version:
    """The version of the resource's config."""


@dataclass(frozen=True, slots=True)
class Concat:
    """The texts of the parts, one after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class If:
    """*then* if the condition holds on *left* and *right*, else *otherwise*.

    *pattern* is the regular expression where *right* is a constant: it is compiled once, with the
    mapping.
    """

    test: Literal["equal", "regexp"]
    left: Node
    right: Node
    then: Node
    otherwise: Node
    pattern: Pattern | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ForEach:
    """*body* on every element of the list that *items* gives."""

    items: Node
    body: Node


Node: TypeAlias = (
    Constant | Field | ObjectField | Output | Version | Concat | If | ForEach
)


def reads_outputs(node: Node) -> bool:
    """Whether evaluating *node* can need another stack's output."""
    match node:
        case Output():
            return True
        case Concat(parts):
            return any(map(reads_outputs, parts))
        case If(then=then, otherwise=otherwise):
            return reads_outputs(then) or reads_outputs(otherwise)
        case ForEach(_, body):
            return reads_outputs(body)
        case _:
            return False
