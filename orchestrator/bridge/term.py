"""One term of leading: list, watch, and deal with events and timers, one after the other, in one
thread."""

from __future__ import annotations

import logging
import queue
import sched
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..clients.protocols import QueueDoor
from ..clients.store import Compacted, Event, KeyValue, Store, Watch
from ..core import effects
from ..core.facts import Entry, RunMoved, RunRemoved, TemplateChanged
from ..core.jobs import Action, Job, job_action, job_ref
from ..core.keys import Keys
from ..core.records import RetryAsked, Run, Step
from ..core.refs import JobId, Ref
from ..core.removals import BrakeLimits
from ..core.templates import TEMPLATE_TYPE, Template
from ..events import EventName, count
from . import loading
from .deadlines import IN_HEAT_LONG, Deadlines, Limits, Skew
from .dispatching import SUPERVISION, TARGETS_PER_ROUND, Dispatcher
from .finished import Finished
from .health import Health
from .leader import Leadership
from .outcomes import Outcomes
from .reconciling import Reconciler
from .rounds import Rounds

log = logging.getLogger(__name__)

_TICK = 1.0
"""Longest time, in seconds, for which the loop sleeps without looking at its lease."""
CLAIMS_LOST_LIMIT = 5
"""Claims lost on one job, as far as this term has seen, after which the job is given up."""
_DECISIONS = 400
"""Decisions in one turn of the loop.
After a hundred thousand changes at once, the first are sent to the workers before the last are
decided, and the lease is looked at meanwhile."""
_HELD_UP = 0.5
"""Seconds by which a turn of the loop may be longer than it should be, without having been stopped
or held up."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How often and how many; see the settings of the same names.
    Intervals and patience in seconds."""

    poll_interval: float = 1.0
    monitoring_interval: float = 60.0
    patience: float = 5.0
    tenant_requests: int = 32
    total_requests: int = 256
    limits: Limits = field(default_factory=Limits)
    in_heat_long: float = IN_HEAT_LONG
    deadlines_every: float = 5.0
    brake: BrakeLimits = field(default_factory=BrakeLimits)


class TypesWatched(Protocol):
    """Whoever knows which resource types are in force (:class:`.schemas.SchemaKeeper`)."""

    @property
    def changed(self) -> bool:
        """Whether others are to be led with: the term is to end."""

    def ask(self) -> None:
        """Look at once whether there are others."""


class Term:
    """The loop. Everything in here happens in the thread that calls :meth:`run`."""

    def __init__(
        self,
        loaded: loading.Loaded,
        store: Store,
        keys: Keys,
        leadership: Leadership,
        broker: QueueDoor,
        catalogue: Mapping[str, Template],
        timing: Timing,
        *,
        as_string: bool = False,
        types: TypesWatched | None = None,
    ) -> None:
        """:param loaded: what etcd held a moment ago, under the same leadership."""
        self._store, self._keys, self._leadership = store, keys, leadership
        self._types = types
        self._timing = timing
        self._timers = sched.scheduler(time.monotonic)
        self._inbox: queue.SimpleQueue[Sequence[Event] | Exception] = (
            queue.SimpleQueue()
        )
        self._dispatcher = Dispatcher(
            broker,
            self._timer,
            poll_interval=timing.poll_interval,
            tenant_limit=timing.tenant_requests,
            total_limit=timing.total_requests,
        )
        self.world, self._revision = loaded.world, loaded.revision
        self._outcomes = Outcomes(
            self.world,
            keys,
            leadership,
            ready=self._dispatcher.submit,
            dropped=lambda job: self._dispatcher.forget(job.id, job.tenant),
            later=self._later,
            as_string=as_string,
        )
        self._reconciler = Reconciler(
            self.world,
            keys,
            leadership,
            outcomes=self._outcomes,
            ready=self._dispatcher.submit,
            later=self._later,
            patience=timing.patience,
            as_string=as_string,
            brake=timing.brake,
        )
        self._deadlines = Deadlines(timing.limits)
        self._skew = Skew()
        self._rounds = Rounds(timing.monitoring_interval, TARGETS_PER_ROUND)
        self._finished = Finished(self.world, keys, leadership, self._outcomes)
        self._stepped = time.monotonic()
        self._dispatcher.begin()
        self._resume(loaded.runs)

    def _resume(self, runs: list[KeyValue]) -> None:
        """Carry on with the jobs as they stand."""
        under_way = {self._keys.run_job(kv.key) for kv in runs}
        for job in list(self.world.graph.jobs.values()):
            if job.id not in under_way and not self.world.graph.waits_for(
                job.id
            ):
                self._dispatcher.submit(job)
        # In the order in which it happened: of two jobs on one resource, the later outcome is the
        # one that holds.
        for kv in sorted(runs, key=lambda kv: kv.revision):
            self._note_run(kv, resumed=True)
        for kv in self._store.list(self._keys.retries, revision=self._revision)[
            1
        ]:
            self._note_retry(kv)
        for kv in self._store.list(self._keys.polls, revision=self._revision)[
            1
        ]:
            self._note_poll(kv.key, kv.value, kv.revision)
        count(EventName.TERM_BEGUN)
        log.info(
            "Term started",
            extra={
                "event": "term_begun",
                "revision": self._revision,
                "resources": len(self.world.wanted),
                "jobs": len(under_way),
            },
        )

    def run(self, stopping: threading.Event, health: Health) -> None:
        """Lead until told to stop, or until there are other resource types to lead with.

        :raises LeadershipLost: somebody else leads.
        :raises StoreUnavailable: what etcd holds is in doubt; begin a new term with a new listing.
        """
        keys = self._keys
        folders = [
            *keys.config_folders,
            keys.runs,
            keys.retries,
            keys.schema_reload,
            keys.polls,
        ]
        watch = self._store.watch(folders, self._revision + 1)
        health.leading(watch)
        threading.Thread(
            target=self._listen, args=(watch,), name="watch", daemon=True
        ).start()
        self._every(SUPERVISION, self._dispatcher.supervise)
        self._every(self._timing.deadlines_every, self._expire)
        self._timer(self._rounds.pause, self._monitor_due)
        try:
            while not stopping.is_set() and not (
                self._types and self._types.changed
            ):
                self._leadership.check()
                self._step()
                health.beat(
                    self.sizes(),
                    self._dispatcher.wait,
                    self._dispatcher.outage.reason,
                )
                health.tell("deletions", self._reconciler.brake.note())
            self._finished.remove()
        finally:
            watch.close()

    def sizes(self) -> dict[str, int]:
        """How much there is of what."""
        world = self.world
        return {
            "resources": len(world.wanted),
            "jobs": len(world.graph.jobs),
            "held": len(world.held),
            "failed": len(world.failed),
            "deletions_failing": self._deadlines.deletions_failing,
            "deletions_held": len(world.removals) if world.removals.held else 0,
            **self._dispatcher.sizes(),
        }

    def _step(self) -> None:
        """Whatever has come in and is due, then everything that follows from it."""
        before, self._stepped = self._stepped, time.monotonic()
        if self._stepped - before > _TICK + _HELD_UP:
            # Stopped, or held up: what was to wait for others has not waited, for nobody was
            # listening.
            self._reconciler.begin_patience_anew()
        next_timer = self._timers.run(blocking=False)
        # What has come goes before what time alone decides.
        self._take_in(0.0)
        self._settle()
        undecided = 0.0 if self.world.dirty else None
        waits = (
            undecided,
            next_timer,
            self._finished.due(),
            self._dispatcher.next_flush(),
        )
        due = [seconds for seconds in waits if seconds is not None]
        self._take_in(min([_TICK, *due]))
        self._settle()

    def _settle(self) -> None:
        self._reconciler.settle(_DECISIONS)
        self._dispatcher.flush(self.world.graph.jobs.__contains__)
        self._finished.remove_due()

    # Events ---------------------------------------------------------------------------------------

    def _listen(self, watch: Watch) -> None:
        try:
            for events in watch:
                if events:
                    self._inbox.put(events)
        except Compacted as error:
            self._inbox.put(error)
        except Exception as error:
            self._inbox.put(error)

    def _take_in(self, timeout: float) -> None:
        try:
            batch = self._inbox.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return
        while True:
            if isinstance(batch, Exception):
                raise batch
            for event in batch:
                self._note(event)
            if self._inbox.empty():
                return
            batch = self._inbox.get()

    def _note(self, event: Event) -> None:
        if self._keys.is_config(event.key):
            self._note_config(event)
        elif event.key.startswith(self._keys.retries):
            if event.value is not None:
                self._note_retry(
                    KeyValue(
                        event.key, event.value, event.created, event.revision
                    )
                )
        elif event.key == self._keys.schema_reload:
            if event.value is not None and self._types:
                self._types.ask()
        elif event.key.startswith(self._keys.polls):
            self._note_poll(event.key, event.value, event.revision)
        else:
            self._note_run(event)

    def _note_config(self, event: Event) -> None:
        for fact in loading.take_in(self.world, self._keys, event):
            if isinstance(fact, TemplateChanged) and isinstance(
                self.world.templates.get(fact.id), Template
            ):
                self._outcomes.repaired(Ref(TEMPLATE_TYPE, fact.id))

    def _note_run(self, entry: Entry, *, resumed: bool = False) -> None:
        """A worker has moved a job, or its run is gone."""
        before = self.world.runs.get(self._keys.run_job(entry.key))
        match loading.take_in_run(self.world, self._keys, entry):
            case RunMoved(job, tenant, run, revision):
                self._run_moved(job, tenant, run, resumed=resumed)
                if run.step is Step.DONE:
                    self._note_done(job, tenant, run, revision)
                    self._finished.add(entry.key, revision)
            case RunRemoved(job, tenant):
                self._run_removed(job, tenant, before.deaths if before else 0)

    def _note_poll(self, key: str, value: bytes | None, revision: int) -> None:
        """A worker tells of a poll of a tenant's stacks, or tells no more of it."""
        poll = loading.read_poll(key, value) if value is not None else None
        self._dispatcher.polled(self._keys.poll_tenant(key), poll, revision)

    def _run_moved(
        self, job_id: JobId, tenant: str, run: Run, *, resumed: bool
    ) -> None:
        self._deadlines.note(job_id, tenant, run)
        if run.step is Step.DONE or job_id not in self.world.graph.jobs:
            return
        self._skew.note(run)
        # A leader that begins goes on with delays where they are.
        # Leaders that follow each other quickly would otherwise each begin them anew, and nothing
        # would ever be tried again.
        self._dispatcher.moved(
            job_id, tenant, run.resumed(time.time()) if resumed else run
        )

    def _run_removed(self, job_id: JobId, tenant: str, deaths: int) -> None:
        """By us, or by etcd with the lease of a worker that died.

        :param deaths: of workers over this job before.
        """
        self._deadlines.forget(job_id)
        self._dispatcher.forget(job_id, tenant)
        if job_id in self.world.graph.jobs:
            self._note_lost_claim(self.world.graph.jobs[job_id], deaths + 1)

    def _note_lost_claim(self, job: Job, deaths: int) -> None:
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
            self._leadership.commit(effects.note_death(self._keys, job, deaths))
            return
        self._outcomes.give_up(
            job,
            f"{deaths} workers in a row died over this job; look at their logs, correct"
            " the template or the configuration and write the config with the next"
            " version",
        )

    def _expire(self) -> None:
        """Tell the workers of the jobs whose time is over, and let deletions go ahead of what Heat
        never ends."""
        for job_id, tenant in self._deadlines.overdue():
            kv = self._store.get(self._keys.run(tenant, job_id))
            job, run = (
                self.world.graph.jobs.get(job_id),
                (loading.read_run(kv) if kv else None),
            )
            if (
                kv is None
                or job is None
                or run is None
                or run.step not in (Step.WAITING, Step.RETRY)
            ):
                continue
            count(EventName.JOB_OVERDUE)
            log.warning(
                "Job is overdue",
                extra={
                    "event": "job_overdue",
                    "job": job_id,
                    "step": run.step.value,
                },
            )
            if (
                self._leadership.commit(
                    effects.give_time_up(self._keys, job, run, kv.revision)
                )
                and run.step is Step.WAITING
            ):
                self._dispatcher.record([job_id])
        self._outcomes.overtake(
            self._deadlines.longer_in_heat(self._timing.in_heat_long)
        )
        for tenant, revision in self._dispatcher.abandoned_polls().items():
            self._leadership.commit(
                effects.poll_is_over(self._keys.poll(tenant), revision)
            )

    def _note_done(
        self, job_id: JobId, tenant: str, run: Run, revision: int
    ) -> None:
        ref = job_ref(job_id)
        before = self.world.stacks.get(ref)
        self._dispatcher.over(job_id, tenant)
        self._outcomes.ended(job_id, ref, job_action(job_id), run, revision)
        if run.monitored or (before is not None and before.monitored):
            self._rounds.asked(ref)
            self._dispatcher.monitor([ref])

    def _note_retry(self, kv: KeyValue) -> None:
        """An operator asks for a failed version to be tried once more, or for one that went
        backwards to be built."""
        ref, asked = (
            self._keys.ref(self._keys.retries, kv.key),
            RetryAsked.from_json(kv.value),
        )
        if ref is not None and asked.confirm:
            if self.world.removals.confirm(ref, asked.confirm):
                count(EventName.DELETION_CONFIRMED)
                log.info(
                    "Deletion confirmed",
                    extra={"event": "deletion_confirmed", "resource": str(ref)},
                )
                self.world.touch(ref)
        elif ref is not None and asked.gone:
            self._abandon(ref, asked.gone)
        elif ref is not None and self._may_retry(ref):
            count(EventName.RETRY_ASKED)
            log.info(
                "Retry requested",
                extra={"event": "retry_asked", "resource": str(ref)},
            )
            self.world.try_again(ref, force=asked.force)
        self._finished.add(kv.key, kv.revision)

    def _abandon(self, ref: Ref, tenant: str) -> None:
        """Deletions in a project that is gone, as a person says, are tried for the last time."""
        for job in self.world.graph.on(ref):
            if job.action is not Action.DELETE or job.tenant != tenant:
                continue
            kv = self._store.get(self._keys.run(tenant, job.id))
            run = loading.read_run(kv) if kv else None
            if kv is None or run is None or run.abandoned:
                continue
            if run.step is Step.RETRY and self._leadership.commit(
                effects.abandon(self._keys, job, run, kv.revision)
            ):
                count(EventName.DELETION_ABANDONED)
                log.warning(
                    "Deletion given up, as asked",
                    extra={
                        "event": "deletion_abandoned",
                        "job": job.id,
                        "tenant": tenant,
                    },
                )
            else:
                # A worker tries it at this moment.
                self._timer(_TICK, lambda: self._abandon(ref, tenant))

    def _may_retry(self, ref: Ref) -> bool:
        wanted = self.world.wanted.get(ref)
        stale = wanted is not None and self.world.is_stale(wanted)
        return (ref in self.world.failed or stale) and not self.world.graph.on(
            ref
        )

    # Timers ---------------------------------------------------------------------------------------

    def _later(self, seconds: float, ref: Ref, *, again: bool = False) -> None:
        def due() -> None:
            if again:
                self.world.try_again(ref)
            self.world.touch(ref)

        self._timer(seconds, due)

    def _timer(self, seconds: float, function: object) -> None:
        self._timers.enter(seconds, 0, function)  # type: ignore[arg-type]

    def _every(self, seconds: float, function: object) -> None:
        def run() -> None:
            function()  # type: ignore[operator]
            # Only now: what takes longer than its interval would otherwise be due for ever.
            self._timers.enter(seconds, 0, run)

        self._timers.enter(seconds, 0, run)

    def _monitor_due(self) -> None:
        self._dispatcher.monitor(
            filter(self._is_monitored, self._rounds.due(self._monitored))
        )
        self._timer(self._rounds.pause, self._monitor_due)

    def _monitored(self) -> list[Ref]:
        return [
            ref
            for ref, stack in self.world.stacks.items()
            if stack.monitored and stack.live
        ]

    def _is_monitored(self, ref: Ref) -> bool:
        stack = self.world.stacks.get(ref)
        return stack is not None and stack.monitored and stack.live
