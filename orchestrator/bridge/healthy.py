"""For how long the monitoring targets of a roll-out's resources have been positive."""

from __future__ import annotations

import math

from ..clients.store import Store
from ..clock import Clock
from ..core.keys import Keys
from ..core.records import UNREADABLE, Rollout, TargetHealth
from ..core.refs import Ref
from ..core.world import World

_READ_EVERY = 1.0
"""Seconds between two readings of what the targets say."""
_TOGETHER = 100
_NOT_POSITIVE = -1.0


class Healthy:
    """Reads the health of those that a roll-out has rebuilt, until each was positive for long
    enough. A leader that begins counts the seconds anew."""

    def __init__(
        self, world: World, store: Store, keys: Keys, clock: Clock
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._clock = clock
        self._since: dict[Ref, tuple[int, float]] = {}
        """The state record, and the time from which on its target was seen positive."""
        self._enough: dict[Ref, int] = {}
        """Those that were positive for long enough, with the revision of their state record."""
        self._waiting: set[Ref] = set()
        self._read_at = -math.inf

    def seconds(self, rollout: Rollout, ref: Ref) -> float:
        """For how long the target of a resource has been positive since its last state; infinite
        when it has none, negative when it is not."""
        stack, reported = (
            self._world.stacks.get(ref),
            self._world.reported.get(ref),
        )
        if stack is None or not stack.monitored or reported is None:
            return math.inf
        if self._enough.get(ref) == reported.revision:
            return math.inf
        self._waiting.add(ref)
        since = self._since.get(ref)
        if since is None or since[0] != reported.revision:
            return _NOT_POSITIVE
        lasted = self._clock.monotonic() - since[1]
        if lasted >= rollout.min_healthy:
            self._enough[ref] = reported.revision
        return lasted

    def read(self) -> None:
        """Read what the targets say of those that are waited for."""
        now = self._clock.monotonic()
        if not self._waiting or now - self._read_at < _READ_EVERY:
            return
        self._read_at = now
        refs, self._waiting = sorted(self._waiting), set()
        for start in range(0, len(refs), _TOGETHER):
            self._read_some(refs[start : start + _TOGETHER], now)

    def _read_some(self, refs: list[Ref], now: float) -> None:
        keys = {self._keys.below(self._keys.health, ref): ref for ref in refs}
        found = self._store.get_many(list(keys))
        for key, ref in keys.items():
            reported = self._world.reported.get(ref)
            health = None
            if kv := found.get(key):
                health = _health(kv.value)
            if (
                health is None
                or reported is None
                or not health.positive
                or health.state != reported.revision
            ):
                self._since.pop(ref, None)
            elif self._since.get(ref, (0, 0.0))[0] != health.state:
                self._since[ref] = (health.state, now)


def _health(value: bytes) -> TargetHealth | None:
    try:
        return TargetHealth.from_json(value)
    except UNREADABLE:
        return None
