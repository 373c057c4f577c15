"""Send what is ready, and see to it that nothing sent gets lost.

The broker may forget messages, all of them or one. What is under way stands in etcd as runs; what
should be and is not is sent again. Sending twice is harmless: the second finds the job claimed.
"""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from ..clients.queue import Queue
from ..core.records import Run, Step
from ..core.refs import JobId, Ref
from ..errors import BrokerUnavailable

log = logging.getLogger(__name__)

SUPERVISION = 1.0
"""Seconds between questions to the broker whether it has lost anything, while something is under way."""
LOST_AFTER = 4.0
"""Seconds without a sign from a worker after which a message counts as lost, if the queues are empty."""
LONGEST_SILENCE = 60.0
"""The same doubles with every repetition up to this."""
TARGETS_PER_MESSAGE = 50


@dataclass(slots=True)
class Sent:
    """A message whose effect has not shown yet."""

    at: float
    times: int = 1

    def overdue(self, now: float) -> bool:
        patience: float = min(LOST_AFTER * 2 ** (self.times - 1), LONGEST_SILENCE)
        return now - self.at > patience


@dataclass(slots=True)
class Dispatcher:
    """What is under way, by the runs that etcd shows.

    :param timer: ``timer(seconds, function)``.
    """

    queue: Queue
    timer: Callable[[float, Callable[[], None]], None]
    look_interval: float
    ready: deque[JobId] = field(default_factory=deque)
    submits: dict[JobId, Sent] = field(default_factory=dict)
    """Sent, and not claimed by any worker yet."""
    records: dict[JobId, Sent] = field(default_factory=dict)
    """Heat is done, the outcome is not written yet."""
    waiting: defaultdict[str, dict[JobId, None]] = field(default_factory=lambda: defaultdict(dict))
    """In Heat's hands, by tenant."""
    _looking: set[str] = field(default_factory=set)
    _blocked_until: float = 0.0

    # What happens to a job --------------------------------------------------------------------------

    def submit(self, job: JobId) -> None:
        """The job is to be sent, for the first time or again."""
        self.ready.append(job)

    def moved(self, job: JobId, tenant: str, run: Run) -> None:
        """A worker has taken the job a step further."""
        self.submits.pop(job, None)
        self.records.pop(job, None)
        self.waiting[tenant].pop(job, None)
        match run.step:
            case Step.RETRY:
                self.timer(run.delay, lambda: self.submit(job))
            case Step.WAITING:
                self.waiting[tenant][job] = None
                self._keep_looking(tenant)
            case Step.ENDED:
                self.records[job] = Sent(time.monotonic())
        if not self.waiting[tenant]:
            del self.waiting[tenant]

    def forget(self, job: JobId, tenant: str) -> None:
        """The job is over."""
        self.submits.pop(job, None)
        self.records.pop(job, None)
        if tenant in self.waiting:
            self.waiting[tenant].pop(job, None)
            if not self.waiting[tenant]:
                del self.waiting[tenant]

    # Sending ----------------------------------------------------------------------------------------

    def flush(self, still_wanted: Callable[[JobId], bool]) -> None:
        """Send everything that is ready. While the broker is away it stays here."""
        while self.ready and time.monotonic() >= self._blocked_until:
            job = self.ready[0]
            if still_wanted(job):
                if not self._send(partial(self.queue.start, job)):
                    return
                sent = self.submits.get(job)
                self.submits[job] = Sent(time.monotonic(), sent.times + 1 if sent else 1)
            self.ready.popleft()

    def _send(self, send: Callable[[], None]) -> bool:
        try:
            send()
        except BrokerUnavailable as error:
            self._blocked_until = time.monotonic() + 0.5
            log.warning("Broker not available, sending later", extra={"event": "broker_unavailable", "reason": str(error)})
            return False
        return True

    def _keep_looking(self, tenant: str) -> None:
        if tenant not in self._looking:
            self._looking.add(tenant)
            self.timer(self._jittered(), lambda: self._look(tenant))

    def _look(self, tenant: str) -> None:
        self._looking.discard(tenant)
        if self.waiting.get(tenant):
            # A look that comes late is worth nothing: the next one sees the same and more.
            self._send(lambda: self.queue.look(tenant, expires=max(2 * self.look_interval, 2.0)))
            self._keep_looking(tenant)

    def _jittered(self) -> float:
        """Tenants are looked at out of step, so that Heat's load is even."""
        return self.look_interval * random.uniform(0.9, 1.1)

    def monitor(self, refs: Iterable[Ref], expires: float) -> None:
        """Have the monitoring targets of these resources looked at."""
        listed = [str(ref) for ref in refs]
        for start in range(0, len(listed), TARGETS_PER_MESSAGE):
            chunk = listed[start : start + TARGETS_PER_MESSAGE]
            if not self._send(partial(self.queue.monitor, chunk, expires)):
                return

    # Supervision ------------------------------------------------------------------------------------

    def supervise(self) -> None:
        """Send again what the broker has lost."""
        if not (self.submits or self.records or self.waiting):
            return
        try:
            if self.queue.lost_everything():
                log.warning(
                    "Broker has lost its data, sending again", extra={"event": "broker_lost_data", "jobs": len(self.submits)}
                )
                self._again(list(self.submits), list(self.records))
                return
            now = time.monotonic()
            submits = [job for job, sent in self.submits.items() if sent.overdue(now)]
            records = [job for job, sent in self.records.items() if sent.overdue(now)]
            if (submits or records) and self.queue.depth() == 0:
                log.warning("Messages lost, sending again", extra={"event": "messages_lost", "jobs": len(submits) + len(records)})
                self._again(submits, records)
        except BrokerUnavailable as error:
            log.warning("Broker not available", extra={"event": "broker_unavailable", "reason": str(error)})

    def _again(self, submits: list[JobId], records: list[JobId]) -> None:
        queued = set(self.ready)
        self.ready.extend(job for job in submits if job not in queued)
        for job in records:
            sent = self.records[job]
            if self._send(partial(self.queue.record, job)):
                self.records[job] = Sent(time.monotonic(), sent.times + 1)
