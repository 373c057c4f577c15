"""How long jobs take: measured by the leader's monotonic clock, and kept in etcd for plans."""

from __future__ import annotations

import logging
from dataclasses import replace

from ..clients.store import Store
from ..clock import Clock
from ..core import effects, records
from ..core.jobs import job_action, job_ref
from ..core.keys import Keys
from ..core.records import Durations, Run, Step
from ..core.refs import JobId
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)

STORED_EVERY = 30.0
"""Seconds between two writes of the record, while jobs end."""
_MOST = 256
"""Jobs that are measured between two writes: a busy bridge need not measure each."""


class Stopwatch:
    """Measures jobs from their claim to their end.

    A job that is tried again is measured from its last claim.
    One that fails, or whose claim an earlier leader saw, is not measured.
    """

    def __init__(
        self, store: Store, keys: Keys, leadership: Leadership, clock: Clock
    ) -> None:
        self._keys, self._leadership, self._clock = keys, leadership, clock
        self._known = _read(store, keys)
        self._begun: dict[JobId, float] = {}
        self._ended: list[tuple[JobId, float, int]] = []
        """Each measured job, its seconds, and how many jobs were under way with it."""

    def note(self, job: JobId, run: Run) -> None:
        """A worker has moved a job."""
        if run.step is Step.CLAIMED:
            self._begun[job] = self._clock.monotonic()
        elif run.step is Step.RETRY:
            self.forget(job)
        elif run.step is Step.DONE:
            under_way = len(self._begun)
            begun = self._begun.pop(job, None)
            if begun is None or not run.complete or len(self._ended) >= _MOST:
                return
            seconds = self._clock.monotonic() - begun
            self._ended.append((job, seconds, under_way))

    def forget(self, job: JobId) -> None:
        """The job is not under way any more."""
        self._begun.pop(job, None)

    def store(self) -> None:
        """Write what is new."""
        if not self._ended:
            return
        known = replace(self._known, at=self._clock.stamp())
        for job, seconds, under_way in self._ended:
            kind = job_ref(job).type, job_action(job)
            known = known.and_one(kind, seconds, under_way)
        self._ended.clear()
        self._known = known
        self._leadership.commit(effects.store_durations(self._keys, known))


def _read(store: Store, keys: Keys) -> Durations:
    """What an earlier leader has measured, as far as it can be read."""
    found = store.get(keys.durations)
    if found is None:
        return Durations()
    try:
        return Durations.from_json(found.value)
    except records.UNREADABLE as error:
        count(EventName.RECORD_UNREADABLE)
        fields = {"event": "record_unreadable", "record": keys.durations}
        log.error("Record skipped", extra={**fields, "reason": repr(error)})
        return Durations()
