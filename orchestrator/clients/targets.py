"""The door to monitoring collectors: GET a target's document (CONTRACT section 8).

A collector is somebody else's program at an address that a stack's output names.
So one request has a deadline for all of it, from the name to the last byte; what is read is
bounded; and the address that is connected to is the one that was checked
(:mod:`orchestrator.core.addresses`).
Redirects are not followed.
"""

from __future__ import annotations

import base64
import http.client
import io
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_environ_proxies,
    get_netrc_auth,
    select_proxy,
)

from .. import __version__
from ..core.addresses import ANYWHERE, Address, Place, Rules, parse_url
from ..core.documents import parse_json
from ..core.refs import Json
from ..errors import TargetUnavailable

LookUp: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]
"""As ``socket.getaddrinfo``."""

LARGEST = 256 * 1024
"""Bytes of a target's document that are read."""
_LARGEST_HEAD = 128 * 1024
"""Bytes besides, of headers and of what frames the document."""
CONCURRENCY = 16
"""Targets asked at the same time by one process."""
_KEPT = 4 * CONCURRENCY
"""Connections kept open while nothing is asked."""
_KEPT_FOR = 30.0
"""Seconds for which one is kept: what stands between may have forgotten an older one."""
_LOOKUPS = 16
"""Names that are looked up at the same time.
A lookup cannot be broken off, so it may outlast its request."""
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": f"orchestrator/{__version__}",
}


class Deadline:
    """A moment by the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then.

        :raises TimeoutError: it has passed.
        """
        seconds = self.at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class Targets:
    """Monitoring targets by their URL. May be used from several threads."""

    def __init__(
        self,
        timeout: float,
        rules: Rules = ANYWHERE,
        look_up: LookUp = socket.getaddrinfo,
    ) -> None:
        """:param timeout: seconds for one target, all in all.
        :param rules: which addresses may be asked.
        :param look_up: finds the addresses of a name.
        """
        self.timeout = timeout
        self._rules = rules
        self._names = _Names(look_up, _LOOKUPS)
        self._routes: dict[tuple[str, str, int], _Route] = {}
        self._kept = _Kept()

    def get(
        self, url: str, at_most: float | None = None
    ) -> tuple[Json, datetime] | None:
        """The target's document and the time at the collector; None when the target is gone (404 or
        410).

        :param at_most: seconds, where there are fewer left than the timeout.
        :raises TargetUnavailable: anything else than a document or a 404.
        """
        place = parse_url(url)
        deadline = Deadline(
            self.timeout if at_most is None else min(self.timeout, at_most)
        )
        try:
            return self._ask(place, deadline)
        except TimeoutError as error:
            raise TargetUnavailable(
                f"the target did not answer within {self.timeout:g} s"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise TargetUnavailable(
                f"the target does not answer: {_why(error)}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise TargetUnavailable(
                "the target's document is not JSON, or nested too deeply"
            ) from error

    def _ask(
        self, place: Place, deadline: Deadline
    ) -> tuple[Json, datetime] | None:
        route = self._route(place)
        while True:
            connection = self._kept.take(route)
            if connection is None:
                return self._ask_on(
                    _Connection(route, self._reach), place, deadline
                )
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                # The collector may have closed it since; then it has not seen the request, and is
                # asked on a new one.
                return self._ask_on(connection, place, deadline)

    def _ask_on(
        self, connection: _Connection, place: Place, deadline: Deadline
    ) -> tuple[Json, datetime] | None:
        reply = None
        try:
            reply = connection.get(place, deadline)
            answer = _read(reply)
        except BaseException:
            if reply is not None:
                reply.close()  # Python keeps the socket open until its last reader is closed.
            connection.close()
            raise
        if reply.isclosed() and not reply.will_close:
            self._kept.put(connection)
        else:
            connection.close()
        return answer

    def _route(self, place: Place) -> _Route:
        """How the environment wants a host to be asked (proxies, certificates, passwords), read
        once for each."""
        known = (place.scheme, place.host, place.port)
        route = self._routes.get(known)
        if route is None:
            if len(self._routes) >= _MOST_ROUTES:
                self._routes.clear()
            route = self._routes[known] = _Route.of(place)
        return route

    def _reach(self, route: _Route, deadline: Deadline) -> socket.socket:
        """A connection to the target's host, or to the proxy that is to reach it."""
        if route.proxy is not None:
            # The proxy looks names up by itself, so of a name no address is known here.
            self._check(route.place.host, [route.place.address])
            return _connected(
                self._names.addresses(
                    route.proxy.host, route.proxy.port, deadline
                ),
                route.proxy.port,
                deadline,
            )
        place = route.place
        addresses = (
            [place.address]
            if place.address
            else self._names.addresses(place.host, place.port, deadline)
        )
        return _connected(
            self._check(place.host, addresses), place.port, deadline
        )

    def _check(
        self, host: str, addresses: Sequence[Address | None]
    ) -> list[Address]:
        """Those that may be asked.

        :param addresses: None stands for one that is not known.
        :raises TargetUnavailable: none may be.
        """
        refusals = {
            address: self._rules.refusal(host, address) for address in addresses
        }
        allowed = [
            address
            for address, refusal in refusals.items()
            if address and not refusal
        ]
        if all(refusals.values()):
            raise TargetUnavailable(
                "the target may not be asked:"
                f" {next(iter(refusals.values()), 'it has no address')}"
            )
        return allowed


_MOST_ROUTES = 10_000


def _why(error: Exception) -> str:
    """What went wrong, in words that quote nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


# The answer ---------------------------------------------------------------------------------------


def _read(reply: http.client.HTTPResponse) -> tuple[Json, datetime] | None:
    if reply.status in (404, 410):
        reply.read(LARGEST)
        return None
    if reply.status != 200:
        raise TargetUnavailable(f"the target answers {reply.status}")
    if (
        coding := reply.headers.get("Content-Encoding", "identity")
        .strip()
        .lower()
    ) not in ("identity", ""):
        raise TargetUnavailable(
            f"the target's document is compressed ({coding[:20]!a}), though it was"
            " asked not to be"
        )
    content = reply.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise TargetUnavailable(
            f"the target's document has more than {LARGEST:,} bytes"
        )
    return parse_json(content), _date(reply.headers.get("Date"))


def _date(header: str | None) -> datetime:
    with suppress(ValueError, TypeError, OverflowError, IndexError):
        date = parsedate_to_datetime(header or "")
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return datetime.now(UTC)


# Connections --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Proxy:
    """An HTTP proxy, and what it wants to be told of who asks."""

    host: str
    port: int
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Route:
    """How a host is asked.
    *place* is one of its targets, *bundle* the file or folder of certificates to trust."""

    place: Place
    proxy: _Proxy | None
    bundle: str
    headers: Mapping[str, str]

    @property
    def key(self) -> tuple[str, str, int]:
        return self.place.scheme, self.place.host, self.place.port

    @classmethod
    def of(cls, place: Place) -> _Route:
        host = f"[{place.host}]" if ":" in place.host else place.host
        url = f"{place.scheme}://{host}:{place.port}/"
        proxy = select_proxy(url, get_environ_proxies(url))
        bundle = (
            os.environ.get("REQUESTS_CA_BUNDLE")
            or os.environ.get("CURL_CA_BUNDLE")
            or str(DEFAULT_CA_BUNDLE_PATH)
        )
        login = get_netrc_auth(url)
        headers = {
            **_HEADERS,
            **({"Authorization": _basic(*login)} if login else {}),
        }
        return cls(place, _proxy(proxy) if proxy else None, bundle, headers)


def _proxy(url: str) -> _Proxy:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise TargetUnavailable(
            f"the environment names a proxy of the kind {parts.scheme!r}; only http://"
            " is supported"
        )
    login = (
        {
            "Proxy-Authorization": _basic(
                unquote(parts.username), unquote(parts.password or "")
            )
        }
        if parts.username
        else {}
    )
    return _Proxy(parts.hostname, parts.port or 80, login)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _connected(
    addresses: Sequence[Address], port: int, deadline: Deadline
) -> socket.socket:
    """A connection to the first of some addresses that takes it; each gets its share of the
    time."""
    trouble: OSError = OSError("it has no address")
    for tried, address in enumerate(addresses):
        made = socket.socket(
            socket.AF_INET6 if address.version == 6 else socket.AF_INET,
            socket.SOCK_STREAM,
        )
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


class _Connection(http.client.HTTPConnection):
    """One connection, on which one request after the other is made, each with a deadline."""

    def __init__(self, route: _Route, reach: Any) -> None:
        super().__init__(route.place.host, route.place.port)
        self.route = route
        self.used = 0.0
        self.deadline = Deadline(0.0)
        self.default_port = 443 if route.place.scheme == "https" else 80
        self._reach = reach

    def get(self, place: Place, deadline: Deadline) -> http.client.HTTPResponse:
        """Ask, and read the answer's headers."""
        self.deadline = deadline
        self.used = time.monotonic()
        target, headers = place.path, self.route.headers
        proxy = self.route.proxy
        if proxy is not None and place.scheme == "http":
            host = f"[{place.host}]" if ":" in place.host else place.host
            target, headers = (
                f"http://{host}:{place.port}{place.path}",
                {
                    **headers,
                    **proxy.headers,
                },
            )
        self.request("GET", target, headers=dict(headers))
        return self.getresponse()

    def connect(self) -> None:
        route, deadline = self.route, self.deadline
        raw = self._reach(route, deadline)
        try:
            self.sock = _Timed(raw, self)
            if route.place.scheme == "https":
                if route.proxy is not None:
                    self._open_tunnel(route.proxy)
                raw.settimeout(deadline.left())
                self.sock = _Timed(
                    _trusting(route.bundle).wrap_socket(
                        raw, server_hostname=route.place.host
                    ),
                    self,
                )
        except BaseException:
            raw.close()
            self.sock = None
            raise

    def _open_tunnel(self, proxy: _Proxy) -> None:
        place = self.route.place
        host = f"[{place.host}]" if ":" in place.host else place.host
        lines = [
            f"CONNECT {host}:{place.port} HTTP/1.1",
            f"Host: {host}:{place.port}",
        ]
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


class _Timed:
    """A socket as ``http.client`` uses one, on which nothing lasts longer than the request's
    deadline."""

    def __init__(self, wrapped: socket.socket, connection: _Connection) -> None:
        self._wrapped, self._connection = wrapped, connection

    def sendall(self, data: bytes) -> None:
        self._wrapped.settimeout(self._connection.deadline.left())
        self._wrapped.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._wrapped, self._connection))

    def close(self) -> None:
        self._wrapped.close()


class _Reader(io.RawIOBase):
    """What comes from a socket, up to so many bytes and until the deadline: one that sends a byte
    now and then, or headers without an end, is left."""

    def __init__(self, wrapped: socket.socket, connection: _Connection) -> None:
        # Python closes a socket when the last file made of it is closed.
        self._raw = wrapped.makefile("rb", buffering=0)
        self._wrapped, self._connection = wrapped, connection
        self._left = LARGEST + _LARGEST_HEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left <= 0:
            raise TargetUnavailable(
                f"the target sends more than {LARGEST + _LARGEST_HEAD:,} bytes"
            )
        self._wrapped.settimeout(self._connection.deadline.left())
        count = self._raw.readinto(buffer)
        self._left -= count or 0
        return int(count) if count is not None else None

    def close(self) -> None:
        self._raw.close()
        super().close()


_contexts: dict[str, ssl.SSLContext] = {}


def _trusting(bundle: str) -> ssl.SSLContext:
    """Reading the certificates takes longer than many requests: once for each bundle."""
    if bundle not in _contexts:
        folder = os.path.isdir(bundle)  # noqa: PTH112 - a setting's text
        _contexts[bundle] = ssl.create_default_context(
            cafile=None if folder else bundle, capath=bundle if folder else None
        )
    return _contexts[bundle]


@dataclass(slots=True)
class _Kept:
    """Connections that may be used again."""

    _idle: dict[tuple[str, str, int], list[_Connection]] = field(
        default_factory=dict
    )
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, route: _Route) -> _Connection | None:
        with self._lock:
            while idle := self._idle.get(route.key):
                connection = idle.pop()
                self._count -= 1
                if not idle:
                    del self._idle[route.key]
                if time.monotonic() - connection.used < _KEPT_FOR:
                    return connection
                connection.close()
        return None

    def put(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.setdefault(connection.route.key, []).append(connection)
            self._count += 1
            if self._count > _KEPT:
                oldest = next(iter(self._idle))
                self._idle[oldest].pop(0).close()
                self._count -= 1
                if not self._idle[oldest]:
                    del self._idle[oldest]


# Names --------------------------------------------------------------------------------------------


class _Names:
    """Looks up names, without waiting for longer than there is time.

    A lookup cannot be broken off, so each has a thread of its own that may outlast the request.
    There are at most so many: names that no server answers for take nobody else's.
    """

    def __init__(self, look_up: LookUp, at_once: int) -> None:
        self._getaddrinfo = look_up
        self._free = threading.BoundedSemaphore(at_once)

    def addresses(
        self, host: str, port: int, deadline: Deadline
    ) -> list[Address]:
        """:raises TargetUnavailable: the name leads nowhere.
        :raises TimeoutError: nobody has answered in time.
        """
        if not self._free.acquire(timeout=deadline.left()):
            raise TargetUnavailable(
                "too many names are being looked up; does the name server answer?"
            )
        answers: queue.SimpleQueue[list[Address] | OSError] = (
            queue.SimpleQueue()
        )
        threading.Thread(
            target=self._look_up,
            args=(host, port, answers),
            name="lookup",
            daemon=True,
        ).start()
        try:
            answer = answers.get(timeout=deadline.left())
        except queue.Empty as error:
            raise TargetUnavailable(
                "the name of the target's host could not be looked up in time"
            ) from error
        if isinstance(answer, OSError):
            raise TargetUnavailable(
                f"the name of the target's host leads nowhere: {answer.strerror}"
            ) from answer
        return answer

    def _look_up(
        self,
        host: str,
        port: int,
        answers: queue.SimpleQueue[list[Address] | OSError],
    ) -> None:
        try:
            found = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
            # A link-local address comes with the name of an interface behind it.
            answers.put(
                list(
                    dict.fromkeys(
                        ip_address(str(entry[4][0]).partition("%")[0])
                        for entry in found
                    )
                )
            )
        except OSError as error:
            answers.put(error)
        except Exception as error:  # such as a name that no encoding fits
            answers.put(OSError(0, type(error).__name__))
        finally:
            self._free.release()
