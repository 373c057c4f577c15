"""What the steps work with: the doors and the settings, opened once per process, after the fork."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.clients import catalogue, schema_list
from orchestrator.clients.etcd import EtcdStore
from orchestrator.clients.heat import Heat
from orchestrator.clients.queue import Queue
from orchestrator.clients.store import KeyValue, Lease, Store
from orchestrator.clients.targets import Targets
from orchestrator.core.keys import Keys
from orchestrator.core.templates import BadTemplate, Template, parse_template_value
from orchestrator.core.transactions import Transaction, unchanged
from orchestrator.errors import StoreUnavailable
from orchestrator.settings import Settings

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


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a chain may have claimed: *run* is the key, value and revision of the run, None while that is not known."""

    lease: Lease
    run: tuple[str, str, int] | None = None


class _Chain(threading.local):
    """What the chain in each thread has claimed."""

    claim: _Claim | None = None


class Claims:
    """The lease on which the claims of this process hang."""

    def __init__(self, store: Store, ttl: int) -> None:
        """:param ttl: seconds for which a claim outlives the process."""
        self._store, self._ttl = store, ttl
        self._lease: Lease | None = None
        self._lock = threading.Lock()
        self._chain = _Chain()

    def lease(self) -> Lease:
        """The lease for claims; a new one when the last was lost."""
        with self._lock:
            if self._lease is None or not self._lease.alive:
                self._lease = self._store.lease(self._ttl)
            return self._lease

    def begin_chain(self) -> None:
        """This thread begins something that has claimed nothing so far."""
        self._chain.claim = None

    def claiming(self, lease: Lease) -> None:
        """This thread's chain claims on the lease now: from here on it may have a claim."""
        self._chain.claim = _Claim(lease)

    def claimed(self, lease: Lease, key: str, run: str, revision: int) -> None:
        """It has: the run that says so, as it was written at that revision."""
        self._chain.claim = _Claim(lease, (key, run, revision))

    def give_up(self) -> None:
        """What this thread's chain has claimed and not moved on falls free in the time of a lease, as if the
        process had died: nobody knows whether the next try would be any better.

        The claim is hung on a lease of its own, which ends, for others hang on the one of the process. Where
        it is not known whether there is a claim, or etcd does not answer, that one ends, and all with it.
        """
        claim = self._chain.claim
        if claim is None:
            return
        if claim.run is not None:
            key, run, revision = claim.run
            with contextlib.suppress(StoreUnavailable):
                own = self._store.lease(self._ttl)
                self._store.commit(Transaction((unchanged(key, revision),), {key: run}, leased=frozenset({key})), own)
                own.abandon()
                return
        claim.lease.abandon()

    def give_up_all(self) -> None:
        """The same for whoever in this process has claimed anything."""
        with self._lock:
            if self._lease is not None:
                self._lease.abandon()

    def close(self) -> None:
        """Give back the claims, so that others need not wait for the lease to end."""
        with self._lock:
            if self._lease is not None:
                self._lease.revoke()


@dataclass(slots=True)
class WorkerContext:
    """The doors of one worker process. Tests build it from doubles."""

    keys: Keys
    store: Store
    heat: Heat
    queue: Queue
    targets: Targets
    templates: Mapping[str, Template]
    claims: Claims
    stack_timeout: float = 3600.0
    timeout_margin: float = 300.0
    state_as_string: bool = False
    prompt: Promptness = field(default_factory=Promptness)
    _parsed: dict[str, tuple[int, Template | BadTemplate]] = field(default_factory=dict)
    """The templates of etcd as they were last read, by id, with the revision of the record."""
    _usual: dict[str, str] = field(default_factory=dict)

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
        if known is None or known[0] != stored.revision:
            known = self._parsed[template_id] = (stored.revision, parse_template_value(template_id, stored.value))
        return known[1]

    def warm_up(self) -> None:
        """Pay now for what the first job would otherwise wait for: reading the credentials takes a second."""
        self.heat.warm_up()

    def close(self) -> None:
        self.claims.close()
        self.store.close()


def open_context(settings: Settings) -> WorkerContext:
    """The context of a real worker."""
    templates = catalogue.load(settings.templates)
    schemas = schema_list.load(settings.schemas, templates)
    store = EtcdStore(settings.etcd)
    return WorkerContext(
        keys=Keys(settings.prefixes, schemas),
        store=store,
        heat=Heat(settings.heat_timeout),
        queue=Queue(settings.broker_url),
        targets=Targets(settings.monitoring_timeout),
        templates=templates.templates,
        claims=Claims(store, settings.lease_ttl),
        stack_timeout=settings.stack_timeout,
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
