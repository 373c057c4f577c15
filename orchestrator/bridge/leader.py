"""One bridge leads, the others stand by: the leader holds a key that hangs on its lease."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading

from ..clients.store import Lease, Store, Watch
from ..core.keys import Keys
from ..core.transactions import Require, Transaction, absent, same_incarnation
from ..errors import OrchestratorError

log = logging.getLogger(__name__)


_STOP_CHECK = 0.2
"""Seconds between looks, while standing by, whether the bridge is to stop."""


class LeadershipLost(OrchestratorError):
    """Another bridge leads, or may lead by now: stop writing at once."""


class Leadership:
    """A term of leading. Its :attr:`fence` is part of every transaction the leader writes: a leader
    that was paused past its lease finds every write refused."""

    def __init__(self, store: Store, keys: Keys, lease: Lease, revision: int) -> None:
        self._store, self._keys, self._lease = store, keys, lease
        self.fence: Require = same_incarnation(keys.leader, revision)

    def check(self) -> None:
        """:raises LeadershipLost: the lease has ended by our own clock."""
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
            if leader is None or leader.created != self.fence.revision:
                raise LeadershipLost("another bridge leads")
        return revision

    def resign(self) -> None:
        """Let a standby take over at once."""
        self._lease.revoke()


def campaign(store: Store, keys: Keys, seconds: int, stopping: threading.Event) -> Leadership | None:
    """Stand by until this bridge leads; None when it is to stop first.

    :param seconds: the lease: how long a leader that died is still taken for one.
    """
    announced = False
    while not stopping.is_set():
        lease = store.lease(seconds)
        who = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
        try:
            revision = store.commit(Transaction((absent(keys.leader),), {keys.leader: who}, leased=frozenset({keys.leader})), lease)
        except BaseException:
            lease.abandon()
            raise
        if revision:
            log.info("Leading", extra={"event": "leading", "revision": revision})
            return Leadership(store, keys, lease, revision)
        lease.revoke()
        if not announced:
            log.info("Another bridge leads; standing by", extra={"event": "standing_by"})
            announced = True
        _await_vacancy(store, keys, stopping)
    return None


def _await_vacancy(store: Store, keys: Keys, stopping: threading.Event) -> None:
    """Until the leader's key is gone, or it is time to look whether we are to stop."""
    leader = store.get(keys.leader)
    if leader is None:
        return
    watch = store.watch([keys.leader], leader.revision + 1)
    over = threading.Event()
    threading.Thread(target=_close_when, args=(stopping, over, watch), name="standby-stop", daemon=True).start()
    for events in watch:
        if any(event.key == keys.leader and event.value is None for event in events):
            break
    over.set()
    watch.close()


def _close_when(stopping: threading.Event, over: threading.Event, watch: Watch) -> None:
    """End a watch that blocks, when the bridge is to stop."""
    while not over.wait(_STOP_CHECK):
        if stopping.is_set():
            watch.close()
            return
