"""Make a plan: read etcd at one revision, write on paper, and let the bridge's code decide.

Etcd gets nothing but reads, and nobody else is asked anything.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias

from ...bridge import loading
from ...bridge.rehearsal import Rehearsal
from ...bridge.rollout_rehearsal import RolloutRehearsal
from ...clients import places, renderer
from ...clients.overlay import Overlay
from ...clients.places import config_key
from ...clients.store import Event, KeyValue, Store
from ...core.forecast.asking import Needed
from ...core.forecast.before import Before, BodyVersion, Intent, PlannedWrite
from ...core.forecast.estimating import estimate
from ...core.forecast.explaining import Explainer
from ...core.forecast.hiding import Hiding
from ...core.forecast.plans import Change, Plan, RolloutForecast
from ...core.forecast.reads import Reads
from ...core.forecast.sources import Kept
from ...core.jobs import job_ref
from ...core.keys import Keys
from ...core.policies import Follow
from ...core.records import (
    UNREADABLE,
    Durations,
    StackRecord,
    TemplateRevision,
)
from ...core.refs import JobId, Json, Ref
from ...core.removals import BrakeLimits
from ...core.rendering import Render, StackRequest
from ...core.templates import Template
from ...errors import InvalidInput, TemplateError
from .. import writing
from ..session import Session
from .edits import Edits

StackOutputs: TypeAlias = Callable[[Ref], Mapping[str, Json]]
"""The outputs of a stack by key, as its record has them."""
_NAMED = 3
"""How many users of a resource a sentence names."""


@dataclass(frozen=True, slots=True)
class MadePlan:
    """A plan, and what it would write: by key, the value; None removes the key."""

    plan: Plan
    writes: Mapping[str, str | None]
    undecided: int = 0
    """Other resources that the bridge has yet to decide, when the plan was made."""
    requests: Mapping[Ref, tuple[StackRequest, Hiding]] = field(
        default_factory=dict, repr=False
    )
    """What Heat would be asked, where every value is known."""

    @property
    def changes_something(self) -> bool:
        """Whether there is something to write, or to do for the bridge."""
        return bool(self.writes) or not self.plan.idle


@dataclass(frozen=True, slots=True)
class PlanGround:
    """What a plan is made on: *templates* are the catalogue's, *brake* the leader's limits."""

    store: Store
    keys: Keys
    templates: Mapping[str, Template]
    brake: BrakeLimits
    render: Render
    follow: Follow = Follow.AUTO

    @classmethod
    def of(cls, doors: Session) -> PlanGround:
        settings = doors.settings
        brake = BrakeLimits(
            settings.deletions_at_once, settings.deletions_share / 100
        )
        templates = doors.catalogue.templates
        render = renderer.shared().render
        follow = settings.follow_outputs
        return cls(doors.store, doors.keys, templates, brake, render, follow)


def make(
    ground: PlanGround, edits: Edits, *, promote: bool = False
) -> MadePlan:
    """The plan of some edits. Without any: what the bridge would do as it is.

    :param promote: whether roll-outs are taken to be promoted once their canaries are done.
    :raises InvalidInput: an edit cannot be written, or others use what is to be deleted.
    """
    with _uncollected():
        return _make(ground, edits, promote=promote)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave out garbage collection: it would go through each record that is read again and again,
    and take a fifth of the time (measured). Nothing in a world is garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _make(ground: PlanGround, edits: Edits, *, promote: bool) -> MadePlan:
    keys, store = ground.keys, Overlay(ground.store)
    outputs = _outputs(store, keys)
    before, rehearsal = _begin(ground, store, outputs)
    undecided = len(rehearsal.journal.made)
    reads = _edit(rehearsal, store, keys, edits)
    under_way = _play(rehearsal, store, keys, promote=promote)
    needed = Needed(outputs, ground.render, _kept(store, keys))
    intent = _intent(store, keys, edits)
    world, journal = rehearsal.world, rehearsal.journal
    explainer = Explainer(before, world, journal, intent, needed)
    # What is read only to tell the plan is no reason to make it anew.
    noted, asked = set(reads.refs), set(reads.templates)
    changes = explainer.changes()
    if edits.empty:
        undecided = 0
        noted, asked = _about(rehearsal, changes)
    writes = _writes(store.written)
    relied = _relied_on(store, keys, noted, asked, writes)
    time = estimate(changes, _durations(store, keys))
    plan = Plan(store.revision, relied, changes, time, under_way)
    return MadePlan(plan, writes, undecided, explainer.requests)


def _begin(
    ground: PlanGround, store: Overlay, outputs: StackOutputs
) -> tuple[Before, Rehearsal]:
    """What there is, and the rehearsal of what the bridge has yet to decide about it."""
    keys = ground.keys
    loaded = loading.load(store, keys, ground.templates, follow=ground.follow)
    before = Before.of(loaded.world)
    rehearsal = Rehearsal(loaded, keys, ground.brake, outputs)
    rehearsal.settle()
    return before, rehearsal


def _play(
    rehearsal: Rehearsal, store: Overlay, keys: Keys, *, promote: bool
) -> tuple[RolloutForecast, ...]:
    """Let all follow that follows from the edits; without any, from the roll-outs too. Returns the
    roll-outs, as they are before anything follows."""
    rollouts = RolloutRehearsal(rehearsal, store, keys)
    under_way = rollouts.forecasts()
    rehearsal.play()
    if not store.written:
        rollouts.play(promote=promote)
    return under_way


def _edit(
    rehearsal: Rehearsal, store: Overlay, keys: Keys, edits: Edits
) -> Reads:
    """Write the edits on paper, and let the bridge take them in. Returns what is read from then on:
    nothing when there are no edits.

    :raises InvalidInput: an edit cannot be written, or others use what is to be deleted.
    """
    reads = Reads()
    if edits.empty:
        return reads
    rehearsal.journal.begin()
    _refuse_used(rehearsal, edits)
    for ref in edits.deletions:
        places.search(store, keys, ref)
    edits.write(store, keys)
    reads.follow(rehearsal.world)
    rehearsal.take_in(store.written)
    rehearsal.world.try_again(*edits.rebuilds)
    return reads


def _durations(store: Overlay, keys: Keys) -> Durations:
    """How long jobs have taken lately; nothing where it is not known."""
    found = store.get(keys.durations)
    if found is None:
        return Durations()
    try:
        return Durations.from_json(found.value)
    except UNREADABLE:
        return Durations()


def _refuse_used(rehearsal: Rehearsal, edits: Edits) -> None:
    """:raises InvalidInput: others that stay stand on what is to be deleted."""
    world, gone = rehearsal.world, {*edits.deletions, *edits.puts}
    sentences = []
    for ref in edits.deletions:
        users = [
            user
            for user in world.referrers(ref)
            if user not in gone
            and (wanted := world.wanted.get(user)) is not None
            and not wanted.marked_for_deletion
        ]
        if users:
            names = ", ".join(map(str, users[:_NAMED]))
            more = len(users) - _NAMED
            rest = f" and {more} more" if more > 0 else ""
            sentences.append(f"{ref} is used by {names}{rest}")
    if sentences:
        raise InvalidInput(
            f"{'; '.join(sentences)}. Delete the users too, with --delete for each, or"
            " change them in the same plan"
        )


def _intent(store: Overlay, keys: Keys, edits: Edits) -> Intent:
    def written(ref: Ref) -> PlannedWrite:
        key = config_key(keys, ref)
        return PlannedWrite(
            _document(store.read.get(key)), _document(store.get(key))
        )

    refs = (*edits.puts, *edits.deletions)
    return Intent({ref: written(ref) for ref in refs}, edits.rebuilds)


def _document(kv: KeyValue | None) -> BodyVersion | None:
    if kv is None:
        return None
    there = writing.stored(kv.value)
    return BodyVersion(there.version, there.body, there.marked)


def _writes(events: list[Event]) -> dict[str, str | None]:
    return {
        event.key: event.value.decode() if event.value is not None else None
        for event in events
    }


def _outputs(store: Overlay, keys: Keys) -> StackOutputs:
    """The outputs that the stack records hold, read once each."""

    @cache
    def outputs(ref: Ref) -> Mapping[str, Json]:
        if keys.schemas.get(ref.type) is None or not keys.is_placed(ref):
            return {}
        kv = store.read.get(keys.below(keys.stacks, ref))
        if kv is None:
            return {}
        try:
            record = StackRecord.from_json(kv.value)
            return record.outputs_by_key() if record.live else {}
        except UNREADABLE:
            return {}

    return outputs


def _kept(store: Overlay, keys: Keys) -> Kept:
    """The revisions of templates that etcd keeps, read once each."""

    @cache
    def kept(template_id: str, revision: str) -> Template | None:
        kv = store.get(keys.revision(template_id, revision))
        if kv is not None:
            return _usable(kv)
        # One that was never in force: a canary was built from it.
        folder = keys.candidate(template_id, "")
        brought = map(_usable, store.list(folder)[1])
        named = (one for one in brought if one and one.revision == revision)
        return next(named, None)

    return kept


def _usable(kv: KeyValue) -> Template | None:
    try:
        return TemplateRevision.from_json(kv.value).parsed()
    except (*UNREADABLE, TemplateError):
        return None


# What the plan relies on -------------------------------------------------------------------------


def _about(
    rehearsal: Rehearsal, changes: tuple[Change, ...]
) -> tuple[set[Ref], set[str]]:
    """The resources of a plan without edits, and what those are built from."""
    handled = rehearsal.world.handled
    refs = {change.ref for change in changes}
    known = [handled[ref] for ref in refs if ref in handled]
    templates = {record.template for record in known if record.template}
    return refs.union(*(record.refs() for record in known)), templates


def _relied_on(
    store: Overlay,
    keys: Keys,
    refs: set[Ref],
    templates: set[str],
    writes: Collection[str],
) -> dict[str, int]:
    """The mod revision of every key that the plan was made from or writes."""
    read = dict(_read_of(store, keys, refs, templates))
    return read | {key: store.revision_of(key) for key in writes}


def _read_of(
    store: Overlay, keys: Keys, refs: set[Ref], templates: set[str]
) -> Iterator[tuple[str, int]]:
    """The keys that were read of these, and their mod revisions.

    Of every resource the config and what was handled of it count, also when they are not there: as
    soon as one of them comes, the plan is another one. The rest follows from them.
    """
    yield keys.schema_list, store.revision_of(keys.schema_list)
    for template_id in sorted(templates - {""}):
        for key in (keys.template(template_id), keys.rollout(template_id)):
            yield key, store.revision_of(key)
    folders = (keys.held, keys.failed, keys.stacks, keys.state)
    for ref in sorted(refs):
        if keys.schemas.get(ref.type) is None or not keys.is_placed(ref):
            continue
        for folder in (keys.config, keys.handled):
            key = keys.below(folder, ref)
            yield key, store.revision_of(key)
        for folder in folders:
            key = keys.below(folder, ref)
            if revision := store.revision_of(key):
                yield key, revision
    yield from _under_way(store, keys, refs)


def _under_way(
    store: Overlay, keys: Keys, refs: set[Ref]
) -> Iterator[tuple[str, int]]:
    """The unfinished jobs on some resources, and their runs."""
    for key, kv in store.read.items():
        if key.startswith(keys.jobs):
            job = keys.job_id(key)
        elif key.startswith(keys.runs):
            job = keys.run_job(key)
        else:
            continue
        if _resource(job) in refs:
            yield key, kv.revision


def _resource(job: JobId) -> Ref | None:
    """The resource of a job; None when its key is not one of ours."""
    try:
        return job_ref(job)
    except ValueError:
        return None
