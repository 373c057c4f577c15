"""Records of what is not built: held, failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..jobs import Action
from ..refs import JobId, Json, Ref
from ..resources import Wanted
from ..texts import cut
from .decided import NO_JOB, given


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
        return json.dumps(record | given(since=self.since))

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
        record |= given(job=self.job, tries=self.tries, since=self.since)
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
