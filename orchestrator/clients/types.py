"""The resource types in force: those of the list that the leader has stored in etcd.

The leader decides which list is in force. Workers and commands follow it: they read it when they
begin and when its revision changes, so none of them asks an API server. A process's own list
counts only as long as no leader has stored one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..core.keys import Keys, Prefixes
from ..core.records import stored_schemas
from ..core.refs import Ref
from ..core.schema_list import SchemaList
from ..core.schemas import Schemas
from ..core.transactions import Require, unchanged
from ..errors import InvalidInput, TemporaryError
from .store import KeyValue, Store, revision_of


@dataclass(frozen=True, slots=True)
class Stored:
    """The list that a leader has stored; *revision* is that of its record."""

    listed: SchemaList
    revision: int


def read_stored(store: Store, keys: Keys) -> Stored | None:
    """The list in force, None when no leader has stored any.

    :raises ValueError: what is stored cannot be read.
    """
    found = store.get_many([keys.schema_list, keys.schema_data])
    record, data = found.get(keys.schema_list), found.get(keys.schema_data)
    if record is None:
        return None
    if data is None:
        raise ValueError(f"{keys.schema_data} is missing")
    return Stored(stored_schemas(record.value, data.value), record.revision)


@dataclass(frozen=True, slots=True)
class Now:
    """The keys as of one list; *revision* is 0 while none is stored."""

    keys: Keys
    revision: int = 0

    @property
    def unchanged(self) -> Require:
        """That this list is still in force: nothing is begun by another one."""
        return unchanged(self.keys.schema_list, self.revision)

    def is_of(self, record: KeyValue | None) -> bool:
        """Whether the list in force is the one of these keys.

        :param record: of the list in force, as it was just read.
        """
        return self.revision == revision_of(record)


_TRIES = 3
"""How often a list may have changed meanwhile."""


def _unknown(now: Now, refs: Sequence[Ref]) -> str:
    """A type that is not in the list; empty when all are."""
    return next(
        (ref.type for ref in refs if now.keys.schemas.get(ref.type) is None), ""
    )


class Types:
    """The keys of a process, by the list in force. May be used from several threads.

    Keys of resources with stacks or jobs are the same by every later list: the leader accepts no
    other. So what began with one list may be ended with it.
    """

    def __init__(
        self,
        store: Store,
        prefixes: Prefixes,
        own: Callable[[], SchemaList] | None,
    ) -> None:
        """
        :param own: the process's own list, for as long as none is stored; None: it waits for the
            leader's.
        """
        self._store, self._own = store, own
        self.none = Keys(prefixes, Schemas(()))
        """The keys of what belongs to no type."""
        self._lock = threading.Lock()
        self._now: Now | None = None

    @classmethod
    def fixed(cls, store: Store, keys: Keys) -> Types:
        """Types that are known already, until a leader stores others."""
        types = cls(store, keys.prefixes, None)
        types._now = Now(keys)
        return types

    @property
    def now(self) -> Now:
        """The keys as they were last read.

        :raises TemporaryError: there is no list yet.
        """
        return self._now or self.refresh()

    @property
    def keys(self) -> Keys:
        return self.now.keys

    def as_of(self, *refs: Ref) -> Iterator[Now]:
        """The keys to try something with, and newer ones as long as the list in force turns out to
        be another one.

        :param refs: what it is about.
        :raises TemporaryError: a type is not in the list, or there is none yet.
        """
        for _ in range(_TRIES):
            now = self.now
            if _unknown(now, refs):
                now = self.refresh()
            if kind := _unknown(now, refs):
                origin = now.keys.schemas.origin
                raise TemporaryError(
                    f"type {kind!r} is not in {origin}; the job waits until it is"
                )
            yield now
            self.refresh()

    def refresh(self) -> Now:
        """Read the list in force.

        :raises TemporaryError: there is no list yet, or it cannot be read.
        """
        with self._lock:
            try:
                stored = read_stored(self._store, self.none)
                if stored:
                    types = stored.listed.schemas(stored.revision)
                else:
                    types = None
            except (ValueError, InvalidInput) as error:
                told = f"the schema list in etcd cannot be read: {error}"
                raise TemporaryError(
                    f"{told}; start a bridge of this release"
                ) from error
            if types is not None and stored is not None:
                now = self._as_of(types, stored.revision)
            elif self._now is not None and not self._now.revision:
                now = self._now
            else:
                now = Now(Keys(self.none.prefixes, self._own_types()))
            self._now = now
            return now

    def _as_of(self, types: Schemas, revision: int) -> Now:
        """Where resources lie stays known, as far as their types are the same."""
        keys = Keys(self.none.prefixes, types)
        known = {}
        if self._now:
            known = dict(self._now.keys.places)
        for ref, place in known.items():
            kind = types.get(ref.type)
            if kind is not None and kind.pattern.match(place):
                keys.places[ref] = place
        return Now(keys, revision)

    def _own_types(self) -> Schemas:
        if self._own is None:
            raise TemporaryError(
                "etcd holds no schema list yet; the bridge that leads reads it from"
                " ORCHESTRATOR_SCHEMAS and stores it there"
            )
        return self._own().schemas()
