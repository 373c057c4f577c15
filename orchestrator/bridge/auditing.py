"""The records of verbs: the last few thousand stay in etcd, and older ones are dropped.

A historian keeps them for as long as it keeps everything else.
"""

from __future__ import annotations

import logging

from ..clients.store import Store
from ..core import effects
from ..core.keys import Keys
from ..core.transactions import MOST_OPERATIONS
from ..events import EventName, count
from .leader import Leadership

log = logging.getLogger(__name__)

MOST_RECORDS = 2000
"""Records of verbs that etcd keeps. Each has a few hundred bytes, and `status` reads them."""
DROPPED_EVERY = 600.0
"""Seconds between two searches for records that are too many."""
_TOGETHER = MOST_OPERATIONS // 2


class Auditing:
    """Drops the oldest records of verbs."""

    def __init__(
        self, store: Store, keys: Keys, leadership: Leadership
    ) -> None:
        self._store, self._keys, self._leadership = store, keys, leadership

    def drop_oldest(self, most: int = MOST_RECORDS) -> None:
        """Leave the newest records in etcd.

        :param most: how many.
        """
        _, listed = self._store.list(self._keys.audits, keys_only=True)
        too_many = len(listed) - most
        if too_many <= 0:
            return
        ordered = sorted(listed, key=lambda kv: kv.created)
        old = [(kv.key, kv.revision) for kv in ordered[:too_many]]
        for start in range(0, len(old), _TOGETHER):
            some = old[start : start + _TOGETHER]
            self._leadership.commit(effects.remove_runs(some))
        count(EventName.VERBS_DROPPED)
        fields = {"event": "verbs_dropped", "records": len(old)}
        log.info("Oldest records of verbs dropped", extra=fields)
