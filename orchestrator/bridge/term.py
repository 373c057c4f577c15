"""One term of leading: list, watch, and deal with events and timers, one after the other, in one
thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from ..clients.inbox import EventInbox, WatchInbox
from ..clients.presence import EVERY
from ..clients.protocols import QueueDoor
from ..clients.store import KeyValue, Store, Watch
from ..clock import CHANCE, CLOCK, Chance, Clock
from ..core.facts import Entry, TemplateChanged
from ..core.jobs import Job
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.templates import TEMPLATE_TYPE, Template
from ..events import EventName, count
from . import loading
from .auditing import DROPPED_EVERY, Auditing
from .change_times import ChangeTimes
from .comparing import Comparing
from .dispatching import SUPERVISION, Dispatcher
from .durations import STORED_EVERY, Stopwatch
from .finished import Finished
from .health import Health
from .leader import Leadership
from .metrics import Metrics
from .outcomes import Outcomes
from .outputs import OutputsRead
from .pausing import CHECKED_EVERY, Pausing
from .probing import Probing
from .reconciling import Reconciler
from .requests import Requests
from .running import Running
from .templating import Templating
from .timers import Timers, soonest
from .timing import Timing
from .timing import TypesWatched as TypesWatched
from .tracing import BridgeTraces

if TYPE_CHECKING:
    from ..tracing.spans import Tracer

log = logging.getLogger(__name__)

_TICK = 1.0
"""Longest time, in seconds, for which the loop sleeps without a check of its lease."""
_DECISIONS = 400
"""Decisions in one cycle.
After a hundred thousand changes at once, the first are sent to the workers before the last are
decided, and the lease is checked meanwhile."""
_HELD_UP = 0.5
"""Seconds by which a cycle may be longer than it should be, without having been stopped
or held up."""


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
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
        listen: Callable[[Watch], EventInbox] = WatchInbox,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """:param loaded: what etcd held a moment ago, under the same leadership.
        :param listen: makes the inbox of a watch.
        """
        self._store, self._keys, self._leadership = store, keys, leadership
        self._types, self._timing = types, timing
        self._clock, self._listen = clock, listen
        self._timers, self._metrics = Timers(clock), metrics or Metrics()
        self.world, self._revision = loaded.world, loaded.revision
        self._as_string, self._chance = as_string, chance
        self._send_by(broker, tracer)
        self._decide()
        self._join()
        self._stepped = clock.monotonic()
        self._dispatcher.begin()
        self._resume(loaded.runs)

    def _send_by(self, broker: QueueDoor, tracer: Tracer | None) -> None:
        """Make those that send, and that time what is on its way."""
        timing, traces, passed = self._timing, None, None
        if tracer is not None:
            traces = BridgeTraces(tracer, self.world, self._keys)
            passed = traces.passed
        self._times = ChangeTimes(self._metrics, self._clock, traces)
        self._dispatcher = Dispatcher(
            broker,
            self._timers.after,
            poll_interval=timing.poll_interval,
            tenant_limit=timing.tenant_requests,
            total_limit=timing.total_requests,
            clock=self._clock,
            chance=self._chance,
            metrics=self._metrics,
            passed=passed,
        )
        self._comparing = Comparing(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            dispatcher=self._dispatcher,
            timers=self._timers,
            interval=timing.drift_interval,
            clock=self._clock,
        )

    def _decide(self) -> None:
        """Make those that decide and act."""
        self._outcomes = Outcomes(
            self.world,
            self._keys,
            self._leadership,
            ready=self._release,
            dropped=self._dropped,
            not_run=self._times.ended,
            later=self._later,
            as_string=self._as_string,
            clock=self._clock,
            metrics=self._metrics,
        )
        self._reconciler = Reconciler(
            self.world,
            self._keys,
            self._leadership,
            outcomes=self._outcomes,
            ready=self._dispatcher.submit,
            later=self._later,
            patience=self._timing.patience,
            as_string=self._as_string,
            brake=self._timing.brake,
            clock=self._clock,
            chance=self._chance,
            times=self._times,
        )
        self._pausing = Pausing(
            self._keys, self._leadership, self._dispatcher, self._clock
        )
        self._templating = Templating(
            self.world, self._store, self._keys, self._leadership, self._clock
        )

    def _release(self, job: Job) -> None:
        self._times.released(job)
        self._dispatcher.release(job)

    def _dropped(self, job: Job) -> None:
        self._dispatcher.forget(job.id, job.tenant)
        self._times.dropped(job.id)

    def _join(self) -> None:
        """Make those that events are given to."""
        self._finished = Finished(
            self.world,
            self._keys,
            self._leadership,
            self._outcomes,
            self._clock,
        )
        self._probing = Probing(
            self.world,
            self._dispatcher,
            self._timers,
            self._timing.monitoring_interval,
            self._clock,
        )
        self._stopwatch = Stopwatch(
            self._store, self._keys, self._leadership, self._clock
        )
        self._outputs = OutputsRead(self.world, self._store, self._keys)
        self._running = Running(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            outputs=self._outputs,
            dispatcher=self._dispatcher,
            outcomes=self._outcomes,
            finished=self._finished,
            probing=self._probing,
            stopwatch=self._stopwatch,
            timing=self._timing,
            clock=self._clock,
            times=self._times,
        )
        self._requests = Requests(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            finished=self._finished,
            outcomes=self._outcomes,
            dispatcher=self._dispatcher,
            timers=self._timers,
            clock=self._clock,
        )

    def _resume(self, runs: list[KeyValue]) -> None:
        """Carry on with the jobs as they stand."""
        for kv in self._there(self._keys.pauses):
            self._note(kv)
        under_way = {self._keys.run_job(kv.key) for kv in runs}
        graph = self.world.graph
        for job in list(graph.jobs.values()):
            if job.id not in under_way and not graph.waits_for(job.id):
                self._dispatcher.submit(job)
        # In the order in which it happened: of two jobs on one resource, the later outcome is the
        # one that holds.
        for kv in sorted(runs, key=lambda kv: kv.revision):
            self._running.note(kv, resumed=True)
        for kv in self._there(self._keys.retries):
            self._requests.note(kv.key, kv.value, kv.revision, resumed=True)
        for folder in (self._keys.polls, *self._comparing.folders):
            for kv in self._there(folder):
                self._note(kv)
        self._tell_begun(len(under_way))

    def _tell_begun(self, jobs: int) -> None:
        count(EventName.TERM_BEGUN)
        fields = {"revision": self._revision, "jobs": jobs}
        log.info("Term started", extra={"event": "term_begun", **fields})

    def _there(self, folder: str) -> list[KeyValue]:
        return self._store.list(folder, revision=self._revision)[1]

    # The loop -------------------------------------------------------------------------------------

    def run(self, stopping: threading.Event, health: Health) -> None:
        """Lead until told to stop, or until there are other resource types to lead with.

        :raises LeadershipLost: somebody else leads.
        :raises StoreUnavailable: what etcd holds is in doubt; begin a new term with a new listing.
        """
        watch = self.begin()
        health.leading(watch)
        self._timers.every(EVERY / 2, partial(self._tell_delays, health))
        try:
            while not stopping.is_set() and not self._is_over():
                self.cycle(health)
            self.end()
        finally:
            watch.close()

    def _tell_delays(self, health: Health) -> None:
        """Tell which tenants are delayed."""
        health.delays = self._dispatcher.delays()

    def begin(self) -> Watch:
        """Watch from the listing on, and begin what happens at intervals."""
        keys = self._keys
        ours = (keys.runs, keys.built, keys.retries, keys.pauses)
        others = (
            *keys.config_folders,
            keys.rollouts,
            keys.polls,
            keys.schema_reload,
            *self._comparing.folders,
        )
        watch = self._store.watch([*ours, *others], self._revision + 1)
        self._inbox = self._listen(watch)
        self._timers.every(SUPERVISION, self._dispatcher.supervise)
        self._timers.every(self._timing.deadlines_every, self._running.expire)
        self._timers.every(CHECKED_EVERY, self._pausing.end_due)
        auditing = Auditing(self._store, keys, self._leadership)
        self._timers.every(DROPPED_EVERY, auditing.drop_oldest)
        self._timers.every(STORED_EVERY, self._stopwatch.store)
        self._probing.begin()
        self._comparing.begin()
        self._templating.begin(self._revision)
        return watch

    def cycle(self, health: Health) -> None:
        """Go round once, if this bridge still leads."""
        self._leadership.check()
        self._step()
        health.beat(
            self.sizes(),
            self._dispatcher.wait,
            self._dispatcher.outage.reason,
            self._times.oldest,
        )
        health.tell("deletions", self._reconciler.brake.note())
        health.tell("pause", self._pausing.told())

    def end(self) -> None:
        """Leave nothing behind that is dealt with."""
        self._finished.remove()

    def _is_over(self) -> bool:
        """Whether there are other resource types to lead with."""
        return self._types is not None and self._types.changed

    def sizes(self) -> dict[str, int]:
        """How much there is of what: the kinds of ``orchestrator_world``.

        A new kind is explained in docs/howto/monitoring.md, and may go onto a panel.
        """
        return {
            **self.world.sizes(),
            "deletions_failing": self._running.deletions_failing,
            **self._comparing.sizes,
            **self._dispatcher.sizes(),
        }

    def _step(self) -> None:
        """Whatever has come in and is due, then everything that follows from it."""
        before, self._stepped = self._stepped, self._clock.monotonic()
        if self._stepped - before > _TICK + _HELD_UP:
            # The process was paused and processed no events: restart the grace periods.
            self._reconciler.begin_patience_anew()
        next_timer = self._timers.run_due()
        # What has come goes before what time alone decides.
        self._take_in(0.0)
        self._settle()
        self._take_in(self._pause(next_timer))
        self._settle()

    def _pause(self, next_timer: float | None) -> float:
        """Seconds for which there is nothing to do if nothing comes in."""
        if self.world.dirty:
            return 0.0
        due, flush = self._finished.due(), self._dispatcher.next_flush()
        return soonest(_TICK, next_timer, due, flush)

    def _settle(self) -> None:
        self._outputs.read()
        self._templating.drive()
        self._reconciler.settle(_DECISIONS)
        self._dispatcher.flush(self.world.graph.jobs.__contains__)
        self._finished.remove_due()

    # Events ---------------------------------------------------------------------------------------

    def _take_in(self, seconds: float) -> None:
        for event in self._inbox.take(seconds):
            self._note(event)

    def _note(self, entry: Entry) -> None:
        keys, key, value = self._keys, entry.key, entry.value
        if keys.is_config(key):
            self._note_config(entry)
        elif key.startswith(keys.runs):
            self._running.note(entry)
        elif key.startswith(keys.built):
            self._outputs.note(entry)
        elif key.startswith(keys.polls):
            poll = loading.read_poll(key, value)
            self._dispatcher.polled(keys.poll_tenant(key), poll, entry.revision)
        elif key == keys.pauses:
            self._pausing.note(value, entry.revision)
        elif key.startswith(self._comparing.folders):
            self._comparing.note(entry)
        elif key.startswith(keys.rollouts):
            self._templating.note(entry)
        elif value is not None:
            self._note_request(key, value, entry.revision)

    def _note_request(self, key: str, value: bytes, revision: int) -> None:
        """A person asks for something."""
        if key.startswith(self._keys.retries):
            self._requests.note(key, value, revision)
        elif key == self._keys.schema_reload and self._types:
            self._types.ask()

    def _note_config(self, entry: Entry) -> None:
        now = self._clock.monotonic()
        for fact in loading.take_in(self.world, self._keys, entry, now):
            self._times.note(fact, self.world.dirty, now)
            if isinstance(fact, TemplateChanged):
                self._templating.changed(fact.id)
                if isinstance(self.world.templates.get(fact.id), Template):
                    self._outcomes.repaired(Ref(TEMPLATE_TYPE, fact.id))

    def _later(self, seconds: float, ref: Ref, *, again: bool = False) -> None:
        def due() -> None:
            if again:
                self.world.try_again(ref)
            self.world.touch(ref)

        self._timers.after(seconds, due)
