"""Monitoring targets that keep a process waiting in vain."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from orchestrator.clock import CLOCK, Clock


@dataclass(slots=True)
class Slow:
    """The targets that keep this process waiting in vain: each is asked at growing intervals.

    So any number of them costs little, and one that is back is seen after ten minutes at the
    latest.
    Targets that fail at once cost nothing, and are asked as often as the others.
    """

    PATIENCE = 2
    """Failures in a row after which a target is asked less often."""
    FACTOR = 4.0
    """A pause, in times that the failure took; it doubles with each further one."""
    LONGEST = 600.0
    """Seconds of a pause, at most."""
    MOST = 20_000
    """Targets that are remembered."""

    clock: Clock = CLOCK
    _known: OrderedDict[str, tuple[int, float]] = field(
        default_factory=OrderedDict
    )
    """How often each has failed, and from when on it may be asked, by the monotonic clock."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def knows(self, link: str) -> bool:
        """Whether the target failed when it was last asked."""
        return link in self._known

    def may_be_asked(self, link: str) -> bool:
        return self.clock.monotonic() >= self._known.get(link, (0, 0.0))[1]

    def failed(self, link: str, took: float) -> None:
        """:param took: seconds until it was given up."""
        with self._lock:
            times = self._known.pop(link, (0, 0.0))[0] + 1
            beyond = times - self.PATIENCE
            pause = 0.0
            if beyond >= 0:
                pause = min(
                    self.FACTOR * took * 2.0 ** min(beyond, 20), self.LONGEST
                )
            self._known[link] = (times, self.clock.monotonic() + pause)
            if len(self._known) > self.MOST:
                self._known.popitem(last=False)

    def answered(self, link: str) -> None:
        if link in self._known:
            with self._lock:
                self._known.pop(link, None)
