"""What the scripted servers have in common: a server on this machine, and answers in JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from orchestrator.core.refs import Json

Answer = tuple[int, Json, Mapping[str, str]]
"""Status, document and headers."""

_POLL = 0.02
"""Seconds until a server that is stopped has noticed it, at most."""


class LocalServer(ThreadingHTTPServer):
    """``with LocalServer(Handler) as server:``, a server at ``127.0.0.1``.

    :param port: 0: a free one.
    """

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, handler: Callable[..., BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.port: int = self.server_address[1]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def start(self) -> None:
        """Answer requests in the background."""
        threading.Thread(target=self.serve_forever, args=(_POLL,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from here on."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about, not worth a traceback."""


class QuietHandler(BaseHTTPRequestHandler):
    """Reads a request's body, and sends answers. It logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Servers keep what they were asked in memory."""

    def body(self) -> Json:
        """The document of the request; an empty one if it has none."""
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not raw:
            return {}
        return json.loads(raw)

    def send_document(self, answer: Answer) -> None:
        """Answer with a document in JSON; with none where it is None."""
        status, document, headers = answer
        data = b""
        if document is not None:
            data = json.dumps(document).encode()
        self.send_body(status, data, {"Content-Type": "application/json", **headers})

    def send_body(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer with these bytes."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
