"""A collector of traces that keeps what it gets (OTLP over HTTP)."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from gzip import decompress
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.scripted.serving import LocalServer, QuietHandler


@dataclass
class TraceCollector:
    """The spans that came, by trace."""

    url: str = ""
    _spans: dict[int, list[Any]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._lock:
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self._spans[int.from_bytes(span.trace_id, "big")].append(span)

    @property
    def traces(self) -> Mapping[int, list[Any]]:
        with self._lock:
            return {trace: list(spans) for trace, spans in self._spans.items()}


class _TracePage(QuietHandler):
    def __init__(self, collector: TraceCollector, *connection: Any) -> None:
        self._collector = collector
        super().__init__(*connection)

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = decompress(body)
        self._collector.take(body)
        self.send_body(200, b"", {})


@contextmanager
def collector() -> Iterator[TraceCollector]:
    found = TraceCollector()
    with LocalServer(partial(_TracePage, found)) as server:
        found.url = f"http://127.0.0.1:{server.port}/v1/traces"
        yield found
