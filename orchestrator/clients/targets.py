"""The door to monitoring collectors: GET a target's document (CONTRACT section 8)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import requests

from ..core.refs import Json
from ..errors import TargetUnavailable

_LARGEST = 256 * 1024
"""Bytes of a target's document that are read; a collector is somebody else's program."""


class Targets:
    """Monitoring targets by their URL."""

    def __init__(self, timeout: float) -> None:
        """:param timeout: seconds for one request."""
        self._timeout = timeout
        self._session = requests.Session()

    def get(self, url: str) -> tuple[Json, datetime] | None:
        """The target's document and the time at the collector; None when the target is gone (404).

        :raises TargetUnavailable: anything else than a document or a 404.
        """
        if not url.startswith(("http://", "https://")):
            raise TargetUnavailable("the monitoring link is not an http address")
        try:
            with self._session.get(url, timeout=self._timeout, stream=True, allow_redirects=False) as reply:
                if reply.status_code in (404, 410):
                    return None
                if reply.status_code != 200:
                    raise TargetUnavailable(f"the target answers {reply.status_code}")
                content = reply.raw.read(_LARGEST + 1, decode_content=True)
                if len(content) > _LARGEST:
                    raise TargetUnavailable(f"the target's document has more than {_LARGEST} bytes")
                reply._content = content
                return reply.json(), _date(reply.headers.get("Date"))
        except (requests.RequestException, ValueError) as error:
            raise TargetUnavailable(f"the target does not answer: {type(error).__name__}") from error


def _date(header: str | None) -> datetime:
    try:
        return parsedate_to_datetime(header) if header else datetime.now(UTC)
    except ValueError:
        return datetime.now(UTC)
