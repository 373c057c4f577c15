"""What a bridge measures: one enumeration of metrics, and their values for Prometheus.

Events are counted where they happen (:mod:`orchestrator.events`); here they are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily

from ..events import COUNTS, EventCounts


class Kind(Enum):
    """How a value moves."""

    COUNTER = "counter"
    """It only rises. Prometheus adds ``_total`` to its name."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Shape:
    """A metric as Prometheus sees it. *text* is its help."""

    name: str
    text: str
    kind: Kind = Kind.GAUGE
    labels: tuple[str, ...] = ()


class Metric(Enum):
    """All metrics of a bridge. docs/howto/monitoring.md lists them."""

    EVENTS = Shape(
        "orchestrator_events",
        "What happened, by the event of the log.",
        Kind.COUNTER,
        ("event",),
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


class Metrics:
    """The values of all metrics of a bridge."""

    def __init__(self, events: EventCounts = COUNTS) -> None:
        self._events = events
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self._gauges = {
            metric: Gauge(
                metric.value.name,
                metric.value.text,
                metric.value.labels,
                registry=self.registry,
            )
            for metric in Metric
            if metric.value.kind is Kind.GAUGE
        }

    def set(self, metric: Metric, value: float, **labels: str) -> None:
        """A gauge has a new value."""
        gauge = self._gauges[metric]
        if labels:
            gauge.labels(**labels).set(value)
        else:
            gauge.set(value)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """The events, as the registry asks for them."""
        shape = Metric.EVENTS.value
        family = CounterMetricFamily(
            shape.name, shape.text, labels=shape.labels
        )
        for event, times in self._events.read().items():
            family.add_metric([event.value], times)
        yield family

    def text(self) -> bytes:
        """All of them in the text format of Prometheus."""
        return generate_latest(self.registry)
