"""A lease and the thread that renews it."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

from etcd3.etcdrpc import rpc_pb2 as rpc

from ...core.backoff import Backoff
from ...errors import StoreUnavailable
from ...events import EventName, count
from .connection import Channel, Connections

log = logging.getLogger(__name__)

CALL_TIMEOUT = 3.0
"""Seconds for giving a lease back."""
_TRY = (0.5, 1.5)
"""Shortest and longest time, in seconds, that one endpoint gets for a renewal."""
_BACKOFF = Backoff(initial=0.02, maximum=0.5)
"""Between two renewals that failed. The next endpoint is asked at once."""


class EtcdLease:
    """A lease, renewed every third of its time.

    It belongs to one history of etcd. A backup may hold it, with keys that have long been given up:
    it is not renewed after a restore, so that they vanish.

    A renewal that fails goes to the next endpoint at once. One endpoint gets a sixth of the lease's
    time at the most, so a frozen endpoint of several costs no lease.
    """

    def __init__(
        self,
        connections: Connections,
        reply: Any,
        started: float,
        seconds: int,
        renew_for: float,
    ) -> None:
        """
        :param reply: etcd's answer to the grant, asked for at *started* by the monotonic clock.
        :param renew_for: seconds after which it is renewed no more, and ends.
        """
        self._connections, self._seconds = connections, seconds
        self.id: int = reply.ID
        self._until = started + seconds
        self._renewed_until = started + renew_for
        self._generation = connections.history.generation
        self._stop = threading.Event()
        threading.Thread(
            target=self._renew, name=f"lease-{self.id:x}", daemon=True
        ).start()

    @property
    def alive(self) -> bool:
        return (
            not self._stop.is_set()
            and time.monotonic() < self._until
            and self._is_of_this_history()
        )

    def _is_of_this_history(self) -> bool:
        return self._generation == self._connections.history.generation

    def abandon(self) -> None:
        self._stop.set()

    def revoke(self) -> None:
        self._stop.set()
        request = rpc.LeaseRevokeRequest(ID=self.id)
        try:
            self._connections.call(
                lambda c: c.leases.LeaseRevoke(
                    request, timeout=CALL_TIMEOUT, metadata=c.metadata
                )
            )
        except StoreUnavailable:
            count(EventName.LEASE_LEFT)
            log.info(
                "Lease not revoked, it expires by itself",
                extra={"event": "lease_left"},
            )

    def _renew(self) -> None:
        failures, third = 0, self._seconds / 3
        while not self._stop.wait(
            _BACKOFF.interval(failures) if failures else third
        ):
            started = time.monotonic()
            if started >= self._renewed_until or not self._is_of_this_history():
                return
            try:
                reply = self._connections.call(self._keep_alive)
            except StoreUnavailable:
                if started >= self._until:
                    self._stop.set()
                failures += 1
                continue
            if reply is None or reply.TTL <= 0:
                self._stop.set()  # etcd has forgotten it: what hung on it is gone
                return
            self._until = started + reply.TTL
            failures = 0
            self._verify()

    def _verify(self) -> None:
        """An idle worker asks etcd nothing but this: only so does it notice that etcd was
        restored."""
        with contextlib.suppress(
            StoreUnavailable
        ):  # the next round sees what has become of the history
            self._connections.verify(self._try)

    @property
    def _try(self) -> float:
        shortest, longest = _TRY
        return min(max(self._seconds / 6, shortest), longest)

    def _keep_alive(self, channel: Channel) -> Any:
        seconds = self._try
        requests = iter([rpc.LeaseKeepAliveRequest(ID=self.id)])
        stream = channel.leases.LeaseKeepAlive(
            requests, timeout=seconds, metadata=channel.metadata
        )
        return next(iter(stream), None)


def grant(
    connections: Connections,
    channel: Channel,
    seconds: int,
    renew_for: float,
    timeout: float,
) -> EtcdLease:
    """Ask for a lease on a connection, and keep it.

    :param timeout: seconds for the answer. A lease that was granted all the same ends by itself.
    """
    started = time.monotonic()
    request = rpc.LeaseGrantRequest(TTL=seconds)
    reply = channel.leases.LeaseGrant(
        request, timeout=timeout, metadata=channel.metadata
    )
    return EtcdLease(connections, reply, started, seconds, renew_for)
