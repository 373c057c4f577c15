"""etcd in memory."""

from __future__ import annotations

import builtins
import itertools
import math
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.clients.store import Compacted, Event, HistoryChanged, KeyValue, Lease
from orchestrator.core.transactions import Require, Transaction
from orchestrator.errors import (
    StoreRefused,
    StoreUnavailable,
)

MOST_OPERATIONS = 128
"""Operations, and comparisons, that etcd takes in one transaction (``--max-txn-ops``)."""
LARGEST_REQUEST = 1536 * 1024
"""Bytes of one request to etcd (``--max-request-bytes``)."""


class MemoryStore:
    """etcd in memory: a :class:`~orchestrator.clients.store.Store` that keeps its whole history."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._revision = 1  # of an empty etcd
        self._compacted = 0
        self._now: dict[str, KeyValue] = {}
        self._lease_of: dict[str, MemoryLease] = {}
        self._leases: builtins.list[MemoryLease] = []
        self._history: builtins.list[Event] = []
        self._ids = itertools.count(1)
        self._trouble: deque[tuple[StoreUnavailable, bool]] = deque()
        self._generation = 0
        self._saved: tuple[builtins.list[Event], dict[str, MemoryLease]] = ([], {})

    # The Store protocol -----------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        return self._generation

    @property
    def cluster(self) -> str:
        return "memory"

    def get(self, key: str) -> KeyValue | None:
        with self._changed:
            return self._now.get(key)

    def get_many(self, keys: Sequence[str], *, revision: int = 0) -> Mapping[str, KeyValue]:
        with self._changed:
            there = self._now
            if revision not in (0, self._revision):
                there = {kv.key: kv for kv in self._as_of(revision)}
            return {key: there[key] for key in dict.fromkeys(keys) if key in there}

    def past(self, readings: Sequence[tuple[str, int]]) -> Sequence[KeyValue | None]:
        with self._changed:
            return [
                next((kv for kv in self._as_of(revision) if kv.key == key), None)
                for key, revision in readings
            ]

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, list[KeyValue]]:
        with self._changed:
            found = [kv for kv in self._as_of(revision) if kv.key.startswith(prefix)]
            found.sort(key=lambda kv: _raw(kv.key))
            return revision or self._revision, [
                replace(kv, value=b"") for kv in found
            ] if keys_only else found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        yield from self.list(prefix, revision=revision)[1]

    def commit(self, transaction: Transaction, lease: Lease | None = None) -> int:
        with self._changed:
            error, performed = self._trouble.popleft() if self._trouble else (None, True)
            revision = self._commit(transaction, lease) if performed else 0
            if error:
                raise error
            return revision

    def commit_and_read(
        self, transaction: Transaction, keys: Sequence[str], lease: Lease | None = None
    ) -> tuple[int, Mapping[str, KeyValue]]:
        with self._changed:
            return self.commit(transaction, lease), self.get_many(keys)

    def put(self, key: str, value: str) -> int:
        return self.commit(Transaction(puts={key: value}))

    def delete(self, key: str) -> bool:
        with self._changed:
            was_there = key in self._now
            self.commit(Transaction(deletes=(key,)))
            return was_there

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> MemoryLease:
        lease = MemoryLease(self, next(self._ids), seconds, self._generation)
        self._leases.append(lease)
        return lease

    def watch(
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> MemoryWatch:
        starts = {**dict.fromkeys(prefixes, revision), **(later or {})}
        return MemoryWatch(self, starts, min(starts.values(), default=revision))

    def close(self) -> None:
        """Nothing to close; the data stays."""

    # What a test can do to it -----------------------------------------------------------------------

    @property
    def revision(self) -> int:
        """That of the last change."""
        with self._changed:
            return self._revision

    @property
    def history(self) -> Sequence[Event]:
        """Every change there ever was, in order."""
        with self._changed:
            return tuple(self._history)

    def expire(self, lease: Lease) -> None:
        """The lease's time is over: what hangs on it vanishes, and its holder finds it not alive."""
        assert isinstance(lease, MemoryLease) and lease.store is self, "a lease of this store"
        with self._changed:
            lease.held = False
            self._write(
                (),
                tuple(sorted(key for key, holder in self._lease_of.items() if holder is lease)),
                None,
                frozenset(),
            )

    def expire_abandoned(self) -> None:
        """The time of every lease that nobody renews is over."""
        for lease in self._leases:
            if lease.held and not lease.alive:
                self.expire(lease)

    def compact(self, revision: int) -> None:
        """Drop the history before *revision*."""
        with self._changed:
            self._compacted = max(self._compacted, revision)

    def save(self) -> None:
        """Take a backup for :meth:`restore`."""
        with self._changed:
            self._saved = list(self._history), dict(self._lease_of)

    def restore(self) -> None:
        """Go back to the backup: revisions rise again from where they were then, every watch is told, and
        the leases of then are held again for as long as their holders do not give them up."""
        with self._changed:
            history, leases = self._saved
            self._generation += 1
            self._history, self._lease_of = list(history), dict(leases)
            self._revision = history[-1].revision if history else 1
            self._now = self._replayed(self._revision)
            for lease in self._leases:
                lease.held = lease in leases.values()
            self._changed.notify_all()

    def fail_next(self, *, performed: bool, error: StoreUnavailable | None = None) -> None:
        """The next write raises: its answer got lost on the way back (*performed*), or it never arrived."""
        with self._changed:
            self._trouble.append((error or StoreUnavailable("the connection broke"), performed))

    # Inside -----------------------------------------------------------------------------------------

    def _as_of(self, revision: int) -> Iterable[KeyValue]:
        if not revision or revision == self._revision:
            return self._now.values()
        if revision < self._compacted:
            raise Compacted(f"revision {revision} has been compacted")
        return self._replayed(revision).values()

    def _replayed(self, revision: int) -> dict[str, KeyValue]:
        """Every key as it was after that revision, by the history."""
        then: dict[str, KeyValue] = {}
        for event in itertools.takewhile(lambda e: e.revision <= revision, self._history):
            if event.value is None:
                del then[event.key]
            else:
                then[event.key] = KeyValue(event.key, event.value, event.created, event.revision)
        return then

    def _commit(self, transaction: Transaction, lease: Lease | None) -> int:
        deletes = tuple(
            key for key in dict.fromkeys(transaction.deletes) if key not in transaction.puts
        )
        requires = dict.fromkeys(transaction.requires)
        if max(len(transaction.puts) + len(deletes), len(requires)) > MOST_OPERATIONS:
            raise StoreRefused("etcd refuses the request: too many operations in txn request")
        for key, value in transaction.puts.items():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise StoreRefused(f"the value of {key!r} is not UTF-8: {error.reason}") from error
        if (
            sum(len(_raw(key)) + len(value.encode()) for key, value in transaction.puts.items())
            > LARGEST_REQUEST
        ):
            raise StoreRefused("etcd refuses the request: request is too large")
        if not all(map(self._holds, requires)):
            return 0
        holder = lease if isinstance(lease, MemoryLease) else None
        if holder and not holder.held and transaction.leased & transaction.puts.keys():
            raise StoreUnavailable("requested lease not found")
        return self._write(tuple(transaction.puts.items()), deletes, holder, transaction.leased)

    def _holds(self, require: Require) -> bool:
        kv = self._now.get(require.key)
        match require.what:
            case "mod":
                return (kv.revision if kv else 0) == require.revision
            case "create":
                return (kv.created if kv else 0) == require.revision
            case "exists":
                return kv is not None

    def _write(
        self,
        puts: Iterable[tuple[str, str]],
        deletes: Iterable[str],
        holder: MemoryLease | None,
        leased: frozenset[str],
    ) -> int:
        revision = self._revision + 1
        events = [self._put(key, value, revision) for key, value in puts]
        for event in events:
            self._lease_of.pop(event.key, None)
            if holder and event.key in leased:
                self._lease_of[event.key] = holder
        for key in deletes:
            if self._now.pop(key, None):
                self._lease_of.pop(key, None)
                events.append(Event(key, None, 0, revision))
        if events:
            self._revision = revision
            self._history += events
            self._changed.notify_all()
        return self._revision

    def _put(self, key: str, value: str, revision: int) -> Event:
        old = self._now.get(key)
        self._now[key] = kv = KeyValue(
            key, value.encode(), old.created if old else revision, revision
        )
        return Event(kv.key, kv.value, kv.created, kv.revision)


def _raw(key: str) -> bytes:
    """A key as etcd has it; what is not UTF-8 in it keeps its bytes."""
    return key.encode(errors="surrogateescape")


@dataclass(slots=True, eq=False)
class MemoryLease:
    """A lease that lasts until a test ends it by :meth:`MemoryStore.expire`, or its holder by :meth:`revoke`."""

    store: MemoryStore
    id: int
    seconds: int
    generation: int = 0
    """A lease belongs to one history of the store."""
    held: bool = True
    """Whether the store still knows it."""
    abandoned: bool = False

    @property
    def alive(self) -> bool:
        return self.held and not self.abandoned and self.generation == self.store.generation

    def abandon(self) -> None:
        self.abandoned = True

    def revoke(self) -> None:
        self.store.expire(self)


class MemoryWatch:
    """A watch on a :class:`MemoryStore`; begins with an empty batch, as etcd's does."""

    silent_for = 0.0

    def __init__(self, store: MemoryStore, start: Mapping[str, int], revision: int) -> None:
        self._store, self._start, self._from = store, dict(start), revision
        self._generation = store.generation
        self._closed = False
        self._reached = revision - 1
        self.waits = True
        """Whether iterating waits for changes; else it gives an empty batch where there is none."""

    @property
    def reached(self) -> Mapping[str, int]:
        return dict.fromkeys(self._start, self._reached)

    def close(self) -> None:
        with self._store._changed:
            self._closed = True
            self._store._changed.notify_all()

    def __iter__(self) -> Iterator[Sequence[Event]]:
        with self._store._changed:
            if self._from < self._store._compacted:
                raise Compacted(f"revision {self._from} has been compacted", self._store._compacted)
            position = next(
                (i for i, e in enumerate(self._store._history) if e.revision >= self._from),
                len(self._store._history),
            )
        yield ()
        while True:
            with self._store._changed:
                while (
                    self.waits
                    and not self._closed
                    and len(self._store._history) == position
                    and self._generation == self._store.generation
                ):
                    self._store._changed.wait()
                if self._closed:
                    return
                if self._generation != self._store.generation:
                    raise HistoryChanged("the store was restored from a backup")
                new = self._store._history[position:]
                position += len(new)
                self._reached = max(self._reached, self._store._revision)
            yield [event for event in new if self._is_wanted(event)]

    def _is_wanted(self, event: Event) -> bool:
        return any(
            event.key.startswith(prefix) and event.revision >= revision
            for prefix, revision in self._start.items()
        )
