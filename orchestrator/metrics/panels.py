"""The panels of the dashboard, by the question that each answers."""

from __future__ import annotations

from dataclasses import dataclass

from .shapes import Kind, Metric

_RATE = "$__rate_interval"
_HERE = 'namespace=~"$namespace"'
"""The namespaces that a reader has chosen."""


@dataclass(frozen=True, slots=True)
class Query:
    """An expression of Prometheus, and the name of what it gives."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph, or one number."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    """As Grafana names it."""
    number: bool = False
    """Whether the last value is shown, and no graph."""


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels about the same thing."""

    title: str
    panels: tuple[Panel, ...]


def _selected(metric: Metric, labels: str = "", ending: str = "") -> str:
    """The series of a metric that the reader has chosen."""
    chosen = ",".join(filter(None, (_HERE, labels)))
    return f"{metric.value.shown}{ending}{{{chosen}}}"


def _now(metric: Metric, labels: str = "", by: str = "") -> str:
    """The value of a gauge, over all processes."""
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} ({_selected(metric, labels)})"


def _world(kind: str) -> str:
    """Of the leader, for a former leader still tells its last numbers."""
    world = _selected(Metric.WORLD, f'kind="{kind}"')
    leading = _selected(Metric.LEADING)
    return f"sum ({world} * ignoring (kind) {leading})"


def _rate(metric: Metric, by: str = "", labels: str = "") -> str:
    """How often a second."""
    grouped = f" by ({by})" if by else ""
    ending = "_count" if metric.value.kind is Kind.HISTOGRAM else ""
    return f"sum{grouped} (rate({_selected(metric, labels, ending)}[{_RATE}]))"


def _share(metric: Metric, share: float, by: str = "") -> str:
    """The time within which a share of all was done."""
    groups = ", ".join(filter(None, ("le", by)))
    buckets = f"rate({_selected(metric, ending='_bucket')}[{_RATE}])"
    return f"histogram_quantile({share:g}, sum by ({groups}) ({buckets}))"


def _times(metric: Metric, title: str, description: str) -> Panel:
    """The median and the slow tail of a histogram."""
    queries = (
        Query(_share(metric, 0.5), "p50"),
        Query(_share(metric, 0.95), "p95"),
        Query(_share(metric, 0.99), "p99"),
    )
    return Panel(title, description, queries, "s")


def _tail(metric: Metric, title: str, description: str) -> Panel:
    """The slow tail of a histogram by its label."""
    (label,) = metric.value.labels
    query = Query(_share(metric, 0.95, label), f"{{{{{label}}}}}")
    return Panel(title, description, (query,), "s")


def _worlds(title: str, description: str, *kinds: str) -> Panel:
    queries = tuple(Query(_world(kind), kind) for kind in kinds)
    return Panel(title, description, queries)


def _count(metric: Metric, title: str, description: str, by: str) -> Panel:
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    query = Query(_rate(metric, by), legend)
    return Panel(title, description, (query,), "ops")


def _gauge(
    metric: Metric, title: str, description: str, unit: str = "short"
) -> Panel:
    query = Query(_now(metric))
    return Panel(title, description, (query,), unit, number=True)


NOW = PanelRow(
    "Now",
    (
        _gauge(Metric.LEADING, "Leaders", "One bridge leads. 0 or 2 is wrong."),
        Panel(
            "Broker",
            "1 while the broker takes messages.",
            (Query(f"min ({_selected(Metric.BROKER_AVAILABLE)})"),),
            number=True,
        ),
        _gauge(
            Metric.UNDECIDED_AGE,
            "Oldest undecided change",
            "At rest it is 0.",
            "s",
        ),
        Panel(
            "Failed versions",
            "`orchestrator status` lists them by their cause.",
            (Query(_world("failed")),),
            number=True,
        ),
        Panel(
            "Open circuits",
            "Tenants for which Heat or Keystone do not answer.",
            (Query(_world("circuits_open")),),
            number=True,
        ),
        _gauge(
            Metric.SCHEMAS_REFUSED,
            "Schema list refused",
            "1 while a newer list cannot be used.",
        ),
    ),
)

RESULTS = PanelRow(
    "Results",
    (
        _count(
            Metric.OUTCOMES,
            "Versions by outcome",
            "Versions that ended, a second.",
            "outcome, cause",
        ),
        _count(
            Metric.OUTCOMES,
            "Versions by type",
            "Versions that ended, a second.",
            "type, outcome",
        ),
        _count(
            Metric.OUTCOMES,
            "Versions by tenant",
            "Tenants beyond ORCHESTRATOR_METRICS_TENANTS are `other`.",
            "tenant, outcome",
        ),
        _worlds(
            "Needs somebody",
            "What does not go on by itself.",
            "failed",
            "held",
            "outdated",
            "drifted",
            "lost",
            "deletions_held",
            "deletions_failing",
            "polls_refused",
        ),
    ),
)

TIMES = PanelRow(
    "Times",
    (
        _times(
            Metric.CHANGE,
            "From change to state",
            "From the change that the leader saw to the state of its version.",
        ),
        _tail(
            Metric.SPAN,
            "Each part of the way (p95)",
            "Each part ends where the next one begins.",
        ),
        _times(
            Metric.HOP,
            "Hop",
            "From the end of the last dependency to the accepted request.",
        ),
        _times(
            Metric.POLL_LAG,
            "Poll lag",
            "How much later than due polls of stacks were sent.",
        ),
    ),
)

WORK = PanelRow(
    "Work",
    (
        _worlds(
            "Jobs by place",
            "Ready, sent, with Heat, and waiting for another try.",
            "ready",
            "in_flight",
            "in_heat",
            "asleep",
        ),
        _worlds(
            "Resources and jobs", "What the leader knows.", "resources", "jobs"
        ),
        Panel(
            "Messages wait",
            "How long messages wait for a worker.",
            (Query(f"max ({_selected(Metric.MESSAGE_WAIT)})", "wait"),),
            "s",
        ),
        _count(
            Metric.EVENTS,
            "Events of bridges",
            "docs/howto/monitoring.md explains each.",
            "event",
        ),
    ),
)

WORKERS = PanelRow(
    "Workers",
    (
        _tail(
            Metric.WORKER_REQUEST,
            "Heat's answers (p95)",
            "How long Heat took to answer a request.",
        ),
        _count(
            Metric.WORKER_ANSWERS,
            "Requests to Heat",
            "Refused: 4xx. Failed: 5xx, or no answer.",
            "answer",
        ),
        _times(
            Metric.WORKER_CHAIN,
            "Work on a job",
            "How long a worker worked on a job without a break.",
        ),
        _times(
            Metric.WORKER_POLL,
            "Polls",
            "How long the list of a tenant's stacks in progress took.",
        ),
        Panel(
            "Slots",
            "Tasks that are carried out now, and the slots that there are.",
            (
                Query(_now(Metric.WORKER_TASKS, by="place"), "{{place}}"),
                Query(_now(Metric.WORKER_SLOTS), "slots"),
            ),
        ),
        _count(
            Metric.WORKER_EVENTS,
            "Events of workers",
            "docs/howto/monitoring.md explains each.",
            "event",
        ),
    ),
)

HISTORIAN = PanelRow(
    "Historian",
    (
        Panel(
            "Behind",
            "What the database does not have yet.",
            (
                Query(_now(Metric.HISTORIAN_BEHIND), "revisions"),
                Query(_now(Metric.HISTORIAN_ROWS_BEHIND), "rows"),
            ),
        ),
        Panel(
            "Rows written",
            "A second.",
            (Query(_rate(Metric.HISTORIAN_ROWS), "rows"),),
            "ops",
        ),
        Panel(
            "Revision",
            "The newest one of which the database has the changes.",
            (Query(_now(Metric.HISTORIAN_REVISION), "revision"),),
        ),
        _count(
            Metric.HISTORIAN_EVENTS,
            "Events of the historian",
            "docs/howto/monitoring.md explains each.",
            "event",
        ),
    ),
)

ROWS = (NOW, RESULTS, TIMES, WORK, WORKERS, HISTORIAN)
