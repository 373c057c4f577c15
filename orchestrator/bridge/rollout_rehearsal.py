"""What the roll-outs would do, on paper: the leader's decisions, each job ending well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..clients.store import Store
from ..core.facts import TemplateChanged
from ..core.forecast.plans import RolloutForecast
from ..core.keys import Keys
from ..core.records import Built, Handled, Rollout, RolloutPhase
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
from . import pinning
from .pinning import StoredPins
from .rehearsal import Rehearsal
from .rollout_members import members_of

_ALL = 1_000_000
"""Jobs at a time, on paper: a wave of the plan is a whole wave of the roll-out."""


class RolloutRehearsal:
    """The roll-outs that are not over."""

    def __init__(self, rehearsal: Rehearsal, store: Store, keys: Keys) -> None:
        self._rehearsal, self._world = rehearsal, rehearsal.world
        listed = store.list(keys.rollouts)[1]
        read = (pinning.read(store, keys, kv) for kv in listed)
        self._stored = [
            stored
            for stored in read
            if stored is not None and not stored.rollout.over
        ]

    def forecasts(self) -> tuple[RolloutForecast, ...]:
        """How each of them stands, as of now on paper."""
        return tuple(map(self._forecast, self._stored))

    def _forecast(self, stored: StoredPins) -> RolloutForecast:
        rollout = stored.rollout
        to_do = [
            member
            for member in self._members(rollout)
            if member.standing is MemberStanding.TO_DO
        ]
        if rollout.phase in (RolloutPhase.CANARY, RolloutPhase.WAITING):
            tried = rollout.canary
            if rollout.canaries:
                tried = sum(m.ref in rollout.canaries for m in to_do)
            left = min(tried, len(to_do))
        else:
            left = len(to_do)
        return RolloutForecast(
            rollout.id,
            rollout.template,
            rollout.phase.value,
            rollout.paused,
            left,
            self._in_force(rollout) != rollout.expected,
        )

    def play(self, *, promote: bool = False) -> None:
        """Let each go on until nothing follows any more by itself.

        :param promote: whether a person promotes the canaries, once they are done.
        """
        for stored in self._stored:
            self._play(stored, promote=promote)

    def _play(self, stored: StoredPins, *, promote: bool) -> None:
        rollout = replace(stored.rollout, max_parallel=_ALL)
        begun: set[Ref] = set()
        while True:
            decided = self._decide(rollout)
            if decided.record is not None:
                rollout = decided.record
                if promote and rollout.phase is RolloutPhase.WAITING:
                    rollout = self._promote(stored, rollout)
                stored = replace(stored, rollout=rollout)
                pinning.take_in(self._world, stored)
            elif begun.issuperset(decided.start):
                return  # Nothing follows, or what was begun is held.
            else:
                begun.update(decided.start)
                self._rebuild(stored, decided.start)

    def _decide(self, rollout: Rollout) -> Decided:
        members = list(self._members(rollout))
        return decide(rollout, members, self._in_force(rollout))

    def _promote(self, stored: StoredPins, rollout: Rollout) -> Rollout:
        if stored.candidate is not None:
            pushed = TemplateChanged(rollout.template, stored.candidate)
            self._world.apply(pushed)
        return replace(rollout.into(RolloutPhase.WAVES), promoted=True)

    def _rebuild(self, stored: StoredPins, refs: Sequence[Ref]) -> None:
        pin = stored.pin()
        for ref in refs:
            self._world.pin(ref, pin)
        self._world.try_again(*refs)
        self._rehearsal.play()

    def _in_force(self, rollout: Rollout) -> str:
        template = self._world.templates.get(rollout.template)
        if isinstance(template, Template):
            return template.revision
        return ""

    def _members(self, rollout: Rollout) -> Iterator[Member]:
        def known(ref: Ref, handled: Handled) -> KnownMembers:
            return self._known(rollout, ref, handled)

        def place(rollout: Rollout, ref: Ref) -> str:
            return place_of(rollout.id, ref)

        return members_of(self._world, rollout, known, place)

    def _known(
        self, rollout: Rollout, ref: Ref, handled: Handled
    ) -> KnownMembers:
        """On paper nothing is busy for long, and each job of the roll-out ends well."""
        world = self._world
        built = world.built_from.get(ref)
        if handled.rollout == rollout.id:
            built = Built(handled.job, handled.template, rollout.revision)
        live = world.is_live(ref)
        return KnownMembers(handled, built, world.failed.get(ref), live, False)
