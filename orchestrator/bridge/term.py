"""One term of leading: list, watch, and deal with events and timers, one after the other, in one
thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ..clients.inbox import EventInbox, WatchInbox
from ..clients.protocols import QueueDoor
from ..clients.store import KeyValue, Store, Watch
from ..clock import CHANCE, CLOCK, Chance, Clock
from ..core.facts import Entry, TemplateChanged
from ..core.keys import Keys
from ..core.refs import Ref
from ..core.templates import TEMPLATE_TYPE, Template
from ..events import EventName, count
from . import loading
from .dispatching import SUPERVISION, Dispatcher
from .durations import STORED_EVERY, Stopwatch
from .finished import Finished
from .health import Health
from .leader import Leadership
from .outcomes import Outcomes
from .outputs import OutputsRead
from .probing import Probing
from .reconciling import Reconciler
from .requests import Requests
from .revisions import TemplateRevisions
from .rollouts import Rollouts
from .running import Running
from .timers import Timers
from .timing import Timing

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
        clock: Clock = CLOCK,
        chance: Chance = CHANCE,
        listen: Callable[[Watch], EventInbox] = WatchInbox,
    ) -> None:
        """:param loaded: what etcd held a moment ago, under the same leadership.
        :param listen: makes the inbox of a watch.
        """
        self._store, self._keys, self._leadership = store, keys, leadership
        self._types, self._timing = types, timing
        self._clock, self._listen = clock, listen
        self._timers = Timers(clock)
        self.world, self._revision = loaded.world, loaded.revision
        self._dispatcher = Dispatcher(
            broker,
            self._timers.after,
            poll_interval=timing.poll_interval,
            tenant_limit=timing.tenant_requests,
            total_limit=timing.total_requests,
            clock=clock,
            chance=chance,
        )
        self._as_string, self._chance = as_string, chance
        self._decide()
        self._join()
        self._stepped = clock.monotonic()
        self._dispatcher.begin()
        self._resume(loaded.runs)

    def _decide(self) -> None:
        """Make those that decide and act."""
        self._outcomes = Outcomes(
            self.world,
            self._keys,
            self._leadership,
            ready=self._dispatcher.submit,
            dropped=lambda job: self._dispatcher.forget(job.id, job.tenant),
            later=self._later,
            as_string=self._as_string,
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
        )

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
        )
        self._join_templates()
        self._requests = Requests(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            finished=self._finished,
            timers=self._timers,
        )

    def _join_templates(self) -> None:
        """Make those that follow templates."""
        self._revisions = TemplateRevisions(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            self._clock,
        )
        self._rollouts = Rollouts(
            self.world,
            self._store,
            self._keys,
            self._leadership,
            self._clock,
        )

    def _resume(self, runs: list[KeyValue]) -> None:
        """Carry on with the jobs as they stand."""
        under_way = {self._keys.run_job(kv.key) for kv in runs}
        graph = self.world.graph
        for job in list(graph.jobs.values()):
            if job.id not in under_way and not graph.waits_for(job.id):
                self._dispatcher.submit(job)
        # In the order in which it happened: of two jobs on one resource, the later outcome is the
        # one that holds.
        for kv in sorted(runs, key=lambda kv: kv.revision):
            self._running.note(kv, resumed=True)
        for folder in (self._keys.retries, self._keys.polls):
            _, found = self._store.list(folder, revision=self._revision)
            for kv in found:
                self._note(kv)
        count(EventName.TERM_BEGUN)
        fields = {
            "event": "term_begun",
            "revision": self._revision,
            "resources": len(self.world.wanted),
            "jobs": len(under_way),
        }
        log.info("Term started", extra=fields)

    # The loop -------------------------------------------------------------------------------------

    def run(self, stopping: threading.Event, health: Health) -> None:
        """Lead until told to stop, or until there are other resource types to lead with.

        :raises LeadershipLost: somebody else leads.
        :raises StoreUnavailable: what etcd holds is in doubt; begin a new term with a new listing.
        """
        watch = self.begin()
        health.leading(watch)
        try:
            while not stopping.is_set() and not self._is_over():
                self.cycle(health)
            self.end()
        finally:
            watch.close()

    def begin(self) -> Watch:
        """Watch from the listing on, and begin what happens at intervals."""
        keys = self._keys
        folders = [
            *keys.config_folders,
            keys.runs,
            keys.built,
            keys.retries,
            keys.rollouts,
            keys.schema_reload,
            keys.polls,
        ]
        watch = self._store.watch(folders, self._revision + 1)
        self._inbox = self._listen(watch)
        self._timers.every(SUPERVISION, self._dispatcher.supervise)
        self._timers.every(self._timing.deadlines_every, self._running.expire)
        self._timers.every(STORED_EVERY, self._stopwatch.store)
        self._probing.begin()
        self._revisions.begin()
        self._rollouts.begin(self._revision)
        return watch

    def cycle(self, health: Health) -> None:
        """Go round once, if this bridge still leads."""
        self._leadership.check()
        self._step()
        health.beat(
            self.sizes(),
            self._dispatcher.wait,
            self._dispatcher.outage.reason,
        )
        health.tell("deletions", self._reconciler.brake.note())

    def end(self) -> None:
        """Leave nothing behind that is dealt with."""
        self._finished.remove()

    def _is_over(self) -> bool:
        """Whether there are other resource types to lead with."""
        return self._types is not None and self._types.changed

    def sizes(self) -> dict[str, int]:
        """How much there is of what."""
        world, held = self.world, 0
        if world.removals.held:
            held = len(world.removals)
        return {
            "resources": len(world.wanted),
            "jobs": len(world.graph.jobs),
            "held": len(world.held),
            "failed": len(world.failed),
            "deletions_failing": self._running.deletions_failing,
            "deletions_held": held,
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
        waits = (
            next_timer,
            self._finished.due(),
            self._dispatcher.next_flush(),
        )
        due = [seconds for seconds in waits if seconds is not None]
        return max(min([_TICK, *due]), 0.0)

    def _settle(self) -> None:
        self._outputs.read()
        self._rollouts.drive()
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
            loading.take_in_built(self.world, keys, entry)
        elif key.startswith(keys.polls):
            self._note_poll(key, value, entry.revision)
        elif key.startswith(keys.rollouts):
            self._rollouts.note(entry)
        elif value is None:
            return
        elif key.startswith(keys.retries):
            self._requests.note(key, value, entry.revision)
        elif key == keys.schema_reload and self._types:
            self._types.ask()

    def _note_config(self, entry: Entry) -> None:
        now = self._clock.monotonic()
        for fact in loading.take_in(self.world, self._keys, entry, now):
            if isinstance(fact, TemplateChanged):
                self._template_changed(fact.id)

    def _template_changed(self, template_id: str) -> None:
        self._revisions.changed(template_id)
        if isinstance(self.world.templates.get(template_id), Template):
            self._outcomes.repaired(Ref(TEMPLATE_TYPE, template_id))

    def _note_poll(self, key: str, value: bytes | None, revision: int) -> None:
        """A worker tells of a poll of a tenant's stacks, or tells no more of it."""
        poll = None
        if value is not None:
            poll = loading.read_poll(key, value)
        self._dispatcher.polled(self._keys.poll_tenant(key), poll, revision)

    def _later(self, seconds: float, ref: Ref, *, again: bool = False) -> None:
        def due() -> None:
            if again:
                self.world.try_again(ref)
            self.world.touch(ref)

        self._timers.after(seconds, due)
