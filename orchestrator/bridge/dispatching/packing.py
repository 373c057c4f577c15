"""Which jobs are sent now, and which of them share a message.

Several jobs in a message cost the workers a fraction of what they would cost one by one. So while
others are under way a job waits until a message is full, but no longer than messages wait for a
worker at the moment: next to nothing at rest, and the busier the workers, the longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from ...clients.queue import GROUP
from ...clock import Clock
from ...core.refs import JobId
from .tenants import Tenant, Tenants, Tracked

SPREAD = 4
"""What is ready, and what may be under way of a tenant, is for so many messages at least: several
workers are to have something to do."""
LONGEST_GATHERING = 0.5
"""Seconds for which a job waits for others to share its message, at most."""
_AVERAGE_OVER = 8
"""Window, in jobs, of the moving average of the pickup latency."""
GATHERED_FOR = 0.05
"""How long to save up capacity before sending a partial message, in seconds."""

Wanted = Callable[[JobId], bool]
"""Whether a job is still to run."""


class Capacity:
    """How many jobs may be put to Heat at once.

    :param of_tenant: jobs of one tenant under way to Heat at once.
    :param of_all: the same for all tenants together.
    """

    def __init__(self, tenants: Tenants, of_tenant: int, of_all: int) -> None:
        self._tenants, self._of_tenant, self._of_all = (
            tenants,
            of_tenant,
            of_all,
        )
        self.message = max(min(GROUP, of_tenant // SPREAD, of_all // SPREAD), 1)
        """Jobs in a full message."""

    @property
    def used_up(self) -> bool:
        return self._tenants.in_flight >= self._of_all

    def is_full(self, tenant: Tenant) -> bool:
        """Whether as many of a tenant's jobs are under way as may be of one tenant."""
        return len(tenant.in_flight) >= self._of_tenant

    def left(self, tenant: Tenant) -> int:
        """How many more of a tenant's jobs may be under way."""
        return min(
            self._of_all - self._tenants.in_flight,
            self._of_tenant - len(tenant.in_flight),
        )


class Packing:
    """Puts messages together, of each tenant in turn.

    :param start: sends a message; False when the broker does not take it.
    """

    def __init__(
        self,
        tenants: Tenants,
        capacity: Capacity,
        start: Callable[[list[Tracked]], bool],
        clock: Clock,
    ) -> None:
        self._tenants, self._capacity, self._clock = tenants, capacity, clock
        self._send_message = start
        self._gathering_since = 0.0
        """When a few jobs began to wait for others; 0 when none does."""
        self.pickup_latency = 0.0
        """Seconds until a worker takes a message, as a moving average."""

    def note_pickup(self, seconds: float) -> None:
        """A worker has taken a job so long after it was sent."""
        self.pickup_latency += (seconds - self.pickup_latency) / _AVERAGE_OVER

    def flush(self, still_wanted: Wanted, blocked_until: float) -> None:
        """Send what may be sent. While the broker is away it stays where it is."""
        gathers = self._tenants.in_flight > 0
        size = self._message_size(gathers)
        message: list[Tracked] = []
        for tenant in self._in_turn(blocked_until):
            space = size - len(message)
            taken = self._take(tenant, size, space, still_wanted)
            if taken and (tenant.circuit.open or taken[0].alone):
                complete = taken
            else:
                message += taken
                if len(message) < size:
                    continue
                complete, message = message, []
            if not self._start(complete):
                self._tenants.put_back(message)
                return
        if message and gathers and not self._has_waited():
            self._tenants.put_back(message)
            return
        self._gathering_since = 0.0
        self._start(message)

    def _message_size(self, gathers: bool) -> int:
        """How many jobs a message may name. What comes to workers that have nothing to do is shared
        between a few messages."""
        most = self._capacity.message
        if gathers:
            return most
        tenants = self._tenants.ready.values()
        ready = sum(len(tenant.ready) for tenant in tenants)
        return min(1 + ready // SPREAD, most)

    def _start(self, message: list[Tracked]) -> bool:
        """Send a message; what it names stays here if the broker does not take it."""
        if not message:
            return True
        if not self._send_message(message):
            self._tenants.put_back(message)
            return False
        for job in message:
            tenant = job.tenant
            tenant.circuit.polled_last = False
            if not tenant.ready or not self._capacity.left(tenant):
                tenant.short_since = 0.0
            self._tenants.move_back(tenant, served=True)
        return True

    def _in_turn(self, blocked_until: float) -> Iterator[Tenant]:
        """The tenants that have something to send, one after the other and again and again as long
        as something is taken."""
        if self._clock.monotonic() < blocked_until:
            return
        waiting = deque(self._tenants.ready.values())
        while waiting:
            tenant = waiting.popleft()
            before = len(tenant.in_flight)
            yield tenant
            if len(tenant.in_flight) == before:
                self._tenants.move_back(tenant, served=False)
            elif tenant.ready:
                waiting.append(tenant)

    def _take(
        self,
        tenant: Tenant,
        most: int,
        space: int,
        still_wanted: Wanted,
    ) -> list[Tracked]:
        """Take from a tenant what may go into a message.

        :param most: how many jobs a message may name.
        :param space: how many more the one may that is being put together.
        :returns: several that may share a message with others; or one, which perhaps may not.
        """
        size = min(self._may_take(tenant, most), space)
        taken: list[Tracked] = []
        while tenant.ready and len(taken) < size:
            job = next(iter(tenant.ready.values()))
            if taken and job.alone:
                break
            if not still_wanted(job.id):
                self._tenants.drop(job)
                continue
            self._tenants.take(job)
            taken.append(job)
            if job.alone:
                break
        return taken

    def _may_take(self, tenant: Tenant, most: int) -> int:
        """How many jobs of a tenant may be sent now."""
        if not tenant.ready:
            return 0
        wanted = min(len(tenant.ready), most)
        if tenant.circuit.open:
            if not self._may_try(tenant, self._clock.monotonic()):
                return 0
            wanted = 1
        left = self._capacity.left(tenant)
        if left >= wanted:
            tenant.short_since = 0.0
            return wanted
        if left > 0 and self._has_gathered(tenant):
            return left
        return 0

    @staticmethod
    def _may_try(tenant: Tenant, now: float) -> bool:
        """Whether a tenant whose circuit is open may have a job tried."""
        circuit = tenant.circuit
        return (
            not tenant.in_flight
            and circuit.takes_job_next
            and now >= circuit.resumes
        )

    def _has_gathered(self, tenant: Tenant) -> bool:
        """Whether there has been a little capacity for long enough, and it should do.
        What ends may leave capacity for one job at a time, and one by one they cost several times
        as much as in one message.
        """
        now = self._clock.monotonic()
        tenant.short_since = tenant.short_since or now
        return now - tenant.short_since >= GATHERED_FOR

    def _has_waited(self) -> bool:
        """Whether a few jobs have waited for others for long enough."""
        now = self._clock.monotonic()
        self._gathering_since = self._gathering_since or now
        return now >= self._gathering_since + self._gathering_time

    @property
    def _gathering_time(self) -> float:
        """Seconds for which a few jobs wait for others at the moment."""
        return min(self.pickup_latency, LONGEST_GATHERING)

    def next_flush(self, blocked_until: float) -> float | None:
        """Seconds until something that is ready may be sent, None when nothing waits for time
        alone."""
        if not self._tenants.ready or self._capacity.used_up:
            return None
        now = self._clock.monotonic()
        times = [*self._attempts(), *self._gatherings(now)]
        if self._gathering_since:
            times.append(self._gathering_since + self._gathering_time)
        if blocked_until > now:
            times.append(blocked_until)
        if not times:
            return None
        return max(min(times), blocked_until, now) - now

    def _attempts(self) -> Iterator[float]:
        """When the tenants whose circuit is open may try the next job."""
        for tenant in self._tenants.ready.values():
            circuit = tenant.circuit
            if circuit.open and not tenant.in_flight and circuit.takes_job_next:
                yield circuit.resumes

    def _gatherings(self, now: float) -> Iterator[float]:
        """When the tenants with a little capacity have saved up for long enough."""
        for tenant in self._tenants.ready.values():
            at = tenant.short_since + GATHERED_FOR
            # Those that have saved up already may wait for others to share their message.
            over = bool(self._gathering_since) and at <= now
            if (
                tenant.short_since
                and not over
                and not tenant.circuit.open
                and self._capacity.left(tenant) > 0
            ):
                yield at
