"""One listing of etcd, read at one revision, into a world to lead from."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ..clients.store import KeyValue, Store
from ..core import records
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.planning import SCHEMA_TYPE, TEMPLATE_TYPE
from ..core.records import Failed, Handled, Held, Run, StackRecord, StateRecord, Step
from ..core.refs import JobId, Ref
from ..core.resources import UNVERSIONED, Ignored, Rejected, Wanted, parse_config
from ..core.templates import Template, parse_template_value
from ..core.world import Reported, Seen, Stack, World

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What etcd held at one revision: everything that is known, and the runs under way."""

    world: World
    runs: list[KeyValue]
    revision: int


def load(store: Store, keys: Keys, catalogue: Mapping[str, Template]) -> Loaded:
    """Everything that is known.

    Every resource is to be decided: what was written while nobody led is found by its level.
    """
    world = World(keys.schemas, templates=dict(catalogue))
    # The runs are few, so they come first and say as of which revision everything else is read.
    revision, runs = store.list(keys.runs)
    folder = _Folders(store, keys, revision)
    pushed: dict[Ref, int] = {}
    for kv in (kv for place in keys.config_folders for kv in store.scan(place, revision)):
        note_config(world, keys, kv)
        if template_id := keys.template_id(kv.key):
            pushed[Ref(TEMPLATE_TYPE, template_id)] = kv.revision
    folder.known(world.wanted)
    handled_at: dict[Ref, int] = {}
    for ref, handled, kv in folder.records(keys.handled, Handled.from_json):
        keys.place(ref, handled.body)
        world.set_handled(ref, _sharing_body(handled, world.wanted.get(ref)))
        handled_at[ref] = kv.revision
    for ref, held, _ in folder.records(keys.held, Held.from_json):
        world.set_held(ref, held)
    failed_at: dict[Ref, int] = {}
    for ref, failed, kv in folder.records(keys.failed, Failed.from_json):
        world.set_failed(ref, failed)
        failed_at[ref] = kv.revision
    stacks: dict[Stack, Stack] = {}
    for ref, record, _ in folder.records(keys.stacks, StackRecord.from_json):
        stack = Stack(record.status, record.tenant, record.monitored)
        world.stacks[ref] = stacks.setdefault(stack, stack)
    for ref, state, kv in folder.records(keys.state, StateRecord.from_json):
        world.reported[ref] = Reported(state.version, kv.revision)
    done = {keys.run_job(kv.key) for kv in runs if (run := read_run(kv)) and run.step is Step.DONE}
    _load_jobs(world, store, keys, revision, runs, done)
    for ref, handled in list(world.handled.items()):
        if handled.stands_on and handled.job not in done and handled.job not in world.graph.jobs and ref not in world.failed:
            world.completed(ref)
    _find_lost_jobs(world, done, handled_at)
    _find_retries(world, failed_at, pushed)
    # Deletions that failed and that nobody can ask for again, their config being gone.
    world.again.update(ref for ref, failed in world.failed.items() if failed.action is Action.DELETE and ref not in world.wanted)
    for known in (world.handled, world.stacks, world.reported, world.held, world.failed):
        world.touch(*known)
    _find_removals(world, held=store.get(keys.brake) is not None)
    return Loaded(world, runs, revision)


def _find_removals(world: World, *, held: bool) -> None:
    """The configs that are gone, or were removed and written again, and whose stacks are still there.

    :param held: whether the leader before held deletions.
    """
    now = time.monotonic()
    for ref, handled in world.handled.items():
        wanted, failed = world.wanted.get(ref), world.failed.get(ref)
        gone = wanted is None and ref not in world.unreadable
        anew = wanted is not None and wanted.incarnation != handled.incarnation
        asked_before = failed is not None and failed.action is Action.DELETE
        if (gone or anew) and not asked_before:
            world.note_removal(ref, 0, now)
    if held:
        world.removals.hold()


def _sharing_body(handled: Handled, wanted: Wanted | None) -> Handled:
    """The same with the body of the config that is there, where it is the same: one copy in memory, not two."""
    if wanted is None or not handled.job or handled.incarnation != wanted.incarnation or not handled.digest:
        return handled
    return replace(handled, body=wanted.body) if handled.holds(wanted) else handled


def note_config(world: World, keys: Keys, kv: KeyValue) -> None:
    """Take in one key below ``/config``: a template, a resource, or something to report and skip."""
    if (template_id := keys.template_id(kv.key)) is not None:
        world.templates[template_id] = parse_template_value(template_id, kv.value)
        if keys.ref(keys.config, kv.key) is None:
            return
    incoming = parse_config(keys, kv.key, kv.value, incarnation=kv.created, revision=kv.revision)
    if isinstance(incoming, Ignored):
        return
    if isinstance(incoming, Rejected):
        log.warning("Config skipped", extra={"event": "config_rejected", "config": kv.key, "reason": incoming.reason})
        _note_unreadable(world, keys, kv)
        return
    world.unreadable.discard(incoming.ref)
    known = world.wanted.get(incoming.ref)
    went_backwards = known and known.incarnation == incoming.incarnation and UNVERSIONED < incoming.version < known.version
    if known and went_backwards and not world.is_stale(incoming):
        # The newer version is not dealt with yet, and stays; but what we write has to name this last write.
        incoming = replace(known, revision=incoming.revision)
    world.wanted[incoming.ref] = incoming
    world.touch(incoming.ref)


def note_config_gone(world: World, keys: Keys, key: str, revision: int) -> None:
    """Take in that a key below ``/config`` was removed, at a revision."""
    ref = keys.ref(keys.config, key)
    if ref is None or keys.below(keys.config, ref) != key:
        return
    before = world.wanted.pop(ref, None)
    world.unreadable.discard(ref)
    if before is None or not before.marked_for_deletion:
        world.note_removal(ref, revision, time.monotonic())
    if ref in world.failed:
        world.again.add(ref)  # Removing the config asks for the deletion anew, if that is what failed.
    world.touch(ref)


def read_run(kv: KeyValue) -> Run | None:
    """A run; None when it cannot be read: a newer release or somebody else wrote it, and it is left alone."""
    try:
        return Run.from_json(kv.value)
    except records.UNREADABLE as error:
        log.error("Record skipped", extra={"event": "record_unreadable", "record": kv.key, "reason": repr(error)})
        return None


def note_run(world: World, keys: Keys, kv: KeyValue) -> Run | None:
    """Take in where a job stands, as its run says; None when that cannot be read."""
    run = read_run(kv)
    if run is not None:
        job_id = keys.run_job(kv.key)
        world.fresh.discard(job_id)
        world.runs[job_id] = Seen(run.step, kv.revision, run.asked, run.deaths)
    return run


def _note_unreadable(world: World, keys: Keys, kv: KeyValue) -> None:
    """What was wanted before stays so; what we write has to name this last write, or it would be refused for ever."""
    ref = keys.ref(keys.config, kv.key)
    if ref is None or keys.below(keys.config, ref) != kv.key:
        return
    if known := world.wanted.get(ref):
        world.wanted[ref] = replace(known, revision=kv.revision)
        world.touch(ref)
    else:
        world.unreadable.add(ref)


class _Folders:
    """The folders of one listing. The names of resources are shared between them: each is in five."""

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
            ref = self._refs.get(kv.key[start:]) or self._keys.ref(folder, kv.key)
            if ref is not None:
                yield ref, kv

    def records(self, folder: str, parse: Callable[[bytes], T]) -> Iterator[tuple[Ref, T, KeyValue]]:
        for ref, kv in self.read(folder):
            try:
                yield ref, parse(kv.value), kv
            except records.UNREADABLE as error:
                log.error("Record skipped", extra={"event": "record_unreadable", "record": kv.key, "reason": repr(error)})


def _load_jobs(world: World, store: Store, keys: Keys, revision: int, runs: list[KeyValue], done: set[JobId]) -> None:
    jobs: dict[JobId, Job] = {}
    # In the order in which they were made, which the keys do not tell: the last job on a resource says
    # where it is going.
    for kv in sorted(store.list(keys.jobs, revision=revision)[1], key=lambda kv: kv.created):
        try:
            job = Job.from_json(kv.value)
        except ValueError as error:
            log.error("Job skipped", extra={"event": "job_unreadable", "job": kv.key, "reason": str(error)})
            continue
        jobs[job.id] = job
    # A job that ended without its dependents knowing still counts until its run has been dealt with.
    replaced = {old: new for handled in world.handled.values() for old, new in handled.replaced.items()}
    for job in jobs.values():
        stand_ins = (replaced.get(d, d) for d in job.dependency)
        world.graph.add(job, (d for d in stand_ins if d in jobs or d in done))
    for kv in runs:
        note_run(world, keys, kv)


def _find_lost_jobs(world: World, done: set[JobId], handled_at: Mapping[Ref, int]) -> None:
    """Versions that were handled, but whose job is gone without a report: somebody removed the record.

    :param handled_at: the revisions at which they were handled; a report of the same version may be an earlier one's.
    """
    for ref, handled in world.handled.items():
        wanted, reported = world.wanted.get(ref), world.reported.get(ref)
        if handled.job in done or wanted is None or handled.incarnation != wanted.incarnation or handled.job in world.graph.jobs:
            continue
        noted_since = bool(handled.job) and handled.sent != handled.job  # It ended, and was written once more.
        if reported is None or (reported.revision < handled_at.get(ref, 0) and not noted_since):
            world.again.add(ref)


def _find_retries(world: World, failed_at: Mapping[Ref, int], pushed: Mapping[Ref, int]) -> None:
    """Failed versions that the leader before was about to try again: their cause was repaired after they failed,
    or they were held back on the way.

    :param failed_at: the revisions of the failures; *pushed*: those of the templates in etcd.
    """

    def repaired_at(cause: Ref) -> int:
        if cause.type == SCHEMA_TYPE:
            kind = world.schemas.get(cause.id)
            return world.schemas.origin.revision if kind and not kind.fault else 0
        if cause.type == TEMPLATE_TYPE and isinstance(world.templates.get(cause.id), Template):
            return pushed.get(cause, 0)
        reported = world.reported.get(cause)
        return reported.revision if reported and cause not in world.failed else 0

    for ref, failed in world.failed.items():
        wanted, handled = world.wanted.get(ref), world.handled.get(ref)
        if wanted is None or handled is None or handled.job in world.graph.jobs:
            continue
        held = world.held.get(ref)
        # What is held back in a version that was dealt with already is so because it is to be tried again.
        held_again = held is not None and held.version <= handled.version and wanted.incarnation == handled.incarnation
        # Refused without a job, because its own template did not parse: it does now, whoever it is from.
        refused = not handled.job and failed.through is None and failed.root.type == TEMPLATE_TYPE
        parses = refused and isinstance(world.templates.get(failed.root.id), Template)
        if held_again or parses or any(repaired_at(cause) > failed_at[ref] for cause in failed.causes - {ref}):
            world.again.add(ref)
