"""In which order resources are decided: those of a tenant whose decisions take long come last.

A mapping that reaches its bounds takes a thousand times as long as an ordinary one. Some thousand
resources with such a mapping would hold up all tenants for minutes, if they were decided in the
order in which they came.
"""

from __future__ import annotations

from itertools import islice

from ..clock import CLOCK, Clock
from ..core.refs import Ref
from ..core.world import World

TIME_SLICE = 0.2
"""Seconds of decisions in one cycle, before jobs are sent and events taken in.
One decision more may begin."""
LONG = 0.01
"""Seconds of CPU after which a decision has taken long. Ordinary ones take 0.1 ms, those that reach
the bounds of mappings 20 ms and more (measured)."""
QUARANTINE = 60.0
"""Seconds for which the resources of a tenant come last, after one of its decisions took long."""


class Order:
    """Chooses what of the undecided resources comes next."""

    def __init__(self, world: World, clock: Clock = CLOCK) -> None:
        self._world, self._clock = world, clock
        self._quarantined: dict[str, float] = {}
        """Tenants, and until when, by the monotonic clock."""
        self._last: dict[Ref, None] = {}
        """Undecided resources of these tenants, in order of arrival."""

    def note(self, ref: Ref, seconds: float) -> None:
        """A decision took so much CPU time."""
        wanted = self._world.wanted.get(ref)
        if seconds > LONG and wanted is not None:
            self._quarantined[wanted.tenant] = (
                self._clock.monotonic() + QUARANTINE
            )

    def next(self, at_most: int | None) -> list[Ref]:
        """Undecided resources in the order in which they are to be decided.

        :param at_most: how many, and one more of those that come last; None: all.
        """
        if not self._quarantined:
            return list(islice(self._world.dirty, at_most))
        self._release()
        known = self._last
        others = list(
            islice(
                (ref for ref in self._world.dirty if ref not in known), at_most
            )
        )
        self._last |= {ref: None for ref in others if self._is_quarantined(ref)}
        last = islice(self._last, None if at_most is None else 1)
        return [*(ref for ref in others if ref not in self._last), *last]

    def _release(self) -> None:
        """Let out the tenants whose time is over, and forget what is decided."""
        now = self._clock.monotonic()
        before = len(self._quarantined)
        self._quarantined = {
            tenant: until
            for tenant, until in self._quarantined.items()
            if until > now
        }
        still = self._world.dirty if len(self._quarantined) == before else {}
        self._last = {ref: None for ref in self._last if ref in still}

    def _is_quarantined(self, ref: Ref) -> bool:
        wanted = self._world.wanted.get(ref)
        return wanted is not None and wanted.tenant in self._quarantined
