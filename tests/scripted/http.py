"""The HTTP of a scripted Heat: requests taken apart, answers put together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from orchestrator.core.refs import Json

from .odd_answers import OddAnswer

Answer = tuple[int, Json, dict[str, str]]
"""Status, document and headers."""
Query = Mapping[str, list[str]]


class Answering(Protocol):
    """Who answers."""

    def without_token(self, path: str, token: str | None) -> Answer | None:
        """The answer to a token that is no good."""

    def odd_answer(self, method: str, path: str, query: Query, body: Json) -> OddAnswer | None:
        """What is sent in the place of an answer."""

    def answer(self, method: str, path: str, query: Query, body: Json) -> Answer:
        """The answer."""


class ScriptedServer(ThreadingHTTPServer):
    """The server of a scripted Heat."""

    daemon_threads = True
    request_queue_size = 1024
    heat: Answering

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about, not worth a traceback."""


class ScriptedHandler(BaseHTTPRequestHandler):
    """Takes requests apart, and puts answers together."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: the request log is in memory."""

    def _answer(self) -> None:
        heat, body = self.server.heat, {}
        if raw := self.rfile.read(int(self.headers["Content-Length"] or 0)):
            body = json.loads(raw)
        parts = urlsplit(self.path)
        asked = (self.command, unquote(parts.path), parse_qs(parts.query))
        if odd := heat.odd_answer(*asked, body):
            if odd.after:
                heat.answer(*asked, body)
            self.close_connection = True
            odd.send(self.connection)
            return
        token = self.headers.get("X-Auth-Token")
        self._send(heat.without_token(asked[1], token) or heat.answer(*asked, body))

    def _send(self, answer: Answer) -> None:
        status, document, headers = answer
        data = b""
        if document is not None:
            data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    # The base class calls them so.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815
