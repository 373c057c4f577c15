"""Records of what a person has to confirm: held deletions, and another identity."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True)
class Brake:
    """Deletions are held: ``orchestrator/brake``."""

    since: str
    """Since when, in UTC (``2026-11-27T21:49:01Z``)."""
    removed: int
    """Configs of built resources that had been removed and whose stacks were not deleted yet."""
    limit: int
    """How many may be removed without a confirmation."""

    def to_json(self) -> str:
        return json.dumps(
            {"since": self.since, "removed": self.removed, "limit": self.limit}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Brake:
        record = json.loads(text)
        return cls(
            str(record["since"]), int(record["removed"]), int(record["limit"])
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """What a bridge leads for: ``orchestrator/identity``.

    With another identity every resource could seem to be gone. So it is compared before anything
    is decided.
    """

    config: str
    """The prefix of configs."""
    state: str
    """The prefix of states."""
    monitoring: str
    """The prefix of monitoring records."""
    jobs: str
    """The prefix of jobs."""
    types: str
    """The digest of the schema list."""
    cluster: str
    """The id of the etcd cluster."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Identity:
        record = json.loads(text)
        return cls(*(str(record[name.name]) for name in fields(cls)))


@dataclass(frozen=True, slots=True)
class IdentityTrouble:
    """Why the bridge decides nothing: ``orchestrator/identity/trouble``."""

    reason: str
    """What differs and what to do, for people."""
    since: str
    """Since when, in UTC."""
    found: Identity
    """What the bridge would lead for."""

    def to_json(self) -> str:
        return json.dumps(
            {
                "reason": self.reason,
                "since": self.since,
                "found": asdict(self.found),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> IdentityTrouble:
        record = json.loads(text)
        return cls(
            str(record["reason"]),
            str(record["since"]),
            Identity.from_json(json.dumps(record["found"])),
        )
