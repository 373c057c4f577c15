"""A clock that a test moves, and randomness that is the same each time."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from orchestrator.clock import CLOCK, Clock


class ManualClock:
    """Both clocks, the timers and the waits of what is under test: time passes when a test says so, or when somebody
    waits. A wait for an event that is not set takes its whole time, in no time."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now
        self.cpu = 0.0
        """CPU seconds that the thread has used."""
        self.chance = random.Random(1).random
        self.clock = Clock(
            now=lambda: self.now,
            monotonic=lambda: self.now,
            cpu=lambda: self.cpu,
            wait=self._wait,
            sleep=self.pass_,
        )
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def timer(self, seconds: float, function: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + seconds, next(self._numbers), function))

    def pass_(self, seconds: float) -> None:
        """Time passes; what is due meanwhile is done when it is due."""
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            at, _, function = heapq.heappop(self._timers)
            self.now = max(self.now, at)
            function()
        self.now = max(self.now, end)

    def _wait(self, event: threading.Event, seconds: float) -> bool:
        if not event.is_set():
            self.pass_(seconds)
        return event.is_set()


class ShiftedClock:
    """The clocks of the machine, later by what a test says: for what talks to a real server meanwhile."""

    def __init__(self) -> None:
        self.ahead = 0.0
        """Seconds."""
        self.clock = replace(
            CLOCK,
            now=lambda: CLOCK.now() + self.ahead,
            monotonic=lambda: CLOCK.monotonic() + self.ahead,
        )

    def pass_(self, seconds: float) -> None:
        self.ahead += seconds
