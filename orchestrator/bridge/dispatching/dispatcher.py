"""What happens to a job, as those learn it who send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ... import faults
from ...clients.protocols import QueueDoor
from ...clock import CHANCE, CLOCK, Chance, Clock, Timer
from ...core.drift import SweepOrder
from ...core.jobs import Job
from ...core.records import Pauses, Poll, Run, Step, TenantDelay
from ...core.refs import JobId, Ref
from ...metrics.shapes import ChangeSpan
from ..metrics import Metrics
from .delays import TenantDelays
from .outage import Outage
from .packing import Capacity, Packing, Wanted
from .polling import Polling
from .resending import Resending
from .retries import Retries
from .sender import Sender
from .tenants import QueuePlace, Tenant, Tenants, Tracked


class Dispatcher:
    """What is under way, by the runs that etcd shows.

    :param poll_interval: seconds between polls of a tenant's stacks.
    :param tenant_limit: jobs of one tenant under way to Heat at once; *total_limit*: of all.
    """

    def __init__(
        self,
        queue: QueueDoor,
        timer: Timer,
        *,
        poll_interval: float,
        tenant_limit: int = 32,
        total_limit: int = 256,
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
        metrics: Metrics | None = None,
        passed: Callable[[JobId, ChangeSpan, float], None] | None = None,
    ) -> None:
        """:param passed: told how long each part of a job's way took, for traces."""
        self._clock, metrics = clock, metrics or Metrics()
        self._passed = passed
        self._spans, self._hop = metrics.spans, metrics.hop
        self.tenants = Tenants()
        capacity = Capacity(self.tenants, tenant_limit, total_limit)
        self._sender = Sender(queue, clock)
        self._retries = Retries(self.tenants, timer, clock, chance)
        self._messages = Resending(
            self.tenants, self._sender, capacity.message, clock
        )
        self._packing = Packing(self.tenants, capacity, self._start, clock)
        self._delays = TenantDelays(self.tenants, capacity, clock)
        self._polling = Polling(
            self.tenants,
            self._sender,
            self._retries,
            timer,
            interval=poll_interval,
            clock=clock,
            chance=chance,
            lag=metrics.poll_lag,
        )

    # What happens to a job ------------------------------------------------------------------------

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """The job is to be sent, for the first time or again.

        :param alone: in a message of its own, because a worker died with it: if it was the cause,
            it is not to take others with it.
        """
        tracked = self.tenants.track(job.id, job.tenant)
        self._messages.starts.pop(job.id)
        if tracked.place is not QueuePlace.READY:
            self.tenants.move(tracked, QueuePlace.READY)
            tracked.since = self._clock.monotonic()
        if alone:
            tracked.alone = True

    def release(self, job: Job) -> None:
        """The last job that this one waited for has ended: it is to be sent."""
        self.submit(job)
        self.tenants.track(job.id, job.tenant).released = True

    def moved(self, job_id: JobId, tenant: str, run: Run) -> None:
        """A worker has taken the job a step further."""
        now = self._clock.monotonic()
        job = self.tenants.track(job_id, tenant)
        self._note_pickup(job_id, now)
        self._messages.records.pop(job_id)
        match run.step:
            case Step.CLAIMED:
                self._note_claimed(job, now)
                return
            case Step.RETRY:
                self._retries.sleep(job, run)
            case Step.IN_HEAT:
                self._note_in_heat(job, now)
            case Step.ENDED:
                if job.place is QueuePlace.IN_HEAT:
                    self._observe(job, ChangeSpan.HEAT, now - job.in_heat_since)
                job.since = now
                self.tenants.move(job, QueuePlace.ENDED)
                self._messages.records.note_sent([job], now)
        job.alone = run.deaths > 0

    def _note_pickup(self, job: JobId, now: float) -> None:
        sent = self._messages.starts.pop(job)
        if sent is not None and sent.times == 1:
            self._packing.note_pickup(now - sent.at)

    def _observe(self, job: Tracked, span: ChangeSpan, seconds: float) -> None:
        self._spans[span].observe(seconds)
        if self._passed is not None:
            self._passed(job.id, span, seconds)

    def _note_claimed(self, job: Tracked, now: float) -> None:
        if job.place is QueuePlace.IN_FLIGHT and not job.naps:
            self._observe(job, ChangeSpan.PICKUP, now - job.since)
        job.claimed_at = now
        self.tenants.move(job, QueuePlace.IN_FLIGHT)

    def _note_accepted(self, job: Tracked, now: float) -> None:
        """Heat has taken the request."""
        if job.place is not QueuePlace.IN_FLIGHT or not job.claimed_at:
            return
        self._observe(job, ChangeSpan.ACCEPT, now - job.claimed_at)
        if job.released and not job.naps:
            self._hop.observe(now - job.ready_at)

    def _note_in_heat(self, job: Tracked, now: float) -> None:
        self._note_accepted(job, now)
        self.tenants.move(job, QueuePlace.IN_HEAT)
        job.in_heat_since = now
        self._succeeded(job.tenant)
        self._polling.plan(job.tenant)

    def over(self, job: JobId, tenant: str) -> None:
        """The job has ended, and Heat has answered."""
        if known := self.tenants.known.get(tenant):
            self._succeeded(known)
        for tracked in self.tenants.jobs([job]):
            self._note_over(tracked, self._clock.monotonic())
        self.forget(job, tenant)

    def _note_over(self, job: Tracked, now: float) -> None:
        if job.place is QueuePlace.ENDED:
            self._observe(job, ChangeSpan.RECORD, now - job.since)
        else:
            self._note_accepted(job, now)

    def _succeeded(self, tenant: Tenant) -> None:
        if self._retries.succeeded(tenant):
            self._polling.note_answer(tenant)

    def forget(self, job: JobId, tenant: str) -> None:
        """The job is not to be sent any more."""
        self._messages.forget(job)
        self.tenants.forget(job, tenant)

    def pause(self, pauses: Pauses) -> None:
        """Send nothing for whom these pauses are, and again for all others."""
        starts = self._messages.starts
        for job in self.tenants.pause(pauses, starts):
            starts.pop(job.id)

    # Sending --------------------------------------------------------------------------------------

    def flush(self, still_wanted: Wanted) -> None:
        """Send what is ready, of each tenant in turn. While the broker is away it stays here."""
        self._packing.flush(still_wanted, self._sender.blocked_until)

    def _start(self, jobs: Sequence[Tracked]) -> bool:
        sent = self._messages.start(jobs)
        if sent:
            faults.reach("bridge-after-send")
            self._note_sent(jobs, self._clock.monotonic())
        return sent

    def _note_sent(self, jobs: Sequence[Tracked], now: float) -> None:
        for job in jobs:
            if not job.naps:
                self._observe(job, ChangeSpan.SEND, now - job.since)
            job.ready_at, job.since = job.since, now

    def next_flush(self) -> float | None:
        """Seconds until something that is ready may be sent, None when nothing waits for time
        alone."""
        return self._packing.next_flush(self._sender.blocked_until)

    def record(self, jobs: Sequence[JobId]) -> None:
        """Have the end of jobs written that a worker has not found."""
        self._messages.record(jobs)

    def begin(self) -> None:
        """Leave our mark with the broker, by which a later loss of its data shows."""
        self._messages.begin()

    def supervise(self) -> None:
        """Send again what the broker has lost."""
        self._messages.supervise()

    # Polls ----------------------------------------------------------------------------------------

    def polled(self, tenant: str, poll: Poll | None, revision: int = 0) -> None:
        """A worker has told of a poll that takes long, or failed; None: it tells of none any more.

        :param revision: of the record.
        """
        self._polling.told(tenant, poll, revision)

    def abandoned_polls(self) -> dict[str, int]:
        """The tenants whose polls failed, and that have no stack in progress any more, each with
        the record's revision.
        They are told once."""
        return self._polling.abandoned()

    def monitor(self, refs: Iterable[Ref]) -> None:
        """Have the monitoring targets of these resources probed; not while many polls and probes
        wait for workers already."""
        self._polling.monitor(refs)

    def sweep(self, order: SweepOrder) -> bool:
        """Have a tenant's stacks compared with our records.

        :returns: whether the message was sent.
        """
        return self._polling.sweep(order)

    # What is told of it ---------------------------------------------------------------------------

    @property
    def outage(self) -> Outage:
        return self._sender.outage

    @property
    def wait(self) -> float:
        """Seconds for which messages wait for a worker: as it was lately, or as long as the first
        one that nobody has taken has waited by now."""
        lately, first = (
            self._packing.pickup_latency,
            self._messages.starts.oldest(),
        )
        if first is None:
            return lately
        return max(lately, self._clock.monotonic() - first.at)

    def delays(self) -> tuple[TenantDelay, ...]:
        """The tenants whose jobs wait though they are ready."""
        return self._delays.tell()

    def sizes(self) -> dict[str, int]:
        """How many jobs are where, how many tenants have an open circuit, and of how many polls
        are refused."""
        tenants = self.tenants.ready.values()
        return {
            "ready": sum(len(tenant.ready) for tenant in tenants),
            "in_flight": self.tenants.in_flight,
            "paused": self.tenants.paused,
            "in_heat": self.tenants.in_heat,
            "asleep": self.tenants.asleep,
            "circuits_open": len(self.tenants.circuits_open),
            "polls_refused": self._polling.refused,
        }
