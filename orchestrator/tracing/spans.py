"""Writes spans when what they tell of is over, and sends them to a collector (OTLP over HTTP).

The spans go to the collector from a thread of the SDK, so nobody waits for it. A collector that is
away costs spans and nothing else. Which share of all versions is traced is the SDK's own setting
(``OTEL_TRACES_SAMPLER``): the ids are the same everywhere, so all processes choose the same ones.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from ..clock import CLOCK, Clock
from ..events import EventName, count
from .identity import VersionTrace

log = logging.getLogger(__name__)

_SEND_TIMEOUT = 3.0
"""Seconds for one delivery, and so for the last one of a process that ends."""
_SEND_EVERY = 1.0
"""Seconds between two deliveries."""

Attributes = Mapping[str, str | int | float | bool]


class _Ids(RandomIdGenerator):
    """Random ids, but for a root."""

    def __init__(self) -> None:
        self.root = threading.local()

    def generate_trace_id(self) -> int:
        version: VersionTrace | None = getattr(self.root, "version", None)
        if version is None:
            return super().generate_trace_id()
        return version.trace

    def generate_span_id(self) -> int:
        version: VersionTrace | None = getattr(self.root, "version", None)
        if version is None:
            return super().generate_span_id()
        return version.root


class Tracer:
    """Writes the spans of one process."""

    def __init__(
        self, processor: SpanProcessor, service: str, clock: Clock = CLOCK
    ) -> None:
        """:param service: who writes them: ``orchestrator-bridge``."""
        self._clock, self._ids = clock, _Ids()
        self._provider = TracerProvider(
            id_generator=self._ids,
            resource=Resource.create({"service.name": service}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("orchestrator")

    def write(
        self,
        version: VersionTrace,
        name: str,
        seconds: float,
        attributes: Attributes | None = None,
        *,
        within: SpanContext | None = None,
        ago: float = 0.0,
        failed: str = "",
    ) -> SpanContext:
        """Something that took so long is over; the span is returned, for those within it.

        :param within: the span that it lies in; default: the root.
        :param ago: how many seconds ago it was over.
        :param failed: why it failed; empty: it did not.
        """
        parent = within or _root(version)
        context = set_span_in_context(NonRecordingSpan(parent))
        end = self._clock.now() - ago
        span = self._tracer.start_span(
            name,
            context=context,
            attributes=_attributes(version, attributes),
            start_time=_ns(end - seconds),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(_ns(end))
        return span.get_span_context()

    def write_root(
        self,
        version: VersionTrace,
        seconds: float,
        attributes: Attributes | None = None,
        failed: str = "",
    ) -> None:
        """The version is over."""
        end = self._clock.now()
        self._ids.root.version = version
        try:
            span = self._tracer.start_span(
                "version",
                context=set_span_in_context(NonRecordingSpan(_NOTHING)),
                attributes=_attributes(version, attributes),
                start_time=_ns(end - seconds),
            )
        finally:
            self._ids.root.version = None
        if failed:
            span.set_status(Status(StatusCode.ERROR, failed))
        span.end(_ns(end))

    def close(self) -> None:
        """Deliver what is left, within seconds."""
        self._provider.shutdown()


_NOTHING = SpanContext(0, 0, is_remote=False)


def _root(version: VersionTrace) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(version.trace, version.root, True, flags)


def _attributes(
    version: VersionTrace, more: Attributes | None
) -> dict[str, str | int | float | bool]:
    own: dict[str, str | int | float | bool] = {
        "orchestrator.resource": str(version.ref),
        "orchestrator.type": version.ref.type,
        "orchestrator.version": version.version,
    }
    return {**own, **(more or {})}


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)


class TellingExporter(SpanExporter):
    """Tells once when the collector is away, and once when it is back; the SDK would tell each
    time."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter, self._away = exporter, False
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:
            result = SpanExportResult.FAILURE
        away = result is not SpanExportResult.SUCCESS
        if away != self._away:
            self._away = away
            self._tell(len(spans))
        return result

    def _tell(self, spans: int) -> None:
        if self._away:
            count(EventName.TRACES_LOST)
            log.warning(
                "Collector takes no traces, they are dropped",
                extra={"event": "traces_lost", "spans": spans},
            )
        else:
            count(EventName.TRACES_SENT)
            log.info(
                "Collector takes traces again", extra={"event": "traces_sent"}
            )

    def shutdown(self) -> None:
        self._exporter.shutdown()


def to_collector(endpoint: str, service: str) -> Tracer:
    """A tracer whose spans go to a collector.

    :param endpoint: such as ``http://127.0.0.1:4318/v1/traces``.
    """
    exporter = OTLPSpanExporter(endpoint, timeout=_SEND_TIMEOUT)
    processor = BatchSpanProcessor(
        TellingExporter(exporter), schedule_delay_millis=_SEND_EVERY * 1000
    )
    return Tracer(processor, service)
