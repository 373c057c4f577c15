"""Where each resource stands: a pure judgement of a :class:`~.snapshot.Snapshot`.

The judgement compares what is wanted with what is reported, as the bridge's own decisions do. The
records that the bridge keeps (held, failed, jobs, runs) only say how far it has come.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

from ..core.jobs import Action, Job, job_ref
from ..core.records import Held, Poll
from ..core.refs import JobId, Ref
from ..core.resources import UNVERSIONED, Wanted
from ..core.stacks import DELETE_ATTEMPTS
from ..core.templates import TEMPLATE_TYPE, Template
from .drifts import lost_stack
from .jobs import JobView, Stage, is_failing, next_retry, stage_of, trouble
from .outdated import Comparison
from .phases import Looked, Phase, Standing
from .snapshot import ReportedState, Snapshot
from .times import UNTIMED, Moment, gives_up, is_late, since_job, since_of

__all__ = ["Looked", "Phase", "Progress", "Standing"]


@dataclass(slots=True)
class Progress:
    """Answers about one snapshot, worked out as they are asked."""

    snapshot: Snapshot
    moment: Moment = UNTIMED
    looked: Looked = field(default_factory=Looked)
    _jobs: defaultdict[Ref, list[Job]] = field(
        default_factory=lambda: defaultdict(list)
    )
    _known: dict[Ref, Standing] = field(default_factory=dict)
    _comparison: Comparison = field(init=False)

    def __post_init__(self) -> None:
        self._comparison = Comparison(self.snapshot, self.looked.records)
        for job in self.snapshot.jobs.values():
            self._jobs[job.ref].append(job)

    def jobs(self, ref: Ref) -> list[JobView]:
        """The unfinished jobs on a resource."""
        self.looked.jobs.add(ref)
        return [self._view(job) for job in self._jobs.get(ref, ())]

    def of(self, ref: Ref) -> Standing:
        """Where a resource stands."""
        if ref not in self._known:
            # Placeholder that ends the recursion on reference cycles.
            self._known[ref] = Standing(ref, Phase.HELD, "waits for itself")
            self._known[ref] = self._dated(self._judge(ref))
        return self._known[ref]

    def _dated(self, standing: Standing) -> Standing:
        """The same, with the time since which it stands so."""
        if standing.since:
            return standing
        since = since_of(self.snapshot, standing)
        if since:
            return replace(standing, since=since)
        return standing

    def everything(self) -> list[Standing]:
        """Where each resource stands, in the order of the types."""
        return [self.of(ref) for ref in self.snapshot.refs()]

    # Jobs -----------------------------------------------------------------------------------------

    def _view(self, job: Job) -> JobView:
        run, waits = self.snapshot.runs.get(job.id), tuple[JobId, ...]()
        if run is None:
            known = filter(None, map(self._unfinished, job.dependency))
            waits = tuple(dict.fromkeys(known))
        stage = stage_of(job, run, waits, self.snapshot.pauses)
        return JobView(job, stage, waits, run)

    def _unfinished(self, job: JobId) -> JobId | None:
        """The job that is waited for, or the one that stands in for it; None when it is over.

        One that is done still counts until the bridge has dealt with it.
        """
        self.looked.jobs.add(job_ref(job))
        if self._is_there(job):
            return job
        handled = self.snapshot.handled.get(job_ref(job))
        other = handled and handled.replaced.get(job)
        if other and self._is_there(other):
            return other
        return None

    def _is_there(self, job: JobId) -> bool:
        return job in self.snapshot.jobs or job in self.snapshot.runs

    # One resource ---------------------------------------------------------------------------------

    def _judge(self, ref: Ref) -> Standing:
        snapshot = self.snapshot
        wanted, held = snapshot.wanted.get(ref), snapshot.held.get(ref)
        version = wanted.version if wanted else 0
        if views := self.jobs(ref):
            return self._judge_jobs(ref, views, version)
        if ref in snapshot.retried:
            reason = "is to be tried again, as asked"
            return Standing(ref, Phase.PENDING, reason, version, moving=True)
        if wanted is None:
            return self._judge_gone(ref, held)
        return self._judge_wanted(wanted, held)

    def _judge_jobs(
        self, ref: Ref, views: list[JobView], version: int
    ) -> Standing:
        """A resource with unfinished jobs."""
        under_way = next((view for view in views if not view.waits), None)
        if under_way is not None:
            return self._judge_under_way(under_way, version)
        first = views[0]
        reason = self._stuck_behind(first) or first.stage.value
        version = version or first.job.version
        since = since_job(self.snapshot, first)
        return Standing(
            ref, Phase.WAITING, reason, version, moving=True, since=since
        )

    def _judge_under_way(self, view: JobView, wanted: int) -> Standing:
        """A resource with a job that waits for no other.

        :param wanted: the wanted version, 0 when there is none.
        """
        ref, version = view.job.ref, wanted or view.job.version
        since = since_job(self.snapshot, view)
        if why := self._fails_to_go(view):
            own = view.job.version
            return Standing(ref, Phase.FAILED, why, own, root=ref, since=since)
        phase, (why, began) = Phase.TROUBLE, self._trouble(view)
        if why:
            since = began
        elif late := is_late(view, self.moment):
            phase, why = Phase.OVERDUE, late
        else:
            phase, why = Phase.RUNNING, _where(view)
        ends = gives_up(view, self.moment)
        return Standing(
            ref, phase, why, version, moving=True, since=since, gives_up=ends
        )

    def _trouble(self, view: JobView) -> tuple[str, float]:
        """Why a person has to act before a job can succeed, and since when; empty when nobody
        has."""
        job, run = view.job, view.run
        if run is not None and (why := trouble(job, run)):
            return why, run.failing_since or run.since
        if view.stage is Stage.IN_HEAT and (poll := self._refused_poll(job)):
            why = (
                f"the stacks in progress of project {job.tenant} cannot be"
                f" polled: {poll.reason}"
            )
            return why, poll.since
        return "", 0.0

    def _refused_poll(self, job: Job) -> Poll | None:
        """What is told of the polls of the job's tenant, when they are refused."""
        poll = self.snapshot.polls.get(job.tenant)
        if poll is not None and poll.refused:
            return poll
        return None

    def _fails_to_go(self, view: JobView) -> str:
        """Why Heat keeps failing to delete a stack whose config is gone; empty when it does not.

        No state can tell of it, and nobody can ask again: it is tried again for ever.
        """
        job, run = view.job, view.run
        if job.action is not Action.DELETE or run is None:
            return ""
        wanted = self.snapshot.wanted.get(job.ref)
        marked = wanted is not None and wanted.marked_for_deletion
        if marked or run.failures < DELETE_ATTEMPTS:
            return ""
        told = run.reason or "the next attempt is under way"
        return (
            f"Heat has failed {run.failures} times to delete the stack"
            f" {job.stack_name}: {told}"
        )

    def _stuck_behind(self, view: JobView) -> str:
        """The deletion that Heat keeps failing and for which a job waits; empty when there is
        none."""
        for other in dict.fromkeys(map(job_ref, view.waits_for)):
            if other == view.job.ref:
                continue
            if self.of(other).phase is Phase.FAILED:
                return f"waits for the deletion of {other}, which Heat keeps failing"
        return ""

    def _judge_gone(self, ref: Ref, held: Held | None) -> Standing:
        """A resource whose config is gone, and that has no jobs."""
        if held is not None:
            return Standing(
                ref,
                Phase.HELD,
                held.reason,
                waits_for=held.waits_for,
                moving=True,
            )
        if failed := self.snapshot.failed.get(ref):
            return Standing(ref, Phase.FAILED, failed.error, root=failed.root)
        stack = self.snapshot.stacks.get(ref)
        if self.snapshot.brake is not None and stack is not None and stack.live:
            return Standing(ref, Phase.UNCONFIRMED, _KEPT)
        return Standing(ref, Phase.PENDING, _LEFT, moving=True)

    def _judge_wanted(self, wanted: Wanted, held: Held | None) -> Standing:
        """A resource with a config and without jobs."""
        ref, version = wanted.ref, wanted.version
        handled = self.snapshot.handled.get(ref)
        state = self.snapshot.states.get(ref)
        if handled and handled.incarnation != wanted.incarnation:
            handled = None
        if handled and UNVERSIONED < version < handled.version:
            reason = _went_backwards(ref, version, handled.version)
            return Standing(ref, Phase.STALE, reason, version)
        if held and held.version == version:
            return self._judge_held(wanted, held)
        decided = handled is None or handled.matches(wanted)
        if decided and state and state.is_about(wanted):
            return self._judge_reported(wanted, state)
        return Standing(ref, Phase.PENDING, _UNDECIDED, version, moving=True)

    def _judge_held(self, wanted: Wanted, held: Held) -> Standing:
        return Standing(
            wanted.ref,
            Phase.HELD,
            held.reason,
            wanted.version,
            waits_for=held.waits_for,
            moving=self._held_moves(held, wanted),
        )

    def _judge_reported(self, wanted: Wanted, state: ReportedState) -> Standing:
        """A resource whose wanted version is reported."""
        ref, version = wanted.ref, wanted.version
        if state.error:
            return self._judge_failed(ref, version, state)
        if wanted.marked_for_deletion:
            return Standing(ref, Phase.DELETED, _GONE, version)
        drift = self.snapshot.drift(ref)
        if drift is not None and drift.lost:
            reason = lost_stack(self.snapshot, ref)
            return Standing(ref, Phase.LOST, reason, version)
        if lost := self._lost(ref):
            reason = f"was built from {lost}, which is gone"
            return Standing(ref, Phase.BROKEN, reason, version)
        outdated = self._comparison.of(ref)
        reason = outdated.reason if outdated else ""
        return Standing(ref, Phase.COMPLETE, reason, version, outdated=outdated)

    def _lost(self, ref: Ref) -> Ref | None:
        """A resource from which this one was built, and which is not there any more."""
        handled = self.snapshot.handled.get(ref)
        if handled is None:
            return None
        others = handled.refs() - {ref}
        self.looked.records.update(others)
        return next((one for one in sorted(others) if self._is_gone(one)), None)

    def _is_gone(self, ref: Ref) -> bool:
        wanted = self.snapshot.wanted.get(ref)
        if wanted is not None and not wanted.marked_for_deletion:
            return False
        stack = self.snapshot.stacks.get(ref)
        return stack is None or not stack.live

    def _judge_failed(
        self, ref: Ref, version: int, state: ReportedState
    ) -> Standing:
        failed = self.snapshot.failed.get(ref)
        root = ref
        if failed and failed.version == version:
            root = failed.root
        if root != ref and (reason := self._tried_again(root, state.revision)):
            return Standing(ref, Phase.PENDING, reason, version, moving=True)
        return Standing(ref, Phase.FAILED, state.error, version, root=root)

    def _tried_again(self, root: Ref, since: int) -> str:
        """Why a failure is not the last word: its cause is gone, or about to be.

        :param since: the revision of the failure; a cause that was fine before then was not the
            cure.
        """
        if root.type == TEMPLATE_TYPE:
            return self._template_repaired(root, since)
        standing = self.of(root)
        if standing.phase in (Phase.RUNNING, Phase.WAITING):
            return f"{root}, because of which it failed, is being built again"
        state = self.snapshot.states.get(root)
        repaired = state is not None and state.revision > since
        if standing.phase is Phase.COMPLETE and repaired:
            return f"{root}, because of which it failed, is repaired"
        return ""

    def _template_repaired(self, root: Ref, since: int) -> str:
        self.looked.records.add(root)
        snapshot = self.snapshot
        written = snapshot.raw.get(snapshot.keys.template(root.id))
        usable = isinstance(snapshot.templates.get(root.id), Template)
        if usable and written and written.revision > since:
            return f"{root} is repaired"
        return ""

    def _held_moves(self, held: Held, wanted: Wanted) -> bool:
        """Whether a resource is held back by something that goes on by itself."""
        if wanted.marked_for_deletion:
            return True  # A deletion waits only so long.
        other = held.waits_for
        self.looked.records.add(other)
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
_LEFT = "its config is gone, what is left of it is to be removed"
_UNDECIDED = "the bridge has not looked at it yet"
_GONE = "the stack is gone; the config may be removed"


def _where(view: JobView) -> str:
    """Where a job stands that waits for no other."""
    if view.run is not None and is_failing(view.run):
        return f"{next_retry(view.run)}: {view.run.reason}"
    return view.stage.value


def _went_backwards(ref: Ref, version: int, handled: int) -> str:
    return (
        f"version {version} was written after version {handled} and is not built; write"
        f" version {handled + 1} or higher, or build it as it is: orchestrator retry"
        f" {ref.type} {ref.id}"
    )
