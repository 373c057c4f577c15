"""What the steps work with: the doors and the settings, opened once per process, after the fork."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.clients import catalogue, schema_list
from orchestrator.clients.etcd import EtcdStore
from orchestrator.clients.heat import Heat, InStore, Logins
from orchestrator.clients.queue import Queue
from orchestrator.clients.renderer import Renderer
from orchestrator.clients.store import KeyValue, Lease, Store
from orchestrator.clients.targets import Targets
from orchestrator.clients.types import Types
from orchestrator.core.keys import Keys
from orchestrator.core.records import Cause, Run, Step
from orchestrator.core.stacks import SETTLING, Stack
from orchestrator.core.templates import BadTemplate, Template, parse_template_value
from orchestrator.core.transactions import Transaction, unchanged
from orchestrator.errors import StoreUnavailable, TemporaryError
from orchestrator.settings import Settings

from .retries import POLICIES, Policies, delay

log = logging.getLogger(__name__)


class Promptness:
    """Which types of resources Heat builds so fast that a look right after the request is worth it."""

    MISSES = 3
    """After so many looks in a row that found Heat still at work, a type counts as slow: of one of which only every
    tenth stack takes its time, the others are not to wait for the tenant's look."""
    LOOK_AGAIN = 16
    """At a slow type, one request of so many is followed by a look."""

    def __init__(self) -> None:
        self._missed: dict[str, int] = {}
        self._unlooked: dict[str, int] = {}

    def worth_a_look(self, kind: str) -> bool:
        if self._missed.get(kind, 0) < self.MISSES:
            return True
        self._unlooked[kind] = self._unlooked.get(kind, 0) + 1
        return self._unlooked[kind] >= self.LOOK_AGAIN

    def note(self, kind: str, done: bool) -> None:
        """What the look found."""
        self._missed[kind] = 0 if done else self._missed.get(kind, 0) + 1
        self._unlooked[kind] = 0


class Sightings:
    """Since when this process has seen stacks that are at rest as they are, by its own monotonic clock: the clocks of
    those who asked and those who look may disagree."""

    _LONGEST = 600.0
    """Seconds after which a sighting that nobody came back to is forgotten."""

    def __init__(self, settling: float = SETTLING, clock: Callable[[], float] = time.monotonic) -> None:
        """:param settling: seconds for which a stack has to look the same."""
        self._settling, self._clock = settling, clock
        self.keeps_tags = False
        """Whether this Heat has shown tags of ours: then it keeps them, and a stack without any was changed by others."""
        self._seen: dict[str, tuple[Stack | None, float]] = {}

    def settled(self, operation: str, stack: Stack | None) -> bool:
        """Whether the stack has looked like this for long enough to be taken at its word."""
        now = self._clock()
        shown = replace(stack, outputs=None) if stack else None
        seen = self._seen.get(operation)
        if seen is None or seen[0] != shown:
            self._forget(now)
            self._seen[operation] = (shown, now)
            return False
        return now - seen[1] >= self._settling

    def _forget(self, now: float) -> None:
        for operation in [known for known, (_, at) in list(self._seen.items()) if now - at > self._LONGEST]:
            self._seen.pop(operation, None)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a chain may have claimed: *run* is the key, value and revision of the run, None while that is not known."""

    lease: Lease
    run: tuple[str, str, int] | None = None


class _Chain(threading.local):
    """What the chain in each thread has claimed."""

    claim: _Claim | None = None


_LEASE_USED_FOR = 120.0
"""Seconds after which new claims hang on a new lease."""
_LEASE_RENEWED_FOR = _LEASE_USED_FOR + 180.0
"""Seconds after which a lease is renewed no more: longer than a message may take (``task_time_limit``, 150 s)."""


class Claims:
    """The leases on which the claims of this process hang, one at a time for new claims, and what hangs
    on them.

    It is changed for another one now and then, and when etcd was restored from a backup. The backup may hold claims
    of this process that it has long moved on from. They would stay for as long as it lives, if their lease did.
    """

    def __init__(self, store: Store, ttl: int) -> None:
        """:param ttl: seconds for which a claim outlives the process."""
        self._store, self._ttl = store, ttl
        self._leases: list[Lease] = []
        self._made = 0.0
        self._lock = threading.Lock()
        self._chain = _Chain()
        self._held: dict[str, _Claim] = {}
        """The claims of all chains, by the key of the run."""

    def lease(self) -> Lease:
        """The lease for claims; a new one when the last was lost, or is old."""
        with self._lock:
            now = time.monotonic()
            self._leases = [lease for lease in self._leases if lease.alive]
            if not self._leases or now - self._made > _LEASE_USED_FOR:
                self._leases.append(self._store.lease(self._ttl, renew_for=_LEASE_RENEWED_FOR))
                self._made = now
            return self._leases[-1]

    def begin_chain(self) -> None:
        """This thread begins something that has claimed nothing so far."""
        self._chain.claim = None

    def end_chain(self) -> None:
        """What this thread's chain had claimed is moved on."""
        claim, self._chain.claim = self._chain.claim, None
        if claim is not None and claim.run is not None:
            self._held.pop(claim.run[0], None)

    def claiming(self, lease: Lease) -> None:
        """This thread's chain claims on the lease now: from here on it may have a claim."""
        self._chain.claim = _Claim(lease)

    def claimed(self, lease: Lease, key: str, run: str, revision: int) -> None:
        """It has: the run that says so, as it was written at that revision."""
        self._chain.claim = self._held[key] = _Claim(lease, (key, run, revision))

    def holds(self) -> bool:
        """Whether nobody has given up the claim of this thread's chain meanwhile."""
        claim = self._chain.claim
        return claim is None or claim.run is None or claim.run[0] in self._held

    def give_up(self, reason: str) -> None:
        """What this thread's chain has claimed and not moved on is to be tried again, by whoever comes first.

        Where it is not known whether there is a claim, or etcd does not answer, the lease ends, and all that hangs on
        it falls free as if the process had died.
        """
        claim = self._chain.claim
        if claim is None:
            return
        self.end_chain()
        if claim.run is None or not self._hand_back(claim, reason):
            claim.lease.abandon()

    def give_up_all(self, reason: str) -> None:
        """The same for whoever in this process has claimed anything: nobody of them asks Heat for anything more."""
        with self._lock:
            for lease in self._leases:
                lease.abandon()
        for key, claim in list(self._held.items()):
            self._held.pop(key, None)
            self._hand_back(claim, reason)

    def give_up_late(self, keys: Iterable[str], reason: str) -> None:
        """The same for some chains of this process that do not end, by the keys of their runs."""
        for key in keys:
            if (claim := self._held.pop(key, None)) is not None:
                self._hand_back(claim, reason)

    def _hand_back(self, claim: _Claim, reason: str) -> bool:
        """Move the run of a claim to *retry*, if it is still where it was; whether etcd has answered.

        A worker that lives says so itself: otherwise it would look like one that died over the job.
        """
        assert claim.run is not None
        key, text, revision = claim.run
        run = Run.from_json(text)
        seconds = delay(TemporaryError(), run.attempt + 1)
        retried = replace(
            run,
            step=Step.RETRY,
            attempt=run.attempt + 1,
            delay=seconds,
            due=round(time.time() + seconds, 3),
            reason=reason,
            cause=Cause.UNAVAILABLE.value,
            asked=True,
        )
        with contextlib.suppress(StoreUnavailable):
            self._store.commit(Transaction((unchanged(key, revision),), {key: retried.to_json()}))
            return True
        return False

    def close(self) -> None:
        """Give back the claims, so that others need not wait for the lease to end."""
        with self._lock:
            for lease in self._leases:
                lease.revoke()


@dataclass(slots=True)
class WorkerContext:
    """The doors of one worker process. Tests build it from doubles."""

    types: Types
    store: Store
    heat: Heat
    queue: Queue
    targets: Targets
    templates: Mapping[str, Template]
    claims: Claims
    renderer: Renderer
    chain_time: float = 240.0
    """Seconds for all that one chain asks of Heat and Keystone together."""
    stack_timeout: float = 3600.0
    time_limit: float = 300.0
    """Seconds for the chains of a message. What they ask of Heat ends before: one that takes longer hangs, and its job is
    tried again."""
    timeout_margin: float = 300.0
    state_as_string: bool = False
    prompt: Promptness = field(default_factory=Promptness)
    sightings: Sightings = field(default_factory=Sightings)
    policies: Policies = POLICIES
    _parsed: dict[str, tuple[tuple[int, int], Template | BadTemplate]] = field(default_factory=dict)
    """The templates of etcd as they were last read, by id, with etcd's generation and the revision of the record."""
    _usual: dict[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> Keys:
        """By the schema list in force, as far as this process has seen."""
        return self.types.keys

    def usual_template(self, kind: str) -> str | None:
        """The id of the template that this type of resource needed the last time: worth reading in advance."""
        return self._usual.get(kind)

    def template(self, kind: str, template_id: str, stored: KeyValue | None) -> Template | BadTemplate | None:
        """The template of a resource: the record that etcd has of it, or else that of the catalogue.

        :param kind: the resource's type.
        """
        self._usual[kind] = template_id
        if stored is None:
            return self.templates.get(template_id)
        known = self._parsed.get(template_id)
        written = (self.store.generation, stored.revision)
        if known is None or known[0] != written:
            known = self._parsed[template_id] = (written, parse_template_value(template_id, stored.value))
        return known[1]

    def noted(self, stack: Stack | None) -> Stack | None:
        """The same stack; what it tells of Heat is remembered."""
        if stack is not None and stack.job_tags:
            self.sightings.keeps_tags = True
        return stack

    def warm_up(self) -> None:
        """Pay now for what the first job would otherwise wait for: starting a process that renders, and reading
        the credentials, which takes a second."""
        self.renderer.start()
        self.heat.warm_up()

    def check_openstack(self) -> None:
        """Log in, and tell what is wrong if that fails, before a job has to find out."""
        try:
            who = self.heat.check()
        except TemporaryError as error:
            fields = {"event": "openstack_check_failed", "reason": str(error)}
            log.error("OpenStack check failed; `orchestrator doctor` says more", extra=fields)
        else:
            log.info("OpenStack check passed", extra={"event": "openstack_checked", "who": who})

    def close(self) -> None:
        self.renderer.close()
        self.claims.close()
        self.store.close()


def open_context(settings: Settings) -> WorkerContext:
    """The context of a real worker."""
    templates = catalogue.load(settings.templates)
    source = schema_list.source(settings.schema_access, templates)
    store = EtcdStore(settings.etcd)
    types = Types(store, settings.prefixes, source.read if source.local else None)
    return WorkerContext(
        types=types,
        store=store,
        heat=Heat(
            settings.heat_timeout,
            settings.heat_deadline,
            Logins(InStore(store, types.none)),
            settings.tenant_credentials,
        ),
        queue=Queue(settings.broker),
        targets=Targets(settings.monitoring_timeout, settings.monitoring_rules),
        templates=templates.templates,
        claims=Claims(store, settings.lease_ttl),
        chain_time=settings.chain_time,
        renderer=Renderer(),
        stack_timeout=settings.stack_timeout,
        time_limit=settings.task_limit,
        timeout_margin=settings.timeout_margin,
        state_as_string=settings.state_as_string,
    )


class PerProcess:
    """The context of this process: connections do not survive a fork, so each child opens its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[int, WorkerContext] | None = None

    def __call__(self) -> WorkerContext:
        with self._lock:
            if self._opened is None or self._opened[0] != os.getpid():
                self._opened = (os.getpid(), open_context(self._settings))
            return self._opened[1]

    def close(self) -> None:
        with self._lock:
            if self._opened is not None and self._opened[0] == os.getpid():
                self._opened[1].close()
                self._opened = None
