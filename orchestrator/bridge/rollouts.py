"""The leader's part in roll-outs: it looks how the resources stand, and performs what is decided.

The record in etcd says how far a roll-out is. Everything else follows from the resources' own
records, so that the next leader goes on where this one ends.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from .. import faults
from ..clients.store import KeyValue, Store
from ..clock import Clock
from ..core import effects
from ..core.facts import Entry
from ..core.keys import Keys
from ..core.records import Handled, Rollout, RolloutPhase
from ..core.refs import Ref
from ..core.rollouts import (
    Decided,
    KnownMembers,
    Member,
    MemberStanding,
    decide,
    place_of,
)
from ..core.templates import Template
from ..core.world import World
from ..events import EventName, count
from . import pinning
from .healthy import Healthy
from .leader import Leadership
from .pinning import StoredPins
from .rollout_members import members_of

log = logging.getLogger(__name__)

LOOKED_EVERY = 0.1
"""Seconds between two checks of how the resources of a roll-out stand."""
_SHARE = 19
"""A check takes at most a twentieth of the leader's time: the next one is so many times later than
the last one took."""
_PUSH_SEEN_WITHIN = 2.0
"""Seconds within which the watch shows a template that was written together with the record."""


class Rollouts:
    """Drives the roll-outs of templates."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._clock = leadership, clock
        self._healthy = Healthy(world, store, keys, clock)
        self._stored: dict[str, StoredPins] = {}
        self._asked: set[Ref] = set()
        """Resources whose jobs this leader has asked for, and that are not decided yet."""
        self._places: dict[Ref, tuple[str, str]] = {}
        """The place of each resource in the roll-out that is named with it."""
        self._due = 0.0
        self._differs_since: dict[str, float] = {}

    def begin(self, revision: int) -> None:
        """Take up the roll-outs as of the revision at which the term has listed everything."""
        folder = self._keys.rollouts
        for kv in self._store.list(folder, revision=revision)[1]:
            self._read(kv)

    # The record -----------------------------------------------------------------------------------

    def note(self, entry: Entry) -> None:
        """A person has begun a roll-out, or decided about one; or it is our own write."""
        template_id = self._keys.rollout_template(entry.key)
        known = self._stored.get(template_id)
        if known is not None and entry.revision <= known.revision:
            return
        if entry.value is None:
            self._withdraw(template_id)
            self._stored.pop(template_id, None)
            pinning.forget(self._world, template_id)
            return
        self._read(
            KeyValue(entry.key, entry.value, entry.created, entry.revision)
        )

    def _read(self, kv: KeyValue) -> None:
        if stored := pinning.read(self._store, self._keys, kv):
            self._take_in(stored)

    def _take_in(self, stored: StoredPins) -> None:
        """The roll-out stands so from now on. What was asked for before does not count any more."""
        template_id = stored.rollout.template
        self._withdraw(template_id)
        self._stored[template_id] = stored
        pinning.take_in(self._world, stored)
        self._drop_candidates(stored.rollout)
        self._due = 0.0

    def _withdraw(self, template_id: str) -> None:
        """Ask no more for jobs of a roll-out that are not made yet."""
        pins = self._world.pins
        theirs = {
            ref
            for ref in self._asked
            if ref not in pins or pins[ref].record == template_id
        }
        self._asked -= theirs
        self._world.leave(*theirs)

    def _drop_candidates(self, rollout: Rollout) -> None:
        """Remove the revisions that nothing is built from any more."""
        needed = set(
            pinning.made_from_candidates(self._world).get(
                rollout.template, set()
            )
        )
        if not rollout.over:
            needed.add(rollout.id)
        folder = self._keys.candidate(rollout.template, "")
        listed = self._store.list(folder, keys_only=True)[1]
        there = {kv.key.removeprefix(folder) for kv in listed}
        unneeded = (
            id_ for id_ in there - needed if not self._is_used(rollout, id_)
        )
        if gone := sorted(unneeded):
            dropped = effects.drop_candidates(
                self._keys, rollout.template, gone
            )
            self._leadership.commit(dropped)

    def _is_used(self, rollout: Rollout, id_: str) -> bool:
        """Whether stacks were built from the revision that a roll-out brought, and nothing else
        keeps that revision: it never came into force."""
        candidate = pinning.candidate(
            self._store, self._keys, rollout.template, id_
        )
        if candidate is None:
            return False
        key = self._keys.revision(rollout.template, candidate.revision)
        if self._store.get(key) is not None:
            return False
        return any(
            built.template == rollout.template
            and built.revision == candidate.revision
            for built in self._world.built_from.values()
        )

    # What follows ---------------------------------------------------------------------------------

    def drive(self) -> None:
        """Do what is to be done next in each roll-out, unless that was checked just now."""
        begun = self._clock.monotonic()
        if not self._stored or begun < self._due:
            return
        used = self._clock.cpu()
        self._asked &= self._world.again
        for stored in list(self._stored.values()):
            if not stored.rollout.over:
                self._drive(stored)
        took = self._clock.cpu() - used
        self._due = begun + max(LOOKED_EVERY, _SHARE * took)

    def _drive(self, stored: StoredPins) -> None:
        rollout = stored.rollout
        if rollout.paused or rollout.phase is RolloutPhase.STOPPED:
            return
        in_force = self._in_force(rollout)
        if in_force is None:
            return
        self._healthy.read()
        members = list(self._members(rollout))
        self._perform(stored, decide(rollout, members, in_force))

    def _in_force(self, rollout: Rollout) -> str | None:
        """The revision of the template that is in force; None as long as it is not certain: a push
        and the record that expects it come by two watches."""
        template = self._world.templates.get(rollout.template)
        found = ""
        if isinstance(template, Template):
            found = template.revision
        if found == rollout.expected:
            self._differs_since.pop(rollout.template, None)
            return found
        now = self._clock.monotonic()
        since = self._differs_since.setdefault(rollout.template, now)
        if now - since < _PUSH_SEEN_WITHIN:
            return None
        return found

    def _members(self, rollout: Rollout) -> Iterator[Member]:
        """Every resource of the template, as it stands now."""
        found = members_of(self._world, rollout, self._known, self._place)
        for member in found:
            if member.standing is MemberStanding.COMPLETE:
                healthy = self._healthy.seconds(rollout, member.ref)
                yield replace(member, healthy=healthy)
            else:
                yield member

    def _known(self, ref: Ref, handled: Handled) -> KnownMembers:
        world = self._world
        return KnownMembers(
            handled,
            world.built_from.get(ref),
            world.failed.get(ref),
            world.is_live(ref),
            bool(world.graph.on(ref)),
            ref in self._asked,
        )

    def _place(self, rollout: Rollout, ref: Ref) -> str:
        known = self._places.get(ref)
        if known is None or known[0] != rollout.id:
            known = (rollout.id, place_of(rollout.id, ref))
            self._places[ref] = known
        return known[1]

    def _perform(self, stored: StoredPins, decided: Decided) -> None:
        if decided.record is not None:
            self._move(stored, decided.record)
            return
        world, pin = self._world, stored.pin()
        for ref in decided.start:
            world.pin(ref, pin)
            if ref not in world.again:
                self._asked.add(ref)
            world.try_again(ref)

    def _move(self, stored: StoredPins, rollout: Rollout) -> None:
        """Write how the roll-out stands from now on, unless a person has decided otherwise."""
        faults.reach("bridge-before-rollout")
        moved = replace(rollout, moved=self._clock.stamp())
        revision = self._leadership.commit(
            effects.move_rollout(self._keys, moved, stored.revision)
        )
        if not revision:
            return  # The event of the other write is on the way.
        faults.reach("bridge-after-rollout")
        _tell(moved)
        self._take_in(replace(stored, rollout=moved, revision=revision))


def _tell(rollout: Rollout) -> None:
    fields = {
        "rollout": rollout.id,
        "template": rollout.template,
        "phase": rollout.phase.value,
        "wave": rollout.wave,
    }
    if rollout.phase in (RolloutPhase.STOPPED, RolloutPhase.REVERTING):
        count(EventName.ROLLOUT_STOPPED)
        fields = {
            **fields,
            "event": "rollout_stopped",
            "reason": rollout.reason,
        }
        log.warning("Roll-out stopped", extra=fields)
        return
    count(EventName.ROLLOUT_MOVED)
    fields = {**fields, "event": "rollout_moved"}
    log.info("Roll-out moved on", extra=fields)
