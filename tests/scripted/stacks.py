"""What a scripted Heat knows: its stacks, the requests that it took, and how operations go."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from orchestrator.core.refs import Json


@dataclass(slots=True)
class ScriptedStack:
    """One stack; its status is a matter of time."""

    tenant: str
    name: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    action: str = "CREATE"
    outcome: str = "COMPLETE"
    reason: str = ""
    ends: float = 0.0
    tags: tuple[str, ...] = ()
    outputs: list[Json] = field(default_factory=list)
    parameters: Json = None
    updated: str = ""
    """When it was last updated, checked, suspended or resumed; empty when it was only created."""
    window: float = 0.0
    """Seconds for which a deleted stack still has its name."""

    @property
    def in_progress(self) -> bool:
        return time.monotonic() < self.ends

    @property
    def gone(self) -> bool:
        return self.action == "DELETE" and not self.in_progress and self.outcome == "COMPLETE"

    @property
    def keeps_name(self) -> bool:
        """Whether no other stack can have the name (convergence gives it free later than it says
        DELETE_COMPLETE)."""
        return not self.gone or time.monotonic() < self.ends + self.window

    @property
    def status(self) -> str:
        if self.in_progress:
            return f"{self.action}_IN_PROGRESS"
        return f"{self.action}_{self.outcome}"

    def begin(self, method: str, script: Script) -> None:
        """An operation begins."""
        self.action = method.upper()
        self.outcome, self.reason = script.outcome, script.reason
        self.ends = time.monotonic() + script.duration
        if method != "create":
            self.updated = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def document(self, outputs: bool) -> dict[str, Json]:
        """The stack as Heat shows it.

        :param outputs: whether with its outputs.
        """
        shown: dict[str, Json] = {
            "id": self.id,
            "stack_name": self.name,
            "stack_status": self.status,
            "tags": list(self.tags),
            "links": [],
            "updated_time": self.updated or None,
        }
        shown["stack_status_reason"] = self.reason
        if self.in_progress:
            shown["stack_status_reason"] = f"Stack {self.action} started"
        if outputs:
            shown["outputs"] = self.outputs
        return shown


@dataclass(frozen=True, slots=True)
class TakenRequest:
    """One create, update or delete that was taken, at *at*; it ends at *ends* (seconds since the
    epoch)."""

    method: str
    tenant: str
    stack: str
    tag: str
    at: float
    parameters: Json = None
    ends: float = 0.0
    outcome: str = "COMPLETE"
    reason: str = ""
    stack_id: str = ""
    foreign: bool = False
    """Whether it came by :meth:`ScriptedHeat.somebody_else`."""


@dataclass(frozen=True, slots=True)
class Script:
    """How an operation goes: *duration* in seconds, and how it ends."""

    duration: float = 0.0
    outcome: str = "COMPLETE"
    reason: str = "scripted"
