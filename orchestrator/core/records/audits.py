"""The record of a verb: what a person asked for by a command, who, why, when, and its outcome."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from ..refs import Json
from ..texts import cut

CARRIED_OUT = "carried out"
"""The outcome of a verb that did what it says."""
LONGEST_WHY = 500
"""Characters of a reason that a person gives."""


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One verb on one resource, or on none in particular: ``orchestrator/audit/…``."""

    id: str
    """Names the verb in its key: the time, then five random characters."""
    verb: str
    """``retry``, ``pause`` …"""
    by: str
    """Who: ``alice@host``, or what ``--as`` says."""
    at: str
    """When, in UTC (``2026-11-28T07:45:12Z``), by the clock of the machine of the command."""
    why: str = ""
    """What ``--why`` says."""
    selector: str = ""
    """What the command line named: ``port --tenant t1``."""
    outcome: str = ""
    """What became of it, for people; empty: the leading bridge has not dealt with it yet."""
    ended: str = ""
    """When that was, in UTC, by the clock of whoever wrote the outcome."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", cut(self.why, LONGEST_WHY))
        object.__setattr__(self, "selector", cut(self.selector, LONGEST_WHY))

    def with_outcome(self, outcome: str, now: str) -> AuditRecord:
        """The same, once it is known what became of it.

        :param now: in UTC.
        """
        return replace(self, outcome=cut(outcome), ended=now)

    def to_record(self) -> dict[str, Json]:
        """As a JSON object; what is empty is left out."""
        fields = {
            "id": self.id,
            "verb": self.verb,
            "by": self.by,
            "at": self.at,
            "why": self.why,
            "selector": self.selector,
            "outcome": self.outcome,
            "ended": self.ended,
        }
        return {name: value for name, value in fields.items() if value}

    def to_json(self) -> str:
        return json.dumps(self.to_record())

    @classmethod
    def from_record(cls, record: Json) -> AuditRecord:
        """:raises ValueError: it is not such an object."""
        if not isinstance(record, dict):
            record = {}
        texts = {
            name: value
            for name, value in record.items()
            if isinstance(value, str) and name in _FIELDS
        }
        for name in ("id", "verb", "by", "at"):
            if not texts.get(name):
                raise ValueError(f"the record of a verb names no {name}")
        return cls(**texts)

    @classmethod
    def from_json(cls, text: str | bytes) -> AuditRecord:
        return cls.from_record(json.loads(text))


_FIELDS = frozenset(AuditRecord.__dataclass_fields__)
