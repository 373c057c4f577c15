"""What the roll-outs in etcd mean for the world: which resources they have taken, and from which
revision those are built."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..clients.store import KeyValue, Store
from ..core import records
from ..core.keys import Keys
from ..core.records import Rollout, RolloutPhase, TemplateRevision
from ..core.refs import Ref
from ..core.templates import Template
from ..core.world import Pin, World
from ..errors import TemplateError
from ..events import EventName, count

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredPins:
    """A roll-out as etcd has it."""

    rollout: Rollout
    revision: int
    """The mod revision of the record."""
    candidate: Template | None
    """The template that it brings, as long as another one is in force."""

    def pin(self) -> Pin:
        """What the jobs of its resources are marked with."""
        rollout = self.rollout
        if rollout.stage is RolloutPhase.REVERTING:
            return Pin(rollout.back, rollout.template, self.revision)
        return Pin(rollout.id, rollout.template, self.revision, self.candidate)


def load(world: World, store: Store, keys: Keys, revision: int) -> None:
    """Take in all roll-outs, as of a revision. What was handled is known already."""
    for kv in store.list(keys.rollouts, revision=revision)[1]:
        if stored := read(store, keys, kv):
            take_in(world, stored)


def read(store: Store, keys: Keys, kv: KeyValue) -> StoredPins | None:
    """A roll-out; None when its record cannot be read: a newer release wrote it."""
    try:
        rollout = Rollout.from_json(kv.value)
    except records.UNREADABLE as error:
        _skipped(kv.key, repr(error))
        return None
    brought = None
    if not rollout.promoted and not rollout.over:
        brought = candidate(store, keys, rollout.template, rollout.id)
    return StoredPins(rollout, kv.revision, brought)


def candidate(
    store: Store, keys: Keys, template_id: str, rollout: str
) -> Template | None:
    """The revision that a roll-out brings, or has brought; None when it is not there, or cannot be
    used.

    :param rollout: its id.
    """
    key = keys.candidate(template_id, rollout)
    kv = store.get(key)
    if kv is None:
        return None
    try:
        return TemplateRevision.from_json(kv.value).parsed()
    except (*records.UNREADABLE, TemplateError) as error:
        _skipped(key, repr(error))
        return None


def take_in(world: World, stored: StoredPins) -> None:
    """The roll-out, and the resources that it has taken."""
    rollout = stored.rollout
    world.set_rollout(rollout.template, rollout)
    world.set_pins(rollout.template, dict(_pins(world, stored)))


def forget(world: World, template_id: str) -> None:
    """The record is gone."""
    world.set_rollout(template_id, None)
    world.set_pins(template_id, {})


def _pins(world: World, stored: StoredPins) -> Iterator[tuple[Ref, Pin]]:
    rollout = stored.rollout
    if rollout.over:
        return
    pin = stored.pin()
    marks = {rollout.id, rollout.back}
    if rollout.stage is not RolloutPhase.REVERTING:
        yield from ((ref, pin) for ref in rollout.canaries)
    for ref, handled in world.handled.items():
        if handled.rollout in marks:
            yield ref, pin


def made_from_candidates(world: World) -> Mapping[str, set[str]]:
    """By template, the roll-outs from whose revisions unfinished jobs are built."""
    found: dict[str, set[str]] = {}
    for job in world.graph.jobs.values():
        handled = world.handled.get(job.ref)
        if handled is not None and handled.candidate:
            found.setdefault(handled.template, set()).add(handled.rollout)
    return found


def _skipped(key: str, reason: str) -> None:
    count(EventName.RECORD_UNREADABLE)
    fields = {"event": "record_unreadable", "record": key, "reason": reason}
    log.error("Record skipped", extra=fields)
