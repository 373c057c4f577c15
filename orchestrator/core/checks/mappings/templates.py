"""The mappings of a template, and the mapping by which a type chooses its template."""

from __future__ import annotations

from collections.abc import Mapping

from ...mapping.nodes import (
    Concat,
    Constant,
    Field,
    ForEach,
    If,
    Node,
    Output,
    reads_outputs,
)
from ...policies import PREFIX, RESERVED, fault
from ...refs import Json
from ...schemas import ResourceType
from ...templates import Template
from ..findings import Finding, Findings, did_you_mean, hint, near
from .faults import faults_of
from .views import Around, View

JINJA = "jinja_"
FORCED = "jinja_force_dependency"
"""How names begin that exist for their references alone: no template uses them."""
_DEPENDENCY = "dependency"
"""What every such name contains: production systems have ``jinja_dummy_dependency``, too."""

_PLAIN = (str, int, bool, type(None))


def check_mappings(
    template: Template, kind: ResourceType | None, around: Around
) -> Findings:
    """Every mapping of a template, on the resources of the type that it serves; None when that is
    not known.
    """
    view = View(None, template.id)
    if kind is not None:
        view = View.of_type(kind)
    for name, node in template.mappings:
        if name.startswith(PREFIX):
            yield from _check_reserved(name, node)
        for text in faults_of(node, view, around):
            yield Finding((name,), text)


def _check_reserved(name: str, node: Node) -> Findings:
    """A mapping that is for the orchestrator itself: its name, and its values as far as they are
    written in it."""
    if name not in RESERVED:
        # Their common beginning would make each like the other.
        ends = {known.removeprefix(PREFIX): known for known in RESERVED}
        meant = [ends[end] for end in near(name.removeprefix(PREFIX), ends)]
        yield Finding(
            (name,),
            f"names that begin with {PREFIX} are reserved;"
            f" {did_you_mean(name, meant[:1] or RESERVED)}",
        )
        return
    if reads_outputs(node):
        yield Finding(
            (name,),
            "it must not need another stack's output: it is read when there may be"
            " none",
        )
    for value in sorted(choices(node) or (), key=str):
        if text := fault(name, value):
            yield Finding((name,), f"{text}, not {value!r}")


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
    for text in faults_of(kind.template, View.of_type(kind), around):
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
        case Constant(value) if isinstance(value, _PLAIN):
            return {value}
        case If(then=then, otherwise=otherwise):
            left, right = choices(then), choices(otherwise)
            if left is not None and right is not None:
                return left | right
            return None
        case _:
            return None


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
            continue
        if used:
            text = f"{text}; {did_you_mean(name, used)}"
        yield Finding((name,), text)


def _takes_references(node: Node) -> bool:
    match node:
        case Field(path=path) | Output(path=path):
            return bool(path)
        case Concat(parts):
            return any(map(_takes_references, parts))
        case If():
            parts = (node.left, node.right, node.then, node.otherwise)
            return any(map(_takes_references, parts))
        case ForEach(items, body):
            return _takes_references(items) or _takes_references(body)
        case _:
            return False
