"""What etcd holds about the stacks of a tenant, all at one revision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from orchestrator.clients.places import locate
from orchestrator.clients.store import KeyValue, revision_of
from orchestrator.core import records
from orchestrator.core.drift import KnownStack, SweepOrder
from orchestrator.core.effects import DriftBasis
from orchestrator.core.keys import Keys
from orchestrator.core.records import (
    NO_JOB,
    Drift,
    Handled,
    StackRecord,
    StackUpdate,
    Sweep,
    SweepAsked,
)
from orchestrator.core.refs import JobId, Ref
from orchestrator.events import EventName, count

from ..context import WorkerContext

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One resource: what is known, what was handled last, and its drift of the sweep before."""

    known: KnownStack
    handled: Handled | None = None
    drift: Drift | None = None
    drift_revision: int = 0

    @property
    def basis(self) -> DriftBasis:
        """What a record of its drift relies on."""
        return DriftBasis(
            self.drift_revision,
            self.known.stack_revision,
            self.known.handled_revision,
        )


@dataclass(frozen=True, slots=True)
class SweepGround:
    """Everything that a sweep starts from."""

    order: SweepOrder
    keys: Keys
    revision: int
    resources: Mapping[Ref, Recorded]
    """The resources of the order that have a stack record in the tenant."""
    drifts: Mapping[Ref, tuple[Drift, int]]
    """All records of drift in the tenant, each with its revision."""
    before: Sweep = field(default_factory=lambda: Sweep(0.0))
    before_revision: int = 0
    asked: SweepAsked | None = None
    asked_revision: int = 0


def read(context: WorkerContext, order: SweepOrder) -> SweepGround:
    """:raises TemporaryError: a type is not in the schema list, or etcd does not answer."""
    for now in context.types.as_of(*order.refs):
        ground = _read(context, now.keys, order)
        if now.is_of(context.store.get(now.keys.schema_list)):
            return ground
    return _read(context, context.keys, order)


def _read(context: WorkerContext, keys: Keys, order: SweepOrder) -> SweepGround:
    store = context.store
    locate(store, keys, order.refs)
    revision, listed = store.list(keys.drift)
    drifts = dict(_drifts(keys, listed, order.tenant))
    asked_key = keys.sweeps_asked + order.asked
    single = store.get_many(
        [keys.sweep(order.tenant), asked_key], revision=revision
    )
    sweep = single.get(keys.sweep(order.tenant))
    asked = single.get(asked_key)
    return SweepGround(
        order,
        keys,
        revision,
        _resources(context, keys, order, revision, drifts),
        drifts,
        _readable(sweep, Sweep.from_json) or Sweep(0.0),
        revision_of(sweep),
        _readable(asked, SweepAsked.from_json),
        revision_of(asked),
    )


def _drifts(
    keys: Keys, listed: Iterable[KeyValue], tenant: str
) -> Iterator[tuple[Ref, tuple[Drift, int]]]:
    for kv in listed:
        ref, drift = (
            keys.ref(keys.drift, kv.key),
            _readable(kv, Drift.from_json),
        )
        if ref is not None and drift is not None and drift.tenant == tenant:
            yield ref, (drift, kv.revision)


def _resources(
    context: WorkerContext,
    keys: Keys,
    order: SweepOrder,
    revision: int,
    drifts: Mapping[Ref, tuple[Drift, int]],
) -> dict[Ref, Recorded]:
    """The resources of the order, and those with a record of drift."""
    refs = {ref for ref in (*order.refs, *drifts) if keys.is_placed(ref)}
    places = {ref: _Places.of(keys, ref) for ref in sorted(refs)}
    wanted = [key for place in places.values() for key in place]
    found = context.store.get_many(wanted, revision=revision)
    handled = {
        ref: _readable(found.get(place.handled), Handled.from_json)
        for ref, place in places.items()
    }
    busy = _busy(context, keys, handled, revision)
    known = {
        ref: _known(found, place, ref, handled[ref], busy=ref in busy)
        for ref, place in places.items()
    }
    return {
        ref: Recorded(stack, handled[ref], *drifts.get(ref, (None, 0)))
        for ref, stack in known.items()
        if stack is not None and stack.record.tenant == order.tenant
    }


def _known(
    found: Mapping[str, KeyValue],
    place: _Places,
    ref: Ref,
    handled: Handled | None,
    *,
    busy: bool,
) -> KnownStack | None:
    """What the records say of one stack; None when there is no record of it."""
    record = _readable(found.get(place.stack), StackRecord.from_json)
    if record is None:
        return None
    job = _sent(handled)
    return KnownStack(
        ref,
        record,
        job,
        busy,
        revision_of(found.get(place.stack)),
        revision_of(found.get(place.handled)),
        _updated(found.get(place.updated), job),
    )


class _Places(NamedTuple):
    """The keys of one resource's records."""

    stack: str
    handled: str
    updated: str

    @classmethod
    def of(cls, keys: Keys, ref: Ref) -> _Places:
        folders = (keys.stacks, keys.handled, keys.updates)
        return cls(*(keys.below(folder, ref) for folder in folders))


def _updated(kv: KeyValue | None, job: JobId) -> str:
    """Heat's time of the update that a job made; empty where no record tells."""
    update = _readable(kv, StackUpdate.from_json)
    if update is None or update.job != job:
        return ""
    return update.at


def _sent(handled: Handled | None) -> JobId:
    if handled is None:
        return NO_JOB
    return handled.sent


def _busy(
    context: WorkerContext,
    keys: Keys,
    handled: Mapping[Ref, Handled | None],
    revision: int,
) -> set[Ref]:
    """The resources with an unfinished job.

    The last job of a resource waits for those before it, so only that one is looked for.
    """
    jobs = {
        keys.job(job): ref
        for ref, record in handled.items()
        if record is not None
        for job in {record.job, record.sent} - {NO_JOB}
    }
    found = context.store.get_many(list(jobs), revision=revision)
    return {jobs[key] for key in found}


def _readable(kv: KeyValue | None, parse: Callable[[bytes], T]) -> T | None:
    """A record; None when there is none, or a newer release or somebody else wrote it."""
    if kv is None:
        return None
    try:
        return parse(kv.value)
    except records.UNREADABLE as error:
        count(EventName.RECORD_UNREADABLE)
        fields = {
            "event": "record_unreadable",
            "record": kv.key,
            "reason": repr(error),
        }
        log.error("Record skipped", extra=fields)
        return None
