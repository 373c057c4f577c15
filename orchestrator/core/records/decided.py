"""Records of what the bridge decided: handled, held, failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Any

from ..documents import canonical
from ..jobs import Action
from ..mapping.evaluate import OutputOf
from ..refs import JobId, Json, Ref
from ..resources import Wanted, parsed
from ..texts import cut
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
        record |= _given(
            replaced=dict(self.replaced),
            outlived=list(self.outlived),
            stands_on=[list(ref) for ref in sorted(self.stands_on)],
        )
        if self.digest:
            record |= {"revision": self.revision, "digest": self.digest}
        if self.sent != self.job:
            record["sent"] = self.sent
        record |= _given(**{name: getattr(self, name) for name in _PLAIN})
        record |= _given(
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


def _given(**fields: Json) -> dict[str, Json]:
    """The fields that say something: the others are not written."""
    return {name: value for name, value in fields.items() if value}


def _refs(stored: Iterable[Sequence[str]]) -> tuple[Ref, ...]:
    return tuple(Ref(*ref) for ref in stored)


def _references(record: Mapping[str, Json]) -> dict[str, tuple[Ref, ...]]:
    return {
        intern(name): _refs(refs) for name, refs in record["references"].items()
    }


@dataclass(frozen=True, slots=True)
class Held:
    """A config that waits for something before it can become a job: ``orchestrator/held/…``."""

    version: int
    """The config's version."""
    waits_for: Ref
    """The resource or template whose change lets the config be decided again."""
    why: str
    """What keeps *root* waiting, for people: a sentence without its subject."""
    incarnation: int = field(default=0, compare=False)
    """The create revision of the config's key; 0 where it is not known."""
    root: Ref | None = None
    """The resource at the end of the chain, when this one waits only because that one is held.
    None: this one is held for a reason of its own."""
    since: float = field(default=0.0, compare=False)
    """Since when this version waits: seconds since the epoch by the bridge's clock, for people. 0
    in records of releases that had no times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", cut(self.why))

    @property
    def reason(self) -> str:
        """Why the config waits, for people: names the root, however long the chain is."""
        if self.root is None:
            return self.why
        way = _way(self.root, self.waits_for)
        return cut(f"waits for {way}, which {self.why}")

    def dated(self, now: float, earlier: Held | None) -> Held:
        """The same, with its time: that of the record before if this version waited already.

        :param now: seconds since the epoch.
        """
        if (
            earlier is not None
            and earlier.version == self.version
            and earlier.incarnation == self.incarnation
            and earlier.since
        ):
            now = earlier.since
        return replace(self, since=now)

    def passed_on(self, wanted: Wanted, held: Ref) -> Held:
        """The record of a config that waits for *held*, whose record this is."""
        return Held(
            wanted.version,
            held,
            self.why,
            wanted.incarnation,
            self.root or held,
        )

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "version": self.version,
            "waits_for": self.waits_for.to_record(),
            "reason": self.reason,
        }
        if self.incarnation:
            record["incarnation"] = self.incarnation
        if self.root is not None:
            record["root"] = self.root.to_record()
            record["why"] = self.why
        return json.dumps(record | _given(since=self.since))

    @classmethod
    def from_json(cls, text: str | bytes) -> Held:
        record = json.loads(text)
        return cls(
            record["version"],
            Ref.from_record(record["waits_for"]),
            record.get("why", record["reason"]),
            record.get("incarnation", 0),
            _ref_in(record, "root"),
            record.get("since", 0.0),
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """How the last version of a resource failed: ``orchestrator/failed/…``."""

    version: int
    """The version that failed."""
    action: Action
    """What was to be done."""
    why: str
    """Why *root* failed and what to do, for people."""
    root: Ref
    """The resource whose own failure is the cause; this resource when the failure is its own."""
    attempts: int = 1
    """How often this version was tried."""
    through: Ref | None = None
    """The resource that this one refers to directly. When it or the root is repaired, this
    version is tried again."""
    inherited: bool = False
    """Whether this version failed only because *through* did, so that *why* tells of the root."""
    job: JobId = NO_JOB
    """The job that Heat has failed and that is tried again, so that the version has not failed
    yet; empty: it has."""
    tries: int = 0
    """How often Heat has failed *job*."""
    since: float = field(default=0.0, compare=False)
    """When this version failed first: seconds since the epoch by the clock of whoever wrote it, for
    people. 0 in records of releases that had no times."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", cut(self.why))

    @property
    def error(self) -> str:
        """Why this version failed and what to do, for people: names the root, however long the
        chain is."""
        if not self.inherited or self.through is None:
            return self.why
        way = _way(self.root, self.through)
        return cut(
            f"not built, because it depends on {way}, which failed: {self.why}"
        )

    @property
    def causes(self) -> frozenset[Ref]:
        """The resources whose repair gives the version another try."""
        if self.through is None:
            return frozenset({self.root})
        return frozenset({self.root, self.through})

    def dated(self, now: float, earlier: Failed | None) -> Failed:
        """The same, with its time: that of the record before if this version had failed already.

        :param now: seconds since the epoch.
        """
        if (
            earlier is not None
            and earlier.version == self.version
            and earlier.since
        ):
            now = earlier.since
        return replace(self, since=now)

    def passed_on(self, version: int, action: Action, failed: Ref) -> Failed:
        """How a version fails that depends on *failed*, whose failure this is."""
        return Failed(
            version,
            action,
            self.why,
            self.root,
            through=failed,
            inherited=True,
        )

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "version": self.version,
            "action": self.action.value,
            "error": self.error,
            "root": self.root.to_record(),
            "attempts": self.attempts,
        }
        if self.through is not None:
            record["through"] = self.through.to_record()
        if self.inherited:
            record["why"] = self.why
        record |= _given(job=self.job, tries=self.tries, since=self.since)
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> Failed:
        """Records of releases without *why* keep their sentence as it is."""
        record = json.loads(text)
        return cls(
            record["version"],
            Action(record["action"]),
            record.get("why", record["error"]),
            Ref.from_record(record["root"]),
            record["attempts"],
            _ref_in(record, "through"),
            inherited="why" in record,
            job=record.get("job", NO_JOB),
            tries=record.get("tries", 0),
            since=record.get("since", 0.0),
        )


def _way(root: Ref, through: Ref) -> str:
    """The root of a chain, and the resource that leads to it where that is another."""
    if through == root:
        return str(root)
    return f"{root} (through {through})"


def _ref_in(record: Mapping[str, Json], name: str) -> Ref | None:
    """The resource that a record names, where it does."""
    if name not in record:
        return None
    return Ref.from_record(record[name])
