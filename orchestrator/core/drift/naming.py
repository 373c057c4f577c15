"""Stacks of our naming of which there is no record: nobody has asked for them, or a person has left
them in Heat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..records import Deviation, DriftKind, LeavingMode, Tombstone
from ..refs import Ref
from ..schemas import Schemas
from ..stacks import OWNER_PREFIX, Stack, owner_of, owner_tag

_LEFT: Mapping[str, str] = {
    LeavingMode.RELEASE: "released",
    LeavingMode.FORGET: "forgot",
}


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


def owner(stack: Stack) -> Ref | None:
    """The resource that our tag on a stack names; None: there is none, or it is too long to name
    one."""
    kind, colon, identity = owner_of(stack).partition(":")
    if not colon or not identity:
        return None
    return Ref(kind, identity)


def is_left(stack: Stack, tenant: str, tombstone: Tombstone) -> bool:
    """Whether a person has left a stack of this name in Heat."""
    return (tombstone.tenant, tombstone.stack) == (tenant, stack.name)


def is_accepted(stack: Stack, tombstone: Tombstone) -> bool:
    """Whether the stack is meant to be there: a person has released just this one.

    Who forgets a resource says that Heat or the project is gone: there should be no stack.
    A stack that somebody else has built under the same name since then has no tag of ours.
    """
    return tombstone.verb == LeavingMode.RELEASE and stack.is_owned


def left(stack: Stack, tombstone: Tombstone) -> Deviation:
    """What is said of a stack that a person has left in Heat."""
    verb = _LEFT.get(tombstone.verb, tombstone.verb)
    told = (
        f"Heat has the stack {stack.name}, which {tombstone.by} {verb} at"
        f" {tombstone.at}"
    )
    if tombstone.why:
        told += f" ({tombstone.why})"
    return Deviation(DriftKind.UNKNOWN, says=told)
