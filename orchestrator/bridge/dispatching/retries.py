"""Temporary failures: when a job is tried again, and what they say about the rest of its tenant."""

from __future__ import annotations

import logging

from ...clock import Chance, Clock, Timer
from ...core.records import Cause, Run
from ...events import EventName, count
from .tenants import QueuePlace, Tenant, Tenants, Tracked

log = logging.getLogger(__name__)


class Retries:
    """Jobs that sleep until they are tried again, and the circuits of their tenants."""

    def __init__(
        self, tenants: Tenants, timer: Timer, clock: Clock, chance: Chance
    ) -> None:
        self._tenants, self._timer = tenants, timer
        self._clock, self._chance = clock, chance

    def sleep(self, job: Tracked, run: Run) -> None:
        """An attempt of a job came to nothing. It is tried again after the delay of its run."""
        self._tenants.move(job, QueuePlace.ASLEEP)
        job.naps = nap = job.naps + 1
        job.keeps_delay = run.cause == Cause.FAILED
        self._timer(run.delay, lambda: self._wake(job, nap))
        if run.cause in (Cause.BUSY, Cause.FAILED):
            return
        now, circuit = self._clock.monotonic(), job.tenant.circuit
        if run.cause == Cause.FAULT and run.attempt > 1:
            # Heat answers this one so every time: that tells nothing about the others, of which the
            # next may try at once.
            circuit.resumes = min(circuit.resumes, now)
            return
        if circuit.open and now < circuit.resumes:
            # It was under way already when the circuit opened: no news.
            self._wake(job, nap)
            return
        self.failed(job.tenant, run.reason)
        if circuit.open:
            # Whoever is next tries for all: no need to wait for this one's own time.
            self._wake(job, nap)

    def _wake(self, job: Tracked, nap: int) -> None:
        if job.place is QueuePlace.ASLEEP and job.naps == nap:
            self._tenants.move(job, QueuePlace.READY)

    def failed(self, tenant: Tenant, reason: str) -> None:
        """An attempt of a tenant came to nothing."""
        now, chance = self._clock.monotonic(), self._chance()
        tenant.circuit.reason = reason
        if tenant.circuit.note_failure(now, chance):
            self._tenants.circuits_open.add(tenant.name)
            count(EventName.CIRCUIT_OPEN)
            fields = {
                "event": "circuit_open",
                "tenant": tenant.name,
                "reason": reason,
            }
            log.warning("Circuit opened", extra=fields)

    def succeeded(self, tenant: Tenant) -> bool:
        """Heat answers for a tenant: let go all who waited for that.

        :returns: whether the circuit was open.
        """
        was_open = tenant.circuit.open
        tenant.circuit.close()
        if was_open:
            self._tenants.circuits_open.discard(tenant.name)
            count(EventName.CIRCUIT_CLOSED)
            fields = {"event": "circuit_closed", "tenant": tenant.name}
            log.info("Circuit closed", extra=fields)
            for job in list(tenant.asleep.values()):
                if not job.keeps_delay:
                    self._tenants.move(job, QueuePlace.READY)
        return was_open
