"""The whole picture at one revision: what ``status`` shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import filterfalse
from operator import attrgetter

from ..core.jobs import Action
from ..core.records import (
    NO_PAUSES,
    Brake,
    IdentityTrouble,
    LeaderRecord,
    Pauses,
    SchemaTrouble,
    TenantDelay,
)
from ..core.refs import Json, Ref
from .causes import FailureGroup, FoldedCause, Standings, causes, groups
from .drifts import DriftView, drifts
from .jobs import JobView, Stage
from .processes import ProcessesAlive, delays, nobody_works, processes
from .snapshot import Snapshot
from .standings import Phase, Progress, Standing
from .times import UNTIMED, Moment
from .waits import Ready, Waiting, held_back, ready_jobs, waiting_jobs

__all__ = ["FailureGroup", "Overview", "held_deletions", "overview"]


@dataclass(frozen=True, slots=True)
class Overview:
    """Where everything stands. What is complete is only counted."""

    revision: int
    leader: LeaderRecord | None
    """None when no bridge leads."""
    phases: Mapping[Phase, int]
    """How many resources are in each phase; phases without any are left out."""
    processes: ProcessesAlive = field(default_factory=ProcessesAlive)
    """The bridges and workers that are alive."""
    delays: tuple[TenantDelay, ...] = ()
    """The tenants whose jobs wait though they are ready."""
    alarms: tuple[str, ...] = ()
    """Why nothing goes on, in sentences."""
    tenants: Mapping[Ref, str] = field(default_factory=dict)
    """The projects of what does not go as it should."""
    overdue: Standings = ()
    running: tuple[JobView, ...] = ()
    waiting: tuple[JobView, ...] = ()
    pending: Standings = ()
    ready: tuple[Ready, ...] = ()
    """The jobs that no worker has taken, by tenant."""
    waits: tuple[Waiting, ...] = ()
    """The waiting jobs, by what they wait for in the end."""
    held: Standings = ()
    held_back: tuple[Waiting, ...] = ()
    """What is held, by what has to come first."""
    failures: tuple[FailureGroup, ...] = ()
    """Everything that failed, by root."""
    causes: tuple[FoldedCause, ...] = ()
    """The same by reason, without the deletions that Heat keeps failing."""
    undeletable: Standings = ()
    """The deletions that Heat keeps failing."""
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
            self.alarms
            or self.overdue
            or self.failures
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


def overview(snapshot: Snapshot, moment: Moment = UNTIMED) -> Overview:
    """Where everything stands.

    :param moment: when the picture is looked at, and how long jobs may take.
    """
    progress = Progress(snapshot, moment)
    standings = progress.everything()
    views = _views(progress, standings)
    alive, waiting = processes(snapshot), tuple(filter(_waits, views))
    by_ref = {one.ref: one for one in standings}
    by_phase = _by_phase(standings)
    found = Overview(
        revision=snapshot.revision,
        leader=snapshot.leader,
        phases=_numbers(by_phase),
        processes=alive,
        delays=delays(snapshot, alive),
        alarms=tuple(_alarms(snapshot, alive, views)),
        running=tuple(filterfalse(_waits, views)),
        waiting=waiting,
        ready=ready_jobs(filter(_is_ready, views), by_ref),
        waits=waiting_jobs(waiting, by_ref),
        outdated=_outdated(standings),
        lost=by_phase[Phase.LOST],
        drifted=_drifted(snapshot),
        rewritten=tuple(_rewritten(snapshot)),
        rejected=_rejected(snapshot),
        schema_list=_schema_list(snapshot),
        schema_trouble=snapshot.schema_trouble,
        brake=snapshot.brake,
        identity_trouble=snapshot.identity_trouble,
        pauses=snapshot.pauses,
    )
    return _with_phases(found, by_phase, progress)


def _by_phase(standings: Sequence[Standing]) -> Mapping[Phase, Standings]:
    """The resources in each phase."""
    found: dict[Phase, list[Standing]] = {}
    for one in standings:
        found.setdefault(one.phase, []).append(one)
    return {phase: tuple(found.get(phase, ())) for phase in Phase}


def _with_phases(
    found: Overview, by_phase: Mapping[Phase, Standings], progress: Progress
) -> Overview:
    """The same, with the resources that are not as they should be."""
    snapshot, failed = progress.snapshot, by_phase[Phase.FAILED]
    undeletable = tuple(one for one in failed if _is_deleted(progress, one))
    going = {one.ref for one in undeletable}
    left = [one for one in failed if one.ref not in going]
    overdue, trouble = by_phase[Phase.OVERDUE], by_phase[Phase.TROUBLE]
    stuck = (*overdue, *undeletable, *trouble)
    return replace(
        found,
        tenants={one.ref: snapshot.tenant_of(one.ref) for one in stuck},
        overdue=overdue,
        pending=by_phase[Phase.PENDING],
        held=by_phase[Phase.HELD],
        held_back=held_back(snapshot, by_phase[Phase.HELD]),
        failures=groups(failed),
        causes=causes(snapshot, groups(left)),
        undeletable=undeletable,
        trouble=trouble,
        stale=by_phase[Phase.STALE],
        unconfirmed=by_phase[Phase.UNCONFIRMED],
        broken=by_phase[Phase.BROKEN],
        deleted=by_phase[Phase.DELETED],
    )


def _is_deleted(progress: Progress, standing: Standing) -> bool:
    """Whether a failed resource is one whose stack is being deleted, again and again."""
    views = progress.jobs(standing.ref)
    return any(view.job.action is Action.DELETE for view in views)


def _alarms(
    snapshot: Snapshot, alive: ProcessesAlive, views: Sequence[JobView]
) -> Iterator[str]:
    """Why nothing goes on."""
    if snapshot.leader is None:
        yield "No bridge leads: nothing happens before `orchestrator bridge` runs."
    ready = sum(map(_is_ready, views))
    if told := nobody_works(alive, ready):
        yield told


def _drifted(snapshot: Snapshot) -> tuple[DriftView, ...]:
    return tuple(one for one in drifts(snapshot) if not one.lost)


_waits = attrgetter("waits")


def _is_ready(view: JobView) -> bool:
    return view.stage is Stage.READY


def _views(progress: Progress, standings: Iterable[Standing]) -> list[JobView]:
    return [view for one in standings for view in progress.jobs(one.ref)]


def _outdated(standings: Sequence[Standing]) -> Standings:
    return tuple(one for one in standings if one.outdated)


def _is_restless(standing: Standing) -> bool:
    return standing.outdated is not None and bool(standing.outdated.circle)


def outdated_by_cause(found: Overview) -> Mapping[str, Standings]:
    """The resources that are outdated, by what has changed; the cause of most comes first."""
    by_cause: defaultdict[str, list[Standing]] = defaultdict(list)
    for standing in found.outdated:
        for cause in standing.outdated.causes if standing.outdated else ():
            by_cause[cause].append(standing)
    most_first = sorted(by_cause.items(), key=lambda group: -len(group[1]))
    return {cause: tuple(members) for cause, members in most_first}


def _numbers(by_phase: Mapping[Phase, Standings]) -> Mapping[Phase, int]:
    """How many resources are in each phase, in the order of the phases."""
    return {phase: len(found) for phase, found in by_phase.items() if found}


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
