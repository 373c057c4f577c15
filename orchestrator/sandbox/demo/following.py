"""What happens in etcd, as it happens: one watch over everything.

One watch on all keys, not one per folder, so that the writes of a transaction are seen together and
in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from orchestrator.clients.store import Event, Store, Watch
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys
from orchestrator.core.refs import JobId, Ref
from orchestrator.errors import StoreUnavailable
from orchestrator.views.snapshot import RecordedStack, ReportedState, Snapshot

from .courses import Course, Courses
from .rows import DemoRow, DemoStage, row_of, version_of

log = logging.getLogger(__name__)

EVERYTHING = "/"


class Follower:
    """Follows one etcd in a thread of its own, from the moment it is started."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys
        self._changed = threading.Condition()
        self._listeners: list[Callable[[DemoRow], None]] = []
        self._watch: Watch | None = None
        self._snapshot = Snapshot(keys)
        self._rows: dict[Ref, DemoRow] = {}
        self._courses = Courses()
        self._history: dict[str, list[tuple[float, str]]] = {}

    def start(self) -> None:
        """Begin to follow."""
        revision, _ = self._store.list(EVERYTHING, keys_only=True)
        self._watch = self._store.watch([EVERYTHING], revision + 1)
        threading.Thread(
            target=self._follow,
            args=(self._watch,),
            name="follower",
            daemon=True,
        ).start()

    def stop(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.close()

    def listen(self, listener: Callable[[DemoRow], None]) -> Callable[[], None]:
        """Call *listener* with every row whose stage has changed; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # What is known --------------------------------------------------------------------------------

    def rows(self) -> list[DemoRow]:
        """Every resource seen, in the order of its first config."""
        with self._changed:
            return list(self._rows.values())

    def courses(self) -> list[Course]:
        """Every version of every resource seen, in the order of their configs."""
        with self._changed:
            return self._courses.all()

    def stack(self, ref: Ref) -> RecordedStack | None:
        """What is recorded of a resource's stack."""
        with self._changed:
            return self._snapshot.stacks.get(ref)

    def state(self, ref: Ref) -> ReportedState | None:
        """What is reported of a resource."""
        with self._changed:
            return self._snapshot.states.get(ref)

    def monitored(self, ref: Ref) -> int:
        """The version of which the monitoring record tells; 0 when there is none."""
        with self._changed:
            told = self._snapshot.monitoring.get(ref)
        if told is None:
            return 0
        return told.version

    def unfinished_jobs(self) -> list[JobId]:
        """The jobs, and those runs whose jobs are gone."""
        with self._changed:
            snapshot = self._snapshot
            return list(dict.fromkeys([*snapshot.jobs, *snapshot.runs]))

    def written(self, prefix: str) -> list[tuple[str, str]]:
        """Every value that was written below *prefix*, in that order, also those that are there no
        more: key and value."""
        with self._changed:
            found = [
                (at, key, value)
                for key, values in self._history.items()
                if key.startswith(prefix)
                for at, value in values
            ]
        return [
            (key, value)
            for _, key, value in sorted(found, key=lambda entry: entry[0])
        ]

    def wait(self, seconds: float) -> None:
        """Return at the next sign of life from etcd, and after *seconds* at the latest."""
        with self._changed:
            self._changed.wait(seconds)

    # Following ------------------------------------------------------------------------------------

    def _follow(self, watch: Watch) -> None:
        try:
            for events in watch:
                for row in self._take(events, time.monotonic()):
                    for listener in list(self._listeners):
                        listener(row)
        # ValueError: gRPC's word for a channel that we closed.
        except (StoreUnavailable, ValueError) as error:
            log.warning(
                "Watch of the demo ended",
                extra={"event": "following_ended", "reason": str(error)},
            )

    def _take(self, events: Sequence[Event], now: float) -> list[DemoRow]:
        with self._changed:
            self._snapshot.take(events)
            touched = [self._note(event, now) for event in events]
            changed = self._refresh(filter(None, touched), now)
            self._changed.notify_all()
        return changed

    def _note(self, event: Event, now: float) -> Ref | None:
        """Remember when something was written; the resource that it is about."""
        key, value = event.key, event.value
        if value is not None:
            text = value.decode(errors="replace")
            self._history.setdefault(key, []).append((now, text))
        keys = self._keys
        if key.startswith(keys.jobs):
            job = keys.job_id(key)
            if value is not None:
                self._courses.made(job, now)
            return job_ref(job)
        if key.startswith(keys.runs):
            job = keys.run_job(key)
            if run := self._snapshot.runs.get(job):
                self._courses.ran(job, run.step, now)
            return job_ref(job)
        return self._note_record(key, gone=value is None, now=now)

    def _note_record(self, key: str, *, gone: bool, now: float) -> Ref | None:
        """The same for a record of one resource."""
        keys = self._keys
        noted: dict[str, Callable[[Ref, float], None]] = {
            keys.config: self._note_config,
            keys.state: self._note_state,
            keys.monitoring: self._note_monitoring,
            keys.stacks: self._courses.recorded,
            keys.held: lambda ref, now: None,
        }
        for folder, note in noted.items():
            ref = None
            if key.startswith(folder):
                ref = keys.ref(folder, key)
            if ref is None:
                continue
            if not gone:
                note(ref, now)
            elif folder == keys.config:
                self._courses.forget(ref)
            return ref
        return None

    def _note_config(self, ref: Ref, now: float) -> None:
        if wanted := self._snapshot.wanted.get(ref):
            self._courses.written(ref, wanted.version, now)

    def _note_state(self, ref: Ref, now: float) -> None:
        if state := self._snapshot.states.get(ref):
            self._courses.stored(ref, state.version, now)

    def _note_monitoring(self, ref: Ref, now: float) -> None:
        if told := self._snapshot.monitoring.get(ref):
            self._courses.reported(ref, told.version, now)

    def _refresh(self, touched: Iterable[Ref], now: float) -> list[DemoRow]:
        """Make the rows of these anew, and of all that wait; those that changed."""
        waiting = [
            ref
            for ref, row in self._rows.items()
            if row.stage in (DemoStage.WAITS, DemoStage.HELD)
        ]
        changed = []
        for ref in dict.fromkeys([*touched, *waiting]):
            old = self._rows.get(ref)
            version = version_of(self._snapshot, ref)
            course = self._courses.get(ref, version)
            new = row_of(self._snapshot, ref, old, course, now)
            if new is None:
                continue
            self._rows[ref] = new
            if new.differs(old):
                changed.append(new)
        return changed
