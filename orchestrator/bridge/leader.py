"""One bridge leads, the others stand by: the leader holds a key that hangs on its lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing

from ..clients.inbox import WatchInbox
from ..clients.store import (
    Compacted,
    Event,
    HistoryChanged,
    KeyValue,
    Lease,
    Store,
)
from ..clock import CLOCK, Clock
from ..core.keys import Keys
from ..core.records import LeaderRecord
from ..core.transactions import Require, Transaction, merged, unchanged
from ..errors import (
    OrchestratorError,
    StoreForbidden,
    StoreRefused,
    StoreUnavailable,
)
from ..events import EventName, count

log = logging.getLogger(__name__)

_STOP_CHECK = 0.2
"""Seconds between two checks, while standing by, whether the bridge is to stop."""
_READ_EVERY = 1.0
"""Seconds between linearizable reads of the leader's key by a standby. Its watch tells at once; but
a member of etcd that is cut off, or lags, tells nothing, and a read there fails and goes to another
member."""
_TAKE_AGAIN = 0.1
"""Seconds between two tries to take the lead when it is not known whether the first was
performed."""


class LeadershipLost(OrchestratorError):
    """Another bridge leads, or may lead by now: stop writing at once."""


class Leadership:
    """A time of leading. Its :attr:`fence` is part of every transaction the leader writes: a leader
    that was paused past its lease finds every write refused.

    The fence is the mod revision of the leader's key. :meth:`renew` writes the key anew, and by
    that refuses all writes that were sent before and may still be on their way.
    """

    def __init__(
        self, store: Store, keys: Keys, lease: Lease, who: str, revision: int
    ) -> None:
        """:param who: the bridge's :func:`identity`, which its key holds; written at *revision*."""
        self._store, self._keys, self._lease, self._who = (
            store,
            keys,
            lease,
            who,
        )
        self._generation = store.generation
        self.fence: Require = unchanged(keys.leader, revision)

    def check(self) -> None:
        """
        :raises HistoryChanged: etcd was restored from a backup: what we know is worth nothing.
        :raises LeadershipLost: the lease has ended by our own clock.
        """
        if self._store.generation != self._generation:
            raise HistoryChanged(
                "etcd was restored from a backup since this bridge leads"
            )
        if not self._lease.alive:
            raise LeadershipLost("the lease has ended")

    def commit(self, transaction: Transaction) -> int:
        """Perform a transaction as the leader; 0 when something it relied on has changed.

        :raises LeadershipLost: what changed is who leads.
        """
        self.check()
        revision = self._store.commit(transaction.also(self.fence))
        if not revision:
            leader = self._store.get(self._keys.leader)
            if leader is None or leader.revision != self.fence.revision:
                raise LeadershipLost("another bridge leads")
        return revision

    def commit_together(self, transactions: Iterable[Transaction]) -> int:
        """Perform transactions that have nothing to do with each other in one.

        :returns: 0 when nothing is written: what one of them relied on has changed, or one is too
            large. Then each is to be tried by itself.
        :raises LeadershipLost: what changed is who leads.
        """
        try:
            return self.commit(merged(transactions))
        except StoreRefused:
            return 0

    def renew(self) -> None:
        """Go on after trouble, with a new fence.

        A write whose answer got lost may still be performed, by a member that was frozen. It would
        be one that was decided from what we knew then. With the new fence it is refused.

        :raises LeadershipLost: the key is not ours any more.
        """
        key = self._keys.leader
        while True:
            self.check()
            leader = self._store.get(key)
            if leader is None or leader.value != self._who.encode():
                raise LeadershipLost("another bridge leads")
            anew = Transaction(
                (unchanged(key, leader.revision),),
                {key: self._who},
                leased=frozenset({key}),
            )
            if revision := self._store.commit(anew, self._lease):
                self.fence = unchanged(key, revision)
                return

    def resign(self) -> None:
        """Let a standby take over at once."""
        self._lease.revoke()


def identity() -> str:
    """What the leader's key holds while this bridge leads: no other process, and no later one, has
    the same."""
    who = LeaderRecord(socket.gethostname(), os.getpid(), uuid.uuid4().hex)
    return who.to_json()


def campaign(
    store: Store,
    keys: Keys,
    seconds: int,
    stopping: threading.Event,
    heard: Callable[[], None] = lambda: None,
    who: str = "",
    clock: Clock = CLOCK,
) -> Leadership | None:
    """Stand by until this bridge leads; None when it is to stop first.

    A key that this bridge has put itself is taken over at once. It is left from a time of leading
    that is over: its lease could not be given back, or a backup has brought it again.

    :param seconds: the lease: how long a leader that died is still taken for one.
    :param heard: called whenever etcd has answered.
    :param who: the bridge's :func:`identity`.
    """
    announced, who = False, who or identity()
    while not stopping.is_set():
        leader = store.get(keys.leader)
        ours = leader is None or leader.value == who.encode()
        if ours and (
            leadership := _take(
                store,
                keys,
                seconds,
                who,
                leader.revision if leader else 0,
                clock,
            )
        ):
            count(EventName.LEADING)
            log.info(
                "Leadership acquired",
                extra={
                    "event": "leading",
                    "revision": leadership.fence.revision,
                },
            )
            return leadership
        heard()
        if not announced:
            count(EventName.STANDING_BY)
            log.info(
                "Another bridge leads, standing by",
                extra={"event": "standing_by"},
            )
            announced = True
        _Standby(store, keys, heard, clock).wait(stopping)
    return None


def _take(
    store: Store, keys: Keys, seconds: int, who: str, left: int, clock: Clock
) -> Leadership | None:
    """Take the lead; None when another bridge was faster.

    :param left: the mod revision of a key of our own; 0: there is no key.
    """
    lease = store.lease(seconds)
    try:
        revision = _put_leader(store, keys, lease, who, left, clock)
    except BaseException:
        lease.abandon()
        raise
    if not revision:
        lease.revoke()
        return None
    return Leadership(store, keys, lease, who, revision)


def _put_leader(
    store: Store, keys: Keys, lease: Lease, who: str, left: int, clock: Clock
) -> int:
    """The revision of our key; 0 when another bridge leads.

    When it is not known whether the write was performed, the key tells. Giving up instead would
    leave a key that nobody owns until the lease ends.
    """
    key = keys.leader
    take = Transaction(
        (unchanged(key, left),), {key: who}, leased=frozenset({key})
    )
    while True:
        try:
            return store.commit(take, lease)
        except (StoreForbidden, HistoryChanged):
            raise
        except StoreUnavailable:
            leader = store.get(key)
            if leader is not None and leader.revision != left:
                return _if_ours(leader, who)
            if leader is None and left:
                return 0
            if not lease.alive:
                raise
            clock.sleep(_TAKE_AGAIN)


def _if_ours(leader: KeyValue, who: str) -> int:
    """The revision of the leader's key if it is ours, else 0."""
    if leader.value != who.encode():
        return 0
    return leader.revision


# Standing by --------------------------------------------------------------------------------------


class _Standby:
    """Waits until the leader's key is gone.

    :param heard: called whenever etcd has answered.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        heard: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._store, self._key = store, keys.leader
        self._heard, self._clock = heard, clock

    def wait(self, stopping: threading.Event) -> None:
        """Until the leader's key is gone, or the bridge is to stop.

        The watch begins at the revision of the listing, and not at that of the key: what lies
        between them is dropped by the next compaction, and a watch that begins there ends at once.

        :raises StoreForbidden: the watch is not allowed.
        """
        while not stopping.is_set():
            revision, found = self._store.list(self._key)
            self._heard()
            if not any(kv.key == self._key for kv in found):
                return
            watch = self._store.watch([self._key], revision + 1)
            with closing(watch):
                if self._is_gone(WatchInbox(watch, "standby"), stopping):
                    return

    def _is_gone(self, inbox: WatchInbox, stopping: threading.Event) -> bool:
        """Whether the leader's key is gone; False when the watch has ended, or the bridge is to
        stop."""
        read = self._clock.monotonic()
        while not stopping.is_set():
            for event in self._take(inbox, stopping):
                if event.key == self._key and event.value is None:
                    return True
            if inbox.ended:
                return False
            now = self._clock.monotonic()
            if now - read >= _READ_EVERY:
                read = now
                if self._is_vacant():
                    return True
        return False

    def _take(
        self, inbox: WatchInbox, stopping: threading.Event
    ) -> Sequence[Event]:
        """The next events of the watch. What has ended it is told, unless a new one is all it
        takes."""
        try:
            return inbox.take(_STOP_CHECK)
        except StoreForbidden:
            raise
        except (Compacted, HistoryChanged):
            return ()
        except Exception as error:
            count(EventName.WATCH_BROKEN)
            log.warning(
                "Standby's watch ended",
                extra={"event": "watch_broken", "reason": str(error)[:200]},
            )
            self._clock.wait(stopping, _STOP_CHECK)
            return ()

    def _is_vacant(self) -> bool:
        vacant = self._store.get(self._key) is None
        if not vacant:
            self._heard()
        return vacant
