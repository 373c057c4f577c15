"""Jobs that a person cancels: one that waits ends, and Heat is asked to end what it works on."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..clients.store import Store
from ..clock import Clock
from ..core import effects
from ..core.jobs import Action, Job
from ..core.keys import Keys
from ..core.planning import Doom
from ..core.records import (
    CARRIED_OUT,
    NO_JOB,
    AuditRecord,
    Failed,
    RetryAsked,
    Run,
    Step,
)
from ..core.transactions import Transaction, merged
from ..core.world import World
from ..events import EventName, count
from . import loading
from .dispatching import Dispatcher
from .leader import Leadership
from .outcomes import Outcomes

log = logging.getLogger(__name__)

OVER = "nothing to do: the job is over"
ASKED_BEFORE = "nothing to do: the job was cancelled before"
NO_CONFIG = (
    "not done: the config is gone, so the deletion would be asked for again; `orchestrator"
    " release` leaves the stack as it is"
)
NO_DELETION = "not done: Heat cannot cancel a deletion"
HEAT_ASKED = f"{CARRIED_OUT}: Heat is asked to end the operation"


class Cancelling:
    """Carries out ``cancel``."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        outcomes: Outcomes,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._outcomes = leadership, outcomes
        self._dispatcher, self._clock = dispatcher, clock

    def cancel(self, asked: RetryAsked, key: str, revision: int) -> str | None:
        """End a job, and answer the request, in one transaction.

        :param key: of the request, which was written at *revision*.
        A job that waits for an earlier one on its resource ends when that has ended: versions are
        reported in order.

        :returns: why it is not done; empty when it is done; None when a worker has the job at this
            moment, an earlier one is not over, or something moved: ask again in a moment.
        """
        job = self._world.graph.jobs.get(asked.cancel)
        if job is None:
            return OVER
        if job.action is Action.DELETE and self._is_wanted_by_nobody(job):
            return NO_CONFIG
        found = loading.find_run(self._store, self._keys, job.tenant, job.id)
        if found is None or found[0].step is Step.RETRY:
            done = self._end(job, found, asked, key, revision)
            return "" if done else None
        run, written = found
        if run.cancelled:
            return ASKED_BEFORE
        if run.step is not Step.IN_HEAT:
            return None
        if job.action is Action.DELETE:
            return NO_DELETION
        return self._ask_heat(job, run, written, asked, key, revision)

    def _is_wanted_by_nobody(self, job: Job) -> bool:
        """Whether a deletion has no config that could report it, or by which it could be asked for
        again."""
        wanted = self._world.wanted.get(job.ref)
        return wanted is None or self._outcomes.clears(job)

    def _end(
        self,
        job: Job,
        found: tuple[Run, int] | None,
        asked: RetryAsked,
        key: str,
        revision: int,
    ) -> bool:
        """A job that no worker has: it ends as cancelled."""
        run = found[1] if found else 0
        untaken = effects.drop_untaken(self._keys, job, run)
        answer = self._answer(job, asked, key, revision, CARRIED_OUT)
        again = f"orchestrator retry {job.ref.type} {job.ref.id}"
        error = f"{_reason(asked)}; write its next version, or: {again}"
        failed = Failed(job.version, job.action, error, job.ref)
        also = merged([untaken, answer])
        doom = Doom(failed, NO_JOB, also=also)
        if self._outcomes.has_earlier(job):
            if self._outcomes.doom(job, doom):
                self._tell(job, asked)
            return False
        if not self._outcomes.fail(job, doom):
            return False
        self._outcomes.fail_dependents()
        self._tell(job, asked)
        return True

    def _ask_heat(
        self,
        job: Job,
        run: Run,
        written: int,
        asked: RetryAsked,
        key: str,
        revision: int,
    ) -> str | None:
        """A job on which Heat works: a worker asks Heat to end it."""
        marked = effects.cancel(self._keys, job, run, written, _reason(asked))
        answer = self._answer(job, asked, key, revision, HEAT_ASKED)
        if not self._leadership.commit(merged([marked, answer])):
            return None
        self._dispatcher.record([job.id])
        self._tell(job, asked)
        return ""

    def _answer(
        self,
        job: Job,
        asked: RetryAsked,
        key: str,
        revision: int,
        outcome: str,
    ) -> Transaction:
        told: Mapping[str, str] = {}
        if asked.audit is not None:
            ended = asked.audit.with_outcome(outcome, self._clock.stamp())
            told = {self._keys.audit(job.ref, asked.audit.id): ended.to_json()}
        return effects.answer(key, revision, told)

    def _tell(self, job: Job, asked: RetryAsked) -> None:
        count(EventName.CANCELLED)
        fields = {"event": "cancelled", "job": job.id}
        log.warning("Job cancelled", extra={**fields, "reason": _reason(asked)})


def _reason(asked: RetryAsked) -> str:
    """Who wants the job to end, and why, for people."""
    audit = asked.audit or AuditRecord("", "", "nobody knows who", "")
    why = f" ({audit.why})" if audit.why else ""
    return f"cancelled by {audit.by}{why}"
