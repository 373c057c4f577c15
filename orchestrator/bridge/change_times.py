"""How long changes take, by the leader's monotonic clock: from the event that it saw to the state.

Time begins when the leader sees a change. What was there before its term is not measured.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass

from ..clock import Clock
from ..core.facts import ConfigRemoved, ConfigWritten, Fact
from ..core.jobs import Job
from ..core.refs import JobId, Ref
from ..metrics.shapes import ChangeSpan
from .metrics import Metrics
from .tracing import BridgeTraces


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job of a change that was seen. Both by the monotonic clock."""

    seen: float
    decided: float


class ChangeTimes:
    """The changes of a term that are not decided, and the jobs that were made of changes."""

    def __init__(
        self,
        metrics: Metrics,
        clock: Clock,
        traces: BridgeTraces | None = None,
    ) -> None:
        self._metrics, self._clock, self._traces = metrics, clock, traces
        # Like the world's dirty resources: emptied from the front.
        self._undecided: OrderedDict[Ref, float] = OrderedDict()
        self._jobs: dict[JobId, _Begun] = {}

    def note(self, fact: Fact, dirty: Container[Ref], now: float) -> None:
        """Time what is to be decided because of a change.

        :param dirty: what is to be decided.
        """
        match fact:
            case ConfigWritten(wanted):
                ref = wanted.ref
            case ConfigRemoved(ref):
                pass
            case _:
                return
        if ref in dirty:
            self.seen(ref, now)

    def seen(self, ref: Ref, now: float) -> None:
        """A config has changed. A change before it may still be undecided."""
        self._undecided.setdefault(ref, now)

    def decided(self, ref: Ref, job: JobId | None = None) -> None:
        """The decision is stored.

        :param job: the job that was made of the change.
        """
        at = self._undecided.pop(ref, None)
        if at is None:
            return
        now = self._clock.monotonic()
        self._metrics.spans[ChangeSpan.DECIDE].observe(now - at)
        if job is not None:
            self._jobs[job] = _Begun(at, now)
        if self._traces is not None:
            self._traces.decided(ref, job, now - at)

    def reported(self, ref: Ref, failed: str = "") -> None:
        """The decision was a report: the version is over.

        :param failed: the kind of the failure; empty: there is none.
        """
        at = self._undecided.get(ref)
        if at is None:
            return
        taken = self._clock.monotonic() - at
        self._metrics.change.observe(taken)
        if self._traces is not None:
            self._traces.over(ref, None, taken, failed)

    def released(self, job: Job) -> None:
        """The last job that this one waited for has ended."""
        begun = self._jobs.get(job.id)
        if begun is None:
            return
        taken = self._clock.monotonic() - begun.decided
        self._metrics.spans[ChangeSpan.DEPEND].observe(taken)
        if self._traces is not None:
            self._traces.passed(job.id, ChangeSpan.DEPEND, taken)

    def ended(self, job: JobId, ref: Ref, failed: str = "") -> None:
        """A worker has written the state, or the bridge that of a job that never ran."""
        begun, taken = self._jobs.pop(job, None), 0.0
        if begun is not None:
            taken = self._clock.monotonic() - begun.seen
            self._metrics.change.observe(taken)
        if self._traces is not None:
            self._traces.over(ref, job, taken, failed)

    def dropped(self, job: JobId) -> None:
        """The job is over without a worker."""
        self._jobs.pop(job, None)

    @property
    def oldest(self) -> float:
        """Age of the oldest change that is not decided, in seconds; 0 if there is none."""
        at = next(iter(self._undecided.values()), None)
        if at is None:
            return 0.0
        return self._clock.monotonic() - at
