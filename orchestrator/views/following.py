"""A snapshot that keeps up to date by the store's watch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from ..clients.store import Event, Store, Watch
from ..core.keys import Keys
from ..core.refs import Ref
from .reading import Reader, reader
from .snapshot import Snapshot

_Inbox: TypeAlias = "queue.SimpleQueue[Sequence[Event] | Exception]"


class SnapshotFollower:
    """A snapshot and the changes since. For one thread; the watch has a thread of its own."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store, self._reader = store, reader
        self._watched: frozenset[str] = frozenset()
        self._watch: Watch | None = None
        self._inbox: _Inbox = queue.SimpleQueue()
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
        self._watched, self._inbox = prefixes, queue.SimpleQueue()
        self._watch = self._store.watch(sorted(prefixes), revision)
        threading.Thread(
            target=_listen,
            args=(self._watch, self._inbox),
            name="watch",
            daemon=True,
        ).start()

    def next(self, timeout: float | None) -> bool:
        """Take in what has changed; whether anything has.

        :param timeout: seconds to wait for a change; None: for ever.
        :raises StoreUnavailable: the watch cannot go on.
        """
        try:
            batch = self._inbox.get(timeout=timeout)
        except queue.Empty:
            return False
        while True:
            if isinstance(batch, Exception):
                raise batch
            self._take(batch)
            if self._inbox.empty():
                break
            batch = self._inbox.get()
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


def _listen(watch: Watch, inbox: _Inbox) -> None:
    try:
        for events in watch:
            if events:
                inbox.put(events)
    # Carried over to the thread that waits, and raised there.
    except Exception as error:
        inbox.put(error)


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
