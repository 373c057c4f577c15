"""What the environment says about a host: proxy, certificates, password."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_environ_proxies,
    get_netrc_auth,
    select_proxy,
)

from ... import __version__
from ...core.addresses import Place
from ...errors import TargetUnavailable

_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"orchestrator/{__version__}",
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and what it wants to be told of who asks."""

    host: str
    port: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """How a host is asked.
    *place* is one of its targets, *bundle* the file or folder of certificates to trust."""

    place: Place
    proxy: Proxy | None
    bundle: str
    headers: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.place.scheme, self.place.host, self.place.port

    @classmethod
    def of(cls, place: Place) -> Route:
        url = f"{place.scheme}://{named(place.host)}:{place.port}/"
        proxy = _proxy(select_proxy(url, get_environ_proxies(url)))
        bundle = (
            os.environ.get("REQUESTS_CA_BUNDLE")
            or os.environ.get("CURL_CA_BUNDLE")
            or str(DEFAULT_CA_BUNDLE_PATH)
        )
        headers = dict(_HEADERS)
        if login := get_netrc_auth(url):
            headers["Authorization"] = _basic(*login)
        return cls(place, proxy, bundle, headers)


def named(host: str) -> str:
    """A host as it stands in a URL: IPv6 addresses in brackets."""
    if ":" in host:
        return f"[{host}]"
    return host


def _proxy(url: str | None) -> Proxy | None:
    """:raises TargetUnavailable: it is of another kind than ``http://``."""
    if not url:
        return None
    if "://" not in url:
        url = f"http://{url}"
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise TargetUnavailable(
            f"the environment names a proxy of the kind {parts.scheme!r}; only http://"
            " is supported"
        )
    login = {}
    if parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
        login["Proxy-Authorization"] = _basic(user, password)
    return Proxy(parts.hostname, parts.port or 80, login)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Routes:
    """The route of each host, read once."""

    MOST = 10_000
    """Hosts that are remembered. One more, and all are forgotten."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, int], Route] = {}

    def of(self, place: Place) -> Route:
        """:raises TargetUnavailable: the environment names a proxy that cannot be used."""
        key = (place.scheme, place.host, place.port)
        route = self._known.get(key)
        if route is None:
            if len(self._known) >= self.MOST:
                self._known.clear()
            route = self._known[key] = Route.of(place)
        return route
