"""The record of what the bridge handled last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any

from ..documents import canonical
from ..mapping.evaluate import OutputOf
from ..refs import JobId, Json, Ref
from ..resources import Wanted, parsed
from .built import from_list, listed

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
    asked: bool = False
    """Whether an operator asked for the job."""
    used_by: str = ""
    """Who stands on the stack, for people. Only where the template has failed stacks replaced."""
    followed: int = 0
    """Along a circle of outputs: how many jobs in a row, up to this one, were made only because an
    output had changed."""
    expected: Mapping[OutputOf, str] = field(default_factory=dict)
    """The outputs whose change is the only reason for the job, each with the digest of its value.
    Nobody is updated twice for one value, whatever the worker reads."""
    kept: str = ""
    """Why the stack could not be rebuilt when an output changed: the version stays complete, and
    the stack as it was."""
    rollout: str = ""
    """The roll-out that the job belongs to; empty: to none."""
    candidate: bool = False
    """Whether the job builds from the revision that is rolled out though another one is in
    force."""
    template_revision: str = ""
    """The revision of the template whose mappings gave the job its parameters. Empty in records of
    releases that had none, and of deletions."""
    since: float = field(default=0.0, compare=False)
    """When the job was made, or the config refused: seconds since the epoch by the bridge's clock,
    for people. 0 in records of releases that had no times."""

    def refs(self) -> frozenset[Ref]:
        """What this version refers to."""
        return frozenset(
            ref for refs in self.references.values() for ref in refs
        )

    def matches(self, wanted: Wanted) -> bool:
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
        record: dict[str, Json] = {
            "version": self.version,
            "incarnation": self.incarnation,
            "job": self.job,
            "template": self.template,
            "tenant_id": self.tenant,
            "references": {
                name: [list(ref) for ref in refs]
                for name, refs in self.references.items()
                if refs
            },
            "body": dict(self.body),
        }
        record |= given(
            replaced=dict(self.replaced),
            outlived=list(self.outlived),
            stands_on=[list(ref) for ref in sorted(self.stands_on)],
        )
        if self.digest:
            record |= {"revision": self.revision, "digest": self.digest}
        if self.sent != self.job:
            record["sent"] = self.sent
        record |= given(**{name: getattr(self, name) for name in _PLAIN})
        record |= given(
            uncertain=self.uncertain,
            expected=listed(self.expected),
            template_revision=self.template_revision,
        )
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Handled:
        record = _object(text)
        names = ("revision", "digest", *_PLAIN)
        plain = {name: record[name] for name in names if name in record}
        return cls(
            version=record["version"],
            incarnation=record["incarnation"],
            job=record["job"],
            template=intern(record["template"]),
            tenant=intern(record["tenant_id"]),
            references=_references(record) or _NONE,
            body=record["body"],
            replaced=record.get("replaced") or _NONE,
            outlived=tuple(record.get("outlived", ())),
            stands_on=frozenset(_refs(record.get("stands_on", ()))),
            sent=record.get("sent", record["job"]),
            uncertain=record.get("uncertain", "digest" not in record),
            expected=from_list(record.get("expected")),
            template_revision=intern(record.get("template_revision", "")),
            **plain,
        )


_PLAIN = (
    "rewritten",
    "built",
    "force",
    "stack",
    "asked",
    "used_by",
    "followed",
    "kept",
    "rollout",
    "candidate",
    "since",
)
"""The fields of a handled record that are there where they say something, and are as they are."""


def _object(text: str | bytes) -> dict[str, Any]:
    """:raises ValueError: it is no JSON.
    :raises TypeError: it is no object.
    """
    return dict(json.loads(text))


def given(**fields: Json) -> dict[str, Json]:
    """The fields that say something: the others are not written."""
    return {name: value for name, value in fields.items() if value}


def _refs(stored: Iterable[Sequence[str]]) -> tuple[Ref, ...]:
    return tuple(Ref(*ref) for ref in stored)


def _references(record: Mapping[str, Json]) -> dict[str, tuple[Ref, ...]]:
    return {
        intern(name): _refs(refs) for name, refs in record["references"].items()
    }
