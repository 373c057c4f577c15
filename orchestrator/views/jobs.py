"""Where one unfinished job stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from ..core.jobs import Action, Job
from ..core.records import NEEDS_A_PERSON, Cause, Pauses, Run, Step
from ..core.refs import JobId


class Stage(StrEnum):
    """Where one job stands."""

    WAITING = "waits for other jobs"
    READY = "ready, no worker has taken it yet"
    CLAIMED = "a worker prepares the request"
    IN_HEAT = "in Heat"
    RECORDING = "the outcome is being written"
    RETRY = "tried again later"
    PAUSED = "paused, sent when the pause is over"


STAGE_OF = {
    Step.CLAIMED: Stage.CLAIMED,
    Step.IN_HEAT: Stage.IN_HEAT,
    Step.ENDED: Stage.RECORDING,
    Step.DONE: Stage.RECORDING,
    Step.RETRY: Stage.RETRY,
}
"""The stage of a job that has a run."""


@dataclass(frozen=True, slots=True)
class JobView:
    """One unfinished job."""

    job: Job
    stage: Stage
    waits_for: tuple[JobId, ...] = ()
    """The unfinished jobs that have to end first."""
    run: Run | None = None
    """What the workers have written about it; None while it has no run."""

    @property
    def waits(self) -> bool:
        """Whether other jobs have to end first."""
        return self.stage is Stage.WAITING


def is_failing(run: Run | None) -> bool:
    """Whether Heat has failed the stack of a job, which waits for its next try."""
    return (
        run is not None and run.step is Step.RETRY and run.cause == Cause.FAILED
    )


def next_retry(run: Run) -> str:
    """When a job is tried again whose stack Heat has failed, and which retry that is.

    For example ``will be tried again at 09:25:12 UTC (2 of 3)``.
    """
    at = datetime.fromtimestamp(run.due, UTC).strftime("%H:%M:%S UTC")
    return f"will be tried again at {at} ({run.retry} of {run.retries})"


_EQUAL_ANSWERS = 5
"""Times that Heat answers one request with an error of its own before the request counts as the
cause."""


def trouble(job: Job, run: Run) -> str:
    """Why a job that is tried again will not succeed by itself; empty when it may."""
    if run.step is not Step.RETRY:
        return ""
    if run.cause == Cause.PROJECT and job.action is Action.DELETE:
        return (
            f"{run.reason}; if the project is gone for good: orchestrator confirm"
            f" project {job.tenant}"
        )
    if run.cause in NEEDS_A_PERSON:
        return run.reason
    if run.cause == Cause.FAULT and run.attempt >= _EQUAL_ANSWERS:
        return (
            f"{run.reason} ({run.attempt} times; look at Heat's log, and correct the"
            " template or the configuration)"
        )
    return ""


def stage_of(
    job: Job, run: Run | None, waits: Sequence[JobId], pauses: Pauses
) -> Stage:
    """Where a job stands.

    :param waits: the unfinished jobs that have to end first.
    """
    if waits:
        return Stage.WAITING
    may_be_sent = run is None or run.step is Step.RETRY
    if may_be_sent and pauses.over(job.ref.type, job.tenant) is not None:
        return Stage.PAUSED
    if run is None:
        return Stage.READY
    return STAGE_OF[run.step]
