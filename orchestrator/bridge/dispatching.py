"""Send what is ready, no faster than Heat can take it, and see to it that nothing sent gets lost.

The broker may forget messages, all of them or one. What is under way stands in etcd as runs; what
should be and is not is sent again. Sending twice is harmless: the second finds the job claimed.

What is ready is sent in portions, several jobs in a message: together they cost the workers a
fraction of what they would cost one by one.
So while others are under way a job waits until a message is full, but no longer than messages wait
for a worker at the moment: next to nothing at rest, and the busier the workers, the longer.

Each tenant has a :class:`Lane`: jobs of one are put to Heat a limited number at a time, and when
Heat or Keystone stop answering for a tenant its circuit opens: one job at a time tries, at growing
intervals, until one gets through; then all go. Other tenants do not notice.
"""

from __future__ import annotations

import logging
import random
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from .. import faults
from ..clients.protocols import QueueDoor
from ..clients.queue import PORTION
from ..core.jobs import Job
from ..core.keys import job_of, run_id
from ..core.records import Cause, Poll, Run, Step
from ..core.refs import JobId, Ref, RunId
from ..errors import BrokerUnavailable
from ..events import EventName, count
from .backlog import Backlog
from .outage import Outage
from .polls import Polls

log = logging.getLogger(__name__)

SPREAD = 4
"""What is ready, and what may be under way of a tenant, is for so many messages at least: several
workers are to have something to do."""
LONGEST_HOLD = 0.5
"""Seconds for which a job waits for others to share its message, at most."""
_MEMORY = 8
"""Jobs that the time until a worker takes one is an average of, roughly: the later, the more it
counts."""
SUPERVISION = 1.0
"""Seconds between questions to the broker whether it has lost anything, while something is under
way."""
GATHERED_FOR = 0.05
"""Seconds for which room for a few jobs is kept until there is room for a whole message."""
LOST_AFTER = 4.0
"""Seconds without a sign from a worker after which a message counts as lost, if the queues are
empty."""
LONGEST_SILENCE = 60.0
"""The same doubles with every repetition up to this."""
TARGETS_PER_MESSAGE = 64
"""What one task looks at: sixteen at a time, so four time-outs when none of them answers."""
TARGETS_PER_PORTION = 48
"""Targets whose turn comes together; fewer than a message holds, as they are not spread quite
evenly."""
MOST_LOOKS_WAITING = 256
"""Looks that wait for workers, above which targets are not looked at before the next round: a long
outage of the workers leaves no heap of messages."""
OPENS_AFTER = 3
"""Failures in a row, without any success, after which a tenant's circuit opens."""
LOOK_SHARE = 0.02
"""A stack's end is found at most so late, as a share of the time that Heat took for it: what has
been under way for ten minutes need not be looked at every second."""
LONGEST_LOOK = 15.0
"""Seconds between two looks at a tenant's stacks, at most (or the look interval, if that is
longer)."""
_OUT_OF_STEP = 0.2
"""Share of the pause by which a look may come early; one that is due by less than that of an
interval later is not moved."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts of a tenant whose circuit is open, at most."""


@dataclass(slots=True)
class Sent:
    """A message whose effect has not shown yet."""

    at: float
    times: int = 1

    def overdue(self, now: float) -> bool:
        patience: float = min(
            LOST_AFTER * 2 ** (self.times - 1), LONGEST_SILENCE
        )
        return now - self.at > patience


@dataclass(slots=True)
class Lane:
    """The jobs of one tenant, by where they stand."""

    ready: OrderedDict[JobId, None] = field(default_factory=OrderedDict)
    in_flight: set[JobId] = field(default_factory=set)
    """Sent, and neither in Heat's hands nor over yet."""
    sleeping: dict[JobId, object] = field(default_factory=dict)
    """To be tried again when their time has come; the token tells a timer whether it is still
    theirs."""
    waiting: dict[JobId, float] = field(default_factory=dict)
    """In Heat's hands, and since when they are seen to be; the last to come is the last in order.
    """
    failures: int = 0
    resumes: float = 0.0
    """When the next attempt may be made while the circuit is open."""
    next_look: float = 0.0
    """When the next look is due, 0 when none is."""
    last_look: int = 0
    """The number of the last look that was sent."""
    polled_last: bool = False
    """While the circuit is open: whether the last attempt was a poll, so that the next one is a
    job."""
    poll_waits: bool = False
    """While the circuit is open: whether a poll is due, and waits until an attempt may be made."""
    short_since: float = 0.0
    """Since when there is some room, too little for what is to be sent next; 0 when there is
    enough, or none."""

    @property
    def open(self) -> bool:
        return self.failures >= OPENS_AFTER

    @property
    def idle(self) -> bool:
        return not (
            self.ready or self.in_flight or self.sleeping or self.waiting
        )

    @property
    def is_polls_turn(self) -> bool:
        """While the circuit is open: whether the next attempt is a poll."""
        return self.poll_waits and not self.polled_last

    def hold_off(self) -> None:
        """The circuit is open: no attempt before a pause is over."""
        pause = min(
            2.0 ** (self.failures - OPENS_AFTER), LONGEST_PAUSE
        ) * random.uniform(0.5, 1.5)
        self.resumes = time.monotonic() + pause

    def may_send(self, limit: int, now: float) -> bool:
        if not self.ready:
            return False
        if self.open:
            return (
                not self.in_flight
                and not self.is_polls_turn
                and now >= self.resumes
            )
        return len(self.in_flight) < limit

    def forget(self, job: JobId) -> None:
        self.ready.pop(job, None)
        self.in_flight.discard(job)
        self.sleeping.pop(job, None)
        self.waiting.pop(job, None)


class Dispatcher:
    """What is under way, by the runs that etcd shows.

    :param timer: ``timer(seconds, function)``.
    :param look_interval: seconds between looks at a tenant's stacks.
    :param tenant_limit: jobs of one tenant under way to Heat at once; *total_limit*: of all.
    """

    def __init__(
        self,
        queue: QueueDoor,
        timer: Callable[[float, Callable[[], None]], None],
        *,
        look_interval: float,
        tenant_limit: int = 32,
        total_limit: int = 256,
    ) -> None:
        self._queue, self._timer, self._look_interval = (
            queue,
            timer,
            look_interval,
        )
        self._tenant_limit, self._total_limit = tenant_limit, total_limit
        self._most = max(
            min(PORTION, tenant_limit // SPREAD, total_limit // SPREAD), 1
        )
        """Jobs in a message."""
        self._lanes: dict[str, Lane] = {}
        self._ready: OrderedDict[str, Lane] = OrderedDict()
        """The lanes in which something is ready, in the order of their turns."""
        self._in_flight: set[JobId] = set()
        """What is in flight in all lanes.
        (Tenants that only wait for Heat may be many: nothing goes through all lanes.)"""
        self._submits: dict[JobId, Sent] = {}
        self._records: dict[JobId, Sent] = {}
        self._tenant_of: dict[JobId, str] = {}
        self._alone: set[JobId] = set()
        self._polls = Polls()
        self._held_since = 0.0
        """Since when a few jobs wait for others; 0 when none does."""
        self._taken_after = 0.0
        """Seconds until a worker takes a message, as it was lately."""
        self._blocked_until = 0.0
        self._looks = Backlog(queue.looks_waiting)
        self.outage = Outage()

    # What happens to a job ------------------------------------------------------------------------

    def submit(self, job: Job, *, alone: bool = False) -> None:
        """The job is to be sent, for the first time or again.

        :param alone: in a message of its own, because a worker died with it: if it was the cause,
            it is not to take others with it.
        """
        self._enqueue(job.id, job.tenant)
        if alone:
            self._alone.add(job.id)

    def _enqueue(self, job: JobId, tenant: str) -> None:
        lane = self._lane(tenant)
        self._submits.pop(job, None)
        self._tenant_of[job] = tenant
        if job not in lane.ready:
            self._leave(tenant, lane, job)
            lane.ready[job] = None
            self._ready.setdefault(tenant, lane)

    def _lane(self, tenant: str) -> Lane:
        return self._lanes.setdefault(tenant, Lane())

    def _leave(self, tenant: str, lane: Lane, job: JobId) -> None:
        """The job is not where it was.
        (It may be ready to be sent again while a worker takes it, by a message that was sent after
        all, or by the leader before.)"""
        lane.forget(job)
        self._in_flight.discard(job)
        if not lane.ready:
            self._ready.pop(tenant, None)

    def moved(self, job: JobId, tenant: str, run: Run) -> None:
        """A worker has taken the job a step further."""
        lane = self._lane(tenant)
        if (sent := self._submits.pop(job, None)) and sent.times == 1:
            self._taken_after += (
                time.monotonic() - sent.at - self._taken_after
            ) / _MEMORY
        self._records.pop(job, None)
        self._tenant_of[job] = tenant
        self._leave(tenant, lane, job)
        match run.step:
            case Step.CLAIMED:
                self._enter(lane, job)
                return
            case Step.RETRY:
                self._sleep(job, tenant, run)
            case Step.WAITING:
                lane.waiting[job] = time.monotonic()
                self._succeeded(tenant)
                self._keep_looking(tenant)
            case Step.ENDED:
                self._records[job] = Sent(time.monotonic())
        if run.deaths:
            self._alone.add(job)
        else:
            self._alone.discard(job)

    def over(self, job: JobId, tenant: str) -> None:
        """The job has ended, and Heat has answered."""
        self._succeeded(tenant)
        self.forget(job, tenant)

    def forget(self, job: JobId, tenant: str) -> None:
        """The job is not to be sent any more."""
        self._submits.pop(job, None)
        self._records.pop(job, None)
        self._tenant_of.pop(job, None)
        self._alone.discard(job)
        lane = self._lanes.get(tenant)
        if lane is not None:
            self._leave(tenant, lane, job)
            if lane.idle and not lane.next_look:
                del self._lanes[tenant]

    def _sleep(self, job: JobId, tenant: str, run: Run) -> None:
        lane = self._lane(tenant)
        token = lane.sleeping[job] = object()
        self._timer(run.delay, lambda: self._wake(job, tenant, token))
        if run.cause == Cause.BUSY:
            return
        now = time.monotonic()
        if run.cause == Cause.FAULT and run.attempt > 1:
            # Heat answers this one so every time: that tells nothing about the others, of which the
            # next may try at once.
            lane.resumes = min(lane.resumes, now)
            return
        if lane.open and now < lane.resumes:
            # It was under way already when the circuit opened: no news.
            self._wake(job, tenant, token)
            return
        self._note_failure(tenant, lane, run.reason)
        if lane.open:
            # Whoever is next tries for all: no need to wait for this one's own time.
            self._wake(job, tenant, token)

    def _note_failure(self, tenant: str, lane: Lane, reason: str) -> None:
        """An attempt of the tenant's came to nothing: open the circuit, or leave it open for
        longer."""
        lane.failures += 1
        if lane.open:
            lane.hold_off()
            if lane.failures == OPENS_AFTER:
                count(EventName.CIRCUIT_OPEN)
                log.warning(
                    "Circuit opened",
                    extra={
                        "event": "circuit_open",
                        "tenant": tenant,
                        "reason": reason,
                    },
                )

    def _wake(self, job: JobId, tenant: str, token: object) -> None:
        lane = self._lanes.get(tenant)
        if lane is not None and lane.sleeping.get(job) is token:
            self._enqueue(job, tenant)

    def _succeeded(self, tenant: str) -> None:
        """Heat answers for this tenant: close the circuit, and let go all who waited for that."""
        lane = self._lane(tenant)
        if lane.open:
            count(EventName.CIRCUIT_CLOSED)
            log.info(
                "Circuit closed",
                extra={"event": "circuit_closed", "tenant": tenant},
            )
            for job in list(lane.sleeping):
                self._enqueue(job, tenant)
            self._polls.note_answer(tenant)
        lane.failures, lane.polled_last, lane.poll_waits = 0, False, False

    # Sending --------------------------------------------------------------------------------------

    def flush(self, still_wanted: Callable[[JobId], bool]) -> None:
        """Send what is ready, of each tenant in turn. While the broker is away it stays here."""
        hold = bool(self._in_flight)
        ready = sum(len(lane.ready) for lane in self._ready.values())
        most = self._most if hold else min(1 + ready // SPREAD, self._most)
        message: list[RunId] = []
        for tenant, lane in self._in_turn():
            taken = self._take(
                tenant, lane, most, most - len(message), still_wanted
            )
            if taken and (lane.open or job_of(taken[0]) in self._alone):
                complete = taken
            else:
                message += taken
                if len(message) < most:
                    continue
                complete, message = message, []
            if not self._start(complete):
                self._put_back(message)
                return
        if message and hold and not self._has_waited():
            self._put_back(message)
            return
        self._held_since = 0.0
        self._start(message)

    def _start(self, message: Sequence[RunId]) -> bool:
        """Send a message; what it names stays here if the broker does not take it."""
        if not message:
            return True
        if not self._send(partial(self._queue.start, message)):
            self._put_back(message)
            return False
        faults.reach("bridge-after-send")
        for job in map(job_of, message):
            tenant = self._tenant_of[job]
            lane = self._lanes[tenant]
            lane.polled_last = False
            if not lane.ready or not self._room(lane):
                lane.short_since = 0.0
            self._note_turn(tenant, lane, served=True)
            sent = self._submits.get(job)
            self._submits[job] = Sent(
                time.monotonic(), sent.times + 1 if sent else 1
            )
        return True

    def _enter(self, lane: Lane, job: JobId) -> None:
        lane.in_flight.add(job)
        self._in_flight.add(job)

    def _put_back(self, message: Sequence[RunId]) -> None:
        """What was taken is ready as before."""
        for job in reversed(list(map(job_of, message))):
            tenant = self._tenant_of[job]
            lane = self._lanes[tenant]
            lane.in_flight.discard(job)
            self._in_flight.discard(job)
            lane.ready[job] = None
            lane.ready.move_to_end(job, last=False)
            self._ready.setdefault(tenant, lane)

    def _in_turn(self) -> Iterator[tuple[str, Lane]]:
        """The lanes that have something to send, one after the other and again and again as long as
        something is taken."""
        waiting = deque(self._ready.items())
        while waiting and time.monotonic() >= self._blocked_until:
            tenant, lane = waiting.popleft()
            before = len(lane.in_flight)
            yield tenant, lane
            if len(lane.in_flight) == before:
                self._note_turn(tenant, lane, served=False)
            elif lane.ready:
                waiting.append((tenant, lane))

    def _note_turn(self, tenant: str, lane: Lane, *, served: bool) -> None:
        """Whoever has had his turn goes to the end."""
        if not lane.ready:
            self._ready.pop(tenant, None)
        elif served:
            self._ready.move_to_end(tenant)

    def _take(
        self,
        tenant: str,
        lane: Lane,
        most: int,
        space: int,
        still_wanted: Callable[[JobId], bool],
    ) -> list[RunId]:
        """Take from a lane what may go into a message.

        :param most: how many jobs a message may name.
        :param space: how many more the one may that is being put together.
        :returns: several that may share a message with others; or one, which perhaps may not.
        """
        if not lane.may_send(self._tenant_limit, time.monotonic()):
            return []
        size = 1 if lane.open else min(len(lane.ready), most)
        room = self._room(lane)
        if room <= 0:
            return []
        if room >= size:
            lane.short_since = 0.0
        elif not self._has_gathered(lane):
            return []
        size = min(size, room, space)
        taken: list[RunId] = []
        while lane.ready and len(taken) < size:
            job = next(iter(lane.ready))
            if taken and job in self._alone:
                break
            del lane.ready[job]
            if still_wanted(job):
                taken.append(run_id(tenant, job))
                self._enter(lane, job)
                if job in self._alone:
                    break
        return taken

    def _room(self, lane: Lane) -> int:
        """How many more of the tenant's jobs may be under way."""
        return min(
            self._total_limit - len(self._in_flight),
            self._tenant_limit - len(lane.in_flight),
        )

    def _has_gathered(self, lane: Lane) -> bool:
        """Whether there has been a little room for long enough, and it should do.
        What ends may leave room for one job at a time, and one by one they cost several times as
        much as in one message.
        """
        now = time.monotonic()
        lane.short_since = lane.short_since or now
        return now - lane.short_since >= GATHERED_FOR

    def _has_waited(self) -> bool:
        """Whether a few jobs have waited for others for long enough."""
        now = time.monotonic()
        self._held_since = self._held_since or now
        return now >= self._held_since + self._hold

    @property
    def _hold(self) -> float:
        """Seconds for which a few jobs wait for others at the moment."""
        return min(self._taken_after, LONGEST_HOLD)

    def sizes(self) -> dict[str, int]:
        """How many jobs wait to be sent, how many are sent and neither in Heat's hands nor over,
        and of how many tenants polls are refused."""
        return {
            "ready": sum(len(lane.ready) for lane in self._ready.values()),
            "in_flight": len(self._in_flight),
            "polls_refused": self._polls.refused,
        }

    @property
    def wait(self) -> float:
        """Seconds for which messages wait for a worker: as it was lately, or as long as the first
        one that nobody has taken has waited by now."""
        first = next(iter(self._submits.values()), None)
        return max(
            self._taken_after, time.monotonic() - first.at if first else 0.0
        )

    def next_flush(self) -> float | None:
        """Seconds until something that is ready may be sent, None when nothing waits for time
        alone."""
        now = time.monotonic()
        if not self._ready or len(self._in_flight) >= self._total_limit:
            return None
        lanes = self._ready.values()
        tried = [
            lane
            for lane in lanes
            if lane.open and not lane.in_flight and not lane.is_polls_turn
        ]
        times = [max(lane.resumes, self._blocked_until) for lane in tried]
        short = [
            lane
            for lane in lanes
            if lane.short_since and not lane.open and self._room(lane) > 0
        ]
        gathered = [lane.short_since + GATHERED_FOR for lane in short]
        if self._held_since:
            gathered = [
                at for at in gathered if at > now
            ]  # The others wait for company by now.
            times.append(
                max(self._held_since + self._hold, self._blocked_until)
            )
        times += [max(at, self._blocked_until) for at in gathered]
        if self._blocked_until > now:
            times.append(self._blocked_until)
        return max(min(times) - now, 0.0) if times else None

    def _send(self, send: Callable[[], None]) -> bool:
        try:
            send()
        except BrokerUnavailable as error:
            self._blocked_until = time.monotonic() + 0.5
            self.outage.note(str(error))
            return False
        self.outage.over()
        return True

    def _keep_looking(self, tenant: str) -> None:
        """See to it that the next look is not later than it should be."""
        lane = self._lane(tenant)
        # Tenants are looked at out of step, so that Heat's load is even; never later than the
        # interval says.
        usual = self._pause_between_looks(lane) * random.uniform(
            1 - _OUT_OF_STEP, 1.0
        )
        seconds = max(usual, self._polls.pause(tenant))
        due = time.monotonic() + seconds
        if (
            not lane.next_look
            or due < lane.next_look - _OUT_OF_STEP * self._look_interval
        ):
            lane.next_look = due
            self._timer(seconds, lambda: self._look(tenant, due))

    def _pause_between_looks(self, lane: Lane) -> float:
        """By the youngest stack: the others are found by the same look."""
        age = time.monotonic() - next(reversed(lane.waiting.values()), 0.0)
        return max(self._look_interval, min(age * LOOK_SHARE, LONGEST_LOOK))

    def _look(self, tenant: str, due: float) -> None:
        lane = self._lanes.get(tenant)
        if lane is None or lane.next_look != due:
            return  # An earlier one was asked for meanwhile.
        lane.next_look = 0.0
        if not lane.waiting:
            lane.poll_waits = False
            if lane.idle:
                del self._lanes[tenant]
        elif not self._polls.goes_on(
            tenant
        ):  # Else the next one is due when that poll is over.
            # While one waits for a worker, the next is worth nothing: the first will see the same.
            if self._may_poll(tenant, lane) and self._looks.is_taken(
                lane.last_look
            ):
                self._send_look(tenant, lane)
            self._keep_looking(tenant)

    def _may_poll(self, tenant: str, lane: Lane) -> bool:
        """Whether it is time for a poll: one that would be refused shares the attempts of an open
        circuit with jobs."""
        if self._polls.pause(tenant) > 0.0:
            return False  # The one before failed after this one was planned.
        lane.poll_waits = lane.open and self._polls.is_refused(tenant)
        if not lane.poll_waits:
            return True
        if (
            lane.in_flight
            or time.monotonic() < lane.resumes
            or (lane.polled_last and lane.ready)
        ):
            return False
        lane.poll_waits, lane.polled_last = False, True
        return True

    def _send_look(self, tenant: str, lane: Lane) -> None:
        if self._send(partial(self._queue.look, tenant)):
            lane.last_look = self._looks.sent()
            if lane.open and self._polls.is_refused(tenant):
                lane.hold_off()

    def polled(self, tenant: str, poll: Poll | None, revision: int = 0) -> None:
        """A worker has told of a poll that takes long, or failed; None: it tells of none any more.

        :param revision: of the record.
        """
        if poll is not None and poll.under_way:
            self._polls.note_under_way(tenant)
            return
        lane = self._lanes.get(tenant)
        if poll is not None:
            self._polls.note_failed(tenant, poll, revision)
            if lane is not None and poll.refused:
                self._note_refused_poll(tenant, lane, poll.reason)
        elif self._polls.note_over(tenant) and lane is not None:
            count(EventName.POLL_ANSWERED)
            log.info(
                "Polls are answered again",
                extra={"event": "poll_answered", "tenant": tenant},
            )
            self._succeeded(tenant)
        if lane is not None and lane.waiting:
            self._keep_looking(tenant)

    def _note_refused_poll(self, tenant: str, lane: Lane, reason: str) -> None:
        if lane.open:
            lane.failures += 1  # The pause began when the poll was sent.
        else:
            self._note_failure(tenant, lane, reason)

    def abandoned_polls(self) -> dict[str, int]:
        """The tenants whose polls failed, and that have no stack in progress any more, each with
        the record's revision.
        They are told once."""
        failing = self._polls.failing.items()
        left = {
            tenant: revision
            for tenant, revision in failing
            if not self._has_waiting(tenant)
        }
        for tenant in left:
            self._polls.forget(tenant)
        return left

    def _has_waiting(self, tenant: str) -> bool:
        lane = self._lanes.get(tenant)
        return lane is not None and bool(lane.waiting)

    def monitor(self, refs: Iterable[Ref]) -> None:
        """Have the monitoring targets of these resources looked at; not while much of that waits
        for workers already."""
        listed = [str(ref) for ref in refs]
        for start in range(0, len(listed), TARGETS_PER_MESSAGE):
            chunk = listed[start : start + TARGETS_PER_MESSAGE]
            if self._looks.longer_than(MOST_LOOKS_WAITING) or not self._send(
                partial(self._queue.monitor, chunk)
            ):
                return
            self._looks.sent()

    # Supervision ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Leave our mark with the broker, by which a later loss of its data shows."""
        try:
            self._queue.lost_everything()
        except BrokerUnavailable as error:
            self.outage.note(str(error))

    def supervise(self) -> None:
        """Send again what the broker has lost."""
        if not self._tenant_of and not self.outage.reason:
            return
        try:
            lost = self._queue.lost_everything()
            self.outage.over()
            if lost:
                count(EventName.BROKER_LOST_DATA)
                fields = {
                    "event": "broker_lost_data",
                    "jobs": len(self._submits) + len(self._records),
                }
                log.warning(
                    "Broker lost its data, sending messages again", extra=fields
                )
                self._again(list(self._submits), list(self._records))
                return
            now = time.monotonic()
            submits = [
                job for job, sent in self._submits.items() if sent.overdue(now)
            ]
            records = [
                job for job, sent in self._records.items() if sent.overdue(now)
            ]
            if (submits or records) and self._queue.depth() == 0:
                count(EventName.MESSAGES_LOST)
                fields = {
                    "event": "messages_lost",
                    "jobs": len(submits) + len(records),
                }
                log.warning("Messages lost, sending them again", extra=fields)
                self._again(submits, records)
        except BrokerUnavailable as error:
            self.outage.note(str(error))

    def record(self, jobs: Sequence[JobId]) -> None:
        """Have the end of jobs written that a worker has not found."""
        for portion in self._portions(jobs):
            self._send(
                partial(
                    self._queue.record,
                    [run_id(self._tenant_of[job], job) for job in portion],
                )
            )

    def _again(self, submits: list[JobId], records: list[JobId]) -> None:
        """They keep their place in flight; only the messages are sent once more."""
        for jobs, send, known in (
            (submits, self._queue.start, self._submits),
            (records, self._queue.record, self._records),
        ):
            for portion in self._portions(jobs):
                if not self._send(
                    partial(
                        send,
                        [run_id(self._tenant_of[job], job) for job in portion],
                    )
                ):
                    return
                for job in portion:
                    known[job] = Sent(time.monotonic(), known[job].times + 1)

    def _portions(self, jobs: Iterable[JobId]) -> Iterator[list[JobId]]:
        """As they go into messages."""
        together: list[JobId] = []
        for job in jobs:
            if job in self._alone:
                yield [job]
            else:
                together.append(job)
        yield from (
            together[start : start + self._most]
            for start in range(0, len(together), self._most)
        )
