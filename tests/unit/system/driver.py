"""The whole orchestrator in one process: a real term of the bridge, and workers that a test runs.

Everything happens in the test's thread: it is the API server, the bridge's loop, the worker, Heat and
the passing of time. While a test waits for something to become true, the loop goes round, and
messages are carried out, one after the other. Time passes where the bridge would wait: so a test waits for
nothing, and goes the same way each time.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from orchestrator.bridge import loading
from orchestrator.bridge.health import Health
from orchestrator.bridge.leader import campaign
from orchestrator.bridge.term import Term
from orchestrator.bridge.timing import Timing
from orchestrator.clients.types import Types
from orchestrator.core.backoff import Backoff
from orchestrator.core.keys import Keys
from orchestrator.core.records import Run
from orchestrator.core.refs import JobId, Json, Ref, RunId
from orchestrator.core.stacks import Stack
from orchestrator.errors import TemporaryError
from orchestrator.tracing.spans import Tracer
from tasks import steps
from tasks.app import ROUNDS, STEPS
from tasks.claims import Claims
from tasks.context import Sightings, WorkerContext
from tasks.tracing import WorkerTraces

from tests import factories
from tests.doubles import (
    FixedTargets,
    ManualClock,
    MemoryHeat,
    MemoryStore,
    Message,
    PlainRenderer,
    RecordingQueue,
    SteppedInbox,
)

DEADLINE = 12.0
"""Seconds, by the clock of the test, within which everything is done."""


class WorkerDied(BaseException):
    """kill -9 of a worker, as a double raises it at the worst moment."""


class LeaderKilled(BaseException):
    """kill -9 of the bridge, as a fault point raises it."""


class MortalClaims(Claims):
    """A worker that dies hands nothing back."""

    def give_up(self, reason: str) -> None:
        if isinstance(sys.exception(), WorkerDied):
            self.lease().abandon()
        else:
            super().give_up(reason)


Outcome = Callable[[Stack], Mapping[str, Any] | None]
"""How Heat ends an operation: the arguments of :meth:`MemoryHeat.finish`, or None: not yet."""


def complete(stack: Stack) -> Mapping[str, Any]:
    """Every operation succeeds; a stack's output ``id`` is the cloud's name of it."""
    return {
        "outputs": [{"output_key": "id", "output_value": f"cloud-{stack.name}", "description": ""}]
    }


@dataclass
class System:
    """A bridge that leads while the ``with`` block lasts."""

    keys: Keys = field(default_factory=factories.keys)
    store: MemoryStore = field(default_factory=MemoryStore)
    heat: MemoryHeat = field(default_factory=MemoryHeat)
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    targets: FixedTargets = field(default_factory=FixedTargets)
    outcome: Outcome = complete
    timing: Timing = field(
        default_factory=lambda: Timing(poll_interval=0.02, monitoring_interval=3600.0, patience=0.2)
    )
    clock: ManualClock = field(default_factory=ManualClock)
    tracer: Tracer | None = None
    """Writes the spans of bridge and workers."""
    deadline: float = DEADLINE
    twice: bool = False
    """Whether every message arrives twice, one right after the other."""

    def __post_init__(self) -> None:
        self.taken: list[Message] = []
        self.deaths = 0
        doubles: dict[str, Any] = {"heat": self.heat, "queue": self.queue, "targets": self.targets}
        doubles |= {
            "claims": MortalClaims(self.store, 10, self.clock.clock),
            "renderer": PlainRenderer(),
            "templates": factories.templates(),
        }
        # Heat shows at once what it was asked, and nobody asks too often: delays may be short.
        doubles |= {
            "sightings": Sightings(0.1, self.clock.clock),
            "clock": self.clock.clock,
            "chance": self.clock.chance,
            "policies": ((TemporaryError, Backoff(0.05, 0.1)),),
        }
        if self.tracer is not None:
            doubles["traces"] = WorkerTraces(self.tracer, self.clock.clock)
        self.worker = WorkerContext(
            types=Types.fixed(self.store, self.keys), store=self.store, **doubles
        )

    # The bridge -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """A bridge begins its term."""
        leadership = campaign(self.store, self.keys, 10, threading.Event(), clock=self.clock.clock)
        assert leadership is not None
        broker: Any = self.queue
        loaded = loading.load(self.store, self.keys, factories.templates(), self.clock.clock)
        self.health = Health(self.clock.clock)
        self.term = Term(
            loaded,
            self.store,
            self.keys,
            leadership,
            broker,
            factories.templates(),
            self.timing,
            clock=self.clock.clock,
            chance=self.clock.chance,
            listen=SteppedInbox.by(self.clock.clock),
            metrics=self.health.metrics,
            tracer=self.tracer,
        )
        self._leadership = leadership
        self._watch = self.term.begin()
        self.health.leading(self._watch)

    def stop(self) -> None:
        """The bridge ends; what it knew is gone."""
        try:
            self.term.end()
        finally:
            self._watch.close()
            self._leadership.resign()

    def kill(self) -> None:
        """kill -9 of the bridge: it finishes nothing, and its lease ends."""
        self._watch.close()
        self._leadership.resign()

    def cycle(self) -> None:
        """The bridge goes round once, which takes a moment; a longer one where nothing comes in."""
        self.clock.clock.sleep(0.001)
        try:
            self.term.cycle(self.health)
        except Exception as error:
            raise AssertionError("the bridge ended") from error

    # The API server ---------------------------------------------------------------------------------

    def put(self, ref: Ref, version: int = 1, *, marked: bool = False, **properties: Json) -> None:
        value = factories.config_value(ref, version, marked=marked, **properties)
        self.store.put(self.keys.below(self.keys.config, ref), value)

    def remove(self, *refs: Ref) -> None:
        for ref in refs:
            self.store.delete(self.keys.below(self.keys.config, ref))

    # The worker, Heat and time ----------------------------------------------------------------------

    def until(self, ready: Callable[[], object], what: str = "") -> None:
        """Lead, carry out messages and let Heat work until something is true."""
        self._until(ready, what, self.work)

    def lead_until(self, ready: Callable[[], object]) -> None:
        """The same while there is no worker."""
        self._until(ready, "", self.cycle)

    def _until(self, ready: Callable[[], object], what: str, step: Callable[[], None]) -> None:
        end = self.clock.clock.monotonic() + self.deadline
        while not ready():
            assert self.clock.clock.monotonic() < end, (
                f"not within {self.deadline} s: {what or ready}; there is {sorted(self.snapshot())}"
            )
            step()

    def work(self) -> None:
        """The bridge goes round once; then one message, and whatever Heat is ready to end."""
        self.cycle()
        if message := self.queue.take():
            for _ in range(2 if self.twice else 1):
                self.carry_out(message)
        for tenant, stack in self.heat.working():
            if (ended := self.outcome(stack)) is not None:
                self.heat.finish(stack.name, tenant=tenant, **ended)

    def carry_out(self, message: Message) -> None:
        """As Celery would. The lease of a worker that gives up ends at once."""
        self.taken.append(message)
        try:
            if message.tasks[0] in STEPS:
                runs = [RunId(run) for run in message.argument]
                steps.run_chains(self.worker, [STEPS[task] for task in message.tasks], runs)
            else:
                ROUNDS[message.tasks[0]](self.worker, message.argument)
        except TemporaryError:
            self.store.expire_abandoned()
        except WorkerDied:
            self.deaths += 1

    # What there is ----------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Json]:
        """Every key but the configs, the templates' and the leader's, with its value."""
        listed = self.store.list("/")[1]
        ours = [
            kv
            for kv in listed
            if not kv.key.startswith((self.keys.config, self.keys.revisions))
            and kv.key != self.keys.leader
        ]
        return {kv.key: json.loads(kv.value) for kv in ours}

    def state(self, ref: Ref) -> Json:
        found = self.store.get(self.keys.below(self.keys.state, ref))
        return json.loads(found.value) if found else None

    def worker_state(self, ref: Ref) -> tuple[str, int] | None:
        """``("CREATE_COMPLETED", 1)``."""
        state = self.state(ref)
        return (state["state"]["worker_state"], state["version"]) if state else None

    def reported(self, **wanted: tuple[str, int]) -> bool:
        """``reported(n1=("CREATE_COMPLETED", 1))``: by id, for the types whose ids start with their first letter."""
        kinds = {"n": "network", "p": "port", "s": "server"}
        return all(
            self.worker_state(Ref(kinds[identity[0]], identity)) == state
            for identity, state in wanted.items()
        )

    def idle(self) -> bool:
        """No job, no run, nothing on its way."""
        left = [
            *self.store.list(self.keys.jobs, keys_only=True)[1],
            *self.store.list(self.keys.runs, keys_only=True)[1],
        ]
        return not left and not self.heat.working()

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the bridge's ``/metrics``; 0 if there is none."""
        return self.health.metrics.registry.get_sample_value(name, labels) or 0.0

    def runs(self) -> dict[JobId, Run]:
        """Where the jobs stand."""
        return {
            self.keys.run_job(kv.key): Run.from_json(kv.value)
            for kv in self.store.list(self.keys.runs)[1]
        }

    def jobs_made(self) -> list[JobId]:
        """Every job record there ever was, in the order of making."""
        return list(
            dict.fromkeys(
                self.keys.job_id(e.key)
                for e in self.store.history
                if e.key.startswith(self.keys.jobs)
            )
        )

    def asked(self) -> list[tuple[str, str]]:
        """What Heat was asked, as (method, stack)."""
        return [(request.method, request.name) for request in self.heat.requests]
