"""Stacks of our naming that nobody has asked for."""

from __future__ import annotations

from collections.abc import Iterator

from ..records import Deviation, DriftKind
from ..refs import Ref
from ..schemas import Schemas
from ..stacks import OWNER_PREFIX, Stack, owner_tag


def candidates(schemas: Schemas, stack: Stack) -> list[Ref]:
    """The resources whose stack this may be, by its tags and its name; none when it is not of our
    naming. The likeliest comes first."""
    if stack.action == "DELETE" or stack.action == "INIT":
        return []
    named = list(_named(schemas, stack.name))
    owners = {tag for tag in stack.tags if tag.startswith(OWNER_PREFIX)}
    tagged = [ref for ref in named if owner_tag(ref) in owners]
    return tagged or named


def _named(schemas: Schemas, name: str) -> Iterator[Ref]:
    """The types that build stacks and whose name the stack's begins with, the longest first."""
    kinds = sorted(
        (kind.id for kind in schemas if kind.template is not None),
        key=len,
        reverse=True,
    )
    for kind in kinds:
        identity = name.removeprefix(f"{kind}_")
        if identity and identity != name:
            yield Ref(kind, identity)


def unknown(stack: Stack) -> Deviation:
    """What is said of a stack of our naming, of which there is no record."""
    whose = "without our tags"
    if stack.is_owned:
        whose = "with our tags"
    says = (
        f"Heat has a stack {stack.name} {whose}, and there is no record of it"
    )
    return Deviation(DriftKind.UNKNOWN, says=says)
