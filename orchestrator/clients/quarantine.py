"""The minute in which the templates of one tenant are rendered apart from those of the others."""

from __future__ import annotations

import math
import time

QUARANTINE = 60.0
"""Seconds for which the templates of a tenant are rendered apart, after one of them reached a
limit. It begins anew with each that does."""
ALLOWANCE = 1.0
"""Seconds of CPU that a tenant's templates which reach a limit may take in the time of a
quarantine. When they are spent, its templates are postponed, but those that rendered the last
time."""
_MOST_TENANTS = 4_096
"""Tenants, in quarantine or not. One more, and all are forgotten."""


class Quarantine:
    """Of one tenant. *rendered* are the texts (their hashes) that rendered the last time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = -math.inf
        self._spent = 0.0
        self.rendered: set[int] = set()

    @property
    def lasts(self) -> bool:
        return time.monotonic() < self._at + self._seconds

    def spent(self) -> float:
        """Seconds of CPU. They are forgotten little by little."""
        passed = (time.monotonic() - self._at) / self._seconds
        return max(self._spent - ALLOWANCE * passed, 0.0)

    def begin(self, spent: float) -> None:
        """A template reached a limit, and took so many seconds of CPU."""
        self._spent = self.spent() + spent
        self._at = time.monotonic()


class Quarantines:
    """One for each tenant."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._known: dict[str, Quarantine] = {}

    def of(self, tenant: str) -> Quarantine:
        """The tenant's. One that is new has not begun."""
        found = self._known.get(tenant)
        if found is None:
            if len(self._known) >= _MOST_TENANTS:
                self._known.clear()
            found = self._known[tenant] = Quarantine(self._seconds)
        return found
