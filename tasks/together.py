"""Several chains of one message side by side in one process, and what they read and write in one
call of etcd.

Each chain has a thread, so none waits for what another one asks of Heat.
But as long as Heat is quick they take turns (:class:`Turns`), and whoever has something to read or
to write waits until all others have as well (:class:`GatheringStore`): then a claim, or the end of
a job, costs one transaction for all.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from orchestrator.clients.store import KeyValue, Lease, Store, Watch
from orchestrator.clock import CLOCK, Clock
from orchestrator.core.transactions import Transaction, grouped, merged
from orchestrator.errors import StoreRefused, StoreUnavailable

from .processes import threads

_MOST_THREADS = 1024
"""Threads of one process: more than there are ever chains.
Idle ones are used again before another is made, so with the prefork pool it is eight, and more only
where some are left over from a message whose time was over."""
PATIENCE = 0.02
"""Seconds for which a chain waits for others. A Heat that answers sooner counts as quick."""


pool = threads("chain", _MOST_THREADS)
"""The threads for the chains of this process."""


class _Held(threading.local):
    """Whether the thread has the lock."""

    yes = False


class Turns:
    """Whose turn it is to run, of some threads: one at a time as long as each is quick.

    Threads that run at the same time only take Python's lock from each other, which costs a third
    more (measured).
    Who has waited for *patience* seconds runs all the same: somebody waits for Heat.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._held = _Held()

    def take(self) -> None:
        self._held.yes = self._lock.acquire(timeout=self._patience)

    def give(self) -> None:
        if self._held.yes:
            self._held.yes = False
            self._lock.release()


@dataclass(slots=True, eq=False)
class _Call:
    """What a chain has to read (*transaction* is None) or to write, and what became of it."""

    transaction: Transaction | None
    keys: Sequence[str]
    lease: Lease | None = None
    revision: int = 0
    found: Mapping[str, KeyValue] = field(default_factory=dict)
    error: Exception | None = field(
        default_factory=lambda: StoreUnavailable("it was not performed")
    )
    taken: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)

    def succeed(self, found: Mapping[str, KeyValue], revision: int = 0) -> None:
        self.found, self.revision, self.error = found, revision, None

    def fail(self, error: Exception) -> None:
        """Every thread raises an error of its own where that is of use to anybody."""
        if isinstance(error, StoreUnavailable):
            self.error = type(error)(str(error))
        else:
            self.error = error


class GatheringStore(Store):
    """The store as some chains see it that run at the same time, each in a thread and within
    :meth:`chain`.

    What they write is merged where it fits.
    When the merged transaction is refused each goes by itself, so that a chain never notices the
    others.
    """

    def __init__(
        self,
        store: Store,
        chains: int,
        patience: float = PATIENCE,
        clock: Clock = CLOCK,
    ) -> None:
        self._store, self._running, self._patience = store, chains, patience
        self._clock = clock
        self._turns = Turns(patience)
        self._lock = threading.Lock()
        self._waiting: list[_Call] = []
        self._came = 0.0
        """When the last call came, by the monotonic clock."""
        self._stopped = False

    def stop(self) -> None:
        """Time is over: chains that go on read and write nothing more."""
        self._stopped = True

    @contextmanager
    def chain(self) -> Iterator[None]:
        """One of the chains runs."""
        self._turns.take()
        try:
            yield
        finally:
            self._turns.give()
            with self._lock:
                self._running -= 1
                complete = (
                    bool(self._waiting) and len(self._waiting) >= self._running
                )
            if complete:
                self._perform_all()

    def get_many(
        self, keys: Sequence[str], *, revision: int = 0
    ) -> Mapping[str, KeyValue]:
        if revision:
            return self._store.get_many(keys, revision=revision)
        return self._performed(_Call(None, keys)).found

    def commit(
        self, transaction: Transaction, lease: Lease | None = None
    ) -> int:
        return self.commit_and_read(transaction, (), lease)[0]

    def commit_and_read(
        self,
        transaction: Transaction,
        keys: Sequence[str],
        lease: Lease | None = None,
    ) -> tuple[int, Mapping[str, KeyValue]]:
        call = self._performed(_Call(transaction, keys, lease))
        return call.revision, call.found

    def _performed(self, call: _Call) -> _Call:
        if self._stopped:
            raise StoreUnavailable("the time of the message is over")
        self._turns.give()
        with self._lock:
            self._waiting.append(call)
            self._came = self._clock.monotonic()
            complete = len(self._waiting) >= self._running
        if complete:
            self._perform_all()
        while not self._clock.wait(call.taken, self._patience):
            if self._clock.monotonic() - self._came >= self._patience:
                self._perform_all()  # Nobody has come for a while: the others wait for Heat.
        call.done.wait()
        self._turns.take()
        if call.error is not None:
            raise call.error
        return call

    def _perform_all(self) -> None:
        """Perform what waits, in the thread that finds that it is time."""
        with self._lock:
            calls, self._waiting = self._waiting, []
            for call in calls:
                call.taken.set()
        try:
            self._read([call for call in calls if call.transaction is None])
            writes = [
                (call, call.transaction)
                for call in calls
                if call.transaction is not None
            ]
            for group in grouped(
                [(transaction, call.keys) for call, transaction in writes]
            ):
                self._write([writes[position] for position in group])
        finally:
            for call in calls:
                call.done.set()

    def _read(self, calls: Sequence[_Call]) -> None:
        if not calls:
            return
        try:
            found = self._store.get_many(
                [key for call in calls for key in call.keys]
            )
        except Exception as error:
            for call in calls:
                call.fail(error)
        else:
            for call in calls:
                call.succeed(found)

    def _write(self, calls: Sequence[tuple[_Call, Transaction]]) -> None:
        leases = {
            id(call.lease): call.lease
            for call, _ in calls
            if call.lease is not None
        }
        if len(calls) > 1 and len(leases) <= 1:
            transaction = merged(transaction for _, transaction in calls)
            keys = [key for call, _ in calls for key in call.keys]
            try:
                revision, found = self._store.commit_and_read(
                    transaction, keys, *leases.values()
                )
            except StoreRefused:
                revision = 0  # One of them is too large, and will be told so.
            except Exception as error:
                for call, _ in calls:
                    call.fail(error)
                return
            if revision:
                for call, _ in calls:
                    call.succeed(found, revision)
                return
        for call, transaction in calls:
            try:
                revision, found = self._store.commit_and_read(
                    transaction, call.keys, call.lease
                )
            except Exception as error:
                call.fail(error)
            else:
                call.succeed(found, revision)

    # As it is -------------------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        return self._store.generation

    @property
    def cluster(self) -> str:
        return self._store.cluster

    def get(self, key: str) -> KeyValue | None:
        return self._store.get(key)

    def past(
        self, readings: Sequence[tuple[str, int]]
    ) -> Sequence[KeyValue | None]:
        return self._store.past(readings)

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, list[KeyValue]]:
        return self._store.list(prefix, revision=revision, keys_only=keys_only)

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        return self._store.scan(prefix, revision)

    def put(self, key: str, value: str) -> int:
        return self._store.put(key, value)

    def delete(self, key: str) -> bool:
        return self._store.delete(key)

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> Lease:
        return self._store.lease(seconds, renew_for=renew_for)

    def watch(
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> Watch:
        return self._store.watch(prefixes, revision, later)

    def close(self) -> None:
        self._store.close()
