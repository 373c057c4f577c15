"""Records of what the bridge decided: handled, held, failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from ..documents import canonical
from ..jobs import Action
from ..refs import JobId, Json, Ref
from ..resources import Wanted, parsed
from ..texts import cut

NO_JOB = JobId("")
_NONE: Mapping[Any, Any] = {}
"""One for all: most of a hundred thousand records have neither references nor anything replaced."""


@dataclass(frozen=True, slots=True)
class Handled:
    """The config that was last turned into a job, or refused: ``orchestrator/handled/…``.

    The revision and the digest tell a resync from a change of the same version.
    """

    version: int
    """The config's version."""
    incarnation: int
    """The create revision of the config's key: another one is another resource of the same id."""
    job: JobId
    """The job made of the config; empty when the config was refused."""
    template: str
    """The template of the resource's type."""
    tenant: str
    """The project of the job."""
    references: Mapping[str, tuple[Ref, ...]] = field(default_factory=dict)
    """What this config refers to, by parameter. The next job on the resource lists these first,
    and a deletion waits for those who refer to the resource."""
    body: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """The config's body."""
    replaced: Mapping[JobId, JobId] = field(default_factory=dict)
    """Superseded jobs, and the job that took the place of each."""
    outlived: tuple[JobId, ...] = ()
    """Unfinished jobs whose outcome is not reported: the config they were made of is gone."""
    stands_on: frozenset[Ref] = frozenset()
    """Resources that the deployed stack may still use, because this version is not deployed yet."""
    revision: int = 0
    """The mod revision of the config."""
    digest: str = ""
    """Names the config's content. Empty in records of releases that had no digests."""
    rewritten: bool = False
    """Whether the same version was handled before with another content."""
    sent: JobId = NO_JOB
    """The last job that may have reached Heat, also when a later version was refused."""
    built: bool = False
    """Whether our records told of a stack when the job was made."""
    uncertain: bool = False
    """Whether there may have been a stack when the job was made, recorded or not."""
    force: bool = False
    """Whether an operator decided that the job takes the stack of that name as it is."""
    stack: str = ""
    """Heat's own id of the stack that an earlier job was given, where no stack record tells of it
    yet."""

    def refs(self) -> frozenset[Ref]:
        """What this version refers to."""
        return frozenset(
            ref for refs in self.references.values() for ref in refs
        )

    def holds(self, wanted: Wanted) -> bool:
        """Whether this is about a config with the same content: the same write of it, or a
        resync."""
        if self.revision and self.revision == wanted.revision:
            return True
        if self.digest:
            return self.digest == wanted.digest()
        # Written before there were digests.
        # What was refused then has the body of the version before.
        return not self.job or canonical(dict(self.body)) == canonical(
            dict(parsed(wanted.body))
        )

    def to_json(self) -> str:
        references = {
            name: [list(ref) for ref in refs]
            for name, refs in self.references.items()
            if refs
        }
        return json.dumps(
            {
                "version": self.version,
                "incarnation": self.incarnation,
                "job": self.job,
                "template": self.template,
                "tenant_id": self.tenant,
                "references": references,
                "body": dict(self.body),
                **({"replaced": dict(self.replaced)} if self.replaced else {}),
                **({"outlived": list(self.outlived)} if self.outlived else {}),
                **(
                    {"stands_on": [list(ref) for ref in sorted(self.stands_on)]}
                    if self.stands_on
                    else {}
                ),
                **(
                    {"revision": self.revision, "digest": self.digest}
                    if self.digest
                    else {}
                ),
                **({"rewritten": True} if self.rewritten else {}),
                **({"sent": self.sent} if self.sent != self.job else {}),
                **({"built": True} if self.built else {}),
                **({"uncertain": True} if self.uncertain else {}),
                **({"force": True} if self.force else {}),
                **({"stack": self.stack} if self.stack else {}),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Handled:
        record = json.loads(text)
        references = {
            intern(name): tuple(Ref(*ref) for ref in refs)
            for name, refs in record["references"].items()
        }
        return cls(
            version=record["version"],
            incarnation=record["incarnation"],
            job=record["job"],
            template=intern(record["template"]),
            tenant=intern(record["tenant_id"]),
            references=references or _NONE,
            body=record["body"],
            replaced=record.get("replaced") or _NONE,
            outlived=tuple(record.get("outlived", ())),
            stands_on=frozenset(
                Ref(*ref) for ref in record.get("stands_on", ())
            ),
            revision=record.get("revision", 0),
            digest=record.get("digest", ""),
            rewritten=record.get("rewritten", False),
            sent=record.get("sent", record["job"]),
            built=record.get("built", False),
            uncertain=record.get("uncertain", "digest" not in record),
            force=record.get("force", False),
            stack=record.get("stack", ""),
        )


@dataclass(frozen=True, slots=True)
class Held:
    """A config that waits for something before it can become a job: ``orchestrator/held/…``."""

    version: int
    """The config's version."""
    waits_for: Ref
    """The resource or template whose change lets the config be decided again."""
    reason: str
    """Why the config waits, for people."""
    incarnation: int = field(default=0, compare=False)
    """The create revision of the config's key; 0 where it is not known."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", cut(self.reason))

    def to_json(self) -> str:
        record = {
            "version": self.version,
            "waits_for": self.waits_for.to_record(),
            "reason": self.reason,
        }
        return json.dumps(
            {
                **record,
                **(
                    {"incarnation": self.incarnation}
                    if self.incarnation
                    else {}
                ),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Held:
        record = json.loads(text)
        waits_for = Ref.from_record(record["waits_for"])
        return cls(
            record["version"],
            waits_for,
            record["reason"],
            record.get("incarnation", 0),
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """How the last version of a resource failed: ``orchestrator/failed/…``."""

    version: int
    """The version that failed."""
    action: Action
    """What was to be done."""
    error: str
    """Why it failed and what to do, for people."""
    root: Ref
    """The resource whose own failure is the cause; this resource when the failure is its own."""
    attempts: int = 1
    """How often this version was tried."""
    through: Ref | None = None
    """The resource that this one refers to directly. When it or the root is repaired, this
    version is tried again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "error", cut(self.error))

    @property
    def causes(self) -> frozenset[Ref]:
        """The resources whose repair gives the version another try."""
        return frozenset(
            {self.root, self.through} if self.through else {self.root}
        )

    def to_json(self) -> str:
        return json.dumps(
            {
                "version": self.version,
                "action": self.action.value,
                "error": self.error,
                "root": self.root.to_record(),
                "attempts": self.attempts,
                **(
                    {"through": self.through.to_record()}
                    if self.through
                    else {}
                ),
            }
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Failed:
        record = json.loads(text)
        through = (
            Ref.from_record(record["through"]) if "through" in record else None
        )
        known = (
            record["version"],
            Action(record["action"]),
            record["error"],
            Ref.from_record(record["root"]),
            record["attempts"],
        )
        return cls(*known, through)
