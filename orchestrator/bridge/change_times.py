"""How long changes take, by the leader's monotonic clock: from the event that it saw to the state.

Time begins when the leader sees a change. What was there before its term is not measured.
"""

from __future__ import annotations

from collections import OrderedDict

from ..clock import Clock
from ..core.refs import JobId, Ref
from ..metrics.shapes import ChangeSpan
from .metrics import Metrics


class ChangeTimes:
    """The changes of a term that are not decided, and the jobs that were made of changes."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics, self._clock = metrics, clock
        # Like the world's dirty resources: emptied from the front.
        self._undecided: OrderedDict[Ref, float] = OrderedDict()
        self._jobs: dict[JobId, float] = {}
        """When the change was seen of which a job was made."""

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
        taken = self._clock.monotonic() - at
        self._metrics.spans[ChangeSpan.DECIDE].observe(taken)
        if job is not None:
            self._jobs[job] = at

    def ended(self, job: JobId) -> None:
        """A worker has written the state."""
        at = self._jobs.pop(job, None)
        if at is not None:
            self._metrics.change.observe(self._clock.monotonic() - at)

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
