"""What this process knows of pauses: nobody claims a job whose tenant or type is paused.

Each claim compares the record of the pauses, so the answer holds even when it is old.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.clients.store import Store, revision_of
from orchestrator.core.jobs import job_ref
from orchestrator.core.keys import Keys, job_of, run_tenant_of
from orchestrator.core.records import NO_PAUSES, Pauses
from orchestrator.core.refs import RunId
from orchestrator.core.transactions import Require, unchanged


@dataclass(frozen=True, slots=True)
class ReadPauses:
    """The record of the pauses as it was at one revision, 0 when there was none."""

    revision: int = 0
    pauses: Pauses = NO_PAUSES

    def unchanged(self, keys: Keys) -> Require:
        """The record is still as it was read."""
        return unchanged(keys.pauses, self.revision)

    def cover(self, run: RunId) -> bool:
        """Whether a job waits for a pause."""
        if not self.pauses:
            return False
        kind = job_ref(job_of(run)).type
        return self.pauses.over(kind, run_tenant_of(run)) is not None


class KnownPauses:
    """The pauses as this process has last read them.

    Several chains of a process use it at a time. So each goes by what it was handed: another one
    may have read a newer record meanwhile.
    """

    def __init__(self) -> None:
        self._known = ReadPauses()

    def refresh(self, store: Store, keys: Keys) -> ReadPauses:
        """The record as it is now."""
        found, known = store.get(keys.pauses), self._known
        revision = revision_of(found)
        if revision == known.revision:
            return known
        value = found.value if found else None
        self._known = ReadPauses(revision, Pauses.from_json(value))
        return self._known

    def allowing(
        self, store: Store, keys: Keys, run: RunId
    ) -> ReadPauses | None:
        """The pauses by which a job may be claimed, to be compared with the claim; None when it
        waits for one."""
        known = self._known
        if known.cover(run):
            known = self.refresh(store, keys)
        if known.cover(run):
            return None
        return known
