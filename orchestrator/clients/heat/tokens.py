"""Tokens, and those that a process keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from ...core.refs import Json
from ...errors import HeatUnavailable, ProjectRefused
from .connections import Connections
from .credentials import Credentials

LIFE = 3600.0
"""Seconds of a token whose life cannot be read."""
EARLY = 120.0
"""Seconds before its end at which a token is renewed; of a short one, half of its life. A request
may wait in a busy Heat before the token is checked (30 s were seen on two cores)."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and where Heat is for its project.

    *headers* carry it; *project* is the id of the project that it is for, empty when it is for
    none. *made* and *renew* (when it is time for a new one) are by the monotonic clock.
    """

    headers: Mapping[str, str] = field(repr=False)
    project: str
    catalog: Json = field(repr=False, default=None)
    made: float = 0.0
    renew: float = float("inf")

    @property
    def value(self) -> str:
        return self.headers.get("X-Auth-Token", "")

    def is_fresh(self, now: float) -> bool:
        """:param now: by the monotonic clock."""
        return now < self.renew


def made(
    headers: Mapping[str, str],
    project: str,
    catalog: Json,
    life: float,
    now: float,
) -> Token:
    """A token of *now* that is good for *life* seconds."""
    return Token(
        headers, project, catalog, now, now + life - min(EARLY, life / 2)
    )


def life(token: Mapping[str, Json]) -> float:
    """Seconds from the making of a token to its end, by Keystone's clock alone."""
    try:
        ends = datetime.fromisoformat(str(token["expires_at"]))
        begins = datetime.fromisoformat(str(token["issued_at"]))
        return max((ends - begins).total_seconds(), 1.0)
    except (KeyError, ValueError, TypeError, OverflowError):
        return LIFE


class Access(Protocol):
    """Tokens of some credentials."""

    credentials: Credentials

    def token(self, tenant: str) -> Token:
        """A token for the project.

        :raises CredentialsRejected: a person has to correct the credentials.
        :raises ProjectRefused: the credentials are good, but not for this project.
        :raises HeatUnavailable: Keystone does not answer.
        """

    def drop(self, tenant: str, token: Token) -> None:
        """Heat refused the token: the next one is a new one."""

    def check(self) -> Token:
        """Any token at all: are the credentials good?

        :raises CredentialsRejected: they are not.
        :raises HeatUnavailable: Keystone does not answer.
        """

    def gone(self, tenant: str) -> bool | None:
        """Whether there is no such project any more; None when Keystone does not tell us."""


class NoKeystone:
    """A Heat that lets everybody in: the project is the one in the address."""

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials

    def token(self, tenant: str) -> Token:
        return Token({}, tenant)

    def drop(self, tenant: str, token: Token) -> None:
        """There is no other."""

    def check(self) -> Token:
        return Token({}, "")

    def gone(self, tenant: str) -> bool | None:
        return None


def bound_elsewhere(
    credentials: Credentials, project: str, tenant: str
) -> ProjectRefused:
    return ProjectRefused(
        tenant,
        f"the workers use {credentials.who}, which is bound to project"
        f" {project or 'unknown'}; give the workers credentials for {tenant}, or a user"
        " with a role in it",
    )


class Tokens:
    """The tokens of a process, by project; each is fetched by one thread at a time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._known: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, tenant: str, fetch: Callable[[], Token]) -> Token:
        now = self._connections.clock.monotonic
        known = self._known.get(tenant)
        if known is not None and known.is_fresh(now()):
            return known
        with self._alone(tenant):
            known = self._known.get(tenant)
            if known is None or not known.is_fresh(now()):
                known = self._known[tenant] = fetch()
            return known

    def drop(self, tenant: str, token: Token) -> None:
        """Forget this very token; another thread may have fetched a new one by now."""
        with self._lock:
            if self._known.get(tenant) is token:
                del self._known[tenant]

    @contextmanager
    def _alone(self, tenant: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(tenant, threading.Lock())
        if not lock.acquire(
            timeout=max(min(self._connections.left, threading.TIMEOUT_MAX), 0.0)
        ):
            raise HeatUnavailable(
                "Keystone has not answered another request of this process yet"
            )
        try:
            yield
        finally:
            lock.release()
