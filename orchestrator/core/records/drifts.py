"""Records of drift: what Heat has otherwise than it was built, and the sweeps that find it.

``orchestrator/drift/…`` lies at the path of a resource, ``orchestrator/sweeps/…`` names a tenant,
and ``orchestrator/sweeps_asked/…`` is a person's request.
``orchestrator/updates/…`` tells our own updates from those of others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

from ..refs import JobId, Json, Ref
from ..texts import cut
from .decided import NO_JOB


class Depth(IntEnum):
    """How much of a stack is compared. Each depth includes those before it."""

    LISTS = 1
    """What Heat's list says: one request for a thousand stacks."""
    REQUEST = 2
    """The template and the parameters, against what was asked: two requests a stack."""
    PROPERTIES = 3
    """Live properties of the resources inside the stack: one request for each of them, and one."""
    OUTPUTS = 4
    """The outputs, against those that are recorded: one request a stack."""


class DriftKind(StrEnum):
    """What differs. :attr:`depth` is the depth that finds it."""

    LOST = "lost"
    """The stack is gone, and we did not delete it."""
    UNKNOWN = "unknown"
    """There is a stack of our naming, of which we have no record."""
    STATUS = "status"
    """Heat shows another status than our operation left."""
    UNTAGGED = "untagged"
    """Our tags are gone: somebody else has updated the stack."""
    UPDATED = "updated"
    """The stack was updated since our operation."""
    TEMPLATE = "template"
    """Heat has another template than we asked for."""
    PARAMETER = "parameter"
    """Heat has another value of a parameter than we asked for."""
    PROPERTY = "property"
    """A thing inside the stack is otherwise than the stack's template says."""
    OUTPUT = "output"
    """An output has another value than is recorded."""

    @property
    def depth(self) -> Depth:
        return _DEPTHS.get(self, Depth.LISTS)


_DEPTHS = {
    DriftKind.TEMPLATE: Depth.REQUEST,
    DriftKind.PARAMETER: Depth.REQUEST,
    DriftKind.PROPERTY: Depth.PROPERTIES,
    DriftKind.OUTPUT: Depth.OUTPUTS,
}


@dataclass(frozen=True, slots=True, order=True)
class Deviation:
    """One thing that differs. It never holds a value of the template, which may be secret."""

    kind: DriftKind
    name: str = ""
    """Which parameter, output or property; empty where the kind says all."""
    says: str = ""
    """What was found, for people: a sentence without its end."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "says", cut(self.says, _LONGEST_SAYING))

    def to_record(self) -> dict[str, str]:
        record = {"kind": self.kind.value, "name": self.name, "says": self.says}
        return {name: value for name, value in record.items() if value}

    @classmethod
    def from_record(cls, record: Mapping[str, Json]) -> Deviation:
        kind = DriftKind(record["kind"])
        return cls(kind, record.get("name", ""), record.get("says", ""))


_LONGEST_SAYING = 300
"""Characters that are stored of what one difference says."""
MOST_DEVIATIONS = 50
"""Differences that one record holds; the others are counted."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs of one resource: ``orchestrator/drift/…``. There is no record without drift."""

    tenant: str
    """The project of the stack."""
    deviations: tuple[Deviation, ...]
    since: float
    """When it was first found: seconds since the epoch by the worker's clock."""
    depth: int = Depth.LISTS
    """The deepest comparison that this is from."""
    job: JobId = NO_JOB
    """The last job on the resource when it was found; empty for an unknown stack."""
    updated: str = ""
    """When Heat says that the stack was updated last (``2026-11-27T21:49:01Z``)."""
    left_out: int = 0
    """How many deviations more there are than the record holds."""
    gone: bool = False
    """Whether the last sweep found no difference any more. The record stays until the next sweep
    confirms that, so that drift that comes and goes keeps its *since*."""
    accepted: bool = False
    """Whether a person has accepted just these deviations."""
    corrections: int = 0
    """How often the bridge has corrected it, since it was first found."""

    @property
    def shown(self) -> bool:
        """Whether a person should hear of it."""
        return not self.gone and not self.accepted

    @property
    def lost(self) -> bool:
        """Whether the stack is gone."""
        return not self.gone and DriftKind.LOST in self.kinds

    @property
    def kinds(self) -> tuple[DriftKind, ...]:
        """What differs, each kind once."""
        return tuple(dict.fromkeys(one.kind for one in self.deviations))

    @property
    def reason(self) -> str:
        """What differs, in a sentence."""
        told = [one.says or one.kind.value for one in self.deviations[:3]]
        more = len(self.deviations) + self.left_out - len(told)
        if more:
            told.append(f"{more} more")
        return "; ".join(told)

    def bounded(self) -> Drift:
        """The same, no larger than a record may be."""
        if len(self.deviations) <= MOST_DEVIATIONS:
            return self
        kept = self.deviations[:MOST_DEVIATIONS]
        left_out = self.left_out + len(self.deviations) - MOST_DEVIATIONS
        return replace(self, deviations=kept, left_out=left_out)

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "tenant_id": self.tenant,
            "deviations": [one.to_record() for one in self.deviations],
            "since": self.since,
            "depth": int(self.depth),
        }
        more: dict[str, Json] = {
            "job": self.job,
            "updated": self.updated,
            "left_out": self.left_out,
            "gone": self.gone,
            "accepted": self.accepted,
            "corrections": self.corrections,
        }
        return json.dumps(
            record | {name: value for name, value in more.items() if value}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Drift:
        record = json.loads(text)
        deviations = map(Deviation.from_record, record["deviations"])
        return cls(
            tenant=record["tenant_id"],
            deviations=tuple(deviations),
            since=record["since"],
            depth=record["depth"],
            job=JobId(record.get("job", "")),
            updated=record.get("updated", ""),
            left_out=record.get("left_out", 0),
            gone=record.get("gone", False),
            accepted=record.get("accepted", False),
            corrections=record.get("corrections", 0),
        )


@dataclass(frozen=True, slots=True)
class StackUpdate:
    """Heat's time of our last update of a stack: ``orchestrator/updates/…``.

    It is written when the update has ended. A stack that was only created has none.
    """

    job: JobId
    """The job of the update."""
    at: str
    """When Heat says that the stack was updated last (``2026-11-27T21:49:01Z``)."""

    def to_json(self) -> str:
        return json.dumps({"job": self.job, "at": self.at})

    @classmethod
    def from_json(cls, text: str | bytes) -> StackUpdate:
        record = json.loads(text)
        return cls(JobId(record["job"]), record["at"])


_SWEEP_FIELDS = (
    "at",
    "revision",
    "newest",
    "stacks",
    "drifted",
    "requests",
    "depth",
    "cursor",
    "reason",
    "not_compared",
)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The last comparison of a tenant's stacks with Heat: ``orchestrator/sweeps/<tenant>``."""

    at: float
    """When it ended: seconds since the epoch by the worker's clock."""
    revision: int = 0
    """The revision of etcd that was read before Heat was asked."""
    newest: str = ""
    """The latest time of an update that Heat's list showed (``2026-11-27T21:49:01Z``)."""
    stacks: int = 0
    """How many stacks of ours were compared."""
    drifted: int = 0
    """How many of them differ."""
    requests: int = 0
    """How many requests Heat got."""
    depth: int = Depth.LISTS
    """How deep all of the stacks were compared."""
    cursor: str = ""
    """The last resource that was compared deeper, as ``type:id``: the next sweep goes on behind it.
    """
    reason: str = ""
    """Why the last sweep came to nothing; empty when it did not. The rest is then that of the
    sweep before."""
    not_compared: tuple[str, ...] = ()
    """What was not compared, for people."""

    def to_json(self) -> str:
        given = {name: getattr(self, name) for name in _SWEEP_FIELDS}
        given["depth"] = int(self.depth)
        given["not_compared"] = list(self.not_compared)
        return json.dumps(
            {name: value for name, value in given.items() if value}
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Sweep:
        record = json.loads(text)
        known = {name: record[name] for name in _SWEEP_FIELDS if name in record}
        known["not_compared"] = tuple(record.get("not_compared", ()))
        return cls(**{"at": 0.0, **known})


@dataclass(frozen=True, slots=True)
class SweepAsked:
    """A person wants stacks to be compared now: ``orchestrator/sweeps_asked/<random>``."""

    tenant: str
    """The project whose stacks are compared."""
    depth: int = Depth.LISTS
    """How deep."""
    refs: tuple[Ref, ...] = ()
    """The resources that are compared so deep; empty: all of the project."""

    def to_json(self) -> str:
        record: dict[str, Json] = {
            "tenant_id": self.tenant,
            "depth": int(self.depth),
            "resources": [ref.to_record() for ref in self.refs],
        }
        return json.dumps(record)

    @classmethod
    def from_json(cls, text: str | bytes) -> SweepAsked:
        record = json.loads(text)
        refs = map(Ref.from_record, record.get("resources", ()))
        return cls(record["tenant_id"], int(record["depth"]), tuple(refs))
