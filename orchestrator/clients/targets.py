"""The door to monitoring collectors: GET a target's document (CONTRACT section 8)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_netrc_auth

from ..core.refs import Json
from ..errors import TargetUnavailable

_LARGEST = 256 * 1024
"""Bytes of a target's document that are read; a collector is somebody else's program."""


CONCURRENCY = 16
"""Targets asked at the same time by one process."""


class Targets:
    """Monitoring targets by their URL. May be used from several threads."""

    def __init__(self, timeout: float) -> None:
        """:param timeout: seconds for one request."""
        self._timeout = timeout
        self._session = requests.Session()
        # What the environment says of proxies, certificates and passwords is read once for each host
        # and not for each request, where it took as long as all the rest.
        self._session.trust_env = False
        self._hosts: dict[str, dict[str, Any]] = {}
        for scheme in ("http://", "https://"):
            # As many connections are kept as are used at a time, to one collector or to many.
            self._session.mount(scheme, HTTPAdapter(pool_connections=4 * CONCURRENCY, pool_maxsize=CONCURRENCY))

    def _environment(self, url: str) -> dict[str, Any]:
        """How the environment wants this host to be asked, as ``requests`` reads it."""
        host = "/".join(url.split("/", 3)[:3])
        if (known := self._hosts.get(host)) is None:
            with requests.Session() as session:
                known = dict(session.merge_environment_settings(host, {}, None, None, None))
            known = {"proxies": known["proxies"], "verify": known["verify"], "auth": get_netrc_auth(host)}
            self._hosts[host] = known
        return known

    def get(self, url: str) -> tuple[Json, datetime] | None:
        """The target's document and the time at the collector; None when the target is gone (404).

        :raises TargetUnavailable: anything else than a document or a 404.
        """
        if not url.startswith(("http://", "https://")):
            raise TargetUnavailable("the monitoring link is not an http address")
        try:
            asked = self._environment(url)
            with self._session.get(url, timeout=self._timeout, stream=True, allow_redirects=False, **asked) as reply:
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
