"""When the time of a job is over, and how far the clocks of bridge and workers are apart.

Time is counted here, by the leader's own monotonic clock, from when the leader sees a job begin
something: the clocks of the machines that take part need not agree.
A new leader begins to count anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..clock import Clock
from ..core.jobs import Action, job_action
from ..core.records import Cause, Run, Step
from ..core.refs import JobId
from ..core.stacks import DELETE_ATTEMPTS
from ..events import EventName, count

log = logging.getLogger(__name__)

IN_HEAT_LONG = 60.0
"""Seconds for which a deletion waits for what Heat works on before it goes ahead: dead engines
leave stacks in progress for ever, and Heat can delete those."""
SKEW_TOLD = 2.0
"""Seconds by which a worker's clock may differ from the bridge's before it is told."""
_SKEW_AGAIN = 600.0
"""Seconds after which a difference is told again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take; see the settings of the same names. All in seconds."""

    stack_timeout: float = 3600.0
    timeout_margin: float = 300.0
    project_patience: float = 3600.0

    def of(self, run: Run) -> tuple[str, float] | None:
        """What a run is timed for, and its limit; None when it may take as long as it does."""
        if run.overdue:
            return None
        if run.step is Step.IN_HEAT:
            return (
                "heat",
                (run.timeout_mins * 60 or self.stack_timeout)
                + self.timeout_margin,
            )
        if run.step is Step.RETRY and run.cause == Cause.BUSY:
            return "busy", self.stack_timeout + self.timeout_margin
        if run.step is Step.RETRY and run.cause == Cause.PROJECT:
            return "project", self.project_patience
        if run.step is Step.RETRY and run.cause == Cause.FAULT:
            # It is shown and never given up, but a deletion goes ahead of it.
            return (
                "fault",
                math.inf,
            )
        return None


@dataclass(frozen=True, slots=True)
class _Timed:
    what: str
    tenant: str
    began: float
    due: float


class Deadlines:
    """The jobs that are timed."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        """:param clock: the monotonic one."""
        self._limits, self._clock = limits, clock
        self._timed: dict[JobId, _Timed] = {}
        self._failing: set[JobId] = set()

    @property
    def deletions_failing(self) -> int:
        """How many deletions Heat keeps failing."""
        return len(self._failing)

    def note(self, job: JobId, tenant: str, run: Run) -> None:
        """A run has moved."""
        self._note_failures(job, run)
        if run.step is Step.CLAIMED:
            return  # A try of what is timed already.
        limit = self._limits.of(run)
        if limit is None:
            self._timed.pop(job, None)
            return
        what, seconds = limit
        known = self._timed.get(job)
        if known is None or known.what != what:
            now = self._clock()
            self._timed[job] = _Timed(what, tenant, now, now + seconds)

    def _note_failures(self, job: JobId, run: Run) -> None:
        if (
            job_action(job) is Action.DELETE
            and run.failures >= DELETE_ATTEMPTS
            and run.step is not Step.DONE
        ):
            self._failing.add(job)
        else:
            self._failing.discard(job)

    def forget(self, job: JobId) -> None:
        self._timed.pop(job, None)
        self._failing.discard(job)

    def overdue(self) -> Iterator[tuple[JobId, str]]:
        """The jobs whose time is over, each with its tenant; each is told once."""
        now = self._clock()
        for job, timed in list(self._timed.items()):
            if timed.due <= now:
                del self._timed[job]
                yield job, timed.tenant

    def longer_in_heat(self, seconds: float) -> set[JobId]:
        """The jobs that have waited for Heat for so long: for the end of their own operation or of
        somebody else's, or for another answer than Heat's 500."""
        now = self._clock()
        waiting = (
            (job, timed)
            for job, timed in self._timed.items()
            if timed.what in ("heat", "busy", "fault")
        )
        return {job for job, timed in waiting if now - timed.began >= seconds}


class Skew:
    """How far the workers' clocks are from this one, by the times that they write.
    Nothing is decided by it."""

    def __init__(
        self,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self.seconds = 0.0
        """The last difference that was seen; positive when a worker's clock is ahead."""
        self._told = -math.inf

    def note(self, run: Run) -> None:
        """A run was written a moment ago; the first claim of a job carries its time."""
        if run.step is not Step.CLAIMED or run.tries or not run.since:
            return
        self.seconds = run.since - self._clock.now()
        if (
            abs(self.seconds) > SKEW_TOLD
            and self._clock.monotonic() - self._told >= _SKEW_AGAIN
        ):
            self._told = self._clock.monotonic()
            count(EventName.CLOCK_SKEW)
            log.warning(
                "Clocks of worker and bridge differ",
                extra={
                    "event": "clock_skew",
                    "seconds": round(self.seconds, 1),
                },
            )
