"""What operators ask for below ``…/orchestrator/retry/``."""

from __future__ import annotations

import logging

from ..clients.store import Store, revision_of
from ..clock import Clock
from ..core import effects
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.records import CARRIED_OUT, RetryAsked, Step
from ..core.refs import JobId, Ref
from ..core.world import World
from ..events import EventName, count
from . import loading
from .adopting import Adopting
from .cancelling import Cancelling
from .dispatching import Dispatcher
from .finished import Finished
from .leader import Leadership
from .leaving import Leaving
from .outcomes import Outcomes
from .timers import Timers

log = logging.getLogger(__name__)

_ASKED_AGAIN = 1.0
"""Seconds after which a request that cannot be carried out at this moment is looked at again."""
_NOT_RETRIED = (
    "nothing to do: it has not failed any more, or a job on it is under way"
)
_NOT_HELD = "nothing to do: the deletion is not held any more"
_LATER_JOB = "nothing to do: there is a later job"
_BEING_DELETED = "nothing to do: it is to be deleted"
_NO_DELETION = "nothing to do: no deletion waits in that project"


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
        outcomes: Outcomes,
        dispatcher: Dispatcher,
        timers: Timers,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._timers = leadership, timers
        self._finished, self._clock = finished, clock
        self._adopting = Adopting(world, keys, leadership)
        self._leaving = Leaving(
            world, store, keys, leadership, outcomes=outcomes, clock=clock
        )
        self._cancelling = Cancelling(
            world,
            store,
            keys,
            leadership,
            outcomes=outcomes,
            dispatcher=dispatcher,
            clock=clock,
        )

    def note(
        self, key: str, value: bytes, revision: int, *, resumed: bool = False
    ) -> None:
        """An operator asks for something about a resource.

        :param resumed: the request was there when the term began: the leader before may have
            carried it out, and did not come to remove it.
        """
        ref = self._keys.ref(self._keys.retries, key)
        asked = RetryAsked.from_json(value)
        if ref is None:
            self._finished.add(key, revision)
            return
        if asked.adopt and not self._adopt(ref, asked, key, revision):
            return
        if asked.adopt and resumed and self._was_handled(ref, revision):
            self._answer(ref, asked, key, revision, CARRIED_OUT)
            return
        if asked.leave is not None or asked.cancel:
            self._at_once(ref, asked, key, revision)
            return
        outcome = self._carry_out(ref, asked)
        if resumed and outcome and self._is_carried_out(ref, asked, revision):
            outcome = CARRIED_OUT
        self._answer(ref, asked, key, revision, outcome)

    def _answer(
        self, ref: Ref, asked: RetryAsked, key: str, revision: int, outcome: str
    ) -> None:
        """Remove the request, and record its outcome, once what follows from it is written."""
        if asked.audit is None:
            self._finished.add(key, revision)
            return
        told = asked.audit.with_outcome(outcome, self._clock.stamp())
        written = {self._keys.audit(ref, asked.audit.id): told.to_json()}
        self._finished.answer(key, revision, written)

    def _adopt(
        self, ref: Ref, asked: RetryAsked, key: str, revision: int
    ) -> bool:
        """Whether the stack is the resource's now, so that its version is to be built."""
        if why_not := self._adopting.adopt(ref, asked):
            self._answer(ref, asked, key, revision, why_not)
            return False
        return True

    def _at_once(
        self, ref: Ref, asked: RetryAsked, key: str, revision: int
    ) -> None:
        """What is done in one transaction with its answer; later, as long as something moves."""
        if revision_of(self._store.get(key)) != revision:
            return  # It is dealt with, or another request took its place.
        if asked.cancel:
            why_not = self._cancelling.cancel(asked, key, revision)
        else:
            why_not = self._leaving.leave(ref, asked, key, revision)
        if why_not is None:
            self._timers.after(
                _ASKED_AGAIN, lambda: self._at_once(ref, asked, key, revision)
            )
        elif why_not:
            self._answer(ref, asked, key, revision, why_not)

    def _is_carried_out(
        self, ref: Ref, asked: RetryAsked, revision: int
    ) -> bool:
        """Whether the leader before has done what a request asks for, and died before it had
        recorded that."""
        if asked.confirm or asked.gone:
            # What is deleted has no handled record any more.
            key = self._keys.below(self._keys.handled, ref)
            if self._store.get(key) is None:
                return True
        return self._was_handled(ref, revision)

    def _was_handled(self, ref: Ref, revision: int) -> bool:
        """Whether a job was made of the resource after a request."""
        handled = self._store.get(self._keys.below(self._keys.handled, ref))
        return handled is not None and handled.revision > revision

    def _carry_out(self, ref: Ref, asked: RetryAsked) -> str:
        """Returns the outcome, for people."""
        if asked.confirm:
            return self._confirm(ref, asked.confirm)
        if asked.gone:
            return self._abandon(ref, asked.gone)
        if asked.rebuild:
            return self._rebuild(ref, asked.rebuild)
        if asked.adopt:
            if not self._adopting.has_job(ref):
                self._world.try_again(ref, asked=True, force=asked.force)
            return CARRIED_OUT
        if not self._may_retry(ref):
            return _NOT_RETRIED
        count(EventName.RETRY_ASKED)
        fields = {"event": "retry_asked", "resource": str(ref)}
        log.info("Retry requested", extra={**fields, **_author(asked)})
        self._world.try_again(ref, asked=True, force=asked.force)
        return CARRIED_OUT

    def _confirm(self, ref: Ref, confirmed: int) -> str:
        if not self._world.removals.confirm(ref, confirmed):
            return _NOT_HELD
        count(EventName.DELETION_CONFIRMED)
        fields = {"event": "deletion_confirmed", "resource": str(ref)}
        log.info("Deletion confirmed", extra=fields)
        self._world.touch(ref)
        return CARRIED_OUT

    def _rebuild(self, ref: Ref, last: JobId) -> str:
        """Build a version again as it is, if its last job is still the one that was seen."""
        handled = self._world.handled.get(ref)
        if handled is None or handled.job != last:
            return (
                _LATER_JOB  # It was asked before, or there is a later version.
            )
        wanted = self._world.wanted.get(ref)
        if wanted is None or wanted.marked_for_deletion:
            return _BEING_DELETED
        count(EventName.REBUILD_ASKED)
        fields = {"event": "rebuild_asked", "resource": str(ref)}
        log.info("Rebuild requested", extra=fields)
        self._world.try_again(ref)
        return CARRIED_OUT

    def _abandon(self, ref: Ref, tenant: str) -> str:
        """Try deletions in a project that is gone, as a person says, for the last time."""
        jobs = [
            job
            for job in self._world.graph.on(ref)
            if job.action is Action.DELETE and job.tenant == tenant
        ]
        for job in jobs:
            self._abandon_job(job)
        return CARRIED_OUT if jobs else _NO_DELETION

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
        self._timers.after(_ASKED_AGAIN, lambda: self._abandon_again(job))

    def _abandon_again(self, job: Job) -> None:
        if job.id in self._world.graph.jobs:
            self._abandon_job(job)

    def _may_retry(self, ref: Ref) -> bool:
        if self._world.is_failing(ref):
            # A new job takes the place of the one that waits: its retries are counted anew.
            return True
        wanted = self._world.wanted.get(ref)
        stale = wanted is not None and self._world.is_stale(wanted)
        failed = ref in self._world.failed
        return (failed or stale) and not self._world.graph.on(ref)


def _author(asked: RetryAsked) -> dict[str, str]:
    """Who asks, for the log."""
    if asked.audit is None:
        return {}
    return {"by": asked.audit.by}
