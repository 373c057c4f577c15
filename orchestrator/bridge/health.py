"""Is this bridge alive? ``/health`` for probes, ``/metrics`` for Prometheus.

Alive means more than a running process: a leader whose loop hangs, or whose watch gives no sign of
life, answers 503 and says why. Counters come from the log: every record that carries an ``event``
is counted under that name, so that what is told is also counted.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from ..clients.store import Watch

LOOP_SILENCE = 15.0
"""Seconds for which the leader's loop may be busy with one thing."""
WATCH_SILENCE = 30.0
"""Seconds for which the watch may be deaf; it is opened anew after 12 (clients.etcd.DEAF_AFTER)."""


class Health:
    """What the bridge does right now, as its own threads see it."""

    def __init__(self) -> None:
        self.role = "starting"
        self._beat = time.monotonic()
        self._watch: Watch | None = None
        self.registry = CollectorRegistry()
        self._events = Counter("orchestrator_events", "What happened, by the event of the log.", ["event"], registry=self.registry)
        self._leading = Gauge("orchestrator_leading", "1 while this bridge leads.", registry=self.registry)
        self._size = Gauge("orchestrator_world", "Things the leader knows.", ["kind"], registry=self.registry)
        self.note = ""
        self._refused = Gauge("orchestrator_schemas_refused", "1 while a newer schema list cannot be used.", registry=self.registry)
        self._wait = Gauge(
            "orchestrator_message_wait_seconds", "How long messages wait for a worker at the moment.", registry=self.registry
        )

    def standing_by(self) -> None:
        self.role, self._watch = "standby", None
        self._leading.set(0)
        self._wait.set(0.0)
        self.schemas("", refused=False)  # Only the leader looks at the list.

    def leading(self, watch: Watch) -> None:
        self.role, self._watch = "leader", watch
        self._leading.set(1)
        self.beat({}, 0.0)

    def beat(self, sizes: dict[str, int], wait: float) -> None:
        """The leader's loop has come round.

        :param sizes: how much there is of what.
        :param wait: seconds for which messages wait for a worker.
        """
        self._beat = time.monotonic()
        self._wait.set(wait)
        for kind, size in sizes.items():
            self._size.labels(kind).set(size)

    def schemas(self, note: str, *, refused: bool) -> None:
        """Whether the schema list in force is the newest. It is no fault of this bridge when it is not.

        :param note: why not; empty when it is.
        :param refused: whether there is a newer one that cannot be used.
        """
        self.note = note
        self._refused.set(refused)

    def count(self, event: str) -> None:
        self._events.labels(event).inc()

    def fault(self) -> str:
        """Why this bridge is not well; empty when it is."""
        if self.role != "leader":
            return ""
        if (silence := time.monotonic() - self._beat) > LOOP_SILENCE:
            return f"the loop has not come round for {silence:.0f} s"
        if self._watch is not None and (silence := self._watch.silent_for) > WATCH_SILENCE:
            return f"the watch has been silent for {silence:.0f} s"
        return ""


class CountEvents(logging.Filter):
    """Counts log records by their event; lets every record pass."""

    def __init__(self, health: Health) -> None:
        super().__init__()
        self._health = health

    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        if isinstance(event, str):
            self._health.count(event)
        return True


def serve(health: Health, address: str, port: int) -> ThreadingHTTPServer:
    """Answer ``/health`` and ``/metrics`` in the background; ``server_address[1]`` is the port."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Probes are not worth a line."""

        def do_GET(self) -> None:
            if self.path == "/health":
                fault = health.fault()
                note = {"note": health.note} if health.note else {}
                document = {"role": health.role, "fault": fault, **note}
                self._answer(503 if fault else 200, json.dumps(document).encode(), "application/json")
            elif self.path == "/metrics":
                self._answer(200, generate_latest(health.registry), "text/plain; version=0.0.4")
            else:
                self._answer(404, b"/health or /metrics\n", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((address, port), Handler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
