"""The runs of jobs, as workers move them: what follows from each, and what to do about those that
do not move."""

from __future__ import annotations

import logging

from ..clients.store import Store
from ..clock import Clock
from ..core import effects
from ..core.facts import Entry, RunMoved, RunRemoved
from ..core.jobs import Job, job_ref
from ..core.keys import Keys
from ..core.records import Step
from ..core.refs import JobId
from ..core.world import World
from ..events import EventName, count
from . import loading
from .change_times import ChangeTimes
from .deadlines import Deadlines, Skew
from .dispatching import Dispatcher
from .durations import Stopwatch
from .finished import Finished
from .leader import Leadership
from .metrics import failure_cause
from .outcomes import Outcomes
from .outputs import OutputsRead
from .probing import Probing
from .timing import Timing

log = logging.getLogger(__name__)

CLAIMS_LOST_LIMIT = 5
"""Claims lost on one job, as far as this term has seen, after which the job is given up."""


class Running:
    """Follows the jobs that workers carry out."""

    def __init__(
        self,
        world: World,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        *,
        outputs: OutputsRead,
        dispatcher: Dispatcher,
        outcomes: Outcomes,
        finished: Finished,
        probing: Probing,
        stopwatch: Stopwatch,
        timing: Timing,
        clock: Clock,
        times: ChangeTimes,
    ) -> None:
        self._world, self._store, self._keys = world, store, keys
        self._leadership, self._dispatcher = leadership, dispatcher
        self._outcomes, self._finished = outcomes, finished
        self._probing, self._clock = probing, clock
        self._times = times
        self._stopwatch = stopwatch
        self._outputs = outputs
        self._in_heat_long = timing.in_heat_long
        self._deadlines = Deadlines(timing.limits, clock.monotonic)
        self._skew = Skew(clock)

    @property
    def deletions_failing(self) -> int:
        """How many deletions Heat keeps failing."""
        return self._deadlines.deletions_failing

    def note(self, entry: Entry, *, resumed: bool = False) -> None:
        """A worker has moved a job, or its run is gone.

        :param resumed: the run was there when the term began.
        """
        before = self._world.runs.get(self._keys.run_job(entry.key))
        match loading.take_in_run(self._world, self._keys, entry):
            case RunMoved() as fact:
                if not resumed:
                    self._stopwatch.note(fact.job, fact.run)
                self._moved(fact, resumed=resumed)
                if fact.run.step is Step.DONE:
                    self._done(fact)
                    self._finished.add(entry.key, fact.revision)
            case RunRemoved(job, tenant):
                deaths = before.deaths if before else 0
                self._removed(job, tenant, deaths)

    def _moved(self, fact: RunMoved, *, resumed: bool) -> None:
        job, tenant, run = fact.job, fact.tenant, fact.run
        self._deadlines.note(job, tenant, run)
        if run.step is Step.DONE or job not in self._world.graph.jobs:
            return
        self._skew.note(run)
        if resumed:
            # A leader that begins goes on with delays where they are.
            # Leaders that follow each other quickly would otherwise each begin them anew, and
            # nothing would ever be tried again.
            run = run.resumed(self._clock.now())
        self._dispatcher.moved(job, tenant, run)

    def _done(self, fact: RunMoved) -> None:
        job, run, ref = fact.job, fact.run, job_ref(fact.job)
        before = self._world.stacks.get(ref)
        self._dispatcher.over(job, fact.tenant)
        failed = failure_cause(ref, run, overdue=False)
        self._times.ended(job, ref, "" if run.complete else failed.value)
        self._outcomes.ended(job, fact.tenant, run, fact.revision)
        self._outputs.built(ref)
        if run.monitored or (before is not None and before.monitored):
            self._probing.now(ref)

    def _removed(self, job: JobId, tenant: str, deaths: int) -> None:
        """By us, or by etcd with the lease of a worker that died.

        :param deaths: of workers over this job before.
        """
        self._deadlines.forget(job)
        self._stopwatch.forget(job)
        self._dispatcher.forget(job, tenant)
        if job in self._world.graph.jobs:
            self._claim_lost(self._world.graph.jobs[job], deaths + 1)

    def _claim_lost(self, job: Job, deaths: int) -> None:
        """The worker that had claimed the job is gone; a job that takes worker after worker with it
        is given up in the end.
        (One that lives and gives up says so.)"""
        if deaths < CLAIMS_LOST_LIMIT or self._outcomes.clears(job):
            count(EventName.CLAIM_LOST)
            log.warning(
                "Worker lost its claim, sending the job again",
                extra={"event": "claim_lost", "job": job.id, "times": deaths},
            )
            # Sent once the event of this write comes.
            # If it is refused, a worker has the job already.
            death = effects.note_death(
                self._keys, job, deaths, self._clock.now()
            )
            self._leadership.commit(death)
            return
        self._outcomes.give_up(
            job,
            f"{deaths} workers in a row died over this job; look at their logs, correct"
            " the template or the configuration and write the config with the next"
            " version",
        )

    # What does not move ---------------------------------------------------------------------------

    def expire(self) -> None:
        """Tell the workers of the jobs whose time is over, and let deletions go ahead of what Heat
        never ends."""
        for job, tenant in self._deadlines.overdue():
            self._give_time_up(job, tenant)
        late = self._deadlines.longer_in_heat(self._in_heat_long)
        self._outcomes.overtake(late)
        for tenant, revision in self._dispatcher.abandoned_polls().items():
            over = effects.poll_is_over(self._keys.poll(tenant), revision)
            self._leadership.commit(over)

    def _give_time_up(self, job_id: JobId, tenant: str) -> None:
        job = self._world.graph.jobs.get(job_id)
        found = loading.find_run(self._store, self._keys, tenant, job_id)
        if job is None or found is None:
            return
        run, revision = found
        if run.step not in (Step.IN_HEAT, Step.RETRY):
            return
        count(EventName.JOB_OVERDUE)
        fields = {
            "event": "job_overdue",
            "job": job_id,
            "step": run.step.value,
        }
        log.warning("Job is overdue", extra=fields)
        self._outcomes.note_overdue(job_id)
        over = effects.give_time_up(self._keys, job, run, revision)
        if self._leadership.commit(over) and run.step is Step.IN_HEAT:
            self._dispatcher.record([job_id])
