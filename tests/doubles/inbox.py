"""The inbox of a bridge that a test leads, in the test's own thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.clients.store import Event, Watch
from orchestrator.clock import Clock

from .store import MemoryWatch

TICK = 0.02
"""Seconds that pass, at the most, while nothing comes in."""


class SteppedInbox:
    """Reads a watch without a thread: what was written is there at the next :meth:`take`.

    Where nothing was written, a wait lasts a tick by the given clock, and the test has its turn.
    """

    def __init__(self, watch: Watch, clock: Clock) -> None:
        assert isinstance(watch, MemoryWatch)
        watch.waits = False
        self._events = iter(watch)
        self._clock = clock
        self.ended = False

    @classmethod
    def by(cls, clock: Clock) -> Callable[[Watch], Any]:
        """What makes the inbox of a watch."""
        return lambda watch: cls(watch, clock)

    def take(self, seconds: float | None) -> Sequence[Event]:
        events = next(self._events, None)
        if events is None:
            self.ended = True
            return ()
        if not events and seconds != 0.0:
            self._clock.sleep(TICK if seconds is None else min(seconds, TICK))
        return events
