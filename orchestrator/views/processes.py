"""Which bridges and workers are alive, and which tenants are delayed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from ..core.records import BridgeAlive, DelayKind, TenantDelay, WorkerAlive
from .snapshot import Snapshot

WAITS_TOO_LONG = 60.0
"""Seconds that a message may wait before no worker counts as taking jobs."""


@dataclass(frozen=True, slots=True)
class ProcessesAlive:
    """The processes that say that they are alive."""

    leader: BridgeAlive | None = None
    """What the leading bridge tells; None when none leads, or it is of an older release."""
    standbys: tuple[BridgeAlive, ...] = ()
    workers: tuple[WorkerAlive, ...] = ()

    @property
    def slots(self) -> int:
        """Tasks that all workers carry out at the same time."""
        return sum(worker.slots for worker in self.workers)

    @property
    def claimed(self) -> float:
        """When any worker claimed a job last, in seconds since the epoch; 0: never, or nobody
        knows."""
        return max((worker.claimed for worker in self.workers), default=0.0)

    @property
    def wait(self) -> float:
        """Seconds for which messages wait for a worker."""
        if self.leader is None:
            return 0.0
        return self.leader.wait

    @property
    def releases(self) -> tuple[str, ...]:
        """The releases that run."""
        known = {one.version for one in self.workers}
        known |= {one.version for one in self.standbys}
        if self.leader is not None:
            known.add(self.leader.version)
        return tuple(sorted(known))


def processes(snapshot: Snapshot) -> ProcessesAlive:
    """The processes that are alive."""
    leading = snapshot.leader.id if snapshot.leader else ""
    bridges = sorted(snapshot.bridges.values(), key=attrgetter("host", "pid"))
    leader = next((one for one in bridges if one.id == leading), None)
    return ProcessesAlive(
        leader,
        tuple(one for one in bridges if one is not leader),
        tuple(sorted(snapshot.workers.values(), key=attrgetter("name"))),
    )


def delays(
    snapshot: Snapshot, found: ProcessesAlive
) -> tuple[TenantDelay, ...]:
    """The delayed tenants: as the leader tells, and those whose polls fail. Open circuits first."""
    told: tuple[TenantDelay, ...] = ()
    if found.leader is not None:
        told = found.leader.delays
    known = {delay.tenant for delay in told}
    polls = tuple(_polls(snapshot))
    others = tuple(one for one in polls if one.tenant not in known)
    return tuple(sorted((*told, *others), key=_place))


def _polls(snapshot: Snapshot) -> Iterator[TenantDelay]:
    """Tenants whose stacks in progress cannot be polled."""
    jobs: dict[str, int] = {}
    for job in snapshot.jobs.values():
        jobs[job.tenant] = jobs.get(job.tenant, 0) + 1
    for tenant, poll in snapshot.polls.items():
        if poll.failures:
            yield TenantDelay(
                tenant,
                DelayKind.CIRCUIT.value,
                poll.since,
                jobs.get(tenant, 0),
                reason=poll.reason,
            )


def _place(delay: TenantDelay) -> tuple[bool, int, str]:
    return delay.kind != DelayKind.CIRCUIT, -delay.waiting, delay.tenant


def nobody_works(found: ProcessesAlive, ready: int) -> str:
    """Why no worker takes jobs although some wait; empty when one does, or none wait.

    :param ready: how many jobs no worker has taken.
    """
    if not ready:
        return ""
    if not found.workers:
        return f"No worker is alive, and jobs wait for one: {ready}."
    if found.wait >= WAITS_TOO_LONG:
        return f"No worker takes jobs: a message has waited for {found.wait:.0f} s."
    return ""
