"""What records say of a stack and of a state."""

from __future__ import annotations

from dataclasses import dataclass

from ..clients.store import KeyValue
from ..core.records import StackRecord, StateRecord
from ..core.resources import Wanted


@dataclass(frozen=True, slots=True)
class ReportedState:
    """What was reported: the record below ``/state``, and the revision at which it was written."""

    worker_state: str
    status: str
    version: int
    error: str
    revision: int

    def is_about(self, wanted: Wanted) -> bool:
        """Whether the wanted version of this incarnation is reported."""
        later = self.revision > wanted.incarnation
        return later and self.version == wanted.version


@dataclass(frozen=True, slots=True)
class RecordedStack:
    """What is recorded of the stack."""

    status: str
    tenant: str
    outputs: int
    """How many outputs it has."""
    reason: str
    monitored: bool = False
    """Whether it has monitoring targets."""
    name: str = ""
    """The stack's name; empty after a deletion."""

    @property
    def live(self) -> bool:
        """Whether Heat has the stack."""
        return self.status != "DELETE_COMPLETE"


def reported(kv: KeyValue) -> ReportedState:
    """What a state record says."""
    record = StateRecord.from_json(kv.value)
    return ReportedState(
        record.worker_state,
        record.status,
        record.version,
        record.error,
        kv.revision,
    )


def recorded(kv: KeyValue) -> RecordedStack:
    """What a stack record says."""
    record = StackRecord.from_json(kv.value)
    return RecordedStack(
        record.status,
        record.tenant,
        len(record.outputs),
        record.reason,
        record.monitored,
        record.name,
    )
