"""HTTP to Heat and Keystone: one pool of connections a process, no redirects, and an end to every
request.

A request ends in an :class:`~.answers.Answer` or in a :class:`HeatUnavailable`; no error of
``requests`` or ``urllib3`` leaves this module. There are three limits:

* to connect: :data:`CONNECT` seconds,
* between two parts of an answer: the *silence* that a :class:`Connections` is made with,
* from the first byte sent to the last byte read: what :meth:`Connections.within` says. The
  time-outs of ``requests`` begin anew with every byte, so an answer of one byte a second would
  never end. Here each read is given what is left.
"""

from __future__ import annotations

import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProxyError,
    SSLError,
)
from urllib3.util import Timeout

from ...errors import EnvironmentUnusable, HeatUnavailable, OrchestratorError
from .answers import QUOTED, Answer, plain

CONNECT = 10.0
"""Seconds to connect to one address."""
_POOL = 32
"""Connections kept open per worker process."""
_LARGEST = 64 * 1024 * 1024
"""Bytes of one answer. A page of 1,000 stacks is about one megabyte."""
_USERINFO = re.compile(r"//[^/@\s]+@")

FOREIGN = (
    requests.RequestException,
    HTTPError,
    HTTPException,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
)
"""What the libraries below raise when an answer is broken, or an address is none."""


_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
_NO_CONNECTION_IN_TIME = (requests.ConnectTimeout, ConnectTimeoutError)
_TOO_LATE = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)

AGENT = "orchestrator"
"""Who asks, in the logs of Keystone and Heat."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How the other side proves who it is, and how we do: *verify* and *cert* as ``requests``
    takes them."""

    verify: bool | str = True
    cert: str | tuple[str, str] | None = None


NORMAL_TRUST = Trust()


class _Limits(threading.local):
    """What the request of each thread has to keep to: *until* by the monotonic clock."""

    until: float = float("inf")
    silence: float = 60.0
    check: Callable[[], None] | None = None

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    @property
    def next_read(self) -> float:
        """Seconds for the next part of the answer.

        :raises TimeoutError: the time is over.
        """
        left = self.left
        if left <= 0:
            raise TimeoutError("no complete answer in time")
        return min(left, self.silence)


_limits = _Limits()


class _BoundedReads(io.RawIOBase):
    """The bytes of one answer: every read is given what is left of the request's time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_limits.next_read)
        count = self._raw.readinto(buffer)
        self._count += count or 0
        if self._count > _LARGEST:
            raise OSError(f"the answer is longer than {_LARGEST} bytes")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """The standard library's response, reading through :class:`_BoundedReads`."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_BoundedReads(self.fp.detach(), sock))


class _Connection(HTTPConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        super().connect()
        _give_time(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _give_time(self.sock)
        super().request(*args, **kwargs)


class _SecureConnection(HTTPSConnection):
    response_class = _BoundedResponse

    def connect(self) -> None:
        super().connect()
        _give_time(self.sock)

    def request(self, *args: Any, **kwargs: Any) -> None:
        _give_time(self.sock)
        super().request(*args, **kwargs)


def _give_time(sock: socket.socket | None) -> None:
    """For what is sent now: the time-out is still that of connecting, or of the last read on the
    connection."""
    if sock is not None:
        sock.settimeout(_limits.next_read)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    """Makes connections that end in time, directly or through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _Pool,
            "https": _SecurePool,
        }

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


@dataclass(frozen=True, slots=True)
class _Way:
    """How requests get to one host.

    :param prefix: what the path of a request begins with; only a proxy needs any.
    """

    pool: HTTPConnectionPool
    prefix: str


class Connections(requests.Session):
    """A session that reads the environment (proxies, certificates) once for each host, and no
    ``.netrc``: for every request anew it takes a quarter of the request's CPU time."""

    def __init__(self, silence: float = 60.0) -> None:
        """:param silence: seconds for which the other side may send nothing."""
        super().__init__()
        self.auth = _as_it_is
        self._silence = silence
        self._settings: dict[tuple[str, object, object], Any] = {}
        self._ways: dict[tuple[str, object, object], _Way] = {}
        for scheme in ("http://", "https://"):
            self.mount(
                scheme, _Adapter(pool_connections=_POOL, pool_maxsize=_POOL)
            )

    # Limits ---------------------------------------------------------------------------------------

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All requests of this thread in the block end within *seconds*, or earlier where an outer
        block says so."""
        before = _limits.until
        _limits.until = min(before, time.monotonic() + seconds)
        try:
            yield
        finally:
            _limits.until = before

    @contextmanager
    def only_while(self, check: Callable[[], None]) -> Iterator[None]:
        """Within the block, *check* is called directly before each request of this thread leaves;
        when it raises, the request is not made. (The first request of a process takes a second to
        get that far.)"""
        before, _limits.check = _limits.check, check
        try:
            yield
        finally:
            _limits.check = before

    @property
    def left(self) -> float:
        """Seconds that this thread still has."""
        return _limits.left

    # Requests -------------------------------------------------------------------------------------

    def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        trust: Trust = NORMAL_TRUST,
    ) -> Answer:
        """One request and its whole answer, whatever it is.

        It goes through the pool of the host itself: what ``requests`` does around each request
        (cookies, redirects, hooks) takes more time than the request.

        :raises HeatUnavailable: there is no whole answer in time.
        :raises EnvironmentUnusable: the address is none, or a file that is needed is missing.
        """
        try:
            times = self._begin()
            way, target = self._way(url, trust)
            response = way.pool.urlopen(
                method,
                way.prefix + target,
                body,
                {"User-Agent": AGENT, **headers},
                retries=False,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(*times),
            )
        except OrchestratorError:
            raise
        except FOREIGN as error:
            raise unavailable(error, url) from error
        return Answer(
            response.status,
            {name.lower(): value for name, value in response.headers.items()},
            response.data,
        )

    def _way(self, url: str, trust: Trust) -> tuple[_Way, str]:
        """How to get to an address, and the part of it that the other side is asked for."""
        scheme, _, rest = url.partition("://")
        authority, _, target = rest.partition("/")
        root = f"{scheme}://{authority}"
        known = (root, trust.verify, trust.cert)
        way = self._ways.get(known)
        if way is None:
            way = self._ways[known] = self._found_way(root, trust)
        return way, f"/{target}"

    def _found_way(self, root: str, trust: Trust) -> _Way:
        """The pool of a host as ``requests`` makes it: proxies and certificates of the
        environment, and its own."""
        asked = requests.Request("GET", f"{root}/").prepare()
        settings = self.merge_environment_settings(
            asked.url, {}, None, trust.verify, trust.cert
        )
        proxies, verify = settings["proxies"], settings["verify"]
        adapter = self.get_adapter(f"{root}/")
        assert isinstance(adapter, HTTPAdapter)
        pool = adapter.get_connection_with_tls_context(
            asked, verify, proxies=proxies, cert=settings["cert"]
        )
        assert isinstance(pool, HTTPConnectionPool)
        check: Callable[..., None] = adapter.cert_verify
        check(pool, asked.url, verify, settings["cert"])
        whole = adapter.request_url(asked, proxies)
        return _Way(pool, whole.removesuffix("/"))

    def _begin(self) -> tuple[float, float]:
        """Before a request leaves: seconds to connect, and for the next part of the answer."""
        if _limits.check is not None:
            _limits.check()
        _limits.silence = self._silence
        left = _limits.next_read
        return min(CONNECT, left), left

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        known = (urlsplit(url).netloc, verify, cert)
        if known not in self._settings:
            self._settings[known] = super().merge_environment_settings(
                url, proxies, None, verify, cert
            )
        return {**self._settings[known], "stream": stream}

    def send(self, request: Any, **kwargs: Any) -> Any:
        return super().send(request, **{**kwargs, "timeout": self._begin()})


def _as_it_is(request: Any) -> Any:
    """The token is in the headers already."""
    return request


# Errors -------------------------------------------------------------------------------------------


def unavailable(
    error: BaseException, url: str
) -> HeatUnavailable | EnvironmentUnusable:
    """An error of the libraries in our words: who did not answer, and how."""
    wrong = _unusable(error, url)
    if wrong is not None:
        return EnvironmentUnusable(wrong)
    return HeatUnavailable(_no_answer(error, host(url)))


def _unusable(error: BaseException, url: str) -> str | None:
    """What is wrong with our own settings, None when nothing is."""
    if isinstance(error, _NO_ADDRESS):
        return (
            f"{without_userinfo(url)!r} is no address: http:// or https://, a host, a"
            " port"
        )
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return (
            "the address of the proxy cannot be used; check http_proxy, https_proxy and"
            " no_proxy"
        )
    if isinstance(error, OSError):
        words = str(error)
        if "TLS" in words and "invalid path" in words:
            return (
                f"{plain(words, QUOTED)}; check OS_CACERT, OS_CERT and OS_KEY of the"
                " workers"
            )
    return None


def _no_answer(error: BaseException, place: str) -> str:
    """How *place* failed to answer."""
    cause = _cause(error)
    words = plain(without_userinfo(str(cause)), QUOTED)

    def is_one(kinds: tuple[type[BaseException], ...]) -> bool:
        return isinstance(error, kinds) or isinstance(cause, kinds)

    if isinstance(cause, NewConnectionError):  # a kind of ConnectTimeoutError
        return f"{place} does not answer: {words.rpartition(': ')[2]}"
    if is_one(_NO_CONNECTION_IN_TIME):
        return f"{place} does not answer: no connection within {CONNECT:.0f} s"
    if is_one(_TOO_LATE) or "timed out" in words:
        return f"{place} does not answer: no complete answer in time"
    if is_one((requests.exceptions.ProxyError, ProxyError)):
        return (
            f"the proxy before {place} does not answer: {words}; check http_proxy,"
            " https_proxy and no_proxy"
        )
    if is_one((requests.exceptions.SSLError, SSLError)):
        return (
            f"no TLS connection to {place}: {words}; check OS_CACERT and the server's"
            " certificate"
        )
    return f"{place} gives no complete answer: {words or type(cause).__name__}"


def host(url: str) -> str:
    """``http://host:port`` of an address, for people."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return without_userinfo(url)


def without_userinfo(text: str) -> str:
    """Addresses without the user and the password in them."""
    return _USERINFO.sub("//***@", text)


def _cause(error: BaseException) -> BaseException:
    """What is inside of what ``requests`` and ``urllib3`` wrap around each other."""
    for _ in range(6):
        inner = getattr(error, "reason", None)
        first = error.args[0] if error.args else None
        found = inner if isinstance(inner, BaseException) else first
        if not isinstance(found, BaseException):
            return error
        error = found
    return error
