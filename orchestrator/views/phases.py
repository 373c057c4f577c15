"""What a judgement of a resource says: its phase, why, and since when."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..core.refs import Ref
from .outdated import OutdatedStack


class Phase(StrEnum):
    """Where a resource stands."""

    OVERDUE = "overdue"
    """A job on it takes longer than it may, and is about to be given up."""
    COMPLETE = "complete"
    """The wanted version is reported, without an error."""
    RUNNING = "running"
    """A job on it is under way."""
    WAITING = "waiting"
    """It has a job that waits for others."""
    PENDING = "pending"
    """The bridge has not decided it yet."""
    HELD = "held"
    """It can become no job before something else is there."""
    FAILED = "failed"
    """The wanted version is reported, with an error."""
    TROUBLE = "in trouble"
    """It is tried again and again, and a person has to act before it can succeed."""
    STALE = "stale"
    """An older version was written over a newer one; it is ignored."""
    UNCONFIRMED = "kept"
    """Its config is gone, together with many others: its stack stays until a person confirms the
    deletion."""
    BROKEN = "broken"
    """It is built, but something that it was built from is gone."""
    LOST = "lost"
    """It was built, and somebody has deleted its stack."""
    DELETED = "deleted"
    """The stack is gone, and the config may go."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one resource stands."""

    ref: Ref
    phase: Phase
    reason: str = ""
    """Why, in a sentence."""
    version: int = 0
    """The version that this is about; 0 when there is none."""
    root: Ref | None = None
    """The resource whose own failure is the cause."""
    waits_for: Ref | None = None
    """What it is held back by."""
    moving: bool = False
    """Whether it goes on by itself."""
    since: float = 0.0
    """Since when it stands so: seconds since the epoch by the clock of whoever wrote the record; 0
    when no record tells. Of a complete resource: when Heat was asked for it."""
    gives_up: float = 0.0
    """When its job is given up, in seconds since the epoch; 0 when that is not known. A new leader
    counts anew, so it may become later."""
    outdated: OutdatedStack | None = None
    """What has changed that its stack was built from, of those that are complete."""


@dataclass(slots=True)
class Looked:
    """What a judgement has looked at, whether it was there or not.

    So a judgement of one resource tells what has to be read for it (:mod:`.reading`).
    """

    records: set[Ref] = field(default_factory=set)
    """Resources and templates of which records were read."""
    jobs: set[Ref] = field(default_factory=set)
    """Resources of which also the jobs and runs were read."""
