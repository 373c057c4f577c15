"""Stacks of our naming in Heat's list of which there is no record (depth 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from orchestrator.clients.places import config_key
from orchestrator.core import drift, records
from orchestrator.core.drift import StackComparison
from orchestrator.core.keys import Keys, UnknownPlace
from orchestrator.core.records import (
    NO_JOB,
    Depth,
    StackRecord,
    Tombstone,
)
from orchestrator.core.refs import Ref
from orchestrator.core.stacks import Stack

from ..context import WorkerContext
from .listing import Listing
from .reading import SweepGround

Tombstones = Mapping[Ref, Tombstone]


def find_unknown(
    context: WorkerContext, ground: SweepGround, listing: Listing
) -> dict[Ref, StackComparison]:
    """The stacks of our naming of which there is no record at all, under the resource that they
    are likeliest of."""
    strangers = _strangers(context, ground, listing)
    tombstones = _tombstones(
        context, ground.keys, (listing.stacks[name] for name in strangers)
    )
    found: dict[Ref, StackComparison] = {}
    for name, ref in strangers.items():
        stack = listing.stacks[name]
        if ref not in ground.drifts:
            listing.requests += 1
            if not context.heat.exists(ground.order.tenant, name):
                continue  # It was being deleted while the list was read.
        found[ref] = _compare(ground, ref, stack, tombstones)
    return found


def _compare(
    ground: SweepGround, ref: Ref, stack: Stack, tombstones: Tombstones
) -> StackComparison:
    """What is said of one of them: nobody knows it, or a person has left it."""
    tenant, accepted = ground.order.tenant, False
    deviation = drift.unknown(stack)
    for owner in (drift.owner(stack), ref):
        tombstone = tombstones.get(owner) if owner else None
        if tombstone and drift.is_left(stack, tenant, tombstone):
            deviation = drift.left(stack, tombstone)
            accepted = drift.is_accepted(stack, tombstone)
            break
    return StackComparison(
        tenant, (deviation,), Depth.LISTS, NO_JOB, stack.updated, accepted
    )


# Which --------------------------------------------------------------------------------------------


def _strangers(
    context: WorkerContext, ground: SweepGround, listing: Listing
) -> dict[str, Ref]:
    """Of the stacks of our naming, those of whose possible resources etcd holds nothing now, and
    that no resource has adopted."""
    known = {one.known.name for one in ground.resources.values()}
    schemas = ground.keys.schemas
    maybe = {
        name: refs
        for name, stack in listing.stacks.items()
        if name not in known and (refs := drift.candidates(schemas, stack))
    }
    strangers = _without_records(context, ground.keys, maybe)
    if ground.drifts.keys() >= set(strangers.values()):
        return strangers
    # One is new. It may have been adopted by a resource that this message does not name.
    adopted = set(_recorded_names(context, ground))
    return {name: ref for name, ref in strangers.items() if name not in adopted}


def _without_records(
    context: WorkerContext, keys: Keys, maybe: Mapping[str, Sequence[Ref]]
) -> dict[str, Ref]:
    places = {
        ref: list(_places(keys, ref)) for refs in maybe.values() for ref in refs
    }
    wanted = [key for listed in places.values() for key in listed]
    found = context.store.get_many(wanted) if wanted else {}
    return {
        name: refs[0]
        for name, refs in maybe.items()
        if not _any_of(found, (key for ref in refs for key in places[ref]))
    }


def _any_of(found: Mapping[str, object], keys: Iterable[str]) -> bool:
    return any(key in found for key in keys)


def _places(keys: Keys, ref: Ref) -> Iterator[str]:
    """The keys that tell that a resource is wanted, or that we have a stack of it."""
    yield keys.below(keys.handled, ref)
    try:
        yield keys.below(keys.stacks, ref)
        yield config_key(keys, ref)
    except UnknownPlace:
        return  # Its keys are made of its body: what was handled tells of it.


def _recorded_names(
    context: WorkerContext, ground: SweepGround
) -> Iterator[str]:
    """The names of all stacks of the tenant that there is a record of."""
    for kv in context.store.scan(ground.keys.stacks, revision=0):
        try:
            record = StackRecord.from_json(kv.value)
        except records.UNREADABLE:
            continue
        if record.tenant == ground.order.tenant:
            yield record.name


# What a person has left ---------------------------------------------------------------------------


def _tombstones(
    context: WorkerContext, keys: Keys, stacks: Iterable[Stack]
) -> dict[Ref, Tombstone]:
    """What persons have left, of all resources that these stacks may be of."""
    refs = {ref for stack in stacks for ref in _resources(keys, stack)}
    places = {keys.below(keys.left, ref): ref for ref in sorted(refs)}
    if not places:
        return {}
    found: dict[Ref, Tombstone] = {}
    for key, kv in context.store.get_many(list(places)).items():
        try:
            found[places[key]] = Tombstone.from_json(kv.value)
        except records.UNREADABLE:
            continue  # Of a newer release: the stack counts as unknown.
    return found


def _resources(keys: Keys, stack: Stack) -> Iterator[Ref]:
    """The resource that our tag names, and those of whose naming the stack is."""
    owner = drift.owner(stack)
    if owner is not None and keys.schemas.get(owner.type) is not None:
        yield owner
    yield from drift.candidates(keys.schemas, stack)
