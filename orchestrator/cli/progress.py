"""Where each resource stands: a pure judgement of a :class:`~.snapshot.Snapshot`.

Follows from what is wanted against what is reported, as the bridge's own decisions do; the records
that the bridge keeps (held, failed, jobs, runs) only say how far it has come.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from ..core.jobs import Action, Job, job_ref
from ..core.records import NEEDS_A_PERSON, Cause, Held, Poll, Run, Step
from ..core.refs import JobId, Ref
from ..core.resources import UNVERSIONED, Wanted
from ..core.stacks import DELETE_ATTEMPTS
from ..core.templates import TEMPLATE_TYPE, Template
from .snapshot import Snapshot, State


class Phase(StrEnum):
    """Where a resource stands."""

    COMPLETE = "complete"
    """The wanted version is reported, without an error."""
    RUNNING = "running"
    """A job on it is under way."""
    WAITING = "waiting"
    """It has a job that waits for others."""
    PENDING = "pending"
    """The bridge has yet to look at it."""
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
    DELETED = "deleted"
    """The stack is gone, and the config may go."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one resource stands, and why in a sentence.
    *root* is at the bottom of a failure, *waits_for* what it is held back by; *moving* says that it
    goes on by itself.
    *since* is when its job was first taken, in seconds since the epoch by the worker's clock, for
    those in trouble."""

    ref: Ref
    phase: Phase
    reason: str = ""
    version: int = 0
    root: Ref | None = None
    waits_for: Ref | None = None
    moving: bool = False
    since: float = 0.0


class Stage(StrEnum):
    """Where one job stands."""

    WAITING = "waits for other jobs"
    READY = "ready, no worker has taken it yet"
    CLAIMED = "a worker prepares the request"
    IN_HEAT = "in Heat"
    RECORDING = "the outcome is being written"
    RETRY = "tried again later"


_STAGES = {
    Step.CLAIMED: Stage.CLAIMED,
    Step.WAITING: Stage.IN_HEAT,
    Step.ENDED: Stage.RECORDING,
    Step.RETRY: Stage.RETRY,
}


@dataclass(frozen=True, slots=True)
class JobView:
    """One unfinished job: its stage, the unfinished jobs that it waits for, and its run if there is
    one."""

    job: Job
    stage: Stage
    waits_for: tuple[JobId, ...] = ()
    run: Run | None = None


def view(snapshot: Snapshot, job: Job) -> JobView:
    run = snapshot.runs.get(job.id)
    if run is not None:
        return JobView(job, _STAGES.get(run.step, Stage.RECORDING), run=run)
    waits = tuple(
        dict.fromkeys(
            other
            for known in job.dependency
            if (other := _unfinished(snapshot, known))
        )
    )
    return JobView(job, Stage.WAITING if waits else Stage.READY, waits)


def _unfinished(snapshot: Snapshot, job: JobId) -> JobId | None:
    """The job that is waited for, or the one that stands in for it; None when it is over.

    One that is done still counts until the bridge has dealt with it.
    """
    if job in snapshot.jobs or job in snapshot.runs:
        return job
    handled = snapshot.handled.get(job_ref(job))
    other = handled.replaced.get(job) if handled else None
    return other if other in snapshot.jobs or other in snapshot.runs else None


@dataclass(slots=True)
class Progress:
    """Answers about one snapshot, worked out as they are asked."""

    snapshot: Snapshot
    _jobs: defaultdict[Ref, list[Job]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _known: dict[Ref, Standing] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for job in self.snapshot.jobs.values():
            self._jobs[job.ref].append(job)

    def jobs(self, ref: Ref) -> list[JobView]:
        """The unfinished jobs on a resource."""
        return [view(self.snapshot, job) for job in self._jobs.get(ref, ())]

    def of(self, ref: Ref) -> Standing:
        """Where a resource stands."""
        if ref not in self._known:
            # Whoever comes back here by a circle finds it held, and moving by nobody.
            self._known[ref] = Standing(ref, Phase.HELD, "waits for itself")
            self._known[ref] = self._judge(ref)
        return self._known[ref]

    def everything(self) -> list[Standing]:
        return [self.of(ref) for ref in self.snapshot.refs()]

    def _judge(self, ref: Ref) -> Standing:
        snapshot = self.snapshot
        wanted, held = snapshot.wanted.get(ref), snapshot.held.get(ref)
        version = wanted.version if wanted else 0
        if views := self.jobs(ref):
            return self._judge_jobs(ref, views, version)
        if ref in snapshot.retried:
            return Standing(
                ref,
                Phase.PENDING,
                "is to be tried again, as asked",
                version,
                moving=True,
            )
        if wanted is None:
            return self._judge_gone(ref, held)
        return self._judge_wanted(ref, wanted, held)

    def _judge_jobs(
        self, ref: Ref, views: list[JobView], version: int
    ) -> Standing:
        """A resource with unfinished jobs."""
        under_way = next(
            (job for job in views if job.stage is not Stage.WAITING), None
        )
        if under_way is None:
            reason = self._stuck_behind(views[0]) or views[0].stage.value
            return Standing(
                ref,
                Phase.WAITING,
                reason,
                version or views[0].job.version,
                moving=True,
            )
        if (why := self._fails_to_go(under_way)) is not None:
            return Standing(
                ref, Phase.FAILED, why, under_way.job.version, root=ref
            )
        if under_way.run is not None and (
            why := _trouble(under_way.job, under_way.run)
        ):
            since = under_way.run.since
            return Standing(
                ref,
                Phase.TROUBLE,
                why,
                version or under_way.job.version,
                moving=True,
                since=since,
            )
        if under_way.stage is Stage.IN_HEAT and (
            poll := self._refused_poll(under_way.job)
        ):
            why = (
                f"the stacks in progress of project {under_way.job.tenant} cannot be"
                f" polled: {poll.reason}"
            )
            return Standing(
                ref,
                Phase.TROUBLE,
                why,
                version or under_way.job.version,
                moving=True,
                since=poll.since,
            )
        return Standing(
            ref,
            Phase.RUNNING,
            under_way.stage.value,
            version or under_way.job.version,
            moving=True,
        )

    def _refused_poll(self, job: Job) -> Poll | None:
        """What is told of the polls of the job's tenant, when they are refused."""
        poll = self.snapshot.polls.get(job.tenant)
        return poll if poll is not None and poll.refused else None

    def _fails_to_go(self, view: JobView) -> str | None:
        """Why Heat keeps failing to delete a stack whose config is gone; None when it does not.

        No state can tell of it, and nobody can ask again: it is tried again for ever.
        """
        run = view.run
        if (
            view.job.action is not Action.DELETE
            or run is None
            or run.failures < DELETE_ATTEMPTS
        ):
            return None
        wanted = self.snapshot.wanted.get(view.job.ref)
        if wanted is not None and wanted.marked_for_deletion:
            return None
        told = run.reason or "the next attempt is under way"
        return (
            f"Heat has failed {run.failures} times to delete the stack"
            f" {view.job.ref.stack_name}: {told}"
        )

    def _stuck_behind(self, view: JobView) -> str:
        """The deletion that Heat keeps failing and for which a job waits; empty when there is
        none."""
        others = dict.fromkeys(job_ref(job) for job in view.waits_for)
        stuck = [
            other
            for other in others
            if other != view.job.ref and self.of(other).phase is Phase.FAILED
        ]
        return (
            f"waits for the deletion of {stuck[0]}, which Heat keeps failing"
            if stuck
            else ""
        )

    def _judge_gone(self, ref: Ref, held: Held | None) -> Standing:
        failed = self.snapshot.failed.get(ref)
        if held is not None:
            return Standing(
                ref,
                Phase.HELD,
                held.reason,
                waits_for=held.waits_for,
                moving=True,
            )
        if failed is not None:
            return Standing(ref, Phase.FAILED, failed.error, root=failed.root)
        stack = self.snapshot.stacks.get(ref)
        if self.snapshot.brake is not None and stack is not None and stack.live:
            return Standing(ref, Phase.UNCONFIRMED, _KEPT)
        return Standing(
            ref,
            Phase.PENDING,
            "its config is gone, what is left of it is to be removed",
            moving=True,
        )

    def _judge_wanted(
        self, ref: Ref, wanted: Wanted, held: Held | None
    ) -> Standing:
        state, handled = (
            self.snapshot.states.get(ref),
            self.snapshot.handled.get(ref),
        )
        version = wanted.version
        same = handled is not None and handled.incarnation == wanted.incarnation
        if handled and same and UNVERSIONED < version < handled.version:
            return Standing(
                ref,
                Phase.STALE,
                _went_backwards(ref, version, handled.version),
                version,
            )
        undecided = Standing(
            ref,
            Phase.PENDING,
            "the bridge has not looked at it yet",
            version,
            moving=True,
        )
        if (
            handled
            and same
            and not handled.holds(wanted)
            and not (held and held.version == version)
        ):
            return undecided
        if held and held.version == version:
            moving = self._held_moves(held, wanted)
            return Standing(
                ref,
                Phase.HELD,
                held.reason,
                version,
                waits_for=held.waits_for,
                moving=moving,
            )
        if (
            state
            and state.revision > wanted.incarnation
            and state.version == version
        ):
            if state.error:
                return self._judge_failed(ref, version, state)
            if wanted.marked_for_deletion:
                return Standing(
                    ref,
                    Phase.DELETED,
                    "the stack is gone; the config may be removed",
                    version,
                )
            if lost := self._lost(ref):
                return Standing(
                    ref,
                    Phase.BROKEN,
                    f"was built from {lost}, which is gone",
                    version,
                )
            return Standing(ref, Phase.COMPLETE, "", version)
        return undecided

    def _lost(self, ref: Ref) -> Ref | None:
        """A resource from which this one was built, and which is not there any more."""
        snapshot, handled = self.snapshot, self.snapshot.handled.get(ref)
        for other in sorted(handled.refs() if handled else ()):
            wanted, stack = (
                snapshot.wanted.get(other),
                snapshot.stacks.get(other),
            )
            gone = wanted is None or wanted.marked_for_deletion
            if other != ref and gone and not (stack and stack.live):
                return other
        return None

    def _judge_failed(self, ref: Ref, version: int, state: State) -> Standing:
        failed = self.snapshot.failed.get(ref)
        root = failed.root if failed and failed.version == version else ref
        if root != ref and (reason := self._tried_again(root, state.revision)):
            return Standing(ref, Phase.PENDING, reason, version, moving=True)
        return Standing(ref, Phase.FAILED, state.error, version, root=root)

    def _tried_again(self, root: Ref, since: int) -> str:
        """Why a failure is not the last word: its cause is gone, or about to be.

        :param since: the revision of the failure; a cause that was fine before then was not the
            cure.
        """
        snapshot = self.snapshot
        if root.type == TEMPLATE_TYPE:
            written = snapshot.raw.get(snapshot.keys.template(root.id))
            usable = isinstance(snapshot.templates.get(root.id), Template)
            return (
                f"{root} is repaired"
                if usable and written and written.revision > since
                else ""
            )
        standing = self.of(root)
        if standing.phase in (Phase.RUNNING, Phase.WAITING):
            return f"{root}, because of which it failed, is being built again"
        state = snapshot.states.get(root)
        if (
            standing.phase is Phase.COMPLETE
            and state
            and state.revision > since
        ):
            return f"{root}, because of which it failed, is repaired"
        return ""

    def _held_moves(self, held: Held, wanted: Wanted) -> bool:
        """Whether a resource is held back by something that goes on by itself."""
        if wanted.marked_for_deletion:
            return True  # A deletion waits only so long.
        other = held.waits_for
        if other.type == TEMPLATE_TYPE:
            return other.id in self.snapshot.templates
        if other not in self.snapshot.wanted:
            return False
        standing = self.of(other)
        return standing.moving or standing.phase is not Phase.HELD


_KEPT = (
    "its config was removed together with many others; its stack stays until the"
    " deletion is confirmed, or the config is written again"
)
_EQUAL_ANSWERS = 5
"""Times that Heat answers one request with an error of its own before the request counts as the
cause."""


def _trouble(job: Job, run: Run) -> str:
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


def _went_backwards(ref: Ref, version: int, handled: int) -> str:
    return (
        f"version {version} was written after version {handled} and is not built; write"
        f" version {handled + 1} or higher, or build it as it is: orchestrator retry"
        f" {ref.type} {ref.id}"
    )
