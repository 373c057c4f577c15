"""Claims: the runs that the chains of this process hold, and the leases that end when it dies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from orchestrator.clients.store import Lease, Store
from orchestrator.clock import CLOCK, Clock
from orchestrator.core.records import Cause, Run, Step
from orchestrator.core.transactions import Transaction, unchanged
from orchestrator.errors import StoreUnavailable, TemporaryError

from .retries import delay


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a chain may have claimed: *run* is the key, value and revision of the run, None while
    that is not known."""

    lease: Lease
    run: tuple[str, str, int] | None = None


class _Chain(threading.local):
    """What the chain in each thread has claimed."""

    claim: _Claim | None = None


LEASE_USED_FOR = 120.0
"""Seconds after which new claims hang on a new lease."""
_LEASE_RENEWED_FOR = LEASE_USED_FOR + 180.0
"""Seconds after which a lease is renewed no more: longer than a message may take
(``task_time_limit``, 150 s)."""


class Claims:
    """The leases on which the claims of this process hang, one at a time for new claims, and what
    hangs on them.

    It is changed for another one now and then, and when etcd was restored from a backup.
    The backup may hold claims of this process that it has long moved on from.
    They would stay for as long as it lives, if their lease did.
    """

    def __init__(
        self,
        store: Store,
        ttl: int,
        clock: Clock = CLOCK,
        noted: Callable[[], None] | None = None,
    ) -> None:
        """:param ttl: seconds for which a claim outlives the process.
        :param noted: called after each claim.
        """
        self._noted = noted
        self._store, self._ttl, self._clock = store, ttl, clock
        self._leases: list[Lease] = []
        self._made = 0.0
        self._lock = threading.Lock()
        self._chain = _Chain()
        self._held: dict[str, _Claim] = {}
        """The claims of all chains, by the key of the run."""

    def lease(self) -> Lease:
        """The lease for claims; a new one when the last was lost, or is old."""
        with self._lock:
            now = self._clock.monotonic()
            self._leases = [lease for lease in self._leases if lease.alive]
            if not self._leases or now - self._made > LEASE_USED_FOR:
                self._leases.append(
                    self._store.lease(self._ttl, renew_for=_LEASE_RENEWED_FOR)
                )
                self._made = now
            return self._leases[-1]

    def begin_chain(self) -> None:
        """This thread begins something that has claimed nothing so far."""
        self._chain.claim = None

    def end_chain(self) -> None:
        """What this thread's chain had claimed is moved on."""
        claim, self._chain.claim = self._chain.claim, None
        if claim is not None and claim.run is not None:
            self._held.pop(claim.run[0], None)

    def claiming(self, lease: Lease) -> None:
        """This thread's chain claims on the lease now: from here on it may have a claim."""
        self._chain.claim = _Claim(lease)

    def claimed(self, lease: Lease, key: str, run: str, revision: int) -> None:
        """It has: the run that says so, as it was written at that revision."""
        self._chain.claim = self._held[key] = _Claim(
            lease, (key, run, revision)
        )
        if self._noted is not None:
            self._noted()

    def holds(self) -> bool:
        """Whether nobody has given up the claim of this thread's chain meanwhile."""
        claim = self._chain.claim
        return claim is None or claim.run is None or claim.run[0] in self._held

    def give_up(self, reason: str) -> None:
        """What this thread's chain has claimed and not moved on is to be tried again, by whoever
        comes first.

        Where it is not known whether there is a claim, or etcd does not answer, the lease ends, and
        all that hangs on it falls free as if the process had died.
        """
        claim = self._chain.claim
        if claim is None:
            return
        self.end_chain()
        if claim.run is None or not self._hand_back(claim, reason):
            claim.lease.abandon()

    def give_up_all(self, reason: str) -> None:
        """The same for whoever in this process has claimed anything: nobody of them asks Heat for
        anything more."""
        with self._lock:
            for lease in self._leases:
                lease.abandon()
        for key, claim in list(self._held.items()):
            self._held.pop(key, None)
            self._hand_back(claim, reason)

    def give_up_late(self, keys: Iterable[str], reason: str) -> None:
        """The same for some chains of this process that do not end, by the keys of their runs."""
        for key in keys:
            if (claim := self._held.pop(key, None)) is not None:
                self._hand_back(claim, reason)

    def _hand_back(self, claim: _Claim, reason: str) -> bool:
        """Move the run of a claim to *retry*, if it is still where it was; whether etcd has
        answered.

        A worker that lives says so itself: otherwise it would look like one that died over the job.
        """
        assert claim.run is not None
        key, text, revision = claim.run
        run = Run.from_json(text)
        seconds = delay(TemporaryError(), run.attempt + 1)
        retried = replace(
            run,
            step=Step.RETRY,
            attempt=run.attempt + 1,
            failing_since=run.failing_since or self._clock.now(),
            delay=seconds,
            due=round(self._clock.now() + seconds, 3),
            reason=reason,
            cause=Cause.UNAVAILABLE.value,
            asked=True,
        )
        with contextlib.suppress(StoreUnavailable):
            self._store.commit(
                Transaction(
                    (unchanged(key, revision),), {key: retried.to_json()}
                )
            )
            return True
        return False

    def close(self) -> None:
        """Give back the claims, so that others need not wait for the lease to end."""
        with self._lock:
            for lease in self._leases:
                lease.revoke()
