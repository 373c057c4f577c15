"""A snapshot that keeps up to date by the store's watch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..clients.inbox import WatchInbox
from ..clients.store import Event, Store, Watch
from ..core.keys import Keys
from ..core.refs import Ref
from .reading import Reader, reader
from .snapshot import Snapshot


class SnapshotFollower:
    """A snapshot and the changes since. For one thread; the watch has a thread of its own."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store, self._reader = store, reader
        self._watched: frozenset[str] = frozenset()
        self._watch: Watch | None = None
        self._inbox: WatchInbox | None = None
        self.snapshot = self._read()

    def read_again(self) -> None:
        """Begin anew with a reading of one moment. What the watch still brings from before it is
        skipped.

        A watch alone is not enough: it brings what one transaction wrote prefix by prefix.
        """
        self.snapshot = self._read()

    def _read(self) -> Snapshot:
        snapshot = self._reader.read()
        prefixes = frozenset(self._reader.prefixes())
        if not prefixes <= self._watched:
            self._watch_from(prefixes, snapshot.revision + 1)
        return snapshot

    def _watch_from(self, prefixes: frozenset[str], revision: int) -> None:
        self.close()
        self._watched = prefixes
        self._watch = self._store.watch(sorted(prefixes), revision)
        self._inbox = WatchInbox(self._watch)

    def next(self, timeout: float | None) -> bool:
        """Take in what has changed; whether anything has.

        :param timeout: seconds to wait for a change; None: for ever.
        :raises StoreUnavailable: the watch cannot go on.
        """
        assert self._inbox is not None, "a watch begins with the first reading"
        events = self._inbox.take(timeout)
        if not events:
            return False
        self._take(events)
        if self._reader.lacks(self.snapshot):
            self.read_again()
        return True

    def _take(self, events: Sequence[Event]) -> None:
        covers = self._reader.covers
        self.snapshot.take([event for event in events if covers(event.key)])

    def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.close()


@contextmanager
def follow(
    store: Store, keys: Keys, refs: Sequence[Ref] | None = None
) -> Iterator[SnapshotFollower]:
    """A snapshot that keeps up to date for as long as the block lasts.

    :param refs: the resources that are judged; None: all there are.
    """
    follower = SnapshotFollower(store, reader(store, keys, refs))
    try:
        yield follower
    finally:
        follower.close()
