"""When which monitoring targets are probed: each once an interval, all of them evenly spread
over it."""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Callable, Iterable

from ..clock import Clock
from ..core.refs import Ref

_GROUPS = 12
"""Groups into which a round is cut at least, so that a resource keeps its own time among few."""
_JUST_NOW = 1 / 6
"""Share of the interval before its next probe in which a resource that was probed is not due."""


class Rounds:
    """Every resource has a place in the interval, by its name, and is due when the clock passes
    it.

    So targets and workers see an even load, a new leader goes on where the old one was, and two
    probes of one target are an interval apart.

    :param interval: seconds between two probes of the same target.
    :param group: resources that are probed together.
    """

    def __init__(
        self,
        interval: float,
        group: int,
        clock: Clock,
    ) -> None:
        self._interval, self._group, self._clock = (
            interval,
            group,
            _steady(clock),
        )
        self._at = self._now()
        self._order: list[tuple[float, Ref]] = []
        self._ordered_in = -1
        self._asked: dict[Ref, float] = {}

    def _now(self) -> float:
        """The time in intervals: its whole part is the round, its fraction the place in it."""
        return self._clock() / self._interval

    @property
    def pause(self) -> float:
        """Seconds until the next group should be asked for."""
        return self._interval / max(
            -(-len(self._order) // self._group), _GROUPS
        )

    def asked(self, ref: Ref) -> None:
        """The resource is probed at once: a new state was written."""
        self._asked[ref] = self._now()

    def due(self, monitored: Callable[[], Iterable[Ref]]) -> list[Ref]:
        """The resources that became due since this was last asked.

        :param monitored: all resources with targets; asked once a round.
        """
        last, self._at = self._at, self._now()
        # A resource that was missed for longer is probed once.
        last = max(last, self._at - 1)
        if int(last) == int(self._at):
            return self._between(monitored, int(last), last % 1, self._at % 1)
        # 1.0 is nobody's place, but 0.0 may be somebody's: hence from before the beginning.
        first = self._between(monitored, int(last), last % 1, 1.0)
        return first + self._between(
            monitored, int(self._at), -1.0, self._at % 1
        )

    def _between(
        self,
        monitored: Callable[[], Iterable[Ref]],
        number: int,
        after: float,
        until: float,
    ) -> list[Ref]:
        if self._ordered_in != number:
            self._order = sorted(
                (zlib.crc32(str(ref).encode()) / 2**32, ref)
                for ref in monitored()
            )
            self._ordered_in = number
        places = self._order[
            bisect_right(self._order, after, key=_place) : bisect_right(
                self._order, until, key=_place
            )
        ]
        just_now = self._at - _JUST_NOW
        self._asked = {
            ref: at for ref, at in self._asked.items() if at > just_now
        }
        return [ref for _, ref in places if ref not in self._asked]


def _steady(clock: Clock) -> Callable[[], float]:
    """The time of day as it was now, and from here on steady: when the clock is set, no resource
    is left out or due twice."""
    offset = clock.now() - clock.monotonic()
    return lambda: offset + clock.monotonic()


def _place(entry: tuple[float, Ref]) -> float:
    return entry[0]
