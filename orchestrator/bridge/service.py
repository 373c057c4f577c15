"""The bridge as a process: its doors, what it tells about itself, and the terms that it leads."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.protocols import QueueDoor
from ..clients.queue import Queue
from ..clients.store import Store
from ..core.removals import BrakeLimits
from ..core.templates import Template
from ..events import EventName, count
from ..settings import Settings
from ..tracing.opening import open_tracer
from . import loading, systemd
from .deadlines import Limits
from .health import Health, serve
from .identity import IdentityGuard
from .leader import Leadership
from .leading import Leading
from .metrics import Metrics
from .presence import presence
from .schemas import SchemaKeeper
from .term import Term
from .timing import Timing

if TYPE_CHECKING:
    from ..tracing.spans import Tracer

log = logging.getLogger(__name__)

STOP_TIMEOUT = 4.0
"""Seconds after which a bridge that was told to stop ends, whatever still waits for etcd.
Nothing is lost: etcd holds everything, and the lease expires by itself."""


def run(settings: Settings, stopping: threading.Event) -> None:
    """The bridge until *stopping* is set.

    :raises InvalidInput: the catalogue, the schema list or the broker cannot be used.
    """
    ended = threading.Event()
    threading.Thread(
        target=_end_in_time, args=(stopping, ended), name="stop", daemon=True
    ).start()
    with ExitStack() as closing:
        broker = Queue(settings.broker)
        closing.callback(broker.close)
        broker.refuse_cluster()
        templates = catalogue.load(settings.templates)
        store = EtcdStore(settings.etcd)
        closing.callback(store.close)
        tracer = _tracer(settings, closing)
        health = Health(metrics=Metrics(tenants=settings.metrics_tenants))
        _report(health, settings, stopping, closing)
        source = schema_list.source(settings.schema_access, templates)
        types = SchemaKeeper(
            source, store, settings.prefixes, settings.schemas_interval, health
        )
        types.prepare(stopping)
        terms = _Terms(
            settings,
            store,
            broker,
            templates.templates,
            types,
            health.metrics,
            tracer,
        )
        leading = Leading(
            store, types.keys, settings.lease_ttl, terms.begin, health
        )
        _say_alive(leading, store, types, health, closing)
        leading.run(stopping)
    ended.set()


def _say_alive(
    leading: Leading,
    store: Store,
    types: SchemaKeeper,
    health: Health,
    closing: ExitStack,
) -> None:
    """Keep the key that says that this bridge is alive, until the end."""
    alive = presence(store, types.keys, leading.who, health)
    alive.start()
    closing.callback(alive.close)


def _tracer(settings: Settings, closing: ExitStack) -> Tracer | None:
    """What takes the spans of this bridge; None while there is no place for them."""
    tracer = open_tracer(settings.traces_endpoint, "orchestrator-bridge")
    if tracer is not None:
        closing.callback(tracer.close)
    return tracer


def _report(
    health: Health,
    settings: Settings,
    stopping: threading.Event,
    closing: ExitStack,
) -> None:
    """Tell whoever asks, and systemd, how the bridge is."""
    supervised = systemd.report(health, stopping)
    if supervised is not None:
        closing.callback(supervised.close)
    if settings.health_port:
        address, port = settings.health_address, settings.health_port
        closing.callback(serve(health, address, port).shutdown)


class _Terms:
    """Begins each term with what etcd holds at that time."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        broker: QueueDoor,
        templates: Mapping[str, Template],
        types: SchemaKeeper,
        metrics: Metrics,
        tracer: Tracer | None,
    ) -> None:
        self._store, self._broker = store, broker
        self._templates, self._types = templates, types
        self._timing = timing(settings)
        self._as_string = settings.state_as_string
        self._metrics, self._tracer = metrics, tracer
        self._follow = settings.follow_outputs
        self._guard = IdentityGuard(store, self._timing.brake)

    def begin(self, leadership: Leadership) -> Term:
        """A term under a leadership.

        :raises IdentityDiffers: this bridge leads for something else than the one before.
        """
        keys = self._types.begin(leadership)
        loaded = loading.load(
            self._store, keys, self._templates, follow=self._follow
        )
        self._guard.admit(leadership, keys, loaded.world, self._types.digest)
        return Term(
            loaded,
            self._store,
            keys,
            leadership,
            self._broker,
            self._templates,
            self._timing,
            as_string=self._as_string,
            types=self._types,
            metrics=self._metrics,
            tracer=self._tracer,
        )


def timing(settings: Settings) -> Timing:
    """How often and how many, by the settings."""
    limits = Limits(
        settings.stack_timeout,
        settings.timeout_margin,
        settings.project_patience,
    )
    brake = BrakeLimits(
        settings.deletions_at_once, settings.deletions_share / 100
    )
    return Timing(
        poll_interval=settings.heat_poll_interval,
        monitoring_interval=settings.monitoring_interval,
        drift_interval=settings.drift_interval,
        patience=settings.deletion_patience,
        tenant_requests=settings.tenant_requests,
        total_requests=settings.total_requests,
        limits=limits,
        brake=brake,
    )


def _end_in_time(stopping: threading.Event, ended: threading.Event) -> None:
    """A call of etcd that is under way cannot be cancelled, and an etcd that is away takes long to
    try."""
    stopping.wait()
    if ended.wait(STOP_TIMEOUT):
        return
    count(EventName.STOP_FORCED)
    fields = {"event": "stop_forced", "seconds": STOP_TIMEOUT}
    log.warning(
        "Bridge stopped without an answer from etcd, its lease expires by itself",
        extra=fields,
    )
    logging.shutdown()
    os._exit(0)
