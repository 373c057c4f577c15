"""Who uses whom: the resources around one, or all of them, each with its phase."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.properties import Properties
from ..core.refs import Json, Ref
from ..core.resources import Wanted, parsed
from .phases import Phase, Standing
from .snapshot import Snapshot
from .standings import Progress
from .times import UNTIMED, Moment

MOST = 300
"""Resources of one picture: nobody reads more."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One resource of the picture."""

    ref: Ref
    phase: Phase | None
    """None: nothing is known of it, but somebody refers to it."""
    reason: str = ""
    centre: bool = False
    """Whether the picture is about it."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Resources, and which of them use which."""

    nodes: tuple[GraphNode, ...] = ()
    uses: Mapping[Ref, tuple[Ref, ...]] = field(default_factory=dict)
    """By resource, those that it refers to and that are in the picture."""
    left_out: int = 0
    """How many resources more there would be."""

    def used_by(self) -> Mapping[Ref, tuple[Ref, ...]]:
        """By resource, those that refer to it."""
        found: defaultdict[Ref, list[Ref]] = defaultdict(list)
        for user, used in self.uses.items():
            for ref in used:
                found[ref].append(user)
        return {ref: tuple(users) for ref, users in found.items()}


def neighbours(
    snapshot: Snapshot,
    centre: Ref | None = None,
    *,
    depth: int = 2,
    most: int = MOST,
    moment: Moment = UNTIMED,
) -> Neighbours:
    """The picture.

    :param centre: the resource that it is about; None: all resources.
    :param depth: steps from the centre, in both directions.
    :param most: resources in the picture; what does not go well is in it first.
    """
    uses = {ref: _uses(snapshot, ref) for ref in snapshot.refs()}
    if centre is None:
        known = dict.fromkeys((*uses, *_used(uses.values())))
    else:
        known = dict.fromkeys(_around(centre, uses, depth))
    progress = Progress(snapshot, moment)
    standings = {ref: progress.of(ref) for ref in known if ref in uses}
    chosen = _first(known, standings, centre, most)
    nodes = [_node(ref, standings.get(ref), centre) for ref in chosen]
    inside = set(chosen)
    kept = {
        ref: tuple(used for used in uses.get(ref, ()) if used in inside)
        for ref in chosen
    }
    return Neighbours(tuple(nodes), kept, len(known) - len(chosen))


def _node(ref: Ref, standing: Standing | None, centre: Ref | None) -> GraphNode:
    if standing is None:
        told = "nothing is known of it"
        return GraphNode(ref, None, told, centre=ref == centre)
    return GraphNode(ref, standing.phase, standing.reason, centre=ref == centre)


def _used(found: Iterable[Sequence[Ref]]) -> Iterator[Ref]:
    for refs in found:
        yield from refs


_WELL = (Phase.COMPLETE, Phase.DELETED)


def _first(
    known: Iterable[Ref],
    standings: Mapping[Ref, Standing],
    centre: Ref | None,
    most: int,
) -> list[Ref]:
    """As many as there may be, in their order: those that are not well before the others."""
    refs = list(known)
    if len(refs) <= most:
        return refs

    def is_well(ref: Ref) -> tuple[bool, bool]:
        standing = standings.get(ref)
        well = standing is not None and standing.phase in _WELL
        return ref != centre, well

    kept = set(sorted(refs, key=is_well)[:most])
    return [ref for ref in refs if ref in kept]


def _around(
    centre: Ref, uses: Mapping[Ref, Sequence[Ref]], depth: int
) -> Iterator[Ref]:
    """The centre and what is near it: what it stands on, and what stands on it."""
    users: defaultdict[Ref, list[Ref]] = defaultdict(list)
    for user, used in uses.items():
        for ref in used:
            users[ref].append(user)
    seen = {centre: 0}
    for next_to in (uses, users):
        queue = deque([(centre, 0)])
        while queue:
            ref, steps = queue.popleft()
            for other in next_to.get(ref, ()):
                if steps < depth and other not in seen:
                    seen[other] = steps + 1
                    queue.append((other, steps + 1))
    yield from seen


# What one resource refers to ----------------------------------------------------------------------


def _uses(snapshot: Snapshot, ref: Ref) -> tuple[Ref, ...]:
    """What a resource refers to: as it was built last, and as it is wanted."""
    found: dict[Ref, None] = {}
    if handled := snapshot.handled.get(ref):
        found |= dict.fromkeys(sorted(handled.refs()))
    if held := snapshot.held.get(ref):
        found[held.waits_for] = None
    if wanted := snapshot.wanted.get(ref):
        found |= dict.fromkeys(_relations(snapshot, wanted))
    found.pop(ref, None)
    return tuple(found)


def _relations(snapshot: Snapshot, wanted: Wanted) -> Iterator[Ref]:
    kind = snapshot.keys.schemas.get(wanted.ref.type)
    if kind is not None:
        yield from _leads(parsed(wanted.body), kind.properties)


def _leads(value: Json, properties: Properties) -> Iterator[Ref]:
    """The resources that a body names, at any depth."""
    if isinstance(value, list):
        for element in value:
            if isinstance(element, str) and "" in properties.relations:
                yield Ref(properties.relations[""], element)
            else:
                yield from _leads(element, properties)
        return
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        kind = properties.relations.get(name)
        if kind and isinstance(inner, str) and inner and kind != _TENANT:
            yield Ref(kind, inner)
        elif name in properties.nested:
            yield from _leads(inner, properties.below(name))


_TENANT = "tenant"
"""Names a project of OpenStack, which need not be a resource."""
