"""HTTP to Heat and Keystone: one pool of connections a process, no redirects, and an end to every
request.

A request ends in an :class:`~.answer.Answer` or in a :class:`HeatUnavailable`; no error of
``requests`` or ``urllib3`` leaves this module. There are three limits:

* to connect: :data:`~.failures.CONNECT` seconds,
* between two parts of an answer: the *silence* that a :class:`Connections` is made with,
* from the first byte sent to the last byte read: what :meth:`Connections.within` says. The
  time-outs of ``requests`` begin anew with every byte, so an answer of one byte a second would
  never end. Here each read is given what is left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.util import Timeout

from ...clock import CLOCK, Clock
from ...errors import OrchestratorError
from .answer import Answer
from .bounded import BoundedAdapter, limits
from .failures import CONNECT, FOREIGN, unavailable

_POOL = 32
"""Connections kept open per worker process."""

AGENT = "orchestrator"
"""Who asks, in the logs of Keystone and Heat."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How the other side proves who it is, and how we do: *verify* and *cert* as ``requests``
    takes them."""

    verify: bool | str = True
    cert: str | tuple[str, str] | None = None


NORMAL_TRUST = Trust()


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

    def __init__(self, silence: float = 60.0, clock: Clock = CLOCK) -> None:
        """
        :param silence: seconds for which the other side may send nothing.
        :param clock: of all who use these connections. The limits of requests are by the machine's,
            as those of its sockets are.
        """
        super().__init__()
        self.clock = clock
        self.auth = _as_it_is
        self._silence = silence
        self._settings: dict[tuple[str, object, object], Any] = {}
        self._ways: dict[tuple[str, object, object], _Way] = {}
        for scheme in ("http://", "https://"):
            self.mount(
                scheme,
                BoundedAdapter(pool_connections=_POOL, pool_maxsize=_POOL),
            )

    # Limits ---------------------------------------------------------------------------------------

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """All requests of this thread in the block end within *seconds*, or earlier where an outer
        block says so."""
        before = limits.until
        limits.until = min(before, time.monotonic() + seconds)
        try:
            yield
        finally:
            limits.until = before

    @contextmanager
    def only_while(self, check: Callable[[], None]) -> Iterator[None]:
        """Within the block, *check* is called directly before each request of this thread leaves;
        when it raises, the request is not made. (The first request of a process takes a second to
        get that far.)"""
        before, limits.check = limits.check, check
        try:
            yield
        finally:
            limits.check = before

    @property
    def left(self) -> float:
        """Seconds that this thread still has."""
        return limits.left

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
        if limits.check is not None:
            limits.check()
        limits.silence = self._silence
        left = limits.next_read
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
