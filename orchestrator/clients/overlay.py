"""What etcd holds at one revision, with writes that stay on paper.

Code that reads and writes a :class:`~.store.Store` runs on an :class:`Overlay` as on the real one:
it sees its own writes, and etcd gets none of them.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..core.transactions import Require, Transaction
from .store import Event, KeyValue, Lease, Store, Watch


class Overlay:
    """A :class:`~.store.Store` that reads etcd at one revision and writes into memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.revision = 0
        """The revision that is read; 0 until the first reading has told it."""
        self.read: dict[str, KeyValue] = {}
        """What etcd holds, as far as it was read."""
        self.written: builtins.list[Event] = []
        """What was written, in order."""
        self._now: dict[str, KeyValue] = {}
        self._folders: set[str] = set()
        self._asked: set[str] = set()

    @property
    def generation(self) -> int:
        return self._store.generation

    @property
    def cluster(self) -> str:
        return self._store.cluster

    # Reading --------------------------------------------------------------------------------------

    def get(self, key: str) -> KeyValue | None:
        if key not in self._asked and not self._is_listed(key):
            self._keep(self._store.list(key, revision=self.revision))
            self._asked.add(key)
        return self._now.get(key)

    def get_many(
        self, keys: Sequence[str], *, revision: int = 0
    ) -> Mapping[str, KeyValue]:
        found = {key: self.get(key) for key in keys}
        return {key: kv for key, kv in found.items() if kv is not None}

    def past(
        self, readings: Sequence[tuple[str, int]]
    ) -> Sequence[KeyValue | None]:
        return self._store.past(readings)

    def list(
        self, prefix: str, *, revision: int = 0, keys_only: bool = False
    ) -> tuple[int, builtins.list[KeyValue]]:
        if not self._is_listed(prefix):
            self._keep(self._store.list(prefix, revision=self.revision))
            self._folders.add(prefix)
        found = self._below(prefix)
        if keys_only:
            found = [replace(kv, value=b"") for kv in found]
        return self.revision, found

    def scan(self, prefix: str, revision: int) -> Iterator[KeyValue]:
        if self._is_listed(prefix):
            yield from self._below(prefix)
            return
        for kv in self._store.scan(prefix, self.revision):
            self.read[kv.key] = self._now[kv.key] = kv
            yield kv
        self._folders.add(prefix)

    def revision_of(self, key: str) -> int:
        """The mod revision of a key in etcd; 0 when it is not there."""
        self.get(key)
        return _modified(self.read.get(key))

    def _is_listed(self, key: str) -> bool:
        return any(map(key.startswith, self._folders))

    def _keep(self, listed: tuple[int, Sequence[KeyValue]]) -> None:
        revision, found = listed
        self.revision = self.revision or revision
        for kv in found:
            if kv.key not in self.read:
                self.read[kv.key] = self._now[kv.key] = kv

    def _below(self, prefix: str) -> builtins.list[KeyValue]:
        return sorted(
            (kv for key, kv in self._now.items() if key.startswith(prefix)),
            key=lambda kv: kv.key.encode(errors="surrogateescape"),
        )

    # Writing --------------------------------------------------------------------------------------

    def commit(
        self, transaction: Transaction, lease: Lease | None = None
    ) -> int:
        if not all(map(self._holds, transaction.requires)):
            return 0
        revision = self._next
        for key, value in transaction.puts.items():
            created = _created(self._now.get(key)) or revision
            kv = KeyValue(key, value.encode(), created, revision)
            self._now[key] = kv
            self.written.append(Event(key, kv.value, created, revision))
        for key in transaction.deletes:
            if self._now.pop(key, None):
                self.written.append(Event(key, None, 0, revision))
        return revision

    def commit_and_read(
        self,
        transaction: Transaction,
        keys: Sequence[str],
        lease: Lease | None = None,
    ) -> tuple[int, Mapping[str, KeyValue]]:
        return self.commit(transaction), self.get_many(keys)

    def put(self, key: str, value: str) -> int:
        self.get(key)
        return self.commit(Transaction(puts={key: value}))

    def delete(self, key: str) -> bool:
        there = self.get(key) is not None
        self.commit(Transaction(deletes=(key,)))
        return there

    @property
    def _next(self) -> int:
        """The revision of the next write, as etcd would count if nobody else wrote."""
        if self.written:
            return self.written[-1].revision + 1
        return self.revision + 1

    def _holds(self, require: Require) -> bool:
        found = self.get(require.key)
        match require.what:
            case "exists":
                return found is not None
            case "create":
                return _created(found) == require.revision
            case _:
                return _modified(found) == require.revision

    # What needs a server --------------------------------------------------------------------------

    def lease(self, seconds: int, *, renew_for: float = math.inf) -> Lease:
        raise AssertionError("nothing that is written on paper has a lease")

    def watch(
        self,
        prefixes: Iterable[str],
        revision: int,
        later: Mapping[str, int] | None = None,
    ) -> Watch:
        raise AssertionError("nothing happens on paper that could be watched")

    def close(self) -> None:
        """The store below belongs to somebody else."""


def _created(kv: KeyValue | None) -> int:
    """The create revision; 0 when there is no such key."""
    if kv is None:
        return 0
    return kv.created


def _modified(kv: KeyValue | None) -> int:
    """The mod revision; 0 when there is no such key."""
    if kv is None:
        return 0
    return kv.revision
