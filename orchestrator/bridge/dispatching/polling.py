"""When a tenant's stacks in progress are polled, and monitoring targets probed.

A poll is one list of a tenant's stacks in progress. A worker makes it, and finds by it which jobs
Heat has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial

from ...clock import Chance, Clock, Timer
from ...core.drift import SweepOrder
from ...core.records import Poll
from ...core.refs import Ref
from ...events import EventName, count
from ...metrics.cells import Histogram
from .backlog import Backlog
from .polls import Polls
from .retries import Retries
from .sender import Sender
from .tenants import Tenant, Tenants

log = logging.getLogger(__name__)

TARGETS_PER_MESSAGE = 64
"""Monitoring targets that one task probes: sixteen at a time, so four time-outs when none of them
answers."""
TARGETS_PER_ROUND = 48
"""Targets that are probed together; fewer than a message holds, as they are not spread quite
evenly."""
MOST_POLLS_WAITING = 256
"""Polls and probes that wait for workers, above which no targets are probed before the next round:
a long outage of the workers leaves no heap of messages."""
POLL_SHARE = 0.02
"""A stack's end is found at most so late, as a share of the time that Heat took for it: a stack
that has been in progress for ten minutes need not be polled every second."""
LONGEST_POLL_PAUSE = 15.0
"""Seconds between two polls of a tenant's stacks, at most (or the poll interval, if that is
longer)."""
_JITTER = 0.2
"""A poll may fire up to 20 % early. Smaller differences do not reschedule it."""


class Polling:
    """Plans and sends the polls of all tenants.

    :param interval: seconds between two polls of a tenant's stacks.
    """

    def __init__(
        self,
        tenants: Tenants,
        sender: Sender,
        retries: Retries,
        timer: Timer,
        *,
        interval: float,
        clock: Clock,
        chance: Chance,
        lag: Histogram,
    ) -> None:
        self._tenants, self._sender, self._retries = tenants, sender, retries
        self._timer, self._interval = timer, interval
        self._clock, self._chance, self._lag = clock, chance, lag
        self._polls = Polls(clock, chance)
        self._backlog = Backlog(sender.queue.periodic_depth, clock)

    @property
    def refused(self) -> int:
        """The number of tenants whose polls are refused."""
        return self._polls.refused

    def note_answer(self, tenant: Tenant) -> None:
        """A job got through to Heat, after an outage: the next poll need not wait."""
        self._polls.note_answer(tenant.name)

    def plan(self, tenant: Tenant) -> None:
        """See to it that the next poll is not later than it should be."""
        # Tenants are polled out of step, so that Heat's load is even; never later than the interval
        # says.
        early = _JITTER * self._chance()
        usual = self._pause(tenant) * (1.0 - early)
        seconds = max(usual, self._polls.pause(tenant.name))
        due = self._clock.monotonic() + seconds
        planned = tenant.next_poll
        if not planned or due < planned - _JITTER * self._interval:
            tenant.next_poll = due
            self._timer(seconds, lambda: self._due(tenant, due))

    def _pause(self, tenant: Tenant) -> float:
        """By the youngest stack: the others are found by the same poll."""
        longest = max(self._interval, LONGEST_POLL_PAUSE)
        youngest = next(reversed(tenant.in_heat.values()), None)
        if youngest is None:
            return longest
        age = self._clock.monotonic() - youngest.in_heat_since
        return min(max(self._interval, age * POLL_SHARE), longest)

    def _due(self, tenant: Tenant, due: float) -> None:
        if tenant.next_poll != due:
            return  # An earlier one was asked for meanwhile.
        tenant.next_poll = 0.0
        tenant.poll_due = tenant.poll_due or due
        if not tenant.in_heat:
            tenant.poll_due = 0.0
            tenant.circuit.poll_waits = False
            self._tenants.forget_idle(tenant)
            return
        if self._polls.goes_on(tenant.name):
            return  # The next one is due when that poll is over.
        # While one waits for a worker, the next is worth nothing: the first will see the same.
        if self._may_poll(tenant) and self._backlog.is_taken(tenant.last_poll):
            self._send(tenant)
        self.plan(tenant)

    def _may_poll(self, tenant: Tenant) -> bool:
        """Whether it is time for a poll: one that would be refused shares the attempts of an open
        circuit with jobs."""
        if self._polls.pause(tenant.name) > 0.0:
            return False  # The one before failed after this one was planned.
        circuit = tenant.circuit
        circuit.poll_waits = self._is_attempt(tenant)
        if not circuit.poll_waits:
            return True
        if (
            tenant.in_flight
            or self._clock.monotonic() < circuit.resumes
            or (circuit.polled_last and tenant.ready)
        ):
            return False
        circuit.poll_waits, circuit.polled_last = False, True
        return True

    def _is_attempt(self, tenant: Tenant) -> bool:
        """Whether the next poll counts as an attempt of an open circuit."""
        return tenant.circuit.open and self._polls.is_refused(tenant.name)

    def _send(self, tenant: Tenant) -> None:
        if self._sender.send(partial(self._sender.queue.poll, tenant.name)):
            tenant.last_poll = self._backlog.sent()
            self._lag.observe(self._clock.monotonic() - tenant.poll_due)
            tenant.poll_due = 0.0
            if self._is_attempt(tenant):
                tenant.circuit.hold_off(self._clock.monotonic(), self._chance())

    # What workers tell ----------------------------------------------------------------------------

    def told(self, name: str, poll: Poll | None, revision: int) -> None:
        """A worker has told of a poll that takes long, or failed; None: it tells of none any more.

        :param revision: of the record.
        """
        if poll is not None and poll.under_way:
            self._polls.note_under_way(name)
            return
        tenant = self._tenants.known.get(name)
        if poll is not None:
            self._polls.note_failed(name, poll, revision)
            if tenant is not None and poll.refused:
                self._note_refused(tenant, poll.reason)
        elif self._polls.note_over(name) and tenant is not None:
            count(EventName.POLL_ANSWERED)
            fields = {"event": "poll_answered", "tenant": name}
            log.info("Polls are answered again", extra=fields)
            self._retries.succeeded(tenant)
        if tenant is not None and tenant.in_heat:
            self.plan(tenant)

    def _note_refused(self, tenant: Tenant, reason: str) -> None:
        if tenant.circuit.open:
            # The pause began when the poll was sent.
            tenant.circuit.failures += 1
        else:
            self._retries.failed(tenant, reason)

    def abandoned(self) -> dict[str, int]:
        """The tenants whose polls failed, and that have no stack in progress any more, each with
        the record's revision.
        They are told once."""
        left = {
            tenant: revision
            for tenant, revision in self._polls.failing.items()
            if not self._has_stacks(tenant)
        }
        for tenant in left:
            self._polls.forget(tenant)
        return left

    def _has_stacks(self, name: str) -> bool:
        tenant = self._tenants.known.get(name)
        return tenant is not None and bool(tenant.in_heat)

    # Sweeps ---------------------------------------------------------------------------------------

    def sweep(self, order: SweepOrder) -> bool:
        """Have a tenant's stacks compared; not while Heat does not answer for the tenant, or many
        messages wait for workers already.

        :returns: whether the message was sent.
        """
        tenant = self._tenants.known.get(order.tenant)
        if tenant is not None and tenant.circuit.open:
            return False
        if self._backlog.longer_than(MOST_POLLS_WAITING):
            return False
        sent = self._sender.send(partial(self._sender.queue.sweep, order))
        if sent:
            self._backlog.sent()
        return sent

    # Monitoring targets ---------------------------------------------------------------------------

    def monitor(self, refs: Iterable[Ref]) -> None:
        """Have the monitoring targets of these resources probed; not while many polls and probes
        wait for workers already."""
        listed = [str(ref) for ref in refs]
        for start in range(0, len(listed), TARGETS_PER_MESSAGE):
            chunk = listed[start : start + TARGETS_PER_MESSAGE]
            if self._backlog.longer_than(MOST_POLLS_WAITING):
                return
            if not self._sender.send(
                partial(self._sender.queue.monitor, chunk)
            ):
                return
            self._backlog.sent()
