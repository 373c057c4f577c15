"""What operators ask for below ``…/orchestrator/retry/``."""

from __future__ import annotations

import logging

from ..clients.store import Store
from ..core import effects
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.records import RetryAsked, Step
from ..core.refs import JobId, Ref
from ..core.world import World
from ..events import EventName, count
from . import loading
from .finished import Finished
from .leader import Leadership
from .timers import Timers

log = logging.getLogger(__name__)

_ASKED_AGAIN = 1.0
"""Seconds after which a deletion that a worker tries at this moment is given up after all."""


class Requests:
    """Carries out the requests of operators."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        finished: Finished,
        timers: Timers,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._timers = leadership, timers
        self._finished = finished

    def note(self, key: str, value: bytes, revision: int) -> None:
        """An operator asks for a failed version to be tried once more, for one that went backwards
        to be built, for one that is there to be built again, or for a held deletion to be let
        go."""
        ref = self._keys.ref(self._keys.retries, key)
        asked = RetryAsked.from_json(value)
        if ref is not None:
            self._carry_out(ref, asked)
        self._finished.add(key, revision)

    def _carry_out(self, ref: Ref, asked: RetryAsked) -> None:
        if asked.confirm:
            self._confirm(ref, asked.confirm)
        elif asked.gone:
            self._abandon(ref, asked.gone)
        elif asked.rebuild:
            self._rebuild(ref, asked.rebuild)
        elif self._may_retry(ref):
            count(EventName.RETRY_ASKED)
            fields = {"event": "retry_asked", "resource": str(ref)}
            log.info("Retry requested", extra=fields)
            self._world.try_again(ref, asked=True, force=asked.force)

    def _confirm(self, ref: Ref, confirmed: int) -> None:
        if self._world.removals.confirm(ref, confirmed):
            count(EventName.DELETION_CONFIRMED)
            fields = {"event": "deletion_confirmed", "resource": str(ref)}
            log.info("Deletion confirmed", extra=fields)
            self._world.touch(ref)

    def _rebuild(self, ref: Ref, last: JobId) -> None:
        """Build a version again as it is, if its last job is still the one that was seen."""
        handled = self._world.handled.get(ref)
        if handled is None or handled.job != last:
            return  # It was asked before, or there is a later version.
        wanted = self._world.wanted.get(ref)
        if wanted is None or wanted.marked_for_deletion:
            return
        count(EventName.REBUILD_ASKED)
        fields = {"event": "rebuild_asked", "resource": str(ref)}
        log.info("Rebuild requested", extra=fields)
        self._world.try_again(ref)

    def _abandon(self, ref: Ref, tenant: str) -> None:
        """Try deletions in a project that is gone, as a person says, for the last time."""
        for job in self._world.graph.on(ref):
            if job.action is Action.DELETE and job.tenant == tenant:
                self._abandon_job(job)

    def _abandon_job(self, job: Job) -> None:
        found = loading.find_run(self._store, self._keys, job.tenant, job.id)
        if found is None or found[0].abandoned:
            return
        run, revision = found
        if run.step is Step.RETRY and self._leadership.commit(
            effects.abandon(self._keys, job, run, revision)
        ):
            count(EventName.DELETION_ABANDONED)
            fields = {
                "event": "deletion_abandoned",
                "job": job.id,
                "tenant": job.tenant,
            }
            log.warning("Deletion given up, as asked", extra=fields)
            return
        # A worker tries it at this moment.
        self._timers.after(
            _ASKED_AGAIN, lambda: self._abandon(job.ref, job.tenant)
        )

    def _may_retry(self, ref: Ref) -> bool:
        if self._world.is_failing(ref):
            # A new job takes the place of the one that waits: its retries are counted anew.
            return True
        wanted = self._world.wanted.get(ref)
        stale = wanted is not None and self._world.is_stale(wanted)
        failed = ref in self._world.failed
        return (failed or stale) and not self._world.graph.on(ref)
