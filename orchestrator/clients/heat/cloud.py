"""Which credentials serve a tenant: its own, from a file, or those of the environment.

Files are read again when they change, so that a rotated password or secret needs no restart. One
that cannot be read at that moment leaves in place what was read before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import EnvironmentUnusable
from ...events import EventName, count
from . import environment
from .connections import Connections
from .credentials import Credentials
from .keystone import Access, access
from .logins import Account, Logins
from .shared_tokens import SharedTokens

log = logging.getLogger(__name__)

READ_AGAIN = 5.0
"""Seconds between two attempts to read credentials that cannot be read."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read, and the state of the files then."""

    access: Access
    stamp: object

    @property
    def current(self) -> bool:
        return self.stamp == environment.stamp(self.access.credentials.files)


class Cloud:
    """The way to tokens for each tenant."""

    def __init__(
        self,
        connections: Connections,
        logins: Logins,
        shared: SharedTokens,
        folder: str,
    ) -> None:
        """:param folder: where tenants have files of their own; empty: none has."""
        self._connections, self._folder = connections, folder
        self._logins, self._shared = logins, shared
        self._locks: dict[str, threading.Lock] = {}
        self._found: dict[str, _Found] = {}
        self._failed: dict[str, tuple[float, EnvironmentUnusable]] = {}
        """When to read again what could not be read, by the monotonic clock, and why not."""

    def read(self) -> None:
        """Read the credentials of the environment.

        :raises EnvironmentUnusable: they cannot be used.
        """
        try:
            self._own()
        except EnvironmentUnusable:
            if not self._folder:
                raise

    def access(self, tenant: str) -> Access:
        """The way to tokens for a tenant; ``""``: with the credentials of the environment.

        :raises EnvironmentUnusable: there are no credentials that can be used.
        """
        if self._folder and tenant:
            path = environment.tenant_file(self._folder, tenant)
            if Path(path).exists():
                return self._get(
                    path, lambda: environment.of_file(path, self._base())
                )
        return self._own()

    def allow_login(self) -> None:
        for found in list(self._found.values()):
            known = found.access.credentials
            self._logins.allow(Account(known.account, known.who))

    def _own(self) -> Access:
        return self._get("", environment.of_environment)

    def _base(self) -> Credentials | None:
        """What a tenant's file need not say; None where the environment says nothing either."""
        try:
            return self._own().credentials
        except EnvironmentUnusable:
            return None

    def _get(self, name: str, read: Callable[[], Credentials]) -> Access:
        """
        :param name: the file, or "" for the environment.
        """
        found = self._found.get(name)
        if found is not None and found.current:
            return found.access
        with self._locks.setdefault(
            name, threading.Lock()
        ):  # one access, or there would be two logins
            found = self._found.get(name)
            if found is None or not found.current:
                found = self._found[name] = self._read_again(name, read, found)
            return found.access

    def _read_again(
        self, name: str, read: Callable[[], Credentials], before: _Found | None
    ) -> _Found:
        """
        :param before: what was read before, None when nothing was.
        :raises EnvironmentUnusable: nothing that can be used was ever read.
        """
        until, error = self._failed.get(name, (0.0, None))
        now = self._connections.clock.monotonic()
        if error is None or now >= until:
            try:
                fresh = read()
            except EnvironmentUnusable as failure:
                error = failure
                if before is not None and name not in self._failed:
                    # Nobody else tells: what was read before is used on.
                    count(EventName.CREDENTIALS_UNUSABLE)
                    fields = {
                        "event": "credentials_unusable",
                        "reason": str(error),
                    }
                    log.error(
                        "Changed credentials cannot be used", extra=fields
                    )
                self._failed[name] = (now + READ_AGAIN, error)
            else:
                self._failed.pop(name, None)
                return self._found_now(fresh)
        if before is not None:
            return before
        raise EnvironmentUnusable(str(error))

    def _found_now(self, fresh: Credentials) -> _Found:
        way = access(fresh, self._connections, self._logins, self._shared)
        return _Found(way, environment.stamp(fresh.files))
