"""Since when, and until when: the times of a resource, as records tell them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..core.records import Cause, Run, Step
from ..core.refs import Ref
from .jobs import JobView, Stage
from .phases import Phase, Standing
from .snapshot import Snapshot

_STAMP = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a judgement is made, and how long things may take. All in seconds.

    The limits are the settings of the same names, as the machine has them that judges.
    """

    now: float = 0.0
    """Since the epoch; 0: nobody asks what is overdue."""
    stack_timeout: float = 3600.0
    timeout_margin: float = 300.0
    project_patience: float = 3600.0

    def at(self, now: float) -> Moment:
        """The same limits at another moment."""
        return replace(self, now=now)

    def time_of(self, run: Run) -> JobTime | None:
        """The time that a run has; None when it may take as long as it does."""
        failing = run.failing_since or run.since
        if run.step is Step.IN_HEAT and run.asked_at:
            allowed = run.timeout_mins * 60 or self.stack_timeout
            return JobTime(run.asked_at, allowed, self.timeout_margin)
        if run.step is not Step.RETRY or not failing:
            return None
        if run.cause == Cause.BUSY:
            return JobTime(failing, self.stack_timeout, self.timeout_margin)
        if run.cause == Cause.PROJECT:
            return JobTime(failing, self.project_patience, 0.0)
        return None


UNTIMED = Moment()
"""A judgement that asks for no time: nothing is overdue."""


@dataclass(frozen=True, slots=True)
class JobTime:
    """The time that something has."""

    began: float
    """Seconds since the epoch."""
    allowed: float
    """Seconds after which it should be over."""
    margin: float
    """Seconds after that until it is given up."""

    @property
    def due(self) -> float:
        """When it should be over."""
        return self.began + self.allowed

    @property
    def ends(self) -> float:
        """When it is given up."""
        return self.due + self.margin


def gives_up(view: JobView, moment: Moment) -> float:
    """When a job is given up, in seconds since the epoch; 0 when it is not, or nobody knows."""
    run = view.run
    if run is None or (time := moment.time_of(run)) is None:
        return 0.0
    return time.ends


def is_late(view: JobView, moment: Moment) -> str:
    """Why a job counts as overdue, in a sentence; empty when it does not."""
    run = view.run
    if run is None or not moment.now:
        return ""
    if run.overdue:
        return "its time is over; the next worker that takes it reports that"
    time = moment.time_of(run)
    if time is None or moment.now <= time.due:
        return ""
    minutes = round(time.allowed / 60)
    if view.stage is Stage.IN_HEAT:
        return f"Heat has not ended it within {minutes} minutes"
    return f"it could not be done within {minutes} minutes: {run.reason}"


def since_job(snapshot: Snapshot, view: JobView) -> float:
    """Since when a job is at its stage; 0 when no record tells."""
    job, run = view.job, view.run
    if run is None:
        handled = snapshot.handled.get(job.ref)
        if handled is None or handled.job != job.id:
            return 0.0
        return handled.since
    if view.stage is Stage.RETRY:
        return run.failing_since or run.since
    if view.stage is Stage.IN_HEAT:
        return run.asked_at or run.since
    return run.since


def since_of(snapshot: Snapshot, standing: Standing) -> float:
    """Since when a resource without jobs stands as it does; 0 when no record tells."""
    ref, version = standing.ref, standing.version
    held, failed = snapshot.held.get(ref), snapshot.failed.get(ref)
    match standing.phase:
        case Phase.HELD if held and version in (held.version, 0):
            return held.since
        case Phase.FAILED if failed and version in (failed.version, 0):
            return failed.since
        case Phase.UNCONFIRMED if snapshot.brake:
            return seconds_of(snapshot.brake.since)
        case Phase.LOST if drift := snapshot.drift(ref):
            return drift.since
        case Phase.COMPLETE | Phase.DELETED | Phase.BROKEN:
            return _since_built(snapshot, ref)
        case _:
            return 0.0


def _since_built(snapshot: Snapshot, ref: Ref) -> float:
    """When Heat was asked for the version that is there; where no record tells, when its job was
    made."""
    handled, built = snapshot.handled.get(ref), snapshot.built.get(ref)
    if handled is None:
        return 0.0
    if built is not None and built.job == handled.job and built.since:
        return built.since
    return handled.since


def seconds_of(stamp: str) -> float:
    """The seconds since the epoch of a time as records have it (``2026-11-27T21:49:01Z``); 0 when
    it cannot be read."""
    try:
        read = datetime.strptime(stamp, _STAMP)
    except ValueError:
        return 0.0
    return read.replace(tzinfo=UTC).timestamp()
