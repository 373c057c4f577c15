"""One connection to a collector, and the connections that are kept for the next request."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ...core.addresses import Address, Place
from ...errors import TargetUnavailable
from .routes import Proxy, Route, named
from .timed import Deadline, Timed

DEFAULT_PORTS = {"http": 80, "https": 443}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
MOST_KEPT = 64
"""Connections kept open while nothing is asked."""
KEPT_FOR = 30.0
"""Seconds for which one is kept: what stands between may have forgotten an older one."""


def connected(
    addresses: Sequence[Address], port: int, deadline: Deadline
) -> socket.socket:
    """A connection to the first of some addresses that takes it; each gets its share of the
    time."""
    trouble: OSError = OSError("it has no address")
    for tried, address in enumerate(addresses):
        made = socket.socket(_FAMILIES[address.version], socket.SOCK_STREAM)
        try:
            made.settimeout(deadline.left() / (len(addresses) - tried))
            made.connect((str(address), port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            trouble = error
        else:
            return made
    raise trouble


Reach: TypeAlias = Callable[[Route, Deadline], socket.socket]
"""Connects to a route's host, or to the proxy that is to reach it."""


class Connection(http.client.HTTPConnection):
    """One connection, on which one request after the other is made, each with a deadline."""

    def __init__(self, route: Route, reach: Reach) -> None:
        super().__init__(route.place.host, route.place.port)
        self.route = route
        self.used = 0.0
        self.deadline = Deadline(0.0)
        self.default_port = DEFAULT_PORTS[route.place.scheme]
        self._reach = reach

    def get(self, place: Place, deadline: Deadline) -> http.client.HTTPResponse:
        """Ask, and read the answer's headers."""
        self.deadline = deadline
        self.used = time.monotonic()
        headers = dict(self.route.headers)
        target = place.path
        proxy = self.route.proxy
        if proxy is not None and place.scheme == "http":
            headers.update(proxy.headers)
            target = f"http://{named(place.host)}:{place.port}{place.path}"
        self.request("GET", target, headers=headers)
        return self.getresponse()

    def connect(self) -> None:
        route, deadline = self.route, self.deadline
        raw = self._reach(route, deadline)
        try:
            self.sock = Timed(raw, self)
            if route.place.scheme == "https":
                if route.proxy is not None:
                    self._open_tunnel(route.proxy)
                raw.settimeout(deadline.left())
                self.sock = Timed(
                    trusting(route.bundle).wrap_socket(
                        raw, server_hostname=route.place.host
                    ),
                    self,
                )
        except BaseException:
            raw.close()
            self.sock = None
            raise

    def _open_tunnel(self, proxy: Proxy) -> None:
        place = self.route.place
        target = f"{named(place.host)}:{place.port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        reply = http.client.HTTPResponse(self.sock, method="CONNECT")
        try:
            reply.begin()
        finally:
            reply.close()
        if reply.status != 200:
            raise TargetUnavailable(
                f"the proxy {proxy.host}:{proxy.port} answers {reply.status}"
            )


_contexts: dict[str, ssl.SSLContext] = {}


def trusting(bundle: str) -> ssl.SSLContext:
    """Reading the certificates takes longer than many requests: once for each bundle."""
    if bundle not in _contexts:
        if os.path.isdir(bundle):  # noqa: PTH112 - a setting's text
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
        _contexts[bundle] = context
    return _contexts[bundle]


@dataclass(slots=True)
class Kept:
    """Connections that may be used again."""

    _idle: dict[tuple[str, str, int], list[Connection]] = field(
        default_factory=dict
    )
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, route: Route) -> Connection | None:
        with self._lock:
            while idle := self._idle.get(route.key):
                connection = idle.pop()
                self._count -= 1
                if not idle:
                    del self._idle[route.key]
                if time.monotonic() - connection.used < KEPT_FOR:
                    return connection
                connection.close()
        return None

    def put(self, connection: Connection) -> None:
        with self._lock:
            self._idle.setdefault(connection.route.key, []).append(connection)
            self._count += 1
            if self._count > MOST_KEPT:
                oldest = next(iter(self._idle))
                self._idle[oldest].pop(0).close()
                self._count -= 1
                if not self._idle[oldest]:
                    del self._idle[oldest]
