"""Time as a value: it is handed to whoever needs it, so that a test can set it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a process."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch. Somebody may set this clock: it is for people only."""
    monotonic: Callable[[], float] = time.monotonic
    """Seconds since some moment. It only goes forward: everything is decided by it."""
