"""The list of all metrics. docs/howto/monitoring.md explains them; dashboard and alarms use them.

Names follow Prometheus: a unit at the end, ``_total`` for counters (added where they are shown).
Each label has few values: those listed here, the types of the schema list, or as many tenants as
``ORCHESTRATOR_METRICS_TENANTS`` allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

from ..events import EventName

LATENCIES = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    1800.0,
)
"""Upper bounds of the buckets of all histograms, in seconds: a claim takes milliseconds, a stack
may take half an hour."""


class Kind(Enum):
    """How a value moves."""

    COUNTER = "counter"
    """It only rises. Prometheus adds ``_total`` to its name."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    """Seconds, counted in :data:`LATENCIES`."""


class Program(Enum):
    """Who has a metric."""

    BRIDGE = "bridge"
    WORKER = "worker"
    HISTORIAN = "historian"


class ChangeSpan(StrEnum):
    """The spans of a change, in order. Each ends where the next one begins."""

    DECIDE = "decide"
    """The leader has seen the config; it writes its decision."""
    DEPEND = "depend"
    """The job is made; the last job that it waits for ends. Not measured if it waits for none."""
    SEND = "send"
    """The job waits for nothing; its message goes to the broker."""
    PICKUP = "pickup"
    """The message was sent; a worker claims the job."""
    ACCEPT = "accept"
    """The job is claimed; Heat accepts the request, or the job ends without that."""
    HEAT = "heat"
    """Heat has accepted; a poll finds the stack finished."""
    RECORD = "record"
    """The stack is finished; the state is written."""


class FailureCause(StrEnum):
    """Why a version failed, as a label of the outcomes."""

    NONE = "none"
    """It did not."""
    HEAT = "heat"
    """Heat failed the operation, or its stack may not be changed."""
    REFUSED = "refused"
    """Heat refused the request, so that it made nothing of it."""
    TEMPLATE = "template"
    """The template, or a type's mapping, cannot be used."""
    CONFIG = "config"
    """The bridge refused the version."""
    DEPENDENCY = "dependency"
    """Another resource failed, or lacks an output."""
    OVERDUE = "overdue"
    """The time limit passed."""
    WORKERS = "workers"
    """Workers died over the job."""


class RequestKind(StrEnum):
    """What Heat is asked, as a label."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class AnswerKind(StrEnum):
    """How Heat answered, as a label."""

    DONE = "done"
    """Below 400."""
    REFUSED = "refused"
    """400 to 499."""
    FAILED = "failed"
    """500 and more, or no answer."""


class TaskPlace(StrEnum):
    """Where a worker's tasks are carried out."""

    SLOT = "slot"
    BACKGROUND = "background"
    """The task left its slot because it only waits."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A metric as Prometheus sees it."""

    name: str
    """Without the ``_total`` of a counter."""
    text: str
    """Its help: one sentence."""
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """All values of its only label, where they are known beforehand."""
    program: Program = Program.BRIDGE

    @property
    def shown(self) -> str:
        """The name as Prometheus has it."""
        if self.kind is Kind.COUNTER:
            return f"{self.name}_total"
        return self.name

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series."""
        if self.kind is Kind.HISTOGRAM:
            ends = ("bucket", "count", "sum")
            return tuple(f"{self.name}_{end}" for end in ends)
        return (self.shown,)


_EVENTS = tuple(event.value for event in EventName)


class Metric(Enum):
    """All metrics of all programs."""

    # The bridge
    EVENTS = Shape(
        "orchestrator_events",
        "What happened, by the event of the log.",
        Kind.COUNTER,
        ("event",),
        _EVENTS,
    )
    LEADING = Shape("orchestrator_leading", "1 while this bridge leads.")
    WORLD = Shape(
        "orchestrator_world", "Things the leader knows.", labels=("kind",)
    )
    SCHEMAS_REFUSED = Shape(
        "orchestrator_schemas_refused",
        "1 while a newer schema list cannot be used.",
    )
    MESSAGE_WAIT = Shape(
        "orchestrator_message_wait_seconds",
        "How long messages wait for a worker at the moment.",
    )
    BROKER_AVAILABLE = Shape(
        "orchestrator_broker_available",
        "0 while the broker takes no messages of the leader.",
    )
    UNDECIDED_AGE = Shape(
        "orchestrator_oldest_undecided_seconds",
        "Age of the oldest change that is not decided; 0 if there is none.",
    )
    OUTCOMES = Shape(
        "orchestrator_outcomes",
        "Versions that ended, by type, tenant, outcome and cause.",
        Kind.COUNTER,
        ("type", "tenant", "outcome", "cause"),
    )
    SPAN = Shape(
        "orchestrator_span_seconds",
        "How long each span of a change took.",
        Kind.HISTOGRAM,
        ("span",),
        tuple(ChangeSpan),
    )
    CHANGE = Shape(
        "orchestrator_change_seconds",
        "From the change that the leader saw to the state of its version.",
        Kind.HISTOGRAM,
    )
    HOP = Shape(
        "orchestrator_hop_seconds",
        "From the end of the last dependency to the accepted request.",
        Kind.HISTOGRAM,
    )
    POLL_LAG = Shape(
        "orchestrator_poll_lag_seconds",
        "How much later than due a poll of a tenant's stacks was sent.",
        Kind.HISTOGRAM,
    )

    # Workers
    WORKER_EVENTS = Shape(
        "orchestrator_worker_events",
        "What happened in this worker, by the event of the log.",
        Kind.COUNTER,
        ("event",),
        _EVENTS,
        Program.WORKER,
    )
    WORKER_REQUEST = Shape(
        "orchestrator_worker_heat_request_seconds",
        "How long Heat took to answer a request.",
        Kind.HISTOGRAM,
        ("request",),
        tuple(RequestKind),
        Program.WORKER,
    )
    WORKER_ANSWERS = Shape(
        "orchestrator_worker_heat_answers",
        "Requests to Heat, by how they were answered.",
        Kind.COUNTER,
        ("answer",),
        tuple(AnswerKind),
        Program.WORKER,
    )
    WORKER_CHAIN = Shape(
        "orchestrator_worker_chain_seconds",
        "How long a worker worked on a job without a break.",
        Kind.HISTOGRAM,
        program=Program.WORKER,
    )
    WORKER_POLL = Shape(
        "orchestrator_worker_poll_seconds",
        "How long the list of a tenant's stacks in progress took.",
        Kind.HISTOGRAM,
        program=Program.WORKER,
    )
    WORKER_TASKS = Shape(
        "orchestrator_worker_tasks",
        "Tasks that this worker carries out now.",
        Kind.GAUGE,
        ("place",),
        tuple(TaskPlace),
        Program.WORKER,
    )
    WORKER_SLOTS = Shape(
        "orchestrator_worker_slots",
        "Tasks that this worker can carry out in slots at once.",
        program=Program.WORKER,
    )

    # The historian
    HISTORIAN_EVENTS = Shape(
        "orchestrator_historian_events",
        "What happened in this historian, by the event of the log.",
        Kind.COUNTER,
        ("event",),
        _EVENTS,
        Program.HISTORIAN,
    )
    HISTORIAN_REVISION = Shape(
        "orchestrator_historian_revision",
        "Newest revision of etcd of which the database has the changes.",
        program=Program.HISTORIAN,
    )
    HISTORIAN_BEHIND = Shape(
        "orchestrator_historian_behind_revisions",
        "Revisions between the newest that was read and the newest written.",
        program=Program.HISTORIAN,
    )
    HISTORIAN_ROWS_BEHIND = Shape(
        "orchestrator_historian_behind_rows",
        "Changes that were read from etcd and are not written yet.",
        program=Program.HISTORIAN,
    )
    HISTORIAN_ROWS = Shape(
        "orchestrator_historian_rows",
        "Changes that this process has written.",
        Kind.COUNTER,
        program=Program.HISTORIAN,
    )


EVENTS_OF = {
    Program.BRIDGE: Metric.EVENTS,
    Program.WORKER: Metric.WORKER_EVENTS,
    Program.HISTORIAN: Metric.HISTORIAN_EVENTS,
}
"""The metric that counts the events of a program."""


def of_program(program: Program) -> tuple[Metric, ...]:
    """The metrics of one program, in the order of the list."""
    return tuple(metric for metric in Metric if metric.value.program is program)
