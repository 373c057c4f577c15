"""One listing of etcd, read at one revision, into a world to lead from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ..clients.store import KeyValue, Store
from ..clock import CLOCK, Clock
from ..core import records
from ..core.facts import (
    BuiltFound,
    ConfigUnreadable,
    Entry,
    Fact,
    FailedFound,
    HandledFound,
    HeldFound,
    RunMoved,
    RunRemoved,
    StackFound,
    StateFound,
    Unreadable,
    of_built,
    of_config,
    of_run,
)
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.policies import Follow
from ..core.records import (
    Built,
    Failed,
    Handled,
    Held,
    Poll,
    Run,
    StackRecord,
    StateRecord,
    Step,
)
from ..core.refs import JobId, Ref
from ..core.templates import TEMPLATE_TYPE, Template
from ..core.world import World
from ..events import EventName, count
from . import finding, pinning

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What etcd held at one revision: everything that is known, and the runs under way."""

    world: World
    runs: list[KeyValue]
    revision: int


def load(
    store: Store,
    keys: Keys,
    catalogue: Mapping[str, Template],
    clock: Clock = CLOCK,
    follow: Follow = Follow.AUTO,
) -> Loaded:
    """Everything that is known.

    Every resource is to be decided: what was written while nobody led is found by its level.

    :param follow: what happens to a stack when an output changes that it was built from.
    """
    world = World(keys.schemas, catalogue=catalogue, follow=follow)
    # The runs are few, so they come first and say as of which revision everything else is read.
    revision, runs = store.list(keys.runs)
    folders = _Folders(store, keys, revision)
    now = clock.monotonic()
    pushed = _load_configs(world, store, keys, revision, now)
    folders.known(world.wanted)
    since = _load_records(world, folders, keys)
    pinning.load(world, store, keys, revision)
    moved = [
        fact for kv in runs if isinstance(fact := of_run(keys, kv), RunMoved)
    ]
    done = {fact.job for fact in moved if fact.run.step is Step.DONE}
    _load_jobs(world, store, keys, revision, done)
    for fact in moved:
        world.apply(fact)
    _find_work(world, done, since, pushed)
    held = store.get(keys.brake) is not None
    finding.note_removals(world, now, held=held)
    return Loaded(world, runs, revision)


def take_in(
    world: World, keys: Keys, entry: Entry, now: float = 0.0
) -> list[Fact]:
    """Take in one key below ``/config``; what cannot be used is told. Returns its facts.

    :param now: by the monotonic clock: when a config was removed, for the brake.
    """
    found = list(of_config(keys, entry))
    for fact in found:
        if isinstance(fact, ConfigUnreadable):
            count(EventName.CONFIG_REJECTED)
            fields = {
                "event": "config_rejected",
                "config": fact.key,
                "reason": fact.reason,
            }
            log.warning("Config skipped", extra=fields)
        world.apply(fact, now)
    return found


def take_in_built(world: World, keys: Keys, entry: Entry) -> BuiltFound | None:
    """Take in what a worker has recorded that a stack was built from. What cannot be read is told,
    and counts as not known: None."""
    fact = of_built(keys, entry)
    if isinstance(fact, Unreadable):
        _skipped(fact.key, fact.reason)
        return None
    if fact is not None:
        world.apply(fact)
    return fact


def take_in_run(
    world: World, keys: Keys, entry: Entry
) -> RunMoved | RunRemoved | None:
    """Take in the key of a run. What cannot be read is told and left alone: None."""
    fact = of_run(keys, entry)
    if isinstance(fact, Unreadable):
        _skipped(fact.key, fact.reason)
        return None
    world.apply(fact)
    return fact


def read_run(kv: KeyValue) -> Run | None:
    """A run; None when it cannot be read: a newer release or somebody else wrote it."""
    try:
        return Run.from_json(kv.value)
    except records.UNREADABLE as error:
        _skipped(kv.key, repr(error))
        return None


def find_run(
    store: Store, keys: Keys, tenant: str, job: JobId
) -> tuple[Run, int] | None:
    """The run of a job as etcd has it now, and its mod revision; None when there is none, or it
    cannot be read."""
    found = store.get(keys.run(tenant, job))
    if found is None:
        return None
    run = read_run(found)
    if run is None:
        return None
    return run, found.revision


def read_poll(key: str, value: bytes | None) -> Poll | None:
    """What a worker tells of a tenant's polls; None when it cannot be read."""
    if value is None:
        return None
    try:
        return Poll.from_json(value)
    except records.UNREADABLE as error:
        _skipped(key, repr(error))
        return None


def _skipped(key: str, reason: str) -> None:
    count(EventName.RECORD_UNREADABLE)
    fields = {"event": "record_unreadable", "record": key, "reason": reason}
    log.error("Record skipped", extra=fields)


# What is listed ----------------------------------------------------------------------------------


def _load_configs(
    world: World, store: Store, keys: Keys, revision: int, now: float
) -> dict[Ref, int]:
    """All configs. Returns the revisions of the templates in etcd."""
    pushed: dict[Ref, int] = {}
    for folder in keys.config_folders:
        for kv in store.scan(folder, revision):
            take_in(world, keys, kv, now)
            if template_id := keys.template_id(kv.key):
                pushed[Ref(TEMPLATE_TYPE, template_id)] = kv.revision
    return pushed


@dataclass(frozen=True, slots=True)
class _Since:
    """The revisions of records, by resource."""

    handled: dict[Ref, int] = field(default_factory=dict)
    failed: dict[Ref, int] = field(default_factory=dict)


def _load_records(world: World, folders: _Folders, keys: Keys) -> _Since:
    """All records of resources."""
    since = _Since()
    for ref, handled, kv in folders.records(keys.handled, Handled.from_json):
        keys.place(ref, handled.body)
        world.apply(HandledFound(ref, handled))
        since.handled[ref] = kv.revision
    for ref, held, _ in folders.records(keys.held, Held.from_json):
        world.apply(HeldFound(ref, held))
    for ref, failed, kv in folders.records(keys.failed, Failed.from_json):
        if failed.job:
            continue  # It has not failed yet: its job is tried again.
        world.apply(FailedFound(ref, failed))
        since.failed[ref] = kv.revision
    _load_stacks(world, folders, keys)
    return since


def _load_stacks(world: World, folders: _Folders, keys: Keys) -> None:
    """What is built, and what is reported of it."""
    # Before the stacks: of those that others were built from, the outputs are remembered.
    for ref, built, _ in folders.records(keys.built, Built.from_json):
        world.apply(BuiltFound(ref, built))
    for ref, stack, _ in folders.records(keys.stacks, StackRecord.from_json):
        world.apply(StackFound(ref, stack))
    for ref, state, kv in folders.records(keys.state, StateRecord.from_json):
        world.apply(StateFound(ref, state, kv.revision))


class _Folders:
    """The folders of one listing.
    The names of resources are shared between them: each is in five."""

    def __init__(self, store: Store, keys: Keys, revision: int) -> None:
        self._store, self._keys, self._revision = store, keys, revision
        self._refs: dict[str, Ref] = {}

    def known(self, refs: Iterable[Ref]) -> None:
        """Names that are in memory already."""
        for ref in refs:
            self._refs[self._keys.below("", ref)] = ref

    def read(self, folder: str) -> Iterator[tuple[Ref, KeyValue]]:
        """What a folder holds of resources whose type is known."""
        start = len(folder)
        for kv in self._store.scan(folder, self._revision):
            ref = self._refs.get(kv.key[start:]) or self._keys.ref(
                folder, kv.key
            )
            if ref is not None:
                yield ref, kv

    def records(
        self, folder: str, parse: Callable[[bytes], T]
    ) -> Iterator[tuple[Ref, T, KeyValue]]:
        for ref, kv in self.read(folder):
            try:
                yield ref, parse(kv.value), kv
            except records.UNREADABLE as error:
                _skipped(kv.key, repr(error))


def _load_jobs(
    world: World, store: Store, keys: Keys, revision: int, done: set[JobId]
) -> None:
    jobs: dict[JobId, Job] = {}
    # In the order in which they were made, which the keys do not tell: the last job on a resource
    # says where it is going.
    for kv in sorted(
        store.list(keys.jobs, revision=revision)[1], key=lambda kv: kv.created
    ):
        try:
            job = Job.from_json(kv.value)
        except ValueError as error:
            count(EventName.JOB_UNREADABLE)
            log.error(
                "Job skipped",
                extra={
                    "event": "job_unreadable",
                    "job": kv.key,
                    "reason": str(error),
                },
            )
            continue
        jobs[job.id] = job
    # A job that ended without its dependents knowing still counts until its run has been dealt
    # with.
    replaced = {
        old: new
        for handled in world.handled.values()
        for old, new in handled.replaced.items()
    }
    for job in jobs.values():
        stand_ins = (replaced.get(d, d) for d in job.dependency)
        world.graph.add(job, (d for d in stand_ins if d in jobs or d in done))


# What follows from it -----------------------------------------------------------------------------


def _find_work(
    world: World, done: set[JobId], since: _Since, pushed: Mapping[Ref, int]
) -> None:
    """Note what the leader before left to do, and ask for a decision about every resource.

    :param done: the jobs that ended and whose runs are still there.
    :param pushed: the mod revisions of the templates in etcd.
    """
    finding.note_deployed(world, done)
    finding.note_lost_jobs(world, done, since.handled)
    finding.note_retries(world, since.failed, pushed)
    finding.note_held_again(world)
    finding.note_failed_deletions(world)
    for known in (
        world.handled,
        world.stacks,
        world.reported,
        world.held,
        world.failed,
        world.built_from,
    ):
        world.touch(*known)
