"""Pauses: nothing new is sent to Heat for those whom they are for, until a person or the time ends
them."""

from __future__ import annotations

import logging

from ..clock import Clock
from ..core import effects
from ..core.keys import Keys
from ..core.records import CARRIED_OUT, NO_PAUSES, AuditRecord, Pause, Pauses
from ..events import EventName, count
from .dispatching import Dispatcher
from .leader import Leadership

log = logging.getLogger(__name__)

CHECKED_EVERY = 1.0
"""Seconds between two checks whether the time of a pause is over."""
_BY = "the bridge"
"""Who ends a pause whose time is over, in the record of that."""


class Pausing:
    """Follows the record of the pauses."""

    def __init__(
        self,
        keys: Keys,
        leadership: Leadership,
        dispatcher: Dispatcher,
        clock: Clock,
    ) -> None:
        self._keys, self._leadership = keys, leadership
        self._dispatcher, self._clock = dispatcher, clock
        self._pauses, self._revision = NO_PAUSES, 0

    def note(self, value: bytes | None, revision: int) -> None:
        """The record was written, or removed.

        :param revision: of that.
        """
        before, self._pauses = self._pauses, Pauses.from_json(value)
        self._revision = revision if value is not None else 0
        self._dispatcher.pause(self._pauses)
        for pause in self._pauses.without(one.scope for one in before):
            count(EventName.PAUSED)
            log.warning("Paused", extra={"event": "paused", **_fields(pause)})
        for pause in before.without(one.scope for one in self._pauses):
            count(EventName.RESUMED)
            log.info("Resumed", extra={"event": "resumed", **_fields(pause)})

    def end_due(self) -> None:
        """End the pauses whose time is over."""
        now = self._clock.now()
        over = [pause for pause in self._pauses if pause.is_over(now)]
        if not over:
            return
        left = self._pauses.without(pause.scope for pause in over)
        stamp = self._clock.stamp()
        written = dict(self._record(pause, stamp) for pause in over)
        self._leadership.commit(
            effects.end_pauses(self._keys, self._revision, left, written)
        )

    def _record(self, pause: Pause, now: str) -> tuple[str, str]:
        """The record of the verb, its key first: the same whichever bridge writes it."""
        name = f"{pause.verb or pause.since}-ended"
        record = AuditRecord(
            name, "resume", _BY, now, f"until {pause.until}", pause.about
        )
        told = record.with_outcome(CARRIED_OUT, now)
        return self._keys.audit(None, name), told.to_json()

    def told(self) -> str:
        """What a person has to know; empty when nothing is paused."""
        if not self._pauses:
            return ""
        names = ", ".join(pause.about for pause in self._pauses)
        return f"paused: {names}; see orchestrator status"


def _fields(pause: Pause) -> dict[str, str]:
    return {"scope": pause.about, "by": pause.by, "until": pause.until}
