"""What happens in the processes: one enumeration of events, and how often each has happened.

A log line carries the name of its event in the field ``event``.
The programs also count their events, in the function where they happen, with :func:`count`.
So the counters do not depend on the level of the log.
``/metrics`` shows them as ``orchestrator_events_total{event="…"}`` (:mod:`orchestrator.metrics`).

docs/howto/monitoring.md explains each event to operators.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, MutableSequence
from enum import StrEnum


class EventName(StrEnum):
    """The name of each event, and one sentence that says what has happened."""

    help: str
    number: int
    """Its place in the enumeration."""

    def __new__(cls, name: str, help: str) -> EventName:
        """:param help: one sentence."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.help = help
        member.number = len(cls.__members__)
        return member

    # Leadership and etcd
    LEADING = "leading", "This bridge leads from now on."
    STANDING_BY = "standing_by", "Another bridge leads."
    LEADERSHIP_LOST = "leadership_lost", "This bridge leads no longer."
    TERM_BEGUN = "term_begun", "The leader has listed everything and starts."
    TERM_ENDED = "term_ended", "The leader is in doubt about etcd."
    HISTORY_CHANGED = "history_changed", "etcd was restored, or is another one."
    IDENTITY_DIFFERS = "identity_differs", "The bridge has other settings."
    IDENTITY_CONFIRMED = (
        "identity_confirmed",
        "A person confirmed the settings.",
    )
    WATCH_BROKEN = "watch_broken", "A watch of etcd ended and is opened again."
    LEASE_LEFT = "lease_left", "A lease was not revoked and expires by itself."
    CLOCK_SKEW = "clock_skew", "The clocks of a worker and the bridge differ."

    # The process
    STOP_FORCED = "stop_forced", "The bridge stopped while etcd did not answer."
    BRIDGE_REFUSED = "bridge_refused", "The bridge cannot start or go on."
    BRIDGE_DEFECT = "bridge_defect", "The bridge ended because of a bug."
    HISTORIAN_STARTED = "historian_started", "A historian runs."
    HISTORIAN_STOPPED = "historian_stopped", "A historian was told to stop."
    HISTORIAN_FOLLOWS = "historian_follows", "A historian follows etcd."
    HISTORIAN_WAITS = (
        "historian_waits",
        "A historian waits for etcd or its database.",
    )
    HISTORIAN_GAP = "historian_gap", "A historian has missed revisions."
    HISTORIAN_PRUNED = "historian_pruned", "A historian dropped old changes."
    HISTORY_MIGRATED = (
        "history_migrated",
        "The tables of the history database were brought up to date.",
    )
    HISTORIAN_REFUSED = "historian_refused", "The historian cannot start."
    HISTORIAN_DEFECT = (
        "historian_defect",
        "The historian ended because of a bug.",
    )
    TRACES_LOST = "traces_lost", "The collector takes no traces."
    TRACES_SENT = "traces_sent", "The collector takes traces again."
    UNCAUGHT = "uncaught", "A process or a thread ended because of a bug."
    SETTING_REFUSED = "setting_refused", "A setting cannot be used."
    NOTIFY_UNKNOWN = (
        "notify_unknown",
        "systemd names an unknown kind of socket.",
    )
    NOTIFY_FAILED = "notify_failed", "systemd did not take a message."
    WORKER_STARTED = "worker_started", "A worker is ready."
    WORKER_SAYS = (
        "worker_says",
        "Celery printed a line, for example at its end.",
    )
    WARM_UP_FAILED = "warm_up_failed", "A worker process opened no connections."

    # Types
    SCHEMAS_IN_FORCE = "schemas_in_force", "The leader uses a new schema list."
    SCHEMAS_CHANGED = "schemas_changed", "There is a new schema list."
    SCHEMAS_REFUSED = "schemas_refused", "The new schema list cannot be used."
    SCHEMAS_UNAVAILABLE = "schemas_unavailable", "The API server gives no list."
    SCHEMAS_USABLE = "schemas_usable", "The schema list can be used again."
    SCHEMAS_UNREADABLE = "schemas_unreadable", "The stored list cannot be read."
    SCHEMAS_UNKNOWN = "schemas_unknown", "etcd did not give the stored list."
    SCHEMAS_DEFECT = "schemas_defect", "The list was not read because of a bug."

    # Configs and records
    CONFIG_REJECTED = "config_rejected", "A key below /config cannot be used."
    HELD = "held", "A version waits for another resource or a template."
    REFUSED = "refused", "A version cannot be built."
    CLEANED = "cleaned", "The records of a deleted resource are removed."
    RETRY_ASKED = "retry_asked", "A person asked to try a version again."
    REBUILD_ASKED = "rebuild_asked", "A person asked to build a version again."
    LEFT = "left", "A person left a stack in Heat, and its records are gone."
    CANCELLED = "cancelled", "A person cancelled a job."
    ADOPTED = "adopted", "A stack that was there is a resource's from now on."
    PAUSED = "paused", "Nothing new is sent to Heat for some or all."
    RESUMED = "resumed", "A pause is over."
    VERBS_DROPPED = "verbs_dropped", "The oldest records of verbs were dropped."
    OUTPUT_FOLLOWED = (
        "output_followed",
        "A stack is updated because an output changed that it was built from.",
    )
    OUTDATED = (
        "outdated",
        "A stack was built from an output that has changed, and stays as it is.",
    )
    OUTPUT_CIRCLE = (
        "output_circle",
        "Outputs go round in a circle and do not settle; the stack is held.",
    )
    REVISION_NOT_KEPT = (
        "revision_not_kept",
        "A revision of a template is too large to be kept in etcd.",
    )
    ROLLOUT_MOVED = "rollout_moved", "A roll-out of a template moved on."
    ROLLOUT_STOPPED = (
        "rollout_stopped",
        "Too many stacks of a roll-out failed, or another template was pushed.",
    )
    ROOT_REPAIRED = "root_repaired", "A version is tried again by itself."
    RECORD_UNREADABLE = "record_unreadable", "A record cannot be read."
    JOB_UNREADABLE = "job_unreadable", "A job cannot be read."
    DELETIONS_HELD = "deletions_held", "Too many configs were removed at once."
    DELETIONS_RELEASED = "deletions_released", "No deletion is held any more."
    DELETION_CONFIRMED = "deletion_confirmed", "A person confirmed a deletion."
    DELETION_ABANDONED = "deletion_abandoned", "A person gave up a deletion."

    # Jobs, as the bridge sees them
    JOB_MADE = "job_made", "A version became a job."
    JOB_SUPERSEDED = "job_superseded", "A newer job replaced a job."
    JOB_NOT_RUN = "job_not_run", "A job failed without running."
    JOB_OVERDUE = "job_overdue", "The time of a job is over."
    JOB_OVERTAKEN = "job_overtaken", "A deletion goes ahead of a job."
    CLAIM_LOST = "claim_lost", "A worker died while it had a job."

    # What is sent to the workers
    CIRCUIT_OPEN = "circuit_open", "Heat does not answer for a tenant."
    CIRCUIT_CLOSED = "circuit_closed", "Heat answers for a tenant again."
    POLL_FAILED = "poll_failed", "A tenant's stacks could not be listed."
    POLL_ANSWERED = "poll_answered", "A tenant's stacks can be listed again."
    BROKER_UNAVAILABLE = "broker_unavailable", "Redis takes no messages."
    BROKER_AVAILABLE = "broker_available", "Redis takes messages again."
    BROKER_LOST_DATA = "broker_lost_data", "Redis has lost its data."
    MESSAGES_LOST = "messages_lost", "Messages were lost and are sent again."
    MESSAGE_DROPPED = "message_dropped", "A message was none of ours."

    # Jobs, as a worker sees them
    STACK_SUBMITTED = "stack_submitted", "Heat has taken a request."
    STACK_LEFT = "stack_left", "A stack of that name is not to be changed."
    CANCEL_REFUSED = "cancel_refused", "Heat does not cancel an operation."
    SUBMIT_LATE = (
        "submit_late",
        "Another worker has the job, it has ended, or it is paused.",
    )
    REQUEST_LOST = "request_lost", "Heat took a request and dropped it."
    STACK_POLL_FAILED = "stack_poll_failed", "One stack could not be polled."
    OUTPUT_UNRESOLVED = "output_unresolved", "Heat cannot give an output yet."
    JOB_DONE = "job_done", "A job ended."
    JOB_RETRY = "job_retry", "A job is tried again later."
    PROJECT_GONE = "project_gone", "A deleted project has no stacks."
    CHAIN_ENDED_EARLY = "chain_ended_early", "The bridge sends a job again."

    # Tasks
    SLOT_LEFT = "slot_left", "A task waits without its slot."
    TASK_GAVE_WAY = "task_gave_way", "A task met a temporary failure."
    TASK_TIMEOUT = "task_timeout", "A task took too long."
    TASK_DEFECT = "task_defect", "A task failed because of a bug."
    TASKS_BROKEN_OFF = "tasks_broken_off", "A worker ended before its tasks."

    # Drift
    DRIFT_CORRECTED = "drift_corrected", "A drifted stack is built again."
    DRIFT_FOUND = "drift_found", "A stack in Heat differs from what was built."
    DRIFT_GONE = "drift_gone", "Heat has a stack as it was built again."
    SWEEP_FAILED = "sweep_failed", "A tenant's stacks could not be compared."

    # OpenStack and monitoring targets
    OPENSTACK_CHECKED = "openstack_checked", "Keystone accepts the credentials."
    OPENSTACK_CHECK_FAILED = "openstack_check_failed", "Keystone refuses them."
    CREDENTIALS_REJECTED = "credentials_rejected", "Keystone refuses a login."
    CREDENTIALS_ACCEPTED = "credentials_accepted", "Keystone accepts it again."
    CREDENTIALS_UNUSABLE = "credentials_unusable", "A file cannot be used."
    TARGET_UNAVAILABLE = "target_unavailable", "A target gave no document."
    TOO_MANY_TARGETS = "too_many_targets", "A resource has too many targets."
    MONITORING_SKIPPED = "monitoring_skipped", "Earlier rounds go on."
    MONITORING_FAILED = "monitoring_failed", "Not written because of a bug."


class EventCounts:
    """How often each event has happened. May be used from several threads."""

    def __init__(self) -> None:
        self._cells: MutableSequence[float] | memoryview[float]
        self._cells, self._first = [0.0] * len(EventName), 0
        self._lock = threading.Lock()

    def keep_in(
        self, cells: MutableSequence[float] | memoryview[float], first: int
    ) -> None:
        """Count in other memory from now on, where *first* is the place of the first event."""
        with self._lock:
            self._cells, self._first = cells, first

    def count(self, event: EventName) -> None:
        """It has happened once more."""
        with self._lock:
            self._cells[self._first + event.number] += 1

    def read(self) -> Mapping[EventName, int]:
        """The events that have happened, in the order of the enumeration."""
        with self._lock:
            counts = {
                event: int(self._cells[self._first + event.number])
                for event in EventName
            }
        return {event: times for event, times in counts.items() if times}


COUNTS = EventCounts()
"""Those of this process, as there is one log of a process."""
count = COUNTS.count
