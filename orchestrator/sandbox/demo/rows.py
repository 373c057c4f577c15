"""How far each resource has come, in words for people: what is judged in
:mod:`orchestrator.views`, with the times at which it changed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from orchestrator.core.jobs import Action, job_ref
from orchestrator.core.records import READ_COMPLETE
from orchestrator.core.refs import Ref
from orchestrator.views.jobs import JobView, Stage
from orchestrator.views.snapshot import Snapshot
from orchestrator.views.standings import Phase, Progress

from .courses import Course


class DemoStage(StrEnum):
    """How far a resource has come with its newest version."""

    WANTED = "wanted"
    """Its config is written, the bridge has not decided it yet."""
    HELD = "held back"
    """It refers to a resource that is not there."""
    WAITS = "waits"
    """Its job waits for other jobs."""
    READY = "queued"
    """Its job was sent to the workers."""
    ASKS = "asks Heat"
    """A worker makes the request."""
    RETRIES = "tries again"
    """A temporary failure; the bridge sends the job again."""
    BUILDS = "Heat works"
    RECORDS = "records"
    """Heat is done; a worker writes down how it ended."""
    READ = "read"
    """There is nothing to build."""
    COMPLETE = "complete"
    FAILED = "failed"
    GONE = "gone"


OVER = frozenset(
    {DemoStage.READ, DemoStage.COMPLETE, DemoStage.FAILED, DemoStage.GONE}
)
"""The stages that nothing follows."""

_OF_JOB = {
    Stage.WAITING: DemoStage.WAITS,
    Stage.READY: DemoStage.READY,
    Stage.CLAIMED: DemoStage.ASKS,
    Stage.RETRY: DemoStage.RETRIES,
    Stage.IN_HEAT: DemoStage.BUILDS,
    Stage.RECORDING: DemoStage.RECORDS,
}
_OF_PHASE = {
    Phase.HELD: DemoStage.HELD,
    Phase.FAILED: DemoStage.FAILED,
    Phase.COMPLETE: DemoStage.COMPLETE,
    Phase.BROKEN: DemoStage.COMPLETE,
    Phase.LOST: DemoStage.FAILED,
    Phase.DELETED: DemoStage.COMPLETE,
}
"""What is not here is still wanted."""


@dataclass(frozen=True, slots=True)
class DemoRow:
    """One resource as it stands. Times are seconds of this process's monotonic clock."""

    ref: Ref
    version: int
    stage: DemoStage
    waits_for: tuple[Ref, ...] = ()
    detail: str = ""
    """Why it failed, is held back, or is tried again."""
    action: Action | None = None
    """What its last job was to do."""
    since: float = 0.0
    until: float = 0.0
    """0 while it is under way."""

    def differs(self, other: DemoRow | None) -> bool:
        """Whether a person wants to hear of it, who knows the other."""
        return other is None or self._heard() != other._heard()

    def _heard(self) -> tuple[DemoStage, int, Action | None]:
        return self.stage, self.version, self.action


def row_of(
    snapshot: Snapshot,
    ref: Ref,
    old: DemoRow | None,
    course: Course | None,
    now: float,
) -> DemoRow | None:
    """How far a resource has come; None when nothing was ever known of it.

    :param old: its row until now.
    :param course: that of its newest version.
    """
    progress = Progress(snapshot)
    view = _oldest(progress.jobs(ref))
    wanted = snapshot.wanted.get(ref)
    if wanted is None and view is None:
        return _gone(old, now)
    version = version_of(snapshot, ref)
    stage, waits_for, detail = _stage(snapshot, progress, ref, view)
    return DemoRow(
        ref,
        version,
        stage,
        waits_for,
        detail,
        _action(view, old, version),
        _since(view, old, version, course, now),
        _until(stage, old, now),
    )


def version_of(snapshot: Snapshot, ref: Ref) -> int:
    """The newest version: that of the config, else that of the oldest job; 0 when there is
    neither."""
    if wanted := snapshot.wanted.get(ref):
        return wanted.version
    versions = [job.version for job in snapshot.jobs.values() if job.ref == ref]
    return min(versions, default=0)


def _oldest(views: list[JobView]) -> JobView | None:
    return min(views, key=lambda view: view.job.version, default=None)


def _gone(old: DemoRow | None, now: float) -> DemoRow | None:
    if old is None:
        return None
    return DemoRow(
        old.ref,
        old.version,
        DemoStage.GONE,
        since=old.since,
        until=old.until or now,
    )


def _stage(
    snapshot: Snapshot, progress: Progress, ref: Ref, view: JobView | None
) -> tuple[DemoStage, tuple[Ref, ...], str]:
    """How far, whom it waits for, and why."""
    if view is not None:
        waits_for = tuple(dict.fromkeys(map(job_ref, view.waits_for)))
        return _OF_JOB[view.stage], waits_for, _reason(view)
    standing = progress.of(ref)
    stage = _OF_PHASE.get(standing.phase, DemoStage.WANTED)
    if stage is DemoStage.HELD and standing.waits_for:
        return stage, (standing.waits_for,), standing.reason
    if stage is DemoStage.FAILED:
        return stage, (), standing.reason
    state = snapshot.states.get(ref)
    read = state is not None and state.worker_state == READ_COMPLETE
    if stage is DemoStage.COMPLETE and read:
        return DemoStage.READ, (), ""
    return stage, (), ""


def _reason(view: JobView) -> str:
    if view.run is None:
        return ""
    return view.run.reason


def _action(
    view: JobView | None, old: DemoRow | None, version: int
) -> Action | None:
    if view is not None:
        return view.job.action
    if old is not None and old.version == version:
        return old.action
    return None


def _since(
    view: JobView | None,
    old: DemoRow | None,
    version: int,
    course: Course | None,
    now: float,
) -> float:
    """When this version was begun with."""
    if course and course.wanted and not _deletes(view):
        return course.wanted
    if old and old.version == version and not old.until:
        return old.since
    return now


def _deletes(view: JobView | None) -> bool:
    return view is not None and view.job.action is Action.DELETE


def _until(stage: DemoStage, old: DemoRow | None, now: float) -> float:
    """When it ended; 0 while it is under way."""
    if stage not in OVER:
        return 0.0
    if old is not None and old.stage is stage and old.until:
        return old.until
    return now
