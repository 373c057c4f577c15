"""Hold deletions when too many configs are removed at once (docs/reliability.md, "The brake")."""

from __future__ import annotations

import logging

from ..clock import Clock
from ..core import effects
from ..core.keys import Keys
from ..core.records import Brake
from ..core.removals import BrakeLimits
from ..core.world import World
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)


class DeletionBrake:
    """Holds and releases the deletions of configs that were removed without a mark."""

    def __init__(
        self,
        world: World,
        keys: Keys,
        leadership: Leadership,
        limits: BrakeLimits,
        clock: Clock,
    ) -> None:
        self._world, self._keys, self._leadership, self._limits = (
            world,
            keys,
            leadership,
            limits,
        )

        self._clock = clock

    def follow(self) -> None:
        """Hold the deletions of configs that were removed in too great numbers, until nothing is
        left to hold."""
        removals = self._world.removals
        if removals.held:
            if not len(removals) and self._leadership.commit(
                effects.release_deletions(self._keys)
            ):
                removals.release()
                count(EventName.DELETIONS_RELEASED)
                log.info(
                    "Deletions released", extra={"event": "deletions_released"}
                )
            return
        removed = removals.counted(self._clock.monotonic(), self._limits.within)
        if removed <= self._limits.at_once or not len(removals):
            return
        limit = self._limits.allowed(self._world.built)
        if removed <= limit:
            return
        brake = Brake(
            self._clock.stamp(),
            len(removals),
            limit,
        )
        if self._leadership.commit(effects.hold_deletions(self._keys, brake)):
            removals.hold()
            count(EventName.DELETIONS_HELD)
            log.error(
                "Deletions are held",
                extra={
                    "event": "deletions_held",
                    "removed": removed,
                    "held": len(removals),
                    "limit": limit,
                },
            )

    def note(self) -> str:
        """What a person has to know of held deletions; empty when there are none."""
        removals = self._world.removals
        if not removals.held or not len(removals):
            return ""
        number = len(removals)
        return (
            f"{number} deletion{'' if number == 1 else 's'} held; see orchestrator"
            " status"
        )
