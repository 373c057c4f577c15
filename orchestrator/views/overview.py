"""The whole picture at one revision: what ``status`` shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import filterfalse
from operator import attrgetter

from ..core.records import (
    NO_PAUSES,
    Brake,
    IdentityTrouble,
    LeaderRecord,
    Pauses,
    SchemaTrouble,
)
from ..core.refs import Json, Ref
from .drifts import DriftView, drifts
from .jobs import JobView, Stage
from .snapshot import Snapshot
from .standings import Phase, Progress, Standing

Standings = tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """One cause, and everything that failed because of it."""

    root: Ref
    error: str
    """The cause's own, if it has one on record."""
    members: Standings

    @property
    def others(self) -> Standings:
        """Those that failed because of the cause."""
        return tuple(
            member for member in self.members if member.ref != self.root
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """Where everything stands. What is complete is only counted."""

    revision: int
    leader: LeaderRecord | None
    """None when no bridge leads."""
    phases: Mapping[Phase, int]
    """How many resources are in each phase; phases without any are left out."""
    running: tuple[JobView, ...] = ()
    waiting: tuple[JobView, ...] = ()
    pending: Standings = ()
    held: Standings = ()
    failures: tuple[FailureGroup, ...] = ()
    trouble: Standings = ()
    stale: Standings = ()
    unconfirmed: Standings = ()
    broken: Standings = ()
    outdated: Standings = ()
    """Complete, and built from something else than there is now."""
    lost: Standings = ()
    drifted: tuple[DriftView, ...] = ()
    """What Heat has otherwise than it was built, lost stacks left out."""
    deleted: Standings = ()
    rewritten: Standings = ()
    """Versions that were written a second time with another content, and built."""
    rejected: Mapping[str, str] | None = None
    """By key, why it is no config."""
    schema_list: Mapping[str, Json] | None = None
    """The leader's record of the list in force, and its revision."""
    schema_trouble: SchemaTrouble | None = None
    brake: Brake | None = None
    identity_trouble: IdentityTrouble | None = None
    pauses: Pauses = NO_PAUSES

    @property
    def paused(self) -> int:
        """How many jobs wait for a pause to end."""
        return sum(view.stage is Stage.PAUSED for view in self.running)

    @property
    def well(self) -> bool:
        """Whether nothing needs a person, though something may be in progress."""
        return not (
            self.failures
            or self.trouble
            or self.stale
            or self.broken
            or self.restless
            or self.lost
            or self.rejected
            or self.unconfirmed
            or self.identity_trouble
            or self.pauses
            or self._schemas_refused
            or any(not held.moving for held in self.held)
        )

    @property
    def restless(self) -> Standings:
        """Held, because outputs go round in a circle and do not settle."""
        return tuple(filter(_is_restless, self.outdated))

    @property
    def _schemas_refused(self) -> bool:
        return self.schema_trouble is not None and self.schema_trouble.refused


def overview(snapshot: Snapshot) -> Overview:
    """Where everything stands."""
    progress = Progress(snapshot)
    standings = progress.everything()
    views = _views(progress, standings)

    def of(phase: Phase) -> Standings:
        return tuple(one for one in standings if one.phase is phase)

    return Overview(
        revision=snapshot.revision,
        leader=snapshot.leader,
        phases=_numbers(standings),
        running=tuple(filterfalse(_waits, views)),
        waiting=tuple(filter(_waits, views)),
        pending=of(Phase.PENDING),
        held=of(Phase.HELD),
        failures=_by_root(of(Phase.FAILED)),
        trouble=of(Phase.TROUBLE),
        stale=of(Phase.STALE),
        unconfirmed=of(Phase.UNCONFIRMED),
        broken=of(Phase.BROKEN),
        outdated=_outdated(standings),
        lost=of(Phase.LOST),
        drifted=_drifted(snapshot),
        deleted=of(Phase.DELETED),
        rewritten=tuple(_rewritten(snapshot)),
        rejected=_rejected(snapshot),
        schema_list=_schema_list(snapshot),
        schema_trouble=snapshot.schema_trouble,
        brake=snapshot.brake,
        identity_trouble=snapshot.identity_trouble,
        pauses=snapshot.pauses,
    )


def _drifted(snapshot: Snapshot) -> tuple[DriftView, ...]:
    return tuple(one for one in drifts(snapshot) if not one.lost)


_waits = attrgetter("waits")


def _views(progress: Progress, standings: Iterable[Standing]) -> list[JobView]:
    return [view for one in standings for view in progress.jobs(one.ref)]


def _outdated(standings: Sequence[Standing]) -> Standings:
    return tuple(one for one in standings if one.outdated)


def _is_restless(standing: Standing) -> bool:
    return standing.outdated is not None and bool(standing.outdated.circle)


def outdated_by_cause(found: Overview) -> Mapping[str, Standings]:
    """The resources that are outdated, by what has changed; the cause of most comes first."""
    groups: defaultdict[str, list[Standing]] = defaultdict(list)
    for standing in found.outdated:
        for cause in standing.outdated.causes if standing.outdated else ():
            groups[cause].append(standing)
    most_first = sorted(groups.items(), key=lambda group: -len(group[1]))
    return {cause: tuple(members) for cause, members in most_first}


def _numbers(standings: Sequence[Standing]) -> Mapping[Phase, int]:
    """How many resources are in each phase, in the order of the phases."""
    number = Counter(standing.phase for standing in standings)
    return {phase: number[phase] for phase in Phase if number[phase]}


def held_deletions(snapshot: Snapshot) -> list[Ref]:
    """The resources whose stacks stay until somebody confirms their deletion."""
    return [
        standing.ref
        for standing in Progress(snapshot).everything()
        if standing.phase is Phase.UNCONFIRMED
    ]


def _rejected(snapshot: Snapshot) -> Mapping[str, str]:
    found = sorted(snapshot.rejected.items())
    return {key: rejected.reason for key, rejected in found}


def _schema_list(snapshot: Snapshot) -> Mapping[str, Json] | None:
    record = snapshot.raw.get(snapshot.keys.schema_list)
    if record is None or snapshot.schema_list is None:
        return None
    return {"revision": record.revision, **asdict(snapshot.schema_list)}


def _rewritten(snapshot: Snapshot) -> Iterator[Standing]:
    for ref, handled in snapshot.handled.items():
        wanted = snapshot.wanted.get(ref)
        if (
            handled.rewritten
            and wanted
            and wanted.version == handled.version
            and wanted.incarnation == handled.incarnation
        ):
            reason = (
                "was written again with another body and built; an API server takes in"
                " only the first report of a version"
            )
            yield Standing(ref, Phase.COMPLETE, reason, handled.version)


def _by_root(failed: Sequence[Standing]) -> tuple[FailureGroup, ...]:
    groups: dict[Ref, list[Standing]] = {}
    for standing in failed:
        groups.setdefault(standing.root or standing.ref, []).append(standing)
    return tuple(
        FailureGroup(root, _error_of(root, members), tuple(members))
        for root, members in groups.items()
    )


def _error_of(root: Ref, members: Sequence[Standing]) -> str:
    """The cause's own error, else the first that names it."""
    own: Iterable[str] = (
        member.reason for member in members if member.ref == root
    )
    return next(iter(own), "") or members[0].reason
