"""Tokens, and those that a process keeps."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ...errors import HeatUnavailable, ProjectRefused
from .connections import Connections
from .credentials import Credentials
from .shared_tokens import SharedTokens
from .token import Token


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
    """The tokens of an account, by project: those of this process, and behind them those that it
    shares with others. Each is fetched by one thread of one process at a time."""

    def __init__(
        self, connections: Connections, shared: SharedTokens, account: str
    ) -> None:
        """:param account: a name of the account and of its password."""
        self._connections = connections
        self._shared, self._account = shared, account
        self._known: dict[str, Token] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, tenant: str, fetch: Callable[[], Token]) -> Token:
        known = self._own(tenant)
        if known is not None:
            return known
        with self._alone(tenant):
            known = self._own(tenant)
            if known is None:
                known = self._known[tenant] = self._of_all(tenant, fetch)
            return known

    def drop(self, tenant: str, token: Token) -> None:
        """Forget this very token; another thread may have fetched a new one by now."""
        with self._lock:
            if self._known.get(tenant) is token:
                del self._known[tenant]
        self._shared.drop(self._key(tenant), token)

    def _own(self, tenant: str) -> Token | None:
        known = self._known.get(tenant)
        if known is None:
            return None
        if known.is_fresh(self._connections.clock.monotonic()):
            return known
        return None

    def _of_all(self, tenant: str, fetch: Callable[[], Token]) -> Token:
        """Another process's token, or else a new one for all."""
        key, now = self._key(tenant), self._connections.clock.monotonic
        with self._shared.alone(key, self._seconds):
            found = self._shared.find(key, now())
            if found is None:
                found = fetch()
                self._shared.keep(key, found, now())
            return found

    def _key(self, tenant: str) -> str:
        return f"{self._account} {tenant}"

    @property
    def _seconds(self) -> float:
        """How long this thread can wait for another."""
        return max(min(self._connections.left, threading.TIMEOUT_MAX), 0.0)

    @contextmanager
    def _alone(self, tenant: str) -> Iterator[None]:
        with self._lock:
            lock = self._locks.setdefault(tenant, threading.Lock())
        if not lock.acquire(timeout=self._seconds):
            raise HeatUnavailable(
                "Keystone has not answered another request of this process yet"
            )
        try:
            yield
        finally:
            lock.release()
