"""The HTTP pages of a program: ``/metrics``, and those that a program adds to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import SettingsError
from .showing import CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page answers to a request."""

    status: int
    body: bytes
    content_type: str


Page = Callable[[], Answer]


def metrics_page(text: Callable[[], bytes]) -> Page:
    """The page ``/metrics``, with the values as text."""
    return lambda: Answer(200, text(), CONTENT_TYPE)


def serve(
    pages: Mapping[str, Page], address: str, port: int, setting: str
) -> ThreadingHTTPServer:
    """Answer requests in the background; ``server_address[1]`` is the port.

    :param pages: by path, such as ``/metrics``.
    :param setting: the name of the port's setting, for the error.
    :raises SettingsError: nobody can listen there.
    """
    try:
        server = ThreadingHTTPServer((address, port), partial(_Handler, pages))
    except OSError as error:
        reason = f"cannot listen on {address}, port {port}: {error.strerror}"
        raise SettingsError(f"{setting}: {reason}") from error
    threading.Thread(
        target=server.serve_forever, name="pages", daemon=True
    ).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, pages: Mapping[str, Page], *connection: Any) -> None:
        self._pages = pages
        super().__init__(*connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes and probes are not worth a line."""

    def do_GET(self) -> None:
        answer = self._pages.get(self.path, self._no_such_page)()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _no_such_page(self) -> Answer:
        """The answer names the pages that there are."""
        paths = " ".join(self._pages)
        return Answer(404, f"{paths}\n".encode(), "text/plain")
