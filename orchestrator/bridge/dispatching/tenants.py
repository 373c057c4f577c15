"""Where each job stands on its way through Heat, and the jobs of one tenant."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from ...core.jobs import job_ref
from ...core.keys import run_id
from ...core.records import NO_PAUSES, Pauses
from ...core.refs import JobId, RunId
from .circuit import Circuit


class QueuePlace(IntEnum):
    """Where a job stands."""

    READY = 0
    """It is to be sent."""
    IN_FLIGHT = 1
    """It is sent, and neither in Heat nor over."""
    ASLEEP = 2
    """An attempt failed. The job is tried again when its time has come."""
    IN_HEAT = 3
    """Heat works on it."""
    ENDED = 4
    """Heat has ended it. A worker is to record that."""
    PAUSED = 5
    """It is to be sent when a pause of its tenant or type is over."""


@dataclass(slots=True, eq=False)
class Tracked:
    """A job that is not over."""

    id: JobId
    tenant: Tenant
    place: QueuePlace | None = None
    """None: nowhere yet, or forgotten."""
    alone: bool = False
    """Whether it is sent in a message of its own, because a worker died with it."""
    since: float = 0.0
    """When it became ready, was sent, or Heat had ended it, by the monotonic clock."""
    ready_at: float = 0.0
    """When it became ready before it was sent."""
    released: bool = False
    """Whether it became ready by the end of a job that it waited for."""
    claimed_at: float = 0.0
    """When a worker had it last; 0 if none had."""
    in_heat_since: float = 0.0
    """When the bridge saw that Heat works on it, by the monotonic clock."""
    keeps_delay: bool = False
    """Whether it sleeps for its own time even when the circuit closes: Heat has failed its stack,
    so it does not wait for Heat to answer."""
    naps: int = 0
    """How often it has fallen asleep. By this number a timer knows whether it is still the one that
    wakes the job."""

    @property
    def run(self) -> RunId:
        return run_id(self.tenant.name, self.id)


@dataclass(slots=True, eq=False)
class Tenant:
    """The jobs of one tenant by their place, each place in the order of arrival."""

    name: str
    ready: OrderedDict[JobId, Tracked] = field(default_factory=OrderedDict)
    in_flight: dict[JobId, Tracked] = field(default_factory=dict)
    asleep: dict[JobId, Tracked] = field(default_factory=dict)
    in_heat: dict[JobId, Tracked] = field(default_factory=dict)
    ended: dict[JobId, Tracked] = field(default_factory=dict)
    paused: dict[JobId, Tracked] = field(default_factory=dict)
    circuit: Circuit = field(default_factory=Circuit)
    short_since: float = 0.0
    """When capacity first became available but was too small for a full message, by the monotonic
    clock; 0 if it is not so."""
    next_poll: float = 0.0
    """When the tenant's stacks are polled next, by the monotonic clock; 0 if that is not planned.
    """
    poll_due: float = 0.0
    """When the poll was due that is to be sent next; 0 if none is late."""
    last_poll: int = 0
    """The number of the last poll that was sent; 0 if none was."""

    def at(self, place: QueuePlace) -> dict[JobId, Tracked]:
        """The jobs that stand at *place*."""
        return (
            self.ready,
            self.in_flight,
            self.asleep,
            self.in_heat,
            self.ended,
            self.paused,
        )[place]

    @property
    def may_be_forgotten(self) -> bool:
        """Whether there is no job, and no poll is planned."""
        return not (
            self.ready
            or self.in_flight
            or self.in_heat
            or self.asleep
            or self.ended
            or self.paused
            or self.next_poll
        )


class Tenants:
    """All jobs that are not over, by tenant.

    Tenants that only wait for Heat may be many, so nothing that happens often goes through all.
    """

    def __init__(self) -> None:
        self.known: dict[str, Tenant] = {}
        self.ready: OrderedDict[str, Tenant] = OrderedDict()
        """The tenants that have something to send, in the order in which they are served."""
        self.in_flight = 0
        """The number of jobs in flight, of all tenants."""
        self.pauses = NO_PAUSES
        """For whom nothing is sent."""
        self.in_heat = self.asleep = 0
        """The same of jobs in Heat, and of jobs that sleep."""
        self.circuits_open: set[str] = set()
        """The tenants whose circuit is open."""
        self._jobs: dict[JobId, Tracked] = {}

    @property
    def paused(self) -> int:
        """The number of jobs that wait for a pause to end, of all tenants."""
        if not self.pauses:
            return 0
        return sum(len(tenant.paused) for tenant in self.known.values())

    def __len__(self) -> int:
        """The number of jobs."""
        return len(self._jobs)

    def job(self, job: JobId) -> Tracked | None:
        return self._jobs.get(job)

    def jobs(self, jobs: Iterable[JobId]) -> list[Tracked]:
        """Those of *jobs* that are not over."""
        found = map(self._jobs.get, jobs)
        return [job for job in found if job is not None]

    def tenant(self, name: str) -> Tenant:
        """A tenant, known or new."""
        known = self.known.get(name)
        if known is None:
            known = self.known[name] = Tenant(name)
        return known

    def track(self, job: JobId, tenant: str) -> Tracked:
        """A job, known or new."""
        known = self._jobs.get(job)
        if known is None:
            known = self._jobs[job] = Tracked(job, self.tenant(tenant))
        return known

    def move(self, job: Tracked, place: QueuePlace) -> None:
        """A job has come to *place*; it is the last one there.
        One that is ready and paused is not ready."""
        if place is QueuePlace.READY and self.pauses and self._waits(job):
            place = QueuePlace.PAUSED
        self._leave(job)
        job.place = place
        tenant = job.tenant
        tenant.at(place)[job.id] = job
        if place is QueuePlace.READY:
            self.ready.setdefault(tenant.name, tenant)
        else:
            self._count(place, 1)

    def _count(self, place: QueuePlace, more: int) -> None:
        if place is QueuePlace.IN_FLIGHT:
            self.in_flight += more
        elif place is QueuePlace.IN_HEAT:
            self.in_heat += more
        elif place is QueuePlace.ASLEEP:
            self.asleep += more

    def _waits(self, job: Tracked) -> bool:
        """Whether a job waits for a pause to end."""
        kind = job_ref(job.id).type
        return self.pauses.over(kind, job.tenant.name) is not None

    def pause(self, pauses: Pauses, sent: Container[JobId]) -> list[Tracked]:
        """For these jobs, and no others, nothing is sent from now on.

        :param sent: the jobs that were sent and that no worker has taken.
        :returns: those of them that are not under way any more: workers will not take them.
        """
        self.pauses = pauses
        taken_back: list[Tracked] = []
        for tenant in list(self.known.values()):
            for job in [*tenant.ready.values(), *tenant.paused.values()]:
                self.move(job, QueuePlace.READY)
            for job in list(tenant.in_flight.values()):
                if pauses and job.id in sent and self._waits(job):
                    self.move(job, QueuePlace.PAUSED)
                    taken_back.append(job)
        return taken_back

    def _leave(self, job: Tracked) -> None:
        """A job is not where it was.
        (It may be ready to be sent again while a worker takes it, by a message that was sent after
        all, or by the leader before.)"""
        place, job.place = job.place, None
        if place is None:
            return
        del job.tenant.at(place)[job.id]
        self._count(place, -1)
        if place is QueuePlace.READY and not job.tenant.ready:
            self.ready.pop(job.tenant.name, None)

    def forget(self, job: JobId, tenant: str) -> None:
        """A job is over, or is not to be sent any more."""
        known = self._jobs.pop(job, None)
        if known is not None:
            self._leave(known)
        self.forget_idle(self.known.get(tenant))

    def forget_idle(self, tenant: Tenant | None) -> None:
        """Forget a tenant of which there is nothing any more."""
        if tenant is not None and tenant.may_be_forgotten:
            del self.known[tenant.name]
            self.circuits_open.discard(tenant.name)

    # Round robin ----------------------------------------------------------------------------------

    def take(self, job: Tracked) -> None:
        """A job that is ready goes into a message. Its tenant keeps its place."""
        del job.tenant.ready[job.id]
        job.place = QueuePlace.IN_FLIGHT
        job.tenant.in_flight[job.id] = job
        self.in_flight += 1

    def drop(self, job: Tracked) -> None:
        """A job that is ready is not wanted any more. Its tenant keeps its place."""
        del job.tenant.ready[job.id]
        job.place = None
        self._jobs.pop(job.id, None)

    def put_back(self, jobs: Iterable[Tracked]) -> None:
        """What was taken is ready as before."""
        for job in reversed(list(jobs)):
            self.move(job, QueuePlace.READY)
            job.tenant.ready.move_to_end(job.id, last=False)

    def move_back(self, tenant: Tenant, *, served: bool) -> None:
        """A tenant that was served goes behind the others."""
        if not tenant.ready:
            self.ready.pop(tenant.name, None)
        elif served:
            self.ready.move_to_end(tenant.name)
