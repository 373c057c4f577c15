"""Back-off: the growing intervals between tries of the same thing."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_DOUBLINGS = 60
"""Beyond it a float would overflow; the maximum interval is long reached."""
MIDDLE = 0.5
"""The chance that leaves an interval as it is."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Intervals in seconds that grow with each failure, up to a maximum."""

    initial: float
    """The interval after the first failure."""
    maximum: float
    """The longest interval, before jitter."""
    coefficient: float = 2.0
    """How much longer each interval is than the one before."""
    jitter: float = 0.0
    """Share of the interval by which it may be shorter or longer. It spreads the next tries of a
    thousand jobs that failed together."""

    def interval(self, failures: int, chance: float = MIDDLE) -> float:
        """Seconds from a failure to the next try.

        :param failures: in a row, this one included: at least 1.
        :param chance: a random number from 0 to 1.
        """
        exponent = min(failures - 1, _MOST_DOUBLINGS)
        grown = min(self.initial * self.coefficient**exponent, self.maximum)
        return grown * (1 + self.jitter * (2 * chance - 1))
