"""What nobody has taken yet of the polls that were sent: a poll that waits makes the next one
pointless.

The bridge is the only sender to that queue, and messages are taken in order.
So the number of messages that wait tells which ones have been taken, without a clock in any
message.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ...clock import Clock
from ...errors import BrokerUnavailable

_EVERY = 0.05
"""Seconds between questions to the broker, at the least."""


class Backlog:
    """The messages of one queue, numbered as they are sent.

    :param waiting: asks the broker how many nobody has taken.
    """

    def __init__(self, waiting: Callable[[], int], clock: Clock) -> None:
        self._waiting, self._clock = waiting, clock
        self._sent = self._taken = 0
        self._asked = -math.inf

    def sent(self) -> int:
        """A message was sent: its number."""
        self._sent += 1
        return self._sent

    def is_taken(self, number: int) -> bool:
        """Whether a worker has taken a message, for all that is known; 0 is none."""
        if number > self._taken:
            self._ask()
        return number <= self._taken

    def longer_than(self, limit: int) -> bool:
        """Whether more than so many messages wait, for all that is known."""
        if self._sent - self._taken > limit:
            self._ask()
        return self._sent - self._taken > limit

    def _ask(self) -> None:
        now = self._clock.monotonic()
        if now - self._asked < _EVERY:
            return
        self._asked = now
        try:
            waiting = self._waiting()
        except BrokerUnavailable:
            return  # It is told where messages are sent.
        # What the leader before has sent counts as ours: it waits before anything of ours.
        self._taken = max(self._taken, self._sent - waiting)
