"""For ever: stand by, lead a term, and after any trouble begin anew from what etcd holds."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from .. import garbage
from ..clients.store import Compacted, HistoryChanged, Store
from ..clock import CHANCE, CLOCK, Chance, Clock
from ..core.backoff import Backoff
from ..core.keys import Keys
from ..errors import StoreUnavailable
from ..events import EventName, count
from .health import Health
from .identity import IdentityDiffers
from .leader import Leadership, LeadershipLost, campaign, identity
from .term import Term

log = logging.getLogger(__name__)

_BACKOFF = Backoff(initial=0.2, maximum=5.0, jitter=0.5)
"""After trouble with etcd that comes again."""
_SOUND = 10.0
"""Seconds without trouble after which the next costs no leadership. What comes again sooner is left
to another bridge, which may have a better way to etcd."""


class Leading:
    """Terms, one after the other."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        lease_ttl: int,
        begin: Callable[[Leadership], Term],
        health: Health,
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
        few_collections: Callable[[], AbstractContextManager[None]]
        | None = None,
    ) -> None:
        """:param begin: reads everything, as a new leader.
        :param few_collections: what keeps the garbage collector quiet meanwhile.
        """
        self._few_collections = few_collections or garbage.few_collections
        self._store, self._keys, self._lease_ttl = store, keys, lease_ttl
        self._begin, self._health = begin, health
        self.who = identity()
        """What this bridge writes into the leader's key."""
        self._leadership: Leadership | None = None
        self._clock, self._chance = clock, chance
        self._troubles = 0
        """In a row, each soon after the one before."""
        self._troubled_at = -math.inf

    def run(self, stopping: threading.Event) -> None:
        """Until *stopping* is set."""
        try:
            while not stopping.is_set():
                try:
                    self._one_term(stopping)
                except LeadershipLost as error:
                    count(EventName.LEADERSHIP_LOST)
                    log.warning(
                        "Leadership lost",
                        extra={
                            "event": "leadership_lost",
                            "reason": str(error),
                        },
                    )
                    self._resign()
                except HistoryChanged as error:
                    count(EventName.HISTORY_CHANGED)
                    log.warning(
                        "etcd was restored or replaced, starting a new term",
                        extra={
                            "event": "history_changed",
                            "reason": str(error),
                        },
                    )
                    self._health.troubled(str(error))
                    self._resign()
                except IdentityDiffers as error:
                    count(EventName.IDENTITY_DIFFERS)
                    log.error(
                        "Decisions stopped",
                        extra={
                            "event": "identity_differs",
                            "reason": str(error),
                        },
                    )
                    self._health.troubled(str(error))
                    self._resign()  # Another bridge may be the right one.
                    self._clock.wait(stopping, _BACKOFF.maximum)
                except StoreUnavailable as error:
                    count(EventName.TERM_ENDED)
                    log.warning(
                        "State of etcd unknown, starting a new term",
                        extra={"event": "term_ended", "reason": str(error)},
                    )
                    self._health.troubled(str(error))
                    self._after_trouble(error, stopping)
        finally:
            self._resign()

    def _one_term(self, stopping: threading.Event) -> None:
        """Returns when the bridge is to stop."""
        if self._leadership is None:
            self._health.standing_by()
            self._leadership = campaign(
                self._store,
                self._keys,
                self._lease_ttl,
                stopping,
                self._health.heard,
                self.who,
                self._clock,
            )
            if self._leadership is None:
                return
        else:
            self._leadership.renew()
        self._health.taking_over()
        with self._few_collections():
            term = self._begin(self._leadership)
        term.run(stopping, self._health)

    def _after_trouble(
        self, error: StoreUnavailable, stopping: threading.Event
    ) -> None:
        """The first time, a new term begins at once, under the same leadership.

        History that was compacted is no reason for another bridge to do better.
        """
        before, self._troubled_at = self._troubled_at, self._clock.monotonic()
        if self._troubled_at - before > _SOUND:
            self._troubles = 0
            return
        if not isinstance(error, Compacted):
            self._resign()
        self._troubles += 1
        pause = _BACKOFF.interval(self._troubles, self._chance())
        self._clock.wait(stopping, pause)

    def _resign(self) -> None:
        leadership, self._leadership = self._leadership, None
        if leadership is not None:
            leadership.resign()
