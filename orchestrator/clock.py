"""Time and chance as values: they are handed to whoever needs them, so that a test can set them."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_STAMP = "%Y-%m-%dT%H:%M:%SZ"

Timer = Callable[[float, Callable[[], None]], None]
"""``timer(seconds, function)``: have *function* called after so many seconds."""

Chance = Callable[[], float]
"""A source of randomness: each call returns another number, from 0 up to 1."""

CHANCE: Chance = random.random
"""The source of randomness of a process."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of a process, and how it waits."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch. Somebody may set this clock: it is for people only."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds since some moment. It only goes forward: everything is decided by it."""
    cpu: Callable[[], float] = time.thread_time
    """Seconds of CPU time that the calling thread has used."""
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    """``wait(event, seconds)``: until *event* is set, or for so many seconds. Returns whether it is
    set."""
    sleep: Callable[[float], None] = time.sleep
    """Do nothing for so many seconds."""

    def stamp(self) -> str:
        """The time of day in UTC, to the second, as records have it."""
        return datetime.fromtimestamp(self.now(), UTC).strftime(_STAMP)


CLOCK = Clock()
"""The clocks of the machine."""
