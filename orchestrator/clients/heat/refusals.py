"""What Keystone and Heat refused for a tenant a short time ago: nobody asks for it again meanwhile.

A tenant's project may be missing, or the role in it; or Heat trusts no token of this Keystone. Each
job of the tenant would find that out again, with several requests.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ...clock import CHANCE, CLOCK, Chance, Clock
from ...errors import CredentialsRejected, ProjectRefused, TemporaryError
from .credentials import NO_AUTHENTICATION, Credentials
from .meaning import RoleMissing, TokenRefused

PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)
"""Seconds for which the first, second … refusal in a row is remembered, each times a random 0.8 to
1.2. A new role takes effect within minutes anyway: Heat remembers a valid token for five."""


_JITTER = 0.2


def jittered(pause: float, chance: float) -> float:
    """A pause that is up to a fifth shorter or longer.

    :param chance: a random number from 0 to 1.
    """
    return pause * (1 + _JITTER * (2 * chance - 1))


@dataclass(frozen=True, slots=True)
class _Refusal:
    """*total*: there is no token at all. *until* is by the monotonic clock."""

    total: bool
    until: float
    times: int
    error: Callable[[], TemporaryError]

    def stands(self, now: float) -> bool:
        """:param now: by the monotonic clock."""
        return now < self.until


class Refusals:
    """By tenant."""

    def __init__(self, clock: Clock = CLOCK, chance: Chance = CHANCE) -> None:
        self._clock, self._chance = clock, chance
        self._lock = threading.Lock()
        self._known: dict[str, _Refusal] = {}

    def check(self, tenant: str) -> None:
        """
        :raises TemporaryError: what was refused; a request would be in vain.
        """
        known = self._known.get(tenant)
        if known is None or not known.total:
            return
        if known.stands(self._clock.monotonic()):
            raise known.error()

    def check_role(self, tenant: str, error: RoleMissing) -> None:
        """
        :raises ProjectRefused: a new token was tried a short time ago, and did not help.
        """
        known = self._known.get(tenant)
        if known is not None and known.stands(self._clock.monotonic()):
            raise _no_role(tenant, error) from error

    def note_project(self, error: ProjectRefused) -> None:
        """Keystone gives no token for the project."""
        tenant, reason = error.tenant, error.reason
        self._note(tenant, True, lambda: ProjectRefused(tenant, reason))

    def note_token(
        self, tenant: str, used: Credentials, error: TokenRefused
    ) -> CredentialsRejected:
        """Heat refuses a token that is as new as can be."""
        what = f"a token that Keystone has just made for {used.who}"
        cure = "does this Heat belong to this Keystone, and can it reach it?"
        if used.kind == NO_AUTHENTICATION:
            what = "a request without a token"
            cure = (
                "it wants credentials, which OS_AUTH_TYPE=none says there are none of;"
                f" {used.cure}"
            )
        text = f"Heat refuses {what}: {cure} ({error})"
        self._note(tenant, True, lambda: CredentialsRejected(text))
        return CredentialsRejected(text)

    def note_role(self, tenant: str, error: RoleMissing) -> ProjectRefused:
        """Requests go on: the user may lack the role for some of them only. Only new tokens are
        not fetched for it."""
        self._note(tenant, False, lambda: _no_role(tenant, error))
        return _no_role(tenant, error)

    def forget(self, tenant: str) -> None:
        if tenant in self._known:
            with self._lock:
                self._known.pop(tenant, None)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()

    def _note(
        self, tenant: str, total: bool, error: Callable[[], TemporaryError]
    ) -> None:
        with self._lock:
            before = self._known.get(tenant)
            times = 1
            if before:
                times = before.times + 1
            pause = PAUSES[min(times, len(PAUSES)) - 1]
            until = self._clock.monotonic() + jittered(pause, self._chance())
            self._known[tenant] = _Refusal(total, until, times, error)


def _no_role(tenant: str, error: RoleMissing) -> ProjectRefused:
    return ProjectRefused(
        tenant,
        f"{error}; give the workers' user the role that Heat wants there (member, in"
        " most clouds)",
    )
