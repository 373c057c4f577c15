"""An outage of the broker: told when it begins and ends, and once a minute while it lasts.

The bridge tries twice a second; a line for each try would bury everything else.
"""

from __future__ import annotations

import logging

from ...clock import Clock
from ...events import EventName, count

log = logging.getLogger(__name__)

REMINDER = 60.0
"""Seconds between two lines about one outage."""


class Outage:
    """Whether the broker takes messages. *reason* is why not; empty while it does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.reason = ""
        self._since = 0.0
        self._told = 0.0

    def note(self, reason: str) -> None:
        """The broker did not take a message."""
        now = self._clock.monotonic()
        if not self.reason:
            self._since, self._told = now, 0.0
        self.reason = reason
        if not self._told or now - self._told >= REMINDER:
            self._told = now
            count(EventName.BROKER_UNAVAILABLE)
            fields = {
                "event": "broker_unavailable",
                "reason": reason,
                "seconds": round(now - self._since),
            }
            log.warning(
                "Broker unavailable, messages are delayed", extra=fields
            )

    def over(self) -> None:
        """The broker took a message."""
        if not self.reason:
            return
        seconds = round(self._clock.monotonic() - self._since, 1)
        self.reason = ""
        count(EventName.BROKER_AVAILABLE)
        log.info(
            "Broker available again",
            extra={"event": "broker_available", "seconds": seconds},
        )
