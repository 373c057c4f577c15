"""A key that says that this process is alive: it hangs on a lease, and a thread keeps it true."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..clock import CLOCK, Clock
from ..core.transactions import Transaction
from ..errors import OrchestratorError
from .store import Lease, Store

EVERY = 10.0
"""Seconds between two checks whether the record is still true. It is written only on change."""
GONE_AFTER = 30
"""Seconds after which the key of a process that was killed vanishes."""


class Presence:
    """Keeps one key up to date from a thread of its own, until it is closed.

    Nobody depends on the key: while etcd does not answer, the process works on without it.
    """

    def __init__(
        self,
        store: Store,
        key: str,
        tell: Callable[[], str],
        clock: Clock = CLOCK,
    ) -> None:
        """:param tell: the record as it should be now; called in the thread."""
        self._store, self._key, self._tell = store, key, tell
        self._clock, self._stop = clock, threading.Event()
        self._lease: Lease | None = None
        self._written = ""
        self._thread = threading.Thread(
            target=self._keep, name="presence", daemon=True
        )

    def start(self) -> None:
        """Write the key, and keep it true from now on."""
        self._thread.start()

    def _keep(self) -> None:
        while not self._stop.is_set():
            self.refresh()
            self._clock.wait(self._stop, EVERY)

    def refresh(self) -> None:
        """Write the record if it has changed, or if its lease is lost.

        An etcd that does not answer is told by whoever needs it; here it is asked again later.
        """
        try:
            self._write_changed()
        except OrchestratorError:
            self._written = ""

    def _write_changed(self) -> None:
        text = self._tell()
        if self._lease is None or not self._lease.alive:
            self._lease, self._written = self._store.lease(GONE_AFTER), ""
        if text == self._written:
            return
        record = Transaction(
            puts={self._key: text}, leased=frozenset({self._key})
        )
        self._store.commit(record, self._lease)
        self._written = text

    def close(self) -> None:
        """The process ends: the key goes at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1.0)
        if self._lease is not None:
            self._lease.revoke()
