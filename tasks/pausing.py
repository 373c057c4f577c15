"""What this process knows of pauses: nobody claims a job whose tenant or type is paused.

Each claim compares the record of the pauses, so the answer holds even when it is old.
"""

from __future__ import annotations

from orchestrator.clients.store import Store, revision_of
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys, job_of, run_tenant_of
from orchestrator.core.records import NO_PAUSES, Pauses
from orchestrator.core.refs import RunId
from orchestrator.core.transactions import Require, unchanged


class KnownPauses:
    """The record of the pauses as this process has last read it."""

    def __init__(self) -> None:
        self._known: tuple[int, Pauses] = (0, NO_PAUSES)
        """The revision of the record, 0 when there was none, and what it says."""

    def unchanged(self, keys: Keys) -> Require:
        """The record is still as it was read."""
        return unchanged(keys.pauses, self._known[0])

    def refresh(self, store: Store, keys: Keys) -> bool:
        """Read the record; whether it is another one than before."""
        found = store.get(keys.pauses)
        revision = revision_of(found)
        if revision == self._known[0]:
            return False
        value = found.value if found else None
        self._known = (revision, Pauses.from_json(value))
        return True

    def hold(self, store: Store, keys: Keys, run: RunId) -> bool:
        """Whether a job waits for a pause, as the record says now."""
        if not self._covers(run):
            return False
        self.refresh(store, keys)
        return self._covers(run)

    def _covers(self, run: RunId) -> bool:
        pauses = self._known[1]
        if not pauses:
            return False
        kind = job_ref(job_of(run)).type
        return pauses.over(kind, run_tenant_of(run)) is not None
