"""All values of a program in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)

from .cells import Row, layout
from .shapes import LATENCIES, Kind, Metric, Program, of_program

Labelled: TypeAlias = Mapping[tuple[str, ...], float]
"""Values by the labels of each."""

CONTENT_TYPE = "text/plain; version=0.0.4"

_BOUNDS = [*map(str, LATENCIES), "+Inf"]


class Exposition:
    """The values of one program's metrics.

    :param rows: the rows of all processes of the program.
    :param labelled: the values of the metrics that lie in no row.
    """

    def __init__(
        self,
        program: Program,
        rows: Callable[[], Iterable[Row]],
        labelled: Callable[[], Mapping[Metric, Labelled]] = dict,
    ) -> None:
        self._program, self._rows, self._labelled = program, rows, labelled
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def collect(self) -> Iterator[Family]:
        """The families, as the registry asks for them."""
        rows = list(self._rows())
        labelled = self._labelled()
        places = layout(self._program).at
        for metric in of_program(self._program):
            values = metric.value.values or ("",)
            if (metric, values[0]) in places:
                yield _family(metric, rows, places)
            else:
                yield _of_labels(metric, labelled.get(metric, {}))

    def text(self) -> bytes:
        """All of them in the text format of Prometheus."""
        return generate_latest(self.registry)


def _family(
    metric: Metric,
    rows: list[Row],
    places: Mapping[tuple[Metric, str], int],
) -> Family:
    """A metric of the rows, summed over all."""
    shape = metric.value
    if shape.kind is Kind.HISTOGRAM:
        return _histogram(metric, rows, places)
    values: dict[tuple[str, ...], float] = {}
    for label in shape.values or ("",):
        total = sum(row[places[metric, label]] for row in rows)
        if total or "event" not in shape.labels:
            # Of a hundred events, those that have happened.
            values[(label,) if shape.labels else ()] = total
    return _of_labels(metric, values)


def _histogram(
    metric: Metric,
    rows: list[Row],
    places: Mapping[tuple[Metric, str], int],
) -> Family:
    shape = metric.value
    family = HistogramMetricFamily(shape.name, shape.text, labels=shape.labels)
    for label in shape.values or ("",):
        at = places[metric, label]
        counts = [
            sum(row[at + bucket] for row in rows)
            for bucket in range(len(_BOUNDS))
        ]
        total = sum(row[at + len(_BOUNDS)] for row in rows)
        buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
        labels = [label] if shape.labels else []
        family.add_metric(labels, buckets, total)
    return family


def _of_labels(metric: Metric, values: Labelled) -> Family:
    shape = metric.value
    family: CounterMetricFamily | GaugeMetricFamily
    if shape.kind is Kind.COUNTER:
        family = CounterMetricFamily(
            shape.name, shape.text, labels=shape.labels
        )
    else:
        family = GaugeMetricFamily(shape.name, shape.text, labels=shape.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
