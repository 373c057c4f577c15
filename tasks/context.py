"""What the steps work with: the doors and the settings, opened once per process, after the fork."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.clients import catalogue, schema_list
from orchestrator.clients.catalogue import Catalogue
from orchestrator.clients.etcd import EtcdStore
from orchestrator.clients.heat import (
    Heat,
    InStore,
    Logins,
    RequestObserver,
    SharedTokens,
)
from orchestrator.clients.protocols import (
    HeatDoor,
    QueueDoor,
    RendererDoor,
    TargetsDoor,
)
from orchestrator.clients.queue import Queue
from orchestrator.clients.renderer import Renderer
from orchestrator.clients.store import KeyValue, Store
from orchestrator.clients.targets import Targets
from orchestrator.clients.types import Types
from orchestrator.clock import CHANCE, CLOCK, Chance, Clock
from orchestrator.core.keys import Keys
from orchestrator.core.stacks import SETTLING, Stack
from orchestrator.core.templates import (
    BadTemplate,
    Template,
    parse_template_value,
)
from orchestrator.errors import TemporaryError
from orchestrator.events import EventName, count
from orchestrator.settings import Settings
from orchestrator.tracing.opening import open_tracer

from .claims import Claims
from .measuring import WorkerMetrics
from .pausing import KnownPauses
from .retries import POLICIES, Policies
from .slow import Slow
from .tracing import WorkerTraces

log = logging.getLogger(__name__)


class Promptness:
    """Which types of resources Heat builds so fast that it is worth polling a stack right after the
    request."""

    MISSES = 3
    """How often in a row Heat was still at work before a type counts as slow.
    One slow stack in ten must not make the whole type count as slow.
    """
    POLL_AGAIN = 16
    """Of a slow type, one stack of so many is polled right after its request."""

    def __init__(self) -> None:
        self._missed: dict[str, int] = {}
        self._unpolled: dict[str, int] = {}

    def worth_polling(self, kind: str) -> bool:
        if self._missed.get(kind, 0) < self.MISSES:
            return True
        self._unpolled[kind] = self._unpolled.get(kind, 0) + 1
        return self._unpolled[kind] >= self.POLL_AGAIN

    def note(self, kind: str, done: bool) -> None:
        """What the poll found."""
        if done:
            self._missed[kind] = 0
        else:
            self._missed[kind] = self._missed.get(kind, 0) + 1
        self._unpolled[kind] = 0


class Sightings:
    """Since when this process has seen stacks that are at rest as they are, by its own monotonic
    clock: the clocks of those who asked and those who poll may disagree."""

    _LONGEST = 600.0
    """Seconds after which a sighting that nobody came back to is forgotten."""

    def __init__(
        self,
        settling: float = SETTLING,
        clock: Clock = CLOCK,
    ) -> None:
        """:param settling: seconds for which a stack has to look the same."""
        self._settling, self._clock = settling, clock
        self.keeps_tags = False
        """Whether this Heat has shown tags of ours: then it keeps them, and a stack without any was
        changed by others."""
        self._seen: dict[str, tuple[Stack | None, float]] = {}

    def settled(self, operation: str, stack: Stack | None) -> bool:
        """Whether the stack has looked like this for long enough to be taken at its word."""
        now = self._clock.monotonic()
        shown = stack and replace(stack, outputs=None)
        seen = self._seen.get(operation)
        if seen is None or seen[0] != shown:
            self._forget(now)
            self._seen[operation] = (shown, now)
            return False
        return now - seen[1] >= self._settling

    def _forget(self, now: float) -> None:
        for operation in [
            known
            for known, (_, at) in list(self._seen.items())
            if now - at > self._LONGEST
        ]:
            self._seen.pop(operation, None)


@dataclass(slots=True)
class WorkerContext:
    """The doors of one worker process. Tests build it from doubles."""

    types: Types
    store: Store
    heat: HeatDoor
    queue: QueueDoor
    targets: TargetsDoor
    templates: Mapping[str, Template]
    claims: Claims
    renderer: RendererDoor
    chain_time: float = 240.0
    """Seconds for all that one chain asks of Heat and Keystone together."""
    stack_timeout: float = 3600.0
    time_limit: float = 300.0
    """Seconds for the chains of a message.
    What they ask of Heat ends before: one that takes longer hangs, and its job is tried again."""
    timeout_margin: float = 300.0
    state_as_string: bool = False
    drift_depth: int = 1
    """How deep sweeps compare: a :class:`~orchestrator.core.records.Depth`."""
    drift_budget: int = 20
    """Stacks that one sweep compares deeper than Heat's list."""
    prompt: Promptness = field(default_factory=Promptness)
    sightings: Sightings = field(default_factory=Sightings)
    policies: Policies = POLICIES
    clock: Clock = CLOCK
    chance: Chance = CHANCE
    slow: Slow = field(default_factory=Slow)
    pauses: KnownPauses = field(default_factory=KnownPauses)
    metrics: WorkerMetrics = field(default_factory=WorkerMetrics)
    traces: WorkerTraces | None = None
    _parsed: dict[str, tuple[tuple[int, int], Template | BadTemplate]] = field(
        default_factory=dict
    )
    """The templates of etcd as they were last read, by id, with etcd's generation and the revision
    of the record."""
    _usual: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> Keys:
        """By the schema list in force, as far as this process has seen."""
        return self.types.keys

    def usual_template(self, kind: str) -> str | None:
        """The id of the template that this type of resource needed the last time: worth reading in
        advance."""
        return self._usual.get(kind)

    def template(
        self, kind: str, template_id: str, stored: KeyValue | None
    ) -> Template | BadTemplate | None:
        """The template of a resource: the record that etcd has of it, or else that of the
        catalogue.

        :param kind: the resource's type.
        """
        self._usual[kind] = template_id
        if stored is None:
            return self.templates.get(template_id)
        known = self._parsed.get(template_id)
        written = (self.store.generation, stored.revision)
        if known is None or known[0] != written:
            known = self._parsed[template_id] = (
                written,
                parse_template_value(template_id, stored.value),
            )
        return known[1]

    def noted(self, stack: Stack | None) -> Stack | None:
        """The same stack; what it tells of Heat is remembered."""
        if stack is not None and stack.job_tags:
            self.sightings.keeps_tags = True
        return stack

    def warm_up(self) -> None:
        """Pay now for what the first job would otherwise wait for: starting a process that renders,
        and reading the credentials, which takes a second."""
        self.renderer.start()
        self.heat.warm_up()

    def check_openstack(self) -> None:
        """Log in, and tell what is wrong if that fails, before a job has to find out."""
        try:
            who = self.heat.check()
        except TemporaryError as error:
            count(EventName.OPENSTACK_CHECK_FAILED)
            fields = {"event": "openstack_check_failed", "reason": str(error)}
            log.error(
                "OpenStack check failed; `orchestrator doctor` says more",
                extra=fields,
            )
        else:
            count(EventName.OPENSTACK_CHECKED)
            log.info(
                "OpenStack check passed",
                extra={"event": "openstack_checked", "who": who},
            )

    def close(self) -> None:
        self.renderer.close()
        self.claims.close()
        self.store.close()
        if self.traces is not None:
            self.traces.close()


def open_context(
    settings: Settings,
    shared: SharedTokens,
    metrics: WorkerMetrics,
    claimed: Callable[[], None] | None = None,
) -> WorkerContext:
    """The context of a real worker.

    :param shared: the tokens of all its processes.
    :param claimed: called after each claim.
    """
    templates = catalogue.load(settings.templates)
    store = EtcdStore(settings.etcd)
    types = _types(settings, store, templates)
    tracer = open_tracer(settings.traces_endpoint, "orchestrator-worker")
    traces = None
    if tracer is not None:
        traces = WorkerTraces(tracer, CLOCK)
    return WorkerContext(
        types=types,
        store=store,
        heat=Heat(
            settings.heat_timeout,
            settings.heat_deadline,
            Logins(InStore(store, types.none)),
            settings.tenant_credentials,
            shared=shared,
            observe=_observer(metrics, traces),
        ),
        queue=Queue(settings.broker),
        targets=Targets(settings.monitoring_timeout, settings.monitoring_rules),
        templates=templates.templates,
        claims=Claims(store, settings.lease_ttl, noted=claimed),
        chain_time=settings.chain_time,
        renderer=Renderer(),
        stack_timeout=settings.stack_timeout,
        time_limit=settings.task_limit,
        timeout_margin=settings.timeout_margin,
        state_as_string=settings.state_as_string,
        drift_depth=settings.drift_depth,
        drift_budget=settings.drift_budget,
        metrics=metrics,
        traces=traces,
    )


def _types(settings: Settings, store: Store, templates: Catalogue) -> Types:
    """The types in force. A list of an API server is the leader's to read."""
    source = schema_list.source(settings.schema_access, templates)
    read = None
    if source.local:
        read = source.read
    return Types(store, settings.prefixes, read)


def _observer(
    metrics: WorkerMetrics, traces: WorkerTraces | None
) -> RequestObserver:
    """Tells whoever wants to know of each request to Heat."""
    if traces is None:
        return metrics.note_request

    def observe(method: str, status: int, seconds: float) -> None:
        metrics.note_request(method, status, seconds)
        traces.note_request(method, status, seconds)

    return observe
