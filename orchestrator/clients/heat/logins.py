"""Logins, one at a time and rarely: Keystone may lock an account after a few wrong passwords.

With ``lockout_failure_attempts = 5`` a password that was changed in Keystone, and not yet at the
workers, must not be tried by every process for every job. Two rules hold for each account and
password:

* After a refusal nobody tries again before a pause is over; the pauses are :data:`PAUSES`. Four
  tries take 72 minutes.
* Who does not know that the password is good tries alone. The others wait for what comes of it.

:class:`InProcess` remembers this for one process, :class:`InStore` in etcd for all of them. A
rotated password counts as another account, so it is tried at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from ...clock import CHANCE, CLOCK, Chance, Clock
from ...core.keys import Keys
from ...core.records import Login, LoginState
from ...core.transactions import Transaction, unchanged
from ...errors import (
    CredentialsRejected,
    EnvironmentUnusable,
    HeatUnavailable,
    StoreUnavailable,
)
from ...events import EventName, count
from ..store import Store
from .refusals import jittered

log = logging.getLogger(__name__)

PAUSES = (30.0, 120.0, 600.0, 3600.0)
"""Seconds after the first, second, third and any later refusal in a row, each times a random 0.8
to 1.2. Keystone counts wrong passwords without an end, and five is a common limit: the fifth try
comes after more than an hour."""
KNOWN_GOOD_FOR = 10.0
"""Seconds for which a login that succeeded says that the password is good, so that nobody has to
try alone."""
_POLL = 0.2
"""Seconds between two readings of what comes of another's try."""
_LONGEST_WAIT = 20.0
"""Seconds to wait for it, at most."""


@dataclass(frozen=True, slots=True)
class Account:
    """*key* tells accounts and passwords apart; *who* is for people."""

    key: str
    who: str


class Memory(Protocol):
    """Where logins are remembered. Each record has a revision, 0 when there is none."""

    def read(self, account: Account) -> tuple[Login | None, int]:
        """The last login, and its revision."""

    def write(
        self, account: Account, login: Login | None, revision: int
    ) -> int:
        """Replace the record of that revision, or remove it; the new revision, 0 when another was
        faster."""


class InProcess:
    """For one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = 0
        self._last: dict[str, tuple[Login | None, int]] = {}

    def read(self, account: Account) -> tuple[Login | None, int]:
        with self._lock:
            return self._last.get(account.key, (None, 0))

    def write(
        self, account: Account, login: Login | None, revision: int
    ) -> int:
        with self._lock:
            if self._last.get(account.key, (None, 0))[1] != revision:
                return 0
            self._revision += 1
            self._last[account.key] = (login, self._revision)
            return self._revision


class InStore:
    """For all processes, in etcd."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._folder = store, keys.logins

    def read(self, account: Account) -> tuple[Login | None, int]:
        found = self._store.get(self._folder + account.key)
        if found is None:
            return None, 0
        try:
            return Login.from_json(found.value), found.revision
        except (ValueError, KeyError, TypeError):
            return None, found.revision

    def write(
        self, account: Account, login: Login | None, revision: int
    ) -> int:
        key = self._folder + account.key
        requires = (unchanged(key, revision),)
        if login is None:
            return self._store.commit(Transaction(requires, deletes=(key,)))
        return self._store.commit(Transaction(requires, {key: login.to_json()}))


@dataclass(frozen=True, slots=True)
class _Try:
    """A login that is being tried. *alone*: our record says so; *before* is the record that it
    replaced."""

    alone: bool
    before: Login | None = None
    revision: int = 0


class Logins:
    """When to log in, and how it went."""

    def __init__(
        self,
        memory: Memory | None = None,
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
    ) -> None:
        """:param memory: default: this process's own."""
        self._memory = memory or InProcess()
        self._clock, self._chance = clock, chance

    @contextmanager
    def attempt(
        self, account: Account, since: float, patience: float
    ) -> Iterator[None]:
        """Log in inside the block; the error that leaves it says how it went.

        :param since: when it came into doubt whether the password is good, in seconds since the
            epoch.
        :param patience: seconds that the login may take.
        :raises CredentialsRejected: it was refused a short time ago, and must not be tried again
            yet.
        :raises HeatUnavailable: another process tries it, or etcd does not answer.
        """
        try:
            current = self._begin(account, since, patience)
        except StoreUnavailable as error:
            raise HeatUnavailable(f"no login without etcd: {error}") from error
        try:
            yield
        except EnvironmentUnusable:
            self._leave(account, current)
            raise
        except CredentialsRejected as error:
            self._refused(account, current, str(error))
            raise
        except BaseException:
            self._leave(account, current)
            raise
        self._accepted(account, current)

    def allow(self, account: Account) -> None:
        """The next login is made at once, though the last one was refused: an operator wants to
        know. It counts as one more."""
        last, revision = self._memory.read(account)
        if last is not None and last.state is LoginState.REFUSED:
            self._memory.write(account, replace(last, until=0.0), revision)

    def _begin(self, account: Account, since: float, patience: float) -> _Try:
        """Claim the try, or wait until somebody else's has shown that the password is good."""
        since = max(since, self._clock.now() - KNOWN_GOOD_FOR)
        end = self._clock.monotonic() + min(_LONGEST_WAIT, patience)
        while True:
            last, revision = self._memory.read(account)
            now = self._clock.now()
            if (
                last is not None
                and last.state is LoginState.REFUSED
                and now < last.until
            ):
                raise CredentialsRejected(last.reason)
            if (
                last is not None
                and last.state is LoginState.ACCEPTED
                and last.at >= since
            ):
                return _Try(alone=False)
            if (
                last is None
                or last.state is not LoginState.TRYING
                or now > last.until
            ):
                refusals = 0
                if last:
                    refusals = last.refusals
                trying = Login(
                    LoginState.TRYING,
                    account.who,
                    round(now, 3),
                    round(now + patience, 3),
                    refusals,
                )
                if written := self._memory.write(account, trying, revision):
                    return _Try(True, last, written)
            if self._clock.monotonic() > end:
                raise HeatUnavailable(
                    f"another worker tries the credentials of {account.who}"
                )
            self._clock.sleep(_POLL)

    def _leave(self, account: Account, current: _Try) -> None:
        """Keystone said neither yes nor no: as it was."""
        if current.alone:
            self._note(account, current.before, current.revision)

    def _accepted(self, account: Account, current: _Try) -> None:
        if current.alone:
            self._note(
                account,
                Login(
                    LoginState.ACCEPTED,
                    account.who,
                    round(self._clock.now(), 3),
                ),
                current.revision,
            )
            if current.before is not None and current.before.refusals:
                count(EventName.CREDENTIALS_ACCEPTED)
                log.info(
                    "Credentials accepted again",
                    extra={
                        "event": "credentials_accepted",
                        "account": account.who,
                    },
                )

    def _refused(self, account: Account, current: _Try, reason: str) -> None:
        if current.alone:
            last, revision = current.before, current.revision
        else:
            last, revision = self._memory.read(account)
        refusals = 1
        if last:
            refusals += last.refusals
        now = self._clock.now()
        pause = PAUSES[min(refusals, len(PAUSES)) - 1]
        until = now + jittered(pause, self._chance())
        record = Login(
            LoginState.REFUSED,
            account.who,
            round(now, 3),
            round(until, 3),
            refusals,
            reason,
        )
        if self._note(account, record, revision):
            count(EventName.CREDENTIALS_REJECTED)
            fields = {
                "event": "credentials_rejected",
                "account": account.who,
                "refusals": refusals,
                "reason": reason,
            }
            log.error(
                "Credentials rejected",
                extra={**fields, "next_try": round(until - now)},
            )

    def _note(
        self, account: Account, login: Login | None, revision: int
    ) -> int:
        with suppress(
            StoreUnavailable
        ):  # A try then counts as broken off when its time is over.
            return self._memory.write(account, login, revision)
        return 0
