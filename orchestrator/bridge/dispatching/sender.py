"""The broker as the bridge sends to it: it may be away."""

from __future__ import annotations

from collections.abc import Callable

from ...clients.protocols import QueueDoor
from ...clock import Clock
from ...errors import BrokerUnavailable
from .outage import Outage

_TRIED_AGAIN = 0.5
"""Seconds after which a broker that did not take a message is tried again."""


class Sender:
    """Sends, and knows until when nothing is to be sent."""

    def __init__(self, queue: QueueDoor, clock: Clock) -> None:
        self.queue, self._clock = queue, clock
        self.outage = Outage(clock)
        self.blocked_until = 0.0
        """By the monotonic clock: before that, the broker is not tried again."""

    def send(self, send: Callable[[], None]) -> bool:
        """Whether the broker has taken what *send* sends."""
        try:
            send()
        except BrokerUnavailable as error:
            self.blocked_until = self._clock.monotonic() + _TRIED_AGAIN
            self.outage.note(str(error))
            return False
        self.outage.over()
        return True
