"""The store as everybody else sees it: keys, revisions, transactions, leases and a watch.

:class:`orchestrator.clients.etcd.EtcdStore` is the real one,
:class:`tests.doubles.MemoryStore` the double; ``tests/contract`` holds both to the same
behaviour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..core.transactions import Transaction
from ..errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key as it was last written. *created* and *revision* are etcd's create and mod revision."""

    key: str
    value: bytes
    created: int
    revision: int


def revision_of(kv: KeyValue | None) -> int:
    """When a key was written last; 0 when it is not there, as etcd compares it."""
    if kv is None:
        return 0
    return kv.revision


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one key; *value* is None when it was removed."""

    key: str
    value: bytes | None
    created: int
    revision: int


class Compacted(StoreUnavailable):
    """What a watch or a reading needs of the past is not to be had (any more): list anew.

    *at* is the oldest revision that can still be read, where the store says so, else 0.
    """

    def __init__(self, text: str, at: int = 0) -> None:
        super().__init__(text)
        self.at = at


class HistoryChanged(StoreUnavailable):
    """The store has another history than before: it was restored from a backup, or it is another
    one.

    All that was read before is worth nothing. List anew. Raised once for each time that it happens
    by whatever call finds out, and by every watch that was opened before; see
    :attr:`Store.generation`.
    """


class Lease(Protocol):
    """Keys put with it vanish when its holder stops renewing it."""

    @property
    def alive(self) -> bool:
        """Whether it certainly holds still, by this process's own monotonic clock."""

    def abandon(self) -> None:
        """Stop renewing; what hangs on it vanishes within its time."""

    def revoke(self) -> None:
        """Give it back: what hangs on it vanishes now, if the store can be reached."""


class Watch(Protocol):
    """A stream of changes without a gap. Iterating blocks; closing ends the iteration."""

    def __iter__(self) -> Iterator[Sequence[Event]]:
        """Batches of events in order of revision; an empty batch is a sign of life.

        :raises Compacted: the history needed is gone.
        :raises HistoryChanged: the store was restored from a backup.
        :raises StoreForbidden: we may not watch this.
        :raises StoreUnavailable: the watch could not be opened anew for a long time.
        """

    def close(self) -> None: ...

    @property
    def silent_for(self) -> float:
        """Seconds since the store last sent a change on this watch, or said that there is none."""

    @property
    def reached(self) -> Mapping[str, int]:
        """By prefix, the revision up to which all changes have been given out."""


class Store(Protocol):
    """Every method raises :class:`~orchestrator.errors.StoreUnavailable` when etcd cannot be
    reached, and
    :class:`~orchestrator.errors.StoreForbidden`, which is one of the kind, when etcd does not let
    us.

    After a :meth:`commit` that raised, the transaction may have been performed or not.
    """

    @property
    def generation(self) -> int:
        """Rises when the store turns out to have another history (:class:`HistoryChanged`)."""

    @property
    def cluster(self) -> str:
        """The id of the store, as far as it has answered."""

    def get(self, key: str) -> KeyValue | None: ...

    def get_many(
        self, keys: Sequence[str], *, revision: int = 0
    ) -> Mapping[str, KeyValue]:
        """Those of the keys that are there, all read at one revision.

        :param revision: read as of this revision; 0 for now.
        """

    def past(
        self, readings: Sequence[tuple[str, int]]
    ) -> Sequence[KeyValue | None]:
        """Each key as of a revision of its own; None where it was not there.

        :param readings: keys and revisions, at most a hundred.
        :raises Compacted: one of the revisions is not to be had any more.
        """

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, list[KeyValue]]:
        """Everything below *prefix* in order of key, and the store's revision.

        :param revision: read as of this revision; 0 for now.
        """

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        """The same as of *revision*, one after the other: for folders too large to hold twice in
        memory."""

    def commit(
        self, transaction: Transaction, lease: Lease | None = None
    ) -> int:
        """Perform a transaction.

        :param lease: for the puts in ``transaction.leased``.
        :returns: its revision, or 0 when a requirement did not hold and nothing was written.
        """

    def commit_and_read(
        self,
        transaction: Transaction,
        keys: Sequence[str],
        lease: Lease | None = None,
    ) -> tuple[int, Mapping[str, KeyValue]]:
        """The same, and those of the keys that are there: right after it, or as they are when it
        was refused.

        :param keys: fewer than a hundred, as etcd counts them among the transaction's operations.
        """

    def put(self, key: str, value: str) -> int:
        """Write without any condition: for keys that belong to a person's command. Returns the
        revision."""

    def delete(self, key: str) -> bool:
        """Remove without any condition; whether the key was there."""

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> Lease:
        """A lease, renewed in the background until abandoned or revoked.

        :param renew_for: seconds after which it is renewed no more, and ends by itself.
        """

    def watch(
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> Watch:
        """Changes below the prefixes from *revision* on.

        :param later: by prefix, the revision from which on it is watched, where that is another.
        """

    def close(self) -> None: ...
