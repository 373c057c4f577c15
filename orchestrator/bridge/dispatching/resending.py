"""Messages whose effect has not shown yet: those that got lost are sent again.

The broker may forget messages, all of them or one. What is under way stands in etcd as runs; what
should be and is not is sent again. Sending twice is harmless: the second worker finds the job
claimed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ...clock import Clock
from ...core.backoff import Backoff
from ...core.refs import JobId, RunId
from ...errors import BrokerUnavailable
from ...events import EventName, count
from .sender import Sender
from .tenants import Tenants, Tracked

log = logging.getLogger(__name__)

SUPERVISION = 1.0
"""Seconds between questions to the broker whether it has lost anything, while something is under
way."""
LOST_AFTER = Backoff(initial=4.0, maximum=60.0)
"""Without a sign from a worker, after so many seconds a message counts as lost, if the queues are
empty. It is longer with every repetition."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A message whose effect has not shown yet."""

    at: float
    """When it was sent last, by the monotonic clock."""
    times: int = 1
    """How often it was sent."""

    def is_overdue(self, now: float) -> bool:
        return now - self.at > LOST_AFTER.interval(self.times)


class Unanswered:
    """The messages of one kind whose effect has not shown yet, one a job, oldest first.

    :param send: sends the kind.
    """

    def __init__(self, send: Callable[[Sequence[RunId]], None]) -> None:
        self._send = send
        self._sent: dict[JobId, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __iter__(self) -> Iterator[JobId]:
        return iter(self._sent)

    def __contains__(self, job: object) -> bool:
        return job in self._sent

    def message(self, jobs: Iterable[Tracked]) -> Callable[[], None]:
        """What sends a message that names these jobs."""
        return partial(self._send, [job.run for job in jobs])

    def note_sent(self, jobs: Iterable[Tracked], now: float) -> None:
        for job in jobs:
            known = self._sent.get(job.id)
            times = known.times if known else 0
            self._sent[job.id] = Sent(now, times + 1)

    def pop(self, job: JobId) -> Sent | None:
        """The effect of a job's message has shown, or does not matter any more."""
        return self._sent.pop(job, None)

    def overdue(self, now: float) -> list[JobId]:
        """The jobs whose message may be lost."""
        sent = self._sent.items()
        return [job for job, message in sent if message.is_overdue(now)]

    def oldest(self) -> Sent | None:
        return next(iter(self._sent.values()), None)


class Resending:
    """Asks the broker what it has lost.

    :param most: jobs in a message.
    """

    def __init__(
        self, tenants: Tenants, sender: Sender, most: int, clock: Clock
    ) -> None:
        self._tenants, self._sender = tenants, sender
        self._most, self._clock = most, clock
        self.starts = Unanswered(sender.queue.start)
        self.records = Unanswered(sender.queue.record)

    def start(self, jobs: Sequence[Tracked]) -> bool:
        """Send the chain of jobs. False when the broker does not take it."""
        sent = self._sender.send(self.starts.message(jobs))
        if sent:
            self.starts.note_sent(jobs, self._clock.monotonic())
        return sent

    def record(self, jobs: Iterable[JobId]) -> None:
        """Have the end of jobs recorded that a worker has not found."""
        for message in self._messages(jobs):
            self._sender.send(self.records.message(message))

    def forget(self, job: JobId) -> None:
        self.starts.pop(job)
        self.records.pop(job)

    def begin(self) -> None:
        """Leave our mark with the broker, by which a later loss of its data shows."""
        try:
            self._sender.queue.lost_everything()
        except BrokerUnavailable as error:
            self._sender.outage.note(str(error))

    def supervise(self) -> None:
        """Send again what the broker has lost."""
        if not len(self._tenants) and not self._sender.outage.reason:
            return
        try:
            lost = self._sender.queue.lost_everything()
            self._sender.outage.over()
            if lost:
                self._send_all_again()
            else:
                self._send_overdue_again()
        except BrokerUnavailable as error:
            self._sender.outage.note(str(error))

    def _send_all_again(self) -> None:
        count(EventName.BROKER_LOST_DATA)
        jobs = len(self.starts) + len(self.records)
        log.warning(
            "Broker lost its data, sending messages again",
            extra={"event": "broker_lost_data", "jobs": jobs},
        )
        self._again(list(self.starts), list(self.records))

    def _send_overdue_again(self) -> None:
        now = self._clock.monotonic()
        starts, records = self.starts.overdue(now), self.records.overdue(now)
        if not (starts or records) or self._sender.queue.depth() > 0:
            return
        count(EventName.MESSAGES_LOST)
        jobs = len(starts) + len(records)
        log.warning(
            "Messages lost, sending them again",
            extra={"event": "messages_lost", "jobs": jobs},
        )
        self._again(starts, records)

    def _again(self, starts: list[JobId], records: list[JobId]) -> None:
        """They keep their place in flight; only the messages are sent once more."""
        for kind, jobs in ((self.starts, starts), (self.records, records)):
            for message in self._messages(jobs):
                if not self._sender.send(kind.message(message)):
                    return
                kind.note_sent(message, self._clock.monotonic())

    def _messages(self, jobs: Iterable[JobId]) -> Iterator[list[Tracked]]:
        """Jobs as they go into messages."""
        together: list[Tracked] = []
        for job in self._tenants.jobs(jobs):
            if job.alone:
                yield [job]
            else:
                together.append(job)
        for start in range(0, len(together), self._most):
            yield together[start : start + self._most]
