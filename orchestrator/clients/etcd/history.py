"""Whether etcd still has the history that this process has seen.

A cluster that is restored from a backup goes back in time. What this process knows is then worth
nothing, and a watch that resumes at a revision of the old history would miss changes of the new
one. Three signs tell it:

* another cluster id;
* a revision below one that was seen before the request. Only linearizable reads and transactions
  count: a member that lags answers a watch, or a renewal of a lease, from its own earlier state;
* the *witness* is not there any more: the last write that this process made or saw, read as of its
  own revision. It is read on every new connection, and with every renewal of a lease. So a restore
  is noticed also when the new history is already longer than the old one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from ..store import HistoryChanged


@dataclass(frozen=True, slots=True)
class Witness:
    """A write that this process made or saw."""

    key: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What was known of the history when a request was sent. *floor* is the highest revision
    seen."""

    generation: int
    cluster: int
    floor: int


class History:
    """What this process knows of etcd's history. The *generation* rises whenever etcd has another
    one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mark = Mark(generation=0, cluster=0, floor=0)
        self._witness: Witness | None = None

    @property
    def generation(self) -> int:
        return self._mark.generation

    @property
    def witness(self) -> Witness | None:
        return self._witness

    def mark(self) -> Mark:
        """To be taken before a request, for :meth:`check`."""
        return self._mark

    def check(self, header: Any, mark: Mark) -> None:
        """Compare the header of a linearizable answer with what was known before the request.

        :raises HistoryChanged: etcd has another history.
        """
        known = self._mark
        if mark.generation != known.generation:
            raise HistoryChanged(
                "etcd was restored from a backup while the request was under way"
            )
        if (
            header.cluster_id == known.cluster
            and known.floor <= header.revision
        ):
            if known.floor < header.revision:
                self._rise(header.revision)
            return
        if known.cluster and header.cluster_id != known.cluster:
            text = (
                f"etcd has another cluster id, {header.cluster_id:x} and not"
                f" {known.cluster:x}"
            )
            raise self.changed(mark, text, header)
        if header.revision < mark.floor:
            text = f"etcd is at revision {header.revision}, and was at {mark.floor} before"
            raise self.changed(mark, text, header)
        self._meet(header)

    def _rise(self, revision: int) -> None:
        with self._lock:
            known = self._mark
            self._mark = Mark(
                known.generation, known.cluster, max(known.floor, revision)
            )

    def _meet(self, header: Any) -> None:
        """The first answer of all, or one that was overtaken by another."""
        with self._lock:
            known = self._mark
            cluster = known.cluster or header.cluster_id
            self._mark = Mark(
                known.generation, cluster, max(known.floor, header.revision)
            )

    def saw(self, key: bytes, revision: int, generation: int) -> None:
        """A write that this process made or saw: the newest is the witness."""
        witness = self._witness
        if generation == self._mark.generation and (
            witness is None or revision > witness.revision
        ):
            self._witness = Witness(key, revision)

    def changed(
        self, mark: Mark, why: str, header: Any = None
    ) -> HistoryChanged:
        """Forget what was known, once. Returns the error to raise."""
        with self._lock:
            if mark.generation == self._mark.generation:
                cluster, floor = 0, 0
                if header:
                    cluster, floor = header.cluster_id, header.revision
                self._mark = Mark(mark.generation + 1, cluster, floor)
                self._witness = None
        return HistoryChanged(
            f"{why}: it was restored from a backup, or it is another etcd"
        )
