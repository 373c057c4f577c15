"""A log of requests: one JSON line for each answer, written when the answer begins."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]


def logged(application: Application, path: Path) -> Application:
    """Middleware that appends a line to *path* for each request.

    A line has ``at`` (seconds since the epoch), ``took`` (seconds), ``method``, ``path``, ``query``,
    ``status`` (a number) and ``agent`` (the User-Agent). Bodies and tokens are not written.
    """
    log = path.open("a", buffering=1)

    def middleware(environ: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        began = time.monotonic()
        line = {
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "query": environ.get("QUERY_STRING", ""),
            "agent": environ.get("HTTP_USER_AGENT", ""),
        }

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            took = round(time.monotonic() - began, 3)
            answer = {"at": round(time.time(), 3), "took": took, "status": int(status[:3])}
            log.write(json.dumps({**answer, **line}) + "\n")
            return start_response(status, headers, *more)

        return application(environ, start)

    return middleware
