"""Resources that a person leaves alone: their records and configs go, their stacks stay in Heat."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from ..clients.store import Store, revision_of
from ..clock import Clock
from ..core import effects
from ..core.facts import ConfigRemoved
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.planning import Over
from ..core.records import (
    CARRIED_OUT,
    AuditRecord,
    LeavingMode,
    RetryAsked,
    Step,
    Tombstone,
)
from ..core.refs import Ref
from ..core.transactions import merged
from ..core.world import World
from ..events import EventName, count
from .leader import Leadership
from .outcomes import Outcomes

log = logging.getLogger(__name__)

WRITTEN_MEANWHILE = (
    "not done: the config was written meanwhile; look at it again"
)
_NOBODY = AuditRecord("", "", "", "")


class Leaving:
    """Carries out ``release`` and ``forget``."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        outcomes: Outcomes,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._outcomes = leadership, outcomes
        self._clock = clock

    def leave(
        self, ref: Ref, asked: RetryAsked, key: str, revision: int
    ) -> str | None:
        """Remove the config and all records of a resource, and the request, in one transaction.

        :param key: of the request, which was written at *revision*.
        :returns: why it is not done; empty when it is done; None when a job is under way, or
            something moved: ask again in a moment.
        """
        config = self._store.get(self._keys.below(self._keys.config, ref))
        if revision_of(config) != asked.config:
            return WRITTEN_MEANWHILE
        jobs = self._world.graph.on(ref)
        if asked.leave is LeavingMode.RELEASE and any(
            map(self._is_taken, jobs)
        ):
            return None
        tombstone = self._tombstone(ref, asked)
        seen = self._world.runs
        runs = {job.id: seen[job.id].revision for job in jobs if job.id in seen}
        left = effects.leave(
            self._keys, ref, asked.config, jobs, runs, tombstone
        )
        answer = effects.answer(key, revision, self._told(ref, asked))
        written = self._leadership.commit(merged([left, answer]))
        if not written:
            return None
        self._forget(ref, jobs, written)
        self._tell(ref, tombstone)
        return ""

    def _is_taken(self, job: Job) -> bool:
        """Whether a worker or Heat has a job."""
        seen = self._world.runs.get(job.id)
        return seen is not None and seen.step is not Step.RETRY

    def _told(self, ref: Ref, asked: RetryAsked) -> Mapping[str, str]:
        """The record of the verb, with its outcome."""
        if asked.audit is None:
            return {}
        told = asked.audit.with_outcome(CARRIED_OUT, self._clock.stamp())
        return {self._keys.audit(ref, asked.audit.id): told.to_json()}

    def _tombstone(self, ref: Ref, asked: RetryAsked) -> Tombstone:
        """What may be left in Heat."""
        audit, world = asked.audit or _NOBODY, self._world
        handled, stack = world.handled.get(ref), world.stacks.get(ref)
        wanted = world.wanted.get(ref)
        known = handled or wanted
        return Tombstone(
            verb=asked.leave or "",
            by=audit.by,
            at=self._clock.stamp(),
            tenant=known.tenant if known else "",
            stack=world.adopted_name(ref) or ref.stack_name,
            status=stack.status if stack else "",
            version=known.version if known else 0,
            why=audit.why,
        )

    def _forget(self, ref: Ref, jobs: Sequence[Job], revision: int) -> None:
        """It is written: now in memory."""
        world = self._world
        for job in jobs:
            self._outcomes.dropped(job)
            used = job.references()
            over = Over(job.id, job.ref, job.action, used, job.tenant)
            self._outcomes.release(over, None)
        world.forget(ref)
        # The event of the removal finds nothing more to do.
        removed = ConfigRemoved(ref, revision)
        world.apply(removed, self._clock.monotonic())
        world.touch(*world.waiting_for(ref))

    def _tell(self, ref: Ref, tombstone: Tombstone) -> None:
        count(EventName.LEFT)
        fields = {
            "event": "left",
            "resource": str(ref),
            "verb": tombstone.verb,
            "by": tombstone.by,
            "tenant": tombstone.tenant,
            "stack": tombstone.stack,
        }
        log.warning("Stack left in Heat, its records removed", extra=fields)
