"""The record by which an operator asks for another try."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..refs import JobId, Json
from .decided import NO_JOB


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """A version is to be tried once more: ``orchestrator/retry/…``."""

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

    def to_json(self) -> str:
        fields: dict[str, Json] = {
            "force": self.force,
            "confirm": self.confirm,
            "gone": self.gone,
            "rebuild": self.rebuild,
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
        seen, gone = record.get("confirm"), record.get("gone")
        if type(seen) is not int:
            seen = 0
        if not isinstance(gone, str):
            gone = ""
        rebuild = record.get("rebuild")
        job = JobId(rebuild) if isinstance(rebuild, str) else NO_JOB
        return cls(record.get("force") is True, seen, gone, job)
