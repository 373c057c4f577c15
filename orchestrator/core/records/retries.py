"""The record by which an operator asks the leading bridge for something."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from ..refs import JobId, Json
from .audits import AuditRecord
from .decided import NO_JOB


class LeavingMode(StrEnum):
    """How a resource is left alone. Its stack stays in Heat, if there is one."""

    RELEASE = "release"
    """When no worker and Heat have a job on it."""
    FORGET = "forget"
    """At once: Heat or the tenant is gone."""


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What was left in Heat: ``orchestrator/left/…``."""

    verb: str
    by: str
    at: str
    """When, in UTC."""
    tenant: str
    stack: str
    """The name of the stack that may be there."""
    status: str = ""
    """What our record said of it; empty: there was none."""
    version: int = 0
    """The version that was handled last."""
    why: str = ""

    def to_json(self) -> str:
        return json.dumps(
            {
                "verb": self.verb,
                "by": self.by,
                "at": self.at,
                "tenant_id": self.tenant,
                "stack": self.stack,
                "status": self.status,
                "version": self.version,
                "why": self.why,
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Tombstone:
        record = json.loads(text)
        return cls(
            verb=record["verb"],
            by=record["by"],
            at=record["at"],
            tenant=record["tenant_id"],
            stack=record["stack"],
            status=record.get("status", ""),
            version=record.get("version", 0),
            why=record.get("why", ""),
        )


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """What an operator asks for about one resource: ``orchestrator/retry/…``.

    Without more, its version is to be tried once more.
    """

    force: bool = False
    """Whether to take the stack of the resource's name as it is, though it is not recorded as ours,
    or though an update may replace what failed a check."""
    confirm: int = 0
    """The revision at which the config was gone and whose held deletion may go; 0: not asked."""

    gone: str = ""
    """The tenant whose project is gone for good, so that deletions in it are given up; empty: not
    asked."""
    rebuild: JobId = NO_JOB
    """The last job of a version that is to be built again as it is; empty: not asked. Once there is
    a later job, the request has been met."""
    cancel: JobId = NO_JOB
    """The job that is to end; empty: not asked."""
    adopt: str = ""
    """The name of the stack in Heat that is to be the resource's; empty: not asked."""
    status: str = ""
    """Its status, as the person saw it."""
    leave: LeavingMode | None = None
    """To leave the stack as it is, and to forget our records; None: not asked."""
    config: int = 0
    """The revision of the config that goes with the records, as the person saw it; 0: it was
    gone."""
    audit: AuditRecord | None = None
    """Who asks, why and when; None in requests of releases that kept no such record."""

    def to_json(self) -> str:
        fields: dict[str, Json] = {
            "force": self.force,
            "confirm": self.confirm,
            "gone": self.gone,
            "rebuild": self.rebuild,
            "cancel": self.cancel,
            "adopt": self.adopt,
            "status": self.status,
            "leave": self.leave and self.leave.value,
            "config": self.config,
            "audit": self.audit and self.audit.to_record(),
        }
        return json.dumps(
            {name: value for name, value in fields.items() if value}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> RetryAsked:
        """Whatever else is in there, it is a request without a word more."""
        try:
            record = json.loads(text)
        except ValueError:
            return cls()
        if not isinstance(record, dict):
            return cls()
        return cls(
            force=record.get("force") is True,
            confirm=_number(record.get("confirm")),
            gone=_text(record.get("gone")),
            rebuild=JobId(_text(record.get("rebuild"))),
            cancel=JobId(_text(record.get("cancel"))),
            adopt=_text(record.get("adopt")),
            status=_text(record.get("status")),
            leave=_leave(record.get("leave")),
            config=_number(record.get("config")),
            audit=_audit(record.get("audit")),
        )


def _number(value: Json) -> int:
    return value if type(value) is int else 0


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _leave(value: Json) -> LeavingMode | None:
    return LeavingMode(value) if value in list(LeavingMode) else None


def _audit(value: Json) -> AuditRecord | None:
    try:
        return AuditRecord.from_record(value)
    except ValueError:
        return None
