"""The values that planning works with: what is to be decided, and what can come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..jobs import Job
from ..mapping.evaluate import OutputOf
from ..records import Failed, Handled, Held
from ..refs import JobId, Ref
from ..resources import Wanted
from ..world import Lagging, Pin, World

SCHEMA_TYPE = "schema"
"""The type of a :class:`Ref` to an entry of the schema list: ``schema:port``."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The resource that is decided, and what the decision is made from."""

    world: World
    ref: Ref
    suffix: Callable[[], str]
    """Makes the random part of a job id."""
    path: tuple[Ref, ...] = ()
    """The resources whose decisions wait for this one, outermost first. It closes cycles."""
    patient: bool = True
    """Whether a deletion still waits for others that were built from this resource."""
    now: float = 0.0
    """Seconds since the epoch, for the records."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """What is recorded is what is wanted, or is on its way."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeftOutdated:
    """The version is handled, and the stack was built from outputs that have other values now. It
    is not rebuilt by itself."""

    lagging: Lagging


@dataclass(frozen=True, slots=True)
class First:
    """Others have to be decided before this one can be."""

    refs: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class Postpone:
    """Another has to be decided first, and cannot be at the moment: ask again shortly."""

    other: Ref


@dataclass(frozen=True, slots=True)
class Report:
    """There is nothing to build: say so at once."""

    wanted: Wanted


@dataclass(frozen=True, slots=True)
class Start:
    """A job follows."""

    job: Job
    handled: Handled
    wanted: Wanted | None
    """The config as it is; None when it is gone."""
    superseded: tuple[Job, ...] = ()
    """Jobs that no worker has taken yet. The new job stands in for them."""
    retried: Mapping[JobId, int] = field(default_factory=dict)
    """The revisions of the runs of those superseded jobs that were to be sent again."""
    first_of_two: bool = False
    """Whether the job deletes a stack of an earlier incarnation or tenant. What the config asks for
    is decided next."""
    follows: tuple[OutputOf, ...] = ()
    """The outputs whose change is the only reason for the job."""
    pin: Pin | None = None
    """The roll-out that has taken the resource. Its record has to be as it was."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """This version cannot become a job; the state says why."""

    wanted: Wanted
    handled: Handled
    failed: Failed


@dataclass(frozen=True, slots=True)
class Hold:
    """Something else has to happen first."""

    held: Held
    wanted: Wanted | None
    patience: bool = False
    """Whether it is a deletion, which does not wait for ever."""


@dataclass(frozen=True, slots=True)
class Clean:
    """The config is gone and so is the stack: remove what is left of the resource."""

    jobs: tuple[Job, ...] = ()
    """Unfinished jobs that have never reached Heat. They are removed too."""
    retried: Mapping[JobId, int] = field(default_factory=dict)
    """The revisions of their runs."""


Decision: TypeAlias = (
    Nothing
    | LeftOutdated
    | First
    | Postpone
    | Report
    | Start
    | Refuse
    | Hold
    | Clean
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a version cannot become a job. :mod:`.refusing` makes the decision of it."""

    why: str
    """What is wrong with *root* and what to do, for people."""
    root: Ref
    """The resource, template or schema whose own failure is the cause."""
    through: Ref | None = None
    """The resource that the refused one refers to directly."""
    inherited: bool = False
    """Whether the version is refused only because *through* failed."""


Obstacle: TypeAlias = Refusal | Hold
"""What keeps a config from becoming a job until something else changes."""


def held(wanted: Wanted, waits_for: Ref, why: str) -> Hold:
    """The config waits until *waits_for* changes."""
    record = Held(wanted.version, waits_for, why, wanted.incarnation)
    return Hold(record, wanted)
