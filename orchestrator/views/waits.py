"""What waits, folded by what it waits for in the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..core.jobs import job_ref
from ..core.refs import JobId, Ref
from .jobs import JobView
from .phases import Standing
from .snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Waiting:
    """Resources that wait for one and the same."""

    waits_for: Ref
    """The resource or template at the end of their chains."""
    refs: tuple[Ref, ...]
    """Those that wait."""
    reason: str
    """Why they wait for it, in a sentence."""
    since: float = 0.0
    """Since when the first of them waits; seconds since the epoch, 0 when no record tells."""
    moving: bool = True
    """Whether they go on by themselves."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Jobs of one tenant that no worker has taken."""

    tenant: str
    refs: tuple[Ref, ...]
    """Their resources."""
    since: float = 0.0
    """Since when the first of them is there; seconds since the epoch, 0 when no record tells."""


def ready_jobs(
    ready: Iterable[JobView], standings: Mapping[Ref, Standing]
) -> tuple[Ready, ...]:
    """Jobs that no worker has taken, by tenant; most first."""
    by_tenant: dict[str, list[Ref]] = {}
    for view in ready:
        by_tenant.setdefault(view.job.tenant, []).append(view.job.ref)
    found = [
        Ready(tenant, tuple(refs), _earliest(standings, refs))
        for tenant, refs in by_tenant.items()
    ]
    return tuple(sorted(found, key=lambda one: (-len(one.refs), one.tenant)))


def waiting_jobs(
    waiting: Iterable[JobView],
    standings: Mapping[Ref, Standing],
) -> tuple[Waiting, ...]:
    """Jobs that wait for others, by the job at the end of their chain; most first."""
    views = list(waiting)
    first = {view.job.id: view.waits_for[0] for view in views}
    ends: dict[Ref, list[Ref]] = {}
    for view in views:
        end = job_ref(_end_of(view.job.id, first))
        ends.setdefault(end, []).append(view.job.ref)
    found = [
        Waiting(
            end,
            tuple(dict.fromkeys(refs)),
            _standing_of(end, standings),
            _earliest(standings, refs),
        )
        for end, refs in ends.items()
    ]
    return tuple(sorted(found, key=lambda one: (-len(one.refs), one.waits_for)))


def _end_of(job: JobId, first: Mapping[JobId, JobId]) -> JobId:
    """The job at the end of a chain: one that waits for no other."""
    seen = set()
    while job in first and job not in seen:
        seen.add(job)
        job = first[job]
    return job


def _standing_of(ref: Ref, standings: Mapping[Ref, Standing]) -> str:
    """How what is waited for stands."""
    standing = standings.get(ref)
    if standing is None:
        return ""
    return standing.reason or standing.phase.value


def _earliest(standings: Mapping[Ref, Standing], refs: Iterable[Ref]) -> float:
    found = (standings[ref].since for ref in refs if ref in standings)
    return min(filter(None, found), default=0.0)


def held_back(
    snapshot: Snapshot, held: Iterable[Standing]
) -> tuple[Waiting, ...]:
    """Configs that are held back, by what has to come first; those that do not go on first."""
    by_end: dict[tuple[Ref, bool], list[Standing]] = {}
    for standing in held:
        record = snapshot.held.get(standing.ref)
        end = standing.waits_for or standing.ref
        if record is not None and record.root is not None:
            end = record.root
        by_end.setdefault((end, standing.moving), []).append(standing)
    found = [
        Waiting(
            end,
            tuple(one.ref for one in same),
            same[0].reason,
            min((one.since for one in same if one.since), default=0.0),
            moving,
        )
        for (end, moving), same in by_end.items()
    ]
    return tuple(
        sorted(found, key=lambda one: (one.moving, -len(one.refs), one.refs))
    )
