"""A small monitoring collector: answers the targets that stacks name in their `monitoring_link`
outputs.

    python -m orchestrator.sandbox.collector --port 7070

`GET /targets/<type>/<id>?version=N&key=interface` answers a target in the form the monitoring part
of the orchestrator reads: UP, with the version and the status key that the link itself carries, so
that a template needs nothing but the link.
`hold=SECONDS` in the query adds `hold_options`.
`PUT` with `{"status": "DOWN"}` changes what the target answers, `DELETE` makes it unknown (404)
until the next `PUT`, and `GET /targets` lists what was asked for or set.
Links of several versions of one target share its status, as they do on a real collector.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ROOT = "targets"


def now() -> str:
    """The current time in the form of the targets' time fields."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclasses.dataclass
class Target:
    """What the collector knows of one target."""

    status: Any = "UP"
    last_changed: str = dataclasses.field(default_factory=now)
    fail_counter: int = 0
    deleted: bool = False

    def set(self, status: Any) -> None:
        """Take a new status; anything but UP counts as a failure."""
        if self.deleted or status != self.status:
            self.last_changed = now()
        self.fail_counter = 0 if status == "UP" else self.fail_counter + 1
        self.status = status
        self.deleted = False

    def document(self, identity: str, query: dict[str, str]) -> dict[str, Any]:
        """The target as `GET` answers it."""
        syncer: dict[str, Any] = {}
        if "key" in query:
            syncer["status"] = {"key": query["key"]}
        if "hold" in query:
            syncer["hold_options"] = {
                "positive_status": ["UP"],
                "time_seconds": number(query["hold"]),
            }
        value = {
            "key": "status",
            "value": self.status,
            "fail_counter": self.fail_counter,
            "last_changed": self.last_changed,
            "last_reported": now(),
        }
        return {
            "id": identity,
            "version": number(query.get("version", "1")),
            "values": [value],
            "syncer_properties": {"etcd": syncer} if syncer else {},
        }


def number(text: str) -> int | float | str:
    """A number where the text is one, else the text: a wrong link must be seen, not hidden."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


class CollectorTargets:
    """All targets, by `<type>/<id>`. A target is known from the first time it is asked for."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._lock = threading.Lock()

    def read(self, path: str, query: dict[str, str]) -> dict[str, Any] | None:
        """The target's document, or None when it was deleted."""
        with self._lock:
            target = self._targets.setdefault(path, Target())
            return (
                None
                if target.deleted
                else target.document(path.rsplit("/", 1)[-1], query)
            )

    def write(self, path: str, status: Any) -> None:
        with self._lock:
            self._targets.setdefault(path, Target()).set(status)

    def delete(self, path: str) -> None:
        with self._lock:
            self._targets.setdefault(path, Target()).deleted = True

    def list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [
                {
                    "target": path,
                    "status": target.status,
                    "last_changed": target.last_changed,
                }
                for path, target in sorted(self._targets.items())
                if not target.deleted
            ]


class Collector(ThreadingHTTPServer):
    """The HTTP server; `targets` is what it serves."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.targets = CollectorTargets()


class Handler(BaseHTTPRequestHandler):
    """One request; every answer is a JSON document."""

    server: Collector
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.strip("/") == ROOT:
            return self._answer(200, {"targets": self.server.targets.list()})
        path = self._target()
        if path is None:
            return None
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        document = self.server.targets.read(path, query)
        if document is None:
            return self._answer(
                404, {"error": f"the target {path} was deleted"}
            )
        return self._answer(200, document)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self._target()
        if path is None:
            return None
        try:
            status = json.loads(body)["status"]
        except (ValueError, KeyError, TypeError):
            return self._answer(
                400,
                {
                    "error": 'the body must be a JSON object like {"status": "DOWN"}'
                },
            )
        self.server.targets.write(path, status)
        return self._answer(200, {"target": path, "status": status})

    def do_DELETE(self) -> None:
        path = self._target()
        if path is not None:
            self.server.targets.delete(path)
            self._answer(200, {"target": path, "deleted": True})

    def _target(self) -> str | None:
        """`<type>/<id>` of the request's path, or None after answering that there is no such
        page."""
        parts = [
            unquote(part)
            for part in urlsplit(self.path).path.strip("/").split("/")
        ]
        if len(parts) == 3 and parts[0] == ROOT and all(parts):
            return "/".join(parts[1:])
        self._answer(
            404, {"error": f"no such page; targets are at /{ROOT}/<type>/<id>"}
        )
        return None

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    program = "python -m orchestrator.sandbox.collector"
    parser = argparse.ArgumentParser(
        prog=program, description="Serve monitoring targets."
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, required=True, help="port to listen on"
    )
    options = parser.parse_args()
    server = Collector((options.host, options.port))
    signal.signal(
        signal.SIGTERM,
        lambda *_: threading.Thread(target=server.shutdown).start(),
    )
    print(
        f"collector on http://{options.host}:{options.port}/{ROOT}", flush=True
    )
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
