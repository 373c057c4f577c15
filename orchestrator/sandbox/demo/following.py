"""What happens in etcd, as it happens: one watch over everything, and what each resource's records
say of it.

One watch on all keys, not one per folder, so that the writes of a transaction are seen together and
in order.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from orchestrator.clients.store import Event, Store, Watch
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys
from orchestrator.core.records import Step
from orchestrator.core.refs import JobId, Ref
from orchestrator.errors import StoreUnavailable

log = logging.getLogger(__name__)

EVERYTHING = "/"


class Stage(StrEnum):
    """How far a resource has come with its newest version, in words for people."""

    WANTED = "wanted"
    """Its config is written, the bridge has not spoken yet."""
    HELD = "held back"
    """It refers to a resource that is not there."""
    WAITS = "waits"
    """Its job waits for other jobs."""
    READY = "queued"
    """Its job was sent to the workers."""
    ASKS = "asks Heat"
    """A worker makes the request."""
    RETRIES = "tries again"
    """A temporary failure; the bridge sends the job again."""
    BUILDS = "Heat works"
    RECORDS = "records"
    """Heat is done; a worker writes down how it ended."""
    READ = "read"
    """There is nothing to build."""
    COMPLETE = "complete"
    FAILED = "failed"
    GONE = "gone"


_OF_STEP = {
    Step.CLAIMED: Stage.ASKS,
    Step.RETRY: Stage.RETRIES,
    Step.WAITING: Stage.BUILDS,
    Step.ENDED: Stage.RECORDS,
    Step.DONE: Stage.RECORDS,
}
OVER = frozenset({Stage.READ, Stage.COMPLETE, Stage.FAILED, Stage.GONE})


@dataclass(slots=True)
class Course:
    """When one version of one resource got how far, in seconds of this process's monotonic
    clock."""

    ref: Ref
    version: int
    wanted: float = 0.0
    planned: float = 0.0
    """The bridge wrote the job."""
    asked: float = 0.0
    """A worker took the job to Heat."""
    built: float = 0.0
    """Heat was seen to be done."""
    stored: float = 0.0
    """The state was written."""
    reported: float = 0.0
    """The monitoring record followed."""


@dataclass(frozen=True, slots=True)
class Row:
    """One resource as it stands."""

    ref: Ref
    version: int
    stage: Stage
    waits_for: tuple[Ref, ...] = ()
    detail: str = ""
    action: str = ""
    since: float = 0.0
    until: float = 0.0
    """0 while it is under way."""


@dataclass(slots=True)
class Records:
    """The records of one resource that are there now, each as it was last written."""

    config: dict[str, Any] | None = None
    state: dict[str, Any] | None = None
    stack: dict[str, Any] | None = None
    held: dict[str, Any] | None = None
    monitoring: Any = None
    job_state: dict[str, Any] | None = None


class Follower:
    """Follows one etcd in a thread of its own, from the moment it is started."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys
        self._changed = threading.Condition()
        self._listeners: list[Callable[[Row], None]] = []
        self._watch: Watch | None = None
        self._rows: dict[Ref, Row] = {}
        self._jobs: dict[JobId, dict[str, Any]] = {}
        self._runs: dict[JobId, dict[str, Any]] = {}
        self._records: dict[Ref, Records] = {}
        self._courses: dict[tuple[Ref, int], Course] = {}
        self._history: dict[str, list[tuple[float, str]]] = {}

    def start(self) -> None:
        revision, _ = self._store.list(EVERYTHING, keys_only=True)
        self._watch = self._store.watch([EVERYTHING], revision + 1)
        threading.Thread(
            target=self._follow,
            args=(self._watch,),
            name="follower",
            daemon=True,
        ).start()

    def stop(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def listen(self, listener: Callable[[Row], None]) -> Callable[[], None]:
        """Call *listener* with every row whose stage has changed; what is returned ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # What is known --------------------------------------------------------------------------------

    def rows(self) -> list[Row]:
        """Every resource seen, in the order of its first config."""
        with self._changed:
            return list(self._rows.values())

    def courses(self) -> list[Course]:
        """Every version of every resource seen, in the order of their configs."""
        with self._changed:
            return list(self._courses.values())

    def records(self, ref: Ref) -> Records:
        with self._changed:
            return self._records.get(ref, Records())

    def unfinished_jobs(self) -> list[JobId]:
        with self._changed:
            return [
                *self._jobs,
                *(job for job in self._runs if job not in self._jobs),
            ]

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
                changed = self._take(events, time.monotonic())
                for row in changed:
                    for listener in list(self._listeners):
                        listener(row)
        except (
            StoreUnavailable,
            ValueError,
        ) as error:  # ValueError: gRPC's word for a channel that we closed
            log.warning(
                "Watch of the demo ended",
                extra={"event": "following_ended", "reason": str(error)},
            )

    def _take(self, events: Sequence[Event], now: float) -> list[Row]:
        with self._changed:
            touched: set[Ref] = set()
            for event in events:
                value = (
                    None
                    if event.value is None
                    else event.value.decode(errors="replace")
                )
                if value is not None:
                    self._history.setdefault(event.key, []).append((now, value))
                if ref := self._sort(event.key, _parsed(value), now):
                    touched.add(ref)
            changed = self._refresh(touched, now) if touched else []
            self._changed.notify_all()
        return changed

    def _sort(self, key: str, value: Any, now: float) -> Ref | None:
        """Put a value where it belongs; the resource that it is about."""
        keys = self._keys
        if key.startswith(keys.jobs):
            job = keys.job_id(key)
            _set(self._jobs, job, None if value is None else value[1])
            if value is not None:
                self._course(job).planned = now
            return job_ref(job)
        if key.startswith(keys.runs):
            job = keys.run_job(key)
            _set(self._runs, job, value)
            if value is not None:
                self._ran(self._course(job), Step(value["step"]), now)
            return job_ref(job)
        folders = {
            "config": keys.config,
            "state": keys.state,
            "stack": keys.stacks,
            "held": keys.held,
            "monitoring": keys.monitoring,
            "job_state": keys.job_states,
        }
        for name, folder in folders.items():
            if key.startswith(folder) and (ref := keys.ref(folder, key)):
                if (
                    name == "config"
                    and value is not None
                    and not isinstance(value, dict)
                ):
                    value = {}
                setattr(self._records.setdefault(ref, Records()), name, value)
                self._recorded(name, ref, value, now)
                return ref
        return None

    def _course(self, job: JobId) -> Course:
        ref, version = job_ref(job), int(job.rsplit(":", 2)[1])
        return self._courses.setdefault((ref, version), Course(ref, version))

    @staticmethod
    def _ran(course: Course, step: Step, now: float) -> None:
        if step is Step.CLAIMED:
            course.asked = course.asked or now
        elif step in (Step.ENDED, Step.DONE):
            course.built = course.built or now

    def _recorded(self, name: str, ref: Ref, value: Any, now: float) -> None:
        if value is None:
            if name == "config":  # a recreated id starts at version 1 again
                self._courses = {
                    known: course
                    for known, course in self._courses.items()
                    if known[0] != ref
                }
        elif name == "config" and isinstance(value.get("version"), int):
            course = self._courses.setdefault(
                (ref, value["version"]), Course(ref, value["version"])
            )
            course.wanted = course.wanted or now
        elif name in ("state", "monitoring") and (
            known := self._courses.get((ref, value.get("version")))
        ):
            setattr(known, "stored" if name == "state" else "reported", now)
        elif name == "stack":
            running = [
                course
                for (of, _), course in self._courses.items()
                if of == ref and course.asked and not course.built
            ]
            for course in running:
                course.built = now

    # How far everything is ------------------------------------------------------------------------

    def _refresh(self, touched: Iterable[Ref], now: float) -> list[Row]:
        """Make the rows anew; those whose stage changed, or whom they wait for."""
        changed = []
        refs = {
            *touched,
            *(
                ref
                for ref, row in self._rows.items()
                if row.stage in (Stage.WAITS, Stage.HELD)
            ),
        }
        for ref in sorted(
            refs,
            key=lambda ref: (
                list(self._records).index(ref) if ref in self._records else -1
            ),
        ):
            old, new = self._rows.get(ref), self._row(ref, now)
            if new is None:
                continue
            self._rows[ref] = new
            if old is None or (old.stage, old.version, old.action) != (
                new.stage,
                new.version,
                new.action,
            ):
                changed.append(new)
        return changed

    def _row(self, ref: Ref, now: float) -> Row | None:
        records = self._records.get(ref, Records())
        job = self._job_of(ref)
        version = (records.config or {}).get("version") or (
            self._jobs[job]["version"] if job else 0
        )
        old = self._rows.get(ref)
        if records.config is None and job is None:
            return old and Row(
                ref,
                old.version,
                Stage.GONE,
                since=old.since,
                until=old.until or now,
            )
        course = self._courses.get((ref, version))
        since = (
            old.since
            if old and old.version == version and not old.until
            else now
        )
        if (
            course
            and course.wanted
            and (job is None or self._jobs[job]["action"] != "logical_delete")
        ):
            since = course.wanted
        stage, waits_for, detail = self._stage(records, job, version)
        action = (
            self._jobs[job]["action"]
            if job
            else (old.action if old and old.version == version else "")
        )
        until = (
            (old.until if old and old.stage is stage and old.until else now)
            if stage in OVER
            else 0.0
        )
        return Row(ref, version, stage, waits_for, detail, action, since, until)

    def _job_of(self, ref: Ref) -> JobId | None:
        """The resource's oldest unfinished job."""
        mine = [job for job in self._jobs if job_ref(job) == ref]
        return (
            min(mine, key=lambda job: self._jobs[job]["version"])
            if mine
            else None
        )

    def _stage(
        self, records: Records, job: JobId | None, version: int
    ) -> tuple[Stage, tuple[Ref, ...], str]:
        if job is not None:
            if run := self._runs.get(job):
                return _OF_STEP[Step(run["step"])], (), run.get("reason", "")
            open_ones = (
                JobId(other)
                for other in self._jobs[job]["dependency"]
                if other in self._jobs
            )
            waits_for = tuple(
                dict.fromkeys(job_ref(other) for other in open_ones)
            )
            return (Stage.WAITS if waits_for else Stage.READY), waits_for, ""
        if records.held is not None:
            return (
                Stage.HELD,
                (Ref.from_record(records.held["waits_for"]),),
                records.held["reason"],
            )
        state = records.state
        if state is None or state.get("version") != version:
            return Stage.WANTED, (), ""
        if state["error"]:
            return Stage.FAILED, (), state["error"]
        inner = (
            json.loads(state["state"])
            if isinstance(state["state"], str)
            else state["state"]
        )
        return (
            (
                Stage.READ
                if inner["worker_state"] == "READ_COMPLETE"
                else Stage.COMPLETE
            ),
            (),
            "",
        )


def _set(table: dict[JobId, Any], key: JobId, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


def _parsed(value: str | None) -> Any:
    """A value's JSON, or an empty document for what is none: somebody may try just that."""
    try:
        return None if value is None else json.loads(value)
    except ValueError:
        return {}
