"""The contract's records of a resource (CONTRACT section 7 and 8): stack, job state, state,
monitoring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..jobs import Action
from ..refs import Json, Ref

READ_COMPLETE = "READ_COMPLETE"
"""The worker state of a resource with nothing to build."""
DELETED = "DELETE_COMPLETE"
"""The stack status of a stack that is gone."""

_VERB = {
    Action.CREATE: "CREATE",
    Action.MODIFY: "MODIFY",
    Action.DELETE: "DELETE",
}
_HEAT_VERB = {
    Action.CREATE: "CREATE",
    Action.MODIFY: "UPDATE",
    Action.DELETE: "DELETE",
}


def worker_state(action: Action, complete: bool) -> str:
    """``CREATE_COMPLETED``, ``MODIFY_FAILED`` …"""
    outcome = "FAILED"
    if complete:
        outcome = "COMPLETED"
    return f"{_VERB[action]}_{outcome}"


def failed_status(action: Action) -> str:
    """The stack status to report when Heat never got as far as having one: ``UPDATE_FAILED`` …"""
    return f"{_HEAT_VERB[action]}_FAILED"


def is_monitoring_link(output: Json) -> bool:
    """Whether a stack output is the URL of a monitoring target (CONTRACT section 8)."""
    if not isinstance(output, dict):
        return False
    named = str(output.get("output_key", "")).endswith("monitoring_link")
    return named and bool(output.get("output_value"))


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A stack as its last job left it: ``/esi-worker/heat_stacks/…``."""

    id: str
    """The resource, as ``type:id``."""
    tenant: str
    """The project that the stack is in."""
    status: str
    """Heat's status: action and outcome (``CREATE_COMPLETE``)."""
    name: str = ""
    """The stack's name. The record has it as ``stack_id``; it is empty after a deletion."""
    outputs: tuple[Json, ...] = ()
    """The stack's outputs, as Heat lists them."""
    reason: str = ""
    """Heat's reason for the status."""

    @classmethod
    def of(
        cls,
        ref: Ref,
        tenant: str,
        status: str,
        outputs: Sequence[Json] = (),
        reason: str = "",
        name: str = "",
    ) -> StackRecord:
        """The record of a resource's stack; of a deleted one neither name, outputs nor reason.

        :param name: of the stack; empty: it is made of type and id.
        """
        if status == DELETED:
            return cls(str(ref), tenant, status)
        return cls(
            str(ref),
            tenant,
            status,
            name or ref.stack_name,
            tuple(outputs),
            reason,
        )

    @property
    def live(self) -> bool:
        """Whether Heat has the stack."""
        return self.status != DELETED

    @property
    def monitored(self) -> bool:
        """Whether the stack has monitoring targets."""
        return any(map(is_monitoring_link, self.outputs))

    def outputs_by_key(self) -> dict[str, Json]:
        """The outputs by name.

        :raises KeyError: an output has no name.
        :raises TypeError: an output is no object.
        """
        return {output["output_key"]: output for output in self.outputs}

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "stack_id": self.name,
            "tenant_id": self.tenant,
            "stack_status": self.status,
            "output": list(self.outputs),
            "status_reason": self.reason,
            "id": self.id,
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> StackRecord:
        record = json.loads(text)
        return cls(
            id=record.get("id") or "",
            tenant=record.get("tenant_id") or "",
            status=record["stack_status"],
            name=record.get("stack_id") or "",
            outputs=tuple(record.get("output") or ()),
            reason=record.get("status_reason") or "",
        )


@dataclass(frozen=True, slots=True)
class JobState:
    """The job under way on a resource: ``/esi-worker/job_state/…``."""

    status: str = ""
    """Heat's status once the stack is done; empty before."""
    outputs: tuple[Json, ...] = ()
    """The stack's outputs once it is done."""

    def to_json(self) -> str:
        if not self.status:
            return "{}"
        record = {
            "heat_outputs": list(self.outputs),
            "orchestration_state": self.status,
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> JobState:
        record = json.loads(text)
        outputs = tuple(record.get("heat_outputs") or ())
        return cls(record.get("orchestration_state") or "", outputs)


@dataclass(frozen=True, slots=True)
class StateRecord:
    """The answer to a version: ``/state/…``."""

    worker_state: str
    """How the version ended: ``CREATE_COMPLETED``, ``MODIFY_FAILED``, ``READ_COMPLETE`` …"""
    version: int
    """The config's version that is reported."""
    error: str = ""
    """Why the version failed and what to do; empty when it is complete."""
    status: str = ""
    """Heat's status; empty when there is nothing to build."""
    outputs: str = ""
    """The stack's outputs as JSON text; empty when there is nothing to build."""

    @classmethod
    def read_complete(cls, version: int) -> StateRecord:
        """The report of a resource with nothing to build."""
        return cls(READ_COMPLETE, version)

    @classmethod
    def of(
        cls,
        action: Action,
        status: str,
        outputs: Sequence[Json],
        version: int,
        error: str = "",
    ) -> StateRecord:
        """The report at the end of a version.

        :param status: Heat's, or what it would have been.
        :param error: empty when the version is complete; else why not, and what to do.
        """
        state = worker_state(action, complete=not error)
        return cls(state, version, error, status, json.dumps(list(outputs)))

    def to_json(self, as_string: bool = False) -> str:
        """:param as_string: the inner state as a JSON text, as upstream Gohan's watcher needs
        it."""
        inner = {"worker_state": self.worker_state}
        if self.worker_state != READ_COMPLETE:
            inner["heat_outputs"] = self.outputs
            inner["orchestration_state"] = self.status
        state: Json = inner
        if as_string:
            state = json.dumps(inner)
        return json.dumps(
            {"state": state, "version": self.version, "error": self.error}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> StateRecord:
        """The record, whichever of the two forms it was written in.

        :raises ValueError: the version is no whole number.
        """
        record = json.loads(text)
        version, inner = record["version"], record.get("state") or {}
        if type(version) is not int:
            raise ValueError("the version should be a whole number")
        if isinstance(inner, str):
            inner = json.loads(inner)
        return cls(
            worker_state=inner.get("worker_state") or "",
            version=version,
            error=record.get("error") or "",
            status=inner.get("orchestration_state") or "",
            outputs=inner.get("heat_outputs") or "",
        )


@dataclass(frozen=True, slots=True)
class MonitoringRecord:
    """How a resource fares, as its monitoring targets say: ``/monitoring/…``."""

    version: int
    """The highest config version that a target reports."""
    statuses: Mapping[str, Json]
    """What each target says, by the status key that it names."""

    def document(self) -> dict[str, Json]:
        """The statuses and the version, as the record has them."""
        return {**self.statuses, "version": self.version}

    def to_json(self, as_string: bool = False) -> str:
        """:param as_string: the statuses as a JSON text beside the version, as upstream Gohan's
        watcher needs them."""
        told = self.document()
        if as_string:
            told = {"monitoring": json.dumps(told), "version": self.version}
        return json.dumps(told)

    @classmethod
    def from_json(cls, text: str | bytes) -> MonitoringRecord:
        """The record, whichever of the two forms it was written in."""
        record = json.loads(text)
        inner = record.get("monitoring")
        if isinstance(inner, str) and record.keys() == {
            "monitoring",
            "version",
        }:
            record = json.loads(inner)
        version = record.get("version") or 0
        return cls(
            version,
            {key: value for key, value in record.items() if key != "version"},
        )
