"""Stacks are compared with Heat: when, and what follows from what is found."""

from __future__ import annotations

from collections.abc import Mapping

from ..clients.store import Store
from ..clock import Clock
from ..core.facts import Entry
from ..core.keys import Keys
from ..core.world import World
from .dispatching import Dispatcher
from .drifting import Drifts
from .leader import Leadership
from .sweeping import Sweeping
from .timers import Timers


class Comparing:
    """Sweeps, and the records of drift.

    :param interval: seconds between two sweeps of a tenant; 0: none but those that a person wants.
    """

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        dispatcher: Dispatcher,
        timers: Timers,
        interval: float,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._drifts = Drifts(world, keys, leadership)
        self._sweeping = Sweeping(
            world,
            store,
            keys,
            leadership,
            dispatcher=dispatcher,
            timers=timers,
            interval=interval,
            clock=clock,
        )
        self.begin = self._sweeping.begin
        self.folders = (keys.sweeps_asked, keys.drift)
        """What to list and to watch for :meth:`note`."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many resources differ, and of how many the stack is gone."""
        return self._drifts.sizes

    def note(self, entry: Entry) -> None:
        """A key below one of :attr:`folders` was written or removed."""
        if entry.key.startswith(self._keys.drift):
            self._drifts.note(entry.key, entry.value, entry.revision)
        else:
            self._sweeping.note(entry.key, entry.value)
