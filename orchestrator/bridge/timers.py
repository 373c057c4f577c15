"""What the loop does later, in its own thread."""

from __future__ import annotations

import sched
from collections.abc import Callable

from ..clock import Clock


class Timers:
    """Functions that are called when their time has come."""

    def __init__(self, clock: Clock) -> None:
        self._scheduled = sched.scheduler(clock.monotonic, clock.sleep)

    def after(self, seconds: float, function: Callable[[], None]) -> None:
        """Call *function* once, after so many seconds."""
        self._scheduled.enter(seconds, 0, function)

    def every(self, seconds: float, function: Callable[[], None]) -> None:
        """Call *function* again and again. The interval begins when a call has ended: what takes
        longer than its interval would otherwise be due for ever."""

        def run() -> None:
            function()
            self.after(seconds, run)

        self.after(seconds, run)

    def run_due(self) -> float | None:
        """Call what is due. Returns the seconds until the next call; None when there is none."""
        return self._scheduled.run(blocking=False)


def soonest(most: float, *due: float | None) -> float:
    """The shortest of some times, in seconds, and 0 at least. None: there is none.

    :param most: the longest that it may be.
    """
    return max(min([most, *(one for one in due if one is not None)]), 0.0)
