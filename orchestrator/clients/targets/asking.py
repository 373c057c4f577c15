"""Ask a monitoring target, and read its document."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ...core.addresses import ANYWHERE, Address, Place, Rules, parse_url
from ...core.documents import parse_json
from ...core.refs import Json
from ...errors import TargetUnavailable
from .connections import Connection, Kept, connected
from .names import LOOKUPS, LookUp, Names
from .routes import Route, Routes
from .timed import LARGEST, Deadline

CONCURRENCY = 16
"""Targets asked at the same time by one process."""


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
        self._names = Names(look_up, LOOKUPS)
        self._routes = Routes()
        self._kept = Kept()

    def get(
        self, url: str, at_most: float | None = None
    ) -> tuple[Json, datetime] | None:
        """The target's document and the time at the collector; None when the target is gone (404 or
        410).

        :param at_most: seconds, where there are fewer left than the timeout.
        :raises TargetUnavailable: anything else than a document or a 404.
        """
        place = parse_url(url)
        seconds = self.timeout
        if at_most is not None:
            seconds = min(seconds, at_most)
        deadline = Deadline(seconds)
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
        route = self._routes.of(place)
        while True:
            connection = self._kept.take(route)
            if connection is None:
                return self._ask_on(
                    Connection(route, self._reach), place, deadline
                )
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                # The collector may have closed it since; then it has not seen the request, and is
                # asked on a new one.
                return self._ask_on(connection, place, deadline)

    def _ask_on(
        self, connection: Connection, place: Place, deadline: Deadline
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

    def _reach(self, route: Route, deadline: Deadline) -> socket.socket:
        """A connection to the target's host, or to the proxy that is to reach it."""
        place, proxy = route.place, route.proxy
        if proxy is not None:
            # The proxy looks names up by itself, so of a name no address is known here.
            self._check(place.host, [place.address])
            found = self._names.addresses(proxy.host, proxy.port, deadline)
            return connected(found, proxy.port, deadline)
        if place.address:
            allowed = self._check(place.host, [place.address])
        else:
            found = self._names.addresses(place.host, place.port, deadline)
            allowed = self._check(place.host, found)
        return connected(allowed, place.port, deadline)

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


def _why(error: Exception) -> str:
    """What went wrong, in words that quote nothing of what was sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__


def _read(reply: http.client.HTTPResponse) -> tuple[Json, datetime] | None:
    if reply.status in (404, 410):
        reply.read(LARGEST)
        return None
    if reply.status != 200:
        raise TargetUnavailable(f"the target answers {reply.status}")
    coding = reply.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("identity", ""):
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
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return date
    return datetime.now(UTC)
