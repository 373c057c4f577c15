"""References that lead back to where they began.

A cycle can be built when one of its references is only to values, which are in the config: the
resource that has it goes first. When each reference is to a stack's output, each member would have
to be built before itself. See "soft and hard cycles" in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..refs import Ref
from ..templates import Template
from ..world import World
from .decisions import Refusal, Subject
from .parameters import params_of, template_of


def waits_for_us(subject: Subject, other: Ref) -> bool:
    """Whether waiting for *other* would be waiting for ourselves: it is being decided, or is held
    back because of us."""
    if other in subject.path:
        return True
    seen = {other}
    while held := subject.world.held.get(other):
        other = held.waits_for
        if other == subject.ref or other in subject.path:
            return True
        if other in seen:
            return False
        seen.add(other)
    return False


def failed_through_us(subject: Subject, other: Ref) -> bool:
    """Whether the way from a failure to its cause leads through this resource."""
    seen: set[Ref] = set()
    while (
        other not in seen
        and (failed := subject.world.failed.get(other))
        and failed.through
    ):
        seen.add(other)
        other = failed.through
        if other == subject.ref:
            return True
    return False


def hard_cycle(subject: Subject, other: Ref) -> Refusal | None:
    """A cycle through this resource and *other* in which every reference is to an output of what is
    not built.

    Each member is refused by itself, whichever was decided first. It is tried again when the next
    one is built.
    """
    members = _members(subject, other)
    if not members:
        return None
    way = " → ".join(map(str, members))
    return Refusal(
        f"refers to itself in a circle: {way}; remove one of the references",
        subject.ref,
        other,
    )


def _members(subject: Subject, other: Ref) -> tuple[Ref, ...]:
    """The members of a hard cycle, empty when there is none.

    They begin and end with this resource, so that each member names itself first.
    """
    world = subject.world
    came_from: dict[Ref, Ref] = {other: subject.ref}
    queue = [other]
    while queue:
        here = queue.pop(0)
        if world.is_live(here) or world.graph.on(here):
            continue
        for there in _outputs_needed_by(world, here):
            if there == subject.ref:
                return _way(subject.ref, came_from, here)
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return ()


def _way(
    start: Ref, came_from: Mapping[Ref, Ref], last: Ref
) -> tuple[Ref, ...]:
    way = [start, last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _outputs_needed_by(world: World, ref: Ref) -> tuple[Ref, ...]:
    """The resources of whose stacks another one needs outputs, as far as its mappings can be
    evaluated."""
    wanted, kind = world.wanted.get(ref), world.schemas.get(ref.type)
    if wanted is None or kind is None:
        return ()
    template = template_of(world, wanted, kind)
    if not isinstance(template, Template):
        return ()
    params = params_of(world, wanted, kind, template)
    if not isinstance(params, tuple):
        return ()
    return tuple(
        dict.fromkeys(
            output.ref for param in params for output in param.outputs()
        )
    )
