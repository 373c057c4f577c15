"""The circuit breaker of a tenant.

When Heat or Keystone stop answering for a tenant, or refuse it, its circuit opens. From then on one
attempt at a time is made, a job or a poll, at growing intervals, until one gets through. Other
tenants do not notice.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...core.backoff import Backoff

OPENS_AFTER = 3
"""Failures in a row, without any success, after which a circuit opens."""
BACKOFF = Backoff(initial=1.0, maximum=30.0, jitter=0.5)
"""Between two attempts while a circuit is open. They count from the failure that opened it."""


@dataclass(slots=True)
class Circuit:
    """It is open after too many failures in a row."""

    failures: int = 0
    """In a row."""
    opened: float = 0.0
    """When the circuit opened last, by the monotonic clock."""
    reason: str = ""
    """Why the last attempt failed, for people."""
    resumes: float = 0.0
    """When the next attempt may be made while the circuit is open, by the monotonic clock."""
    polled_last: bool = False
    """While the circuit is open: whether the last attempt was a poll, so that the next one is a
    job."""
    poll_waits: bool = False
    """While the circuit is open: whether a poll is due, and waits until an attempt may be made."""

    @property
    def open(self) -> bool:
        return self.failures >= OPENS_AFTER

    @property
    def takes_job_next(self) -> bool:
        """While the circuit is open: whether the next attempt is a job."""
        return self.polled_last or not self.poll_waits

    def note_failure(self, now: float, chance: float) -> bool:
        """An attempt failed: open the circuit, or leave it open for longer.

        :param chance: a random number from 0 to 1.
        :returns: whether the circuit has opened by that.
        """
        self.failures += 1
        if not self.open:
            return False
        self.hold_off(now, chance)
        if self.failures > OPENS_AFTER:
            return False
        self.opened = now
        return True

    def hold_off(self, now: float, chance: float) -> None:
        """The circuit is open: no attempt before a pause is over."""
        failures = self.failures - OPENS_AFTER + 1
        self.resumes = now + BACKOFF.interval(failures, chance)

    def close(self) -> None:
        """An attempt has succeeded."""
        self.failures, self.polled_last, self.poll_waits = 0, False, False
