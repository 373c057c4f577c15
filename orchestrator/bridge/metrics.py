"""What a bridge measures, and its values for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..core.records import Failed, Run
from ..core.refs import Ref
from ..core.templates import TEMPLATE_TYPE
from ..events import COUNTS, EventCounts
from ..metrics.cells import Cells, Row
from ..metrics.shapes import (
    ChangeSpan,
    FailureCause,
    Kind,
    Metric,
    Program,
    of_program,
)
from ..metrics.showing import Exposition, Labelled

TENANTS = 20
"""Tenants that are named in labels, by default."""
OTHER = "other"
"""The label of all tenants that are not named."""


def failure_cause(ref: Ref, run: Run, *, overdue: bool) -> FailureCause:
    """Why a job failed, if it did.

    :param run: the run of the job that ended.
    :param overdue: whether its time was over.
    """
    root = run.root or ref
    if run.complete:
        return FailureCause.NONE
    if root.type == TEMPLATE_TYPE:
        return FailureCause.TEMPLATE
    if root != ref:
        return FailureCause.DEPENDENCY
    if overdue:
        return FailureCause.OVERDUE
    if run.asked:
        return FailureCause.HEAT
    return FailureCause.REFUSED


class Metrics:
    """The values of all metrics of a bridge.

    :param tenants: how many tenants are named in labels: those that come first. The others are
        one. So the number of series is bounded, and a counter never changes its name.
    """

    def __init__(
        self, events: EventCounts = COUNTS, tenants: int = TENANTS
    ) -> None:
        self._events, self._most_tenants = events, tenants
        self._cells = cells = Cells(Program.BRIDGE)
        self._tenants: set[str] = set()
        self._outcomes: dict[tuple[str, ...], float] = {}
        self._world: Mapping[str, int] = {}
        self.spans = {
            span: cells.histogram(Metric.SPAN, span) for span in ChangeSpan
        }
        self._gauges = {
            metric: cells.number(metric)
            for metric in of_program(Program.BRIDGE)
            if metric.value.kind is Kind.GAUGE and not metric.value.labels
        }
        self.change = cells.histogram(Metric.CHANGE)
        self.hop = cells.histogram(Metric.HOP)
        self.poll_lag = cells.histogram(Metric.POLL_LAG)
        shown = Exposition(Program.BRIDGE, self._rows, self._labelled)
        self.registry, self.text = shown.registry, shown.text

    def set(self, metric: Metric, value: float) -> None:
        """A gauge has a new value."""
        self._gauges[metric].set(value)

    def set_world(self, sizes: Mapping[str, int]) -> None:
        """How much there is of what, by kind. A kind that is not in *sizes* keeps its number."""
        self._world = {**self._world, **sizes}

    def note_outcome(
        self, kind: str, tenant: str, cause: FailureCause = FailureCause.NONE
    ) -> None:
        """A version has ended.

        :param kind: the resource's type.
        """
        outcome = "complete" if cause is FailureCause.NONE else "failed"
        labels = (kind, self._name(tenant), outcome, cause.value)
        self._outcomes[labels] = self._outcomes.get(labels, 0.0) + 1.0

    def note_refused(self, ref: Ref, tenant: str, failed: Failed) -> None:
        """A version was refused, and is not built."""
        cause = FailureCause.CONFIG
        if failed.root != ref:
            cause = FailureCause.TEMPLATE
        self.note_outcome(ref.type, tenant, cause)

    def _name(self, tenant: str) -> str:
        if tenant in self._tenants:
            return tenant
        if len(self._tenants) >= self._most_tenants:
            return OTHER
        self._tenants.add(tenant)
        return tenant

    # What is shown --------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Row]:
        cells = self._cells
        for event, times in self._events.read().items():
            cells.row[cells.place(Metric.EVENTS, event.value)] = times
        yield cells.row

    def _labelled(self) -> Mapping[Metric, Labelled]:
        world: Labelled = {
            (kind,): float(size) for kind, size in self._world.items()
        }
        return {
            Metric.WORLD: {**world},
            Metric.OUTCOMES: {**self._outcomes},
        }
