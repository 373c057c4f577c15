"""Have the monitoring targets probed, each once an interval and when a new state was written."""

from __future__ import annotations

from ..clock import Clock
from ..core.refs import Ref
from ..core.world import World
from .dispatching import TARGETS_PER_ROUND, Dispatcher
from .rounds import Rounds
from .timers import Timers


class Probing:
    """Probes when they are due, and at once after a new state.

    :param interval: seconds between two probes of a target.
    """

    def __init__(
        self,
        world: World,
        dispatcher: Dispatcher,
        timers: Timers,
        interval: float,
        clock: Clock,
    ) -> None:
        self._world, self._dispatcher, self._timers = world, dispatcher, timers
        self._rounds = Rounds(interval, TARGETS_PER_ROUND, clock)

    def begin(self) -> None:
        """Probe for as long as the term lasts."""
        self._timers.after(self._rounds.pause, self._due)

    def now(self, ref: Ref) -> None:
        """A new state of a resource was written: its targets are probed at once."""
        self._rounds.asked(ref)
        self._dispatcher.monitor([ref])

    def _due(self) -> None:
        due = self._rounds.due(self._monitored)
        self._dispatcher.monitor(filter(self._is_monitored, due))
        self.begin()

    def _monitored(self) -> list[Ref]:
        return [ref for ref in self._world.stacks if self._is_monitored(ref)]

    def _is_monitored(self, ref: Ref) -> bool:
        stack = self._world.stacks.get(ref)
        return stack is not None and stack.monitored and stack.live
