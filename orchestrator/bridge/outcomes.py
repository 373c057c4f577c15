"""What follows from the end of a job: what waited for it starts or fails, what it repaired is tried
again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence

from .. import faults
from ..clock import CLOCK, Clock
from ..core import effects
from ..core.jobs import Action, Job, job_action, job_ref
from ..core.keys import Keys
from ..core.planning import Doom, Over, doomed_by
from ..core.records import Failed, Handled, Run
from ..core.refs import JobId, Ref
from ..core.transactions import merged
from ..core.world import Stack, World
from ..events import EventName, count
from ..metrics.shapes import FailureCause
from . import remembering
from .leader import Leadership
from .metrics import Metrics, failure_cause
from .timing import DELETION_BACKOFF
from .timing import Later as Later
from .told import references_of, tell_not_run, version_of

log = logging.getLogger(__name__)

UNSETTLED = 0.2
"""Seconds after which what could not be written is decided again, if the event has not come by
then."""


class Outcomes:
    """Makes etcd and the world follow the outcomes of jobs.

    :param ready: called with each job whose dependencies have all ended.
    :param dropped: called with each job that is over without a worker: it may have been sent
        already.
    :param later: ``later(seconds, ref)``: decide *ref* again after a while.
    :param not_run: told of each job that failed without running, and why in a word.
    """

    def __init__(
        self,
        world: World,
        keys: Keys,
        leadership: Leadership,
        *,
        ready: Callable[[Job], None],
        dropped: Callable[[Job], None],
        later: Later,
        as_string: bool,
        metrics: Metrics | None = None,
        not_run: Callable[[JobId, Ref, str], None] | None = None,
        clock: Clock = CLOCK,
    ) -> None:
        self.world, self.metrics = world, metrics or Metrics()
        self._not_run, self._clock = not_run, clock
        self._overdue: set[JobId] = set()
        """Jobs whose time is over, and whose end is not written yet."""
        self._keys, self._leadership = keys, leadership
        self._ready, self._dropped, self._later = ready, dropped, later
        self._as_string = as_string
        self._deletions_failed: dict[Ref, int] = {}
        self._doomed: dict[JobId, Doom] = {}
        """What will fail once the earlier jobs on its resource are over."""
        self._to_fail: deque[tuple[Job, Doom]] = deque()

    def ended(
        self, job_id: JobId, tenant: str, run: Run, revision: int
    ) -> None:
        """Take in the outcome of a job: what failed with it fails, what waited for it may start.

        The job's own record may be gone: the worker that ended it removed it.
        """
        faults.reach("bridge-before-release")
        world, ref, action = self.world, job_ref(job_id), job_action(job_id)
        job, handled = world.graph.jobs.get(job_id), world.handled.get(ref)
        version = version_of(job, handled)
        self._count(job_id, ref, run)
        failed = None
        if not run.kept:
            self._note_stack(ref, action, run, tenant)
            failed = self._failed(version, action, run, ref)
            world.set_failed(ref, failed)
            if self._is_told(job_id, ref):
                world.note_report(ref, version, revision)
        used = references_of(job, handled)
        self.release(Over(job_id, ref, action, used, tenant), failed)
        self.fail_dependents()
        self._remember(job_id, ref, run)
        if run.complete:
            self._complete(job_id, ref, handled)
        elif action is Action.DELETE and ref not in world.wanted:
            self._delete_again_later(ref)
        world.touch(ref, *world.waiting_for(ref))

    def _failed(
        self, version: int, action: Action, run: Run, ref: Ref
    ) -> Failed | None:
        """How a job failed; None when it did not."""
        if run.complete:
            return None
        failed = Failed(version, action, run.reason, run.root or ref)
        return self._dated(failed, ref)

    def _dated(self, failed: Failed, ref: Ref) -> Failed:
        """The failure of a resource, with its time."""
        return failed.dated(self._clock.now(), self.world.failed.get(ref))

    def _count(self, job: JobId, ref: Ref, run: Run) -> None:
        """Count how a job ended."""
        handled, tenant = self.world.handled.get(ref), ""
        if handled is not None:
            tenant = handled.tenant
        overdue = job in self._overdue
        self._overdue.discard(job)
        cause = failure_cause(ref, run, overdue=overdue)
        self.metrics.note_outcome(ref.type, tenant, cause)

    def note_overdue(self, job: JobId) -> None:
        """The time of a job is over: a worker is to end it."""
        self._overdue.add(job)

    def _note_stack(
        self, ref: Ref, action: Action, run: Run, tenant: str
    ) -> None:
        if action is Action.DELETE and run.complete:
            self.world.note_stack(ref, Stack("DELETE_COMPLETE", tenant))
        elif run.live:
            status = "COMPLETE" if run.complete else "FAILED"
            adopted = self.world.adopted_name(ref)
            stack = Stack(status, tenant, run.monitored, adopted)
            self.world.note_stack(ref, stack)

    def _remember(self, job_id: JobId, ref: Ref, run: Run) -> None:
        handled = remembering.after_run(self.world, job_id, ref, run)
        if handled is not None:
            remembered = effects.remember(self._keys, ref, handled)
            self._leadership.commit(remembered)
            self.world.set_handled(ref, handled)

    def _complete(
        self, job_id: JobId, ref: Ref, handled: Handled | None
    ) -> None:
        if handled and handled.job == job_id:
            self.world.completed(ref)
        self.repaired(ref)
        self._deletions_failed.pop(ref, None)

    def _is_told(self, job_id: JobId, ref: Ref) -> bool:
        """Whether the outcome of a job is that of the config that is there: written as its
        state."""
        wanted, handled = (
            self.world.wanted.get(ref),
            self.world.handled.get(ref),
        )
        if wanted is None or handled is None:
            return False
        return (
            wanted.incarnation == handled.incarnation
            and job_id not in handled.outlived
        )

    def _delete_again_later(self, ref: Ref) -> None:
        """Nobody can ask again for a deletion whose config is gone, so it is never given up."""
        times = self._deletions_failed[ref] = (
            self._deletions_failed.get(ref, 0) + 1
        )
        self._later(DELETION_BACKOFF.interval(times), ref, again=True)

    def repaired(self, root: Ref) -> None:
        """What failed because of *root* is tried again."""
        world = self.world
        for ref in world.failed_because_of(root):
            handled = world.handled.get(ref)
            if handled and handled.job in world.graph.jobs:
                continue  # It is being tried again already, and runs after its root.
            count(EventName.ROOT_REPAIRED)
            log.info(
                "Retry scheduled, its cause is repaired",
                extra={
                    "event": "root_repaired",
                    "resource": str(ref),
                    "root": str(root),
                },
            )
            world.try_again(ref)

    def clears(self, job: Job) -> bool:
        """Whether a job clears away an earlier incarnation of its id: nobody could ask for it
        again, nor would anybody know how to.
        So it is not given up."""
        handled = self.world.handled.get(job.ref)
        return (
            job.action is Action.DELETE
            and handled is not None
            and job.id in handled.outlived
        )

    def release(self, over: Over, failed: Failed | None) -> None:
        """What waited for a job that is over is ready, or is to fail (:meth:`fail_dependents` does
        it)."""
        graph = self.world.graph
        for dependent in graph.remove(over.id):
            if failed and not self.clears(dependent):
                built_from = self._built_from(dependent)
                doom = doomed_by(dependent, over, failed, built_from)
                if doom is not None:
                    self._doomed.setdefault(dependent.id, doom)
            waits = graph.waits_for(dependent.id)
            if dependent.id in self._doomed:
                # Its report comes after those of the earlier versions, so after their jobs.
                if not self.has_earlier(dependent):
                    self._to_fail.append(
                        (dependent, self._doomed.pop(dependent.id))
                    )
            elif not waits and dependent.id not in self.world.runs:
                # Claimed already: the leader before had released it, and did not come to remove the
                # run of *over*.
                self._ready(dependent)

    def has_earlier(self, job: Job) -> bool:
        """Whether a job waits for another one on the same resource."""
        graph = self.world.graph
        return any(
            other in graph.jobs and graph.jobs[other].ref == job.ref
            for other in graph.waits_for(job.id)
        )

    def doom(self, job: Job, doom: Doom) -> bool:
        """A job is to end when the earlier ones on its resource have ended. Whether that is new."""
        known = job.id in self._doomed
        self._doomed[job.id] = doom
        return not known

    def overtake(self, in_heat: Collection[JobId]) -> None:
        """Let deletions go ahead that wait for nothing but jobs on the same resource that Heat does
        not end.

        :param in_heat: the jobs on which Heat has worked for long.
        """
        graph = self.world.graph
        for job_id in in_heat:
            job = graph.jobs.get(job_id)
            last = graph.on(job.ref)[-1] if job else None
            if (
                job is None
                or last is None
                or last.action is not Action.DELETE
                or last.id == job_id
            ):
                continue
            waits = graph.waits_for(last.id)
            if waits <= set(in_heat) and all(
                graph.jobs[other].ref == job.ref for other in waits
            ):
                self._overtake(
                    last, [graph.jobs[other] for other in sorted(waits)]
                )

    def _overtake(self, deletion: Job, jobs: Sequence[Job]) -> None:
        revisions = {job.id: self.world.runs[job.id].revision for job in jobs}
        if not self._leadership.commit(
            effects.overtake(self._keys, deletion, jobs, revisions)
        ):
            return  # Heat has ended one of them meanwhile: its event is on the way.
        for job in jobs:
            self.world.graph.overtake(job.id, deletion.id)
            self.dropped(job)
            count(EventName.JOB_OVERTAKEN)
            log.warning(
                "Job overtaken by a deletion",
                extra={
                    "event": "job_overtaken",
                    "job": job.id,
                    "by": deletion.id,
                },
            )
        self._ready(deletion)

    def _built_from(self, job: Job) -> frozenset[Ref] | None:
        """What the version of a job refers to, None when it is not the newest and so is not known
        any more."""
        handled = self.world.handled.get(job.ref)
        return handled.refs() if handled and handled.job == job.id else None

    def give_up(self, job: Job, error: str) -> None:
        """End a job that no worker can carry out."""
        failed = Failed(job.version, job.action, error, job.ref)
        self._to_fail.append((job, Doom(failed, job.id)))
        self.fail_dependents()

    def unstored(self) -> set[JobId]:
        """Finished jobs whose consequences are not stored yet.
        Their runs are kept for the next leader, which knows of the end only by them."""
        return {
            *(doom.cause for doom in self._doomed.values()),
            *(doom.cause for _, doom in self._to_fail),
        }

    def dropped(self, job: Job) -> None:
        """A job is over without a worker."""
        self._doomed.pop(job.id, None)
        self._overdue.discard(job.id)
        self.world.is_over(job)
        self._dropped(job)

    def fail_dependents(self) -> None:
        """End jobs that will never run; what waits for them in turn ends too, at any depth."""
        postponed: list[tuple[Job, Doom]] = []
        while self._to_fail:
            job, doom = self._to_fail.popleft()
            if job.id not in self.world.graph.jobs:
                continue  # It waited for several that failed, or was superseded.
            if self.fail(job, doom):
                continue
            if not doom.cause:
                # The request to cancel it was replaced, or is looked at again in a moment.
                self._go_on(job)
                continue
            # The config has changed meanwhile: its event is on the way.
            postponed.append((job, doom))
            self._later(UNSETTLED, job.ref)
        self._to_fail.extend(postponed)

    def _go_on(self, job: Job) -> None:
        if not self.world.graph.waits_for(job.id):
            self._ready(job)

    def fail(self, job: Job, doom: Doom) -> bool:
        """End a job that will never run.

        :returns: False when something it relied on has changed.
        """
        told, handled = self._is_told(job.id, job.ref), None
        failed, given_up = (
            self._dated(doom.failed, job.ref),
            doom.cause == job.id,
        )
        if not given_up:
            handled = remembering.without_run(self.world, job, doom)
        transaction = effects.fail_dependents(
            self._keys,
            job,
            self.world.wanted.get(job.ref),
            failed,
            self._as_string,
            told=told,
            handled=handled,
        )
        revision = self._leadership.commit(merged([transaction, doom.also]))
        if not revision:
            return False
        faults.reach("bridge-after-cascade")
        self._count_not_run(job, given_up=given_up)
        tell_not_run(job, failed)
        if told:
            self.world.note_report(job.ref, job.version, revision)
            self.world.set_failed(job.ref, failed)
        if handled is not None:
            self.world.set_handled(job.ref, handled)
        self._over(job, failed)
        return True

    def _over(self, job: Job, failed: Failed) -> None:
        """A job that never ran is over: whoever waits for it is told."""
        self.dropped(job)
        used = job.references()
        over = Over(job.id, job.ref, job.action, used, job.tenant)
        self.release(over, failed)
        self.world.touch(job.ref)

    def _count_not_run(self, job: Job, *, given_up: bool) -> None:
        reason = FailureCause.DEPENDENCY
        if given_up:
            reason = FailureCause.WORKERS
        self.metrics.note_outcome(job.ref.type, job.tenant, reason)
        if self._not_run is not None:
            self._not_run(job.id, job.ref, reason.value)
