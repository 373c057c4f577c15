"""Whether a stack is rebuilt because an output changed that it was built from.

A stack is outdated by level: what it was built from is recorded, and compared with what there is.
So a leader that dies loses nothing, and the same value never rebuilds anybody.
See "Outputs flow" in docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...errors import MappingError
from .. import policies
from ..mapping.evaluate import Missing, OutputOf, plain
from ..policies import Follow
from ..records import Built, Handled
from ..refs import Json, Ref
from ..resources import Wanted
from ..templates import TEMPLATE_TYPE, Template
from ..world import Lagging, World
from .decisions import Decision, Hold, LeftOutdated, Nothing, Refusal, Start

BuiltFrom: TypeAlias = Callable[[Ref], Built | None]
"""What the stack of a resource was built from, as far as it is known."""
ROUNDS = 2
"""How often in a row each member of a circle is updated because an output of another changed."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The outputs that a stack was built from and that have another value now."""

    outputs: tuple[OutputOf, ...]
    circle: tuple[Ref, ...] = ()
    """The circle of outputs that leads from the resource back to it; empty when there is none."""
    followed: int = 0
    """Along that circle: how many jobs in a row, with the one to be made, follow an output."""
    now: Mapping[OutputOf, str] = field(default_factory=dict)
    """The digests of the values that they have now."""

    @classmethod
    def of(
        cls,
        ref: Ref,
        outputs: tuple[OutputOf, ...],
        handled: Mapping[Ref, Handled],
        built_from: BuiltFrom,
    ) -> Changed:
        """The same, with the circle that the outputs are part of.

        :param handled: what was handled last of each resource.
        """
        ways = {
            other: way
            for other in dict.fromkeys(output.ref for output in outputs)
            if (way := _way_back(built_from, other, ref))
        }
        if not ways:
            return cls(outputs)
        longest = max(ways.values(), key=len)
        jobs = (handled[other].followed for other in ways if other in handled)
        return cls(outputs, longest, 1 + max(jobs, default=0))

    @property
    def restless(self) -> bool:
        """Whether the circle had its rounds and does not settle."""
        members = len(self.circle) - 1
        return bool(self.circle) and self.followed > ROUNDS * members

    def lagging(self, why: str, *causes: Ref) -> LeftOutdated:
        """The resource stays as it is.

        :param causes: whose change lets it be decided again.
        """
        return LeftOutdated(Lagging(self.outputs, why, frozenset(causes)))


def changed(world: World, ref: Ref) -> Changed | None:
    """What has changed that the stack of a resource was built from; None when nothing has."""
    outputs = world.changed_outputs(ref)
    if not outputs:
        return None
    found = Changed.of(ref, outputs, world.handled, world.built_from.get)
    now = {output: world.digest_of(output) for output in outputs}
    return replace(found, now=now)


def _way_back(built_from: BuiltFrom, start: Ref, ref: Ref) -> tuple[Ref, ...]:
    """The circle that an output of *ref* goes round, by *start* back to *ref*, in the order in
    which one is built from the other; empty when there is none."""
    came_from: dict[Ref, Ref] = {start: ref}
    queue = [start]
    for here in queue:
        if here == ref:
            return _way(ref, came_from)
        built = built_from(here)
        if built is None:
            continue
        for there in dict.fromkeys(output.ref for output in built.reads):
            if there not in came_from:
                came_from[there] = here
                queue.append(there)
    return ()


def _way(ref: Ref, came_from: Mapping[Ref, Ref]) -> tuple[Ref, ...]:
    way = [ref, came_from[ref]]
    while way[-1] != ref:
        way.append(came_from[way[-1]])
    return tuple(way)


def standstill(
    world: World, wanted: Wanted, found: Changed
) -> LeftOutdated | None:
    """Why the resource is not rebuilt although it is outdated; None when it is."""
    policy = follow_of(world, wanted)
    template = Ref(TEMPLATE_TYPE, world.handled[wanted.ref].template)
    if policy is Follow.NEVER:
        return found.lagging("", template)
    if policy is Follow.REPORT:
        again = f"orchestrator rebuild {wanted.ref.type} {wanted.ref.id}"
        why = f"is rebuilt only when a person asks for it: {again}"
        return found.lagging(why, template)
    handled = world.handled[wanted.ref]
    if handled.kept and handled.expected.items() >= found.now.items():
        return found.lagging(f"could not be rebuilt: {handled.kept}")
    if found.restless:
        return LeftOutdated(_in_circle(wanted.ref, found))
    return None


def _in_circle(ref: Ref, found: Changed) -> Lagging:
    way = " → ".join(map(str, found.circle))
    again = f"orchestrator rebuild {ref.type} {ref.id}"
    return Lagging(
        found.outputs,
        f"is held: outputs go round in a circle and do not settle: {way}; make one of"
        f" them independent of the others in its template, then: {again}",
        circle=found.circle,
    )


def follow_of(world: World, wanted: Wanted) -> Follow:
    """What the template of a resource says about outputs that change, or else the setting."""
    handled, kind = (
        world.handled[wanted.ref],
        world.schemas.get(wanted.ref.type),
    )
    template = world.template_for(wanted.ref, handled.template)
    if kind is None or not isinstance(template, Template):
        return world.follow
    node = dict(template.mappings).get(policies.REBUILD)
    if node is None:
        return world.follow
    value: Json = None
    with suppress(Missing, MappingError):
        # Where it cannot be evaluated, a rebuild would be refused, and say why.
        value = plain(node, world.scope(wanted, kind))
    said = policies.lenient({policies.REBUILD: value}).follow
    return said or world.follow


def followed(found: Changed, follows: Decision | Refusal) -> Decision:
    """The decision to rebuild an outdated resource.

    Only a job counts. A version that is complete is not reported as failed, and not held, because
    it cannot be rebuilt now: its stack stands.

    :param follows: what would follow if a person had asked for it.
    """
    match follows:
        case Start(handled=handled):
            handled = replace(
                handled, followed=found.followed, expected=found.now
            )
            return replace(follows, handled=handled, follows=found.outputs)
        case Refusal(why, root, through):
            return found.lagging(
                f"cannot be rebuilt: {why}", *_refs(root, through)
            )
        case Hold(held):
            return found.lagging(
                f"cannot be rebuilt: {held.reason}",
                *_refs(held.waits_for, held.root),
            )
        case Nothing() | LeftOutdated():
            return found.lagging("cannot be rebuilt now")
    return follows


def _refs(*refs: Ref | None) -> Iterable[Ref]:
    return (ref for ref in refs if ref is not None)
