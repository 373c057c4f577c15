"""``/metrics`` over HTTP, for programs that have no other page."""

from __future__ import annotations

import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ..errors import SettingsError
from .showing import CONTENT_TYPE, Exposition


def serve(
    shown: Exposition, address: str, port: int, setting: str
) -> ThreadingHTTPServer:
    """Answer ``/metrics`` in the background; ``server_address[1]`` is the port.

    :param setting: the name of the port's setting, for the error.
    :raises SettingsError: nobody can listen there.
    """
    try:
        server = ThreadingHTTPServer((address, port), partial(_Page, shown))
    except OSError as error:
        reason = f"cannot listen on {address}, port {port}: {error.strerror}"
        raise SettingsError(f"{setting}: {reason}") from error
    threading.Thread(
        target=server.serve_forever, name="metrics", daemon=True
    ).start()
    return server


class _Page(BaseHTTPRequestHandler):
    def __init__(self, shown: Exposition, *connection: Any) -> None:
        self._shown = shown
        super().__init__(*connection)

    def log_message(self, format: str, *args: Any) -> None:
        """Scrapes are not worth a line."""

    def do_GET(self) -> None:
        status, kind, body = 404, "text/plain", b"/metrics\n"
        if self.path == "/metrics":
            status, kind, body = 200, CONTENT_TYPE, self._shown.text()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
