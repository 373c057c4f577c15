"""What a worker tells about itself: one leased key for all processes of its group.

The group's first process keeps the key. The last claim of any of them stands in memory that all
share: it is made before the fork.
"""

from __future__ import annotations

import mmap
import os
import platform
import struct
from dataclasses import dataclass, field

from orchestrator import __version__
from orchestrator.clients.presence import Presence
from orchestrator.clients.store import Store
from orchestrator.clock import CLOCK, Clock
from orchestrator.core.keys import Keys
from orchestrator.core.records import WorkerAlive

_TIME = struct.Struct("d")


class LastClaim:
    """The time of the last claim, shared by all processes of a worker: seconds since the epoch."""

    def __init__(self, clock: Clock = CLOCK) -> None:
        self._clock = clock
        self._memory = mmap.mmap(-1, _TIME.size)

    def note(self) -> None:
        """A job was claimed a moment ago."""
        _TIME.pack_into(self._memory, 0, self._clock.now())

    @property
    def at(self) -> float:
        """When; 0: nothing was claimed yet."""
        seconds: float = _TIME.unpack_from(self._memory, 0)[0]
        return seconds


@dataclass(slots=True)
class Alive:
    """This worker. Made before the fork; its name and slots are told once they are known."""

    claims: LastClaim
    clock: Clock = CLOCK
    name: str = ""
    slots: int = 0
    pid: int = field(default_factory=os.getpid)
    since: float = 0.0
    _presence: Presence | None = None

    def begin(self, name: str, slots: int) -> None:
        """The worker starts: before the fork.

        :param name: Celery's name of it.
        """
        self.name, self.slots = name, slots
        self.pid, self.since = os.getpid(), round(self.clock.now(), 3)

    def record(self) -> WorkerAlive:
        """As it is now."""
        return WorkerAlive(
            self.name,
            platform.node(),
            self.pid,
            self.slots,
            __version__,
            self.since,
            round(self.claims.at, 3),
        )

    def keep(self, store: Store, keys: Keys) -> None:
        """Keep the worker's key, in this process."""
        key = keys.worker(self.name or platform.node())
        self._presence = Presence(
            store, key, lambda: self.record().to_json(), self.clock
        )
        self._presence.start()

    def close(self) -> None:
        """This process ends."""
        presence, self._presence = self._presence, None
        if presence is not None:
            presence.close()
