"""The bridge as a process: its doors, what it tells about itself, and the terms that it leads."""

from __future__ import annotations

import logging
import os
import threading

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.queue import Queue
from ..core.removals import BrakeLimits
from ..events import EventName, count
from ..settings import Settings
from . import loading, systemd
from .deadlines import Limits
from .health import Health, serve
from .identity import IdentityGuard
from .leader import Leadership
from .leading import Leading
from .schemas import SchemaKeeper
from .term import Term, Timing

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
    broker = Queue(settings.broker)
    broker.refuse_cluster()
    templates = catalogue.load(settings.templates)
    store = EtcdStore(settings.etcd)
    timing = Timing(
        poll_interval=settings.heat_poll_interval,
        monitoring_interval=settings.monitoring_interval,
        patience=settings.deletion_patience,
        tenant_requests=settings.tenant_requests,
        total_requests=settings.total_requests,
        limits=Limits(
            settings.stack_timeout,
            settings.timeout_margin,
            settings.project_patience,
        ),
        brake=BrakeLimits(
            settings.deletions_at_once, settings.deletions_share / 100
        ),
    )
    health = Health()
    server = (
        serve(health, settings.health_address, settings.health_port)
        if settings.health_port
        else None
    )
    supervised = systemd.report(health, stopping)
    source = schema_list.source(settings.schema_access, templates)
    types = SchemaKeeper(
        source, store, settings.prefixes, settings.schemas_interval, health
    )
    types.prepare(stopping)

    guard = IdentityGuard(store, timing.brake)

    def begin(leadership: Leadership) -> Term:
        keys = types.begin(leadership)
        loaded = loading.load(store, keys, templates.templates)
        guard.admit(leadership, keys, loaded.world, types.digest)
        return Term(
            loaded,
            store,
            keys,
            leadership,
            broker,
            templates.templates,
            timing,
            as_string=settings.state_as_string,
            types=types,
        )

    Leading(store, types.keys, settings.lease_ttl, begin, health).run(stopping)
    if server is not None:
        server.shutdown()
    if supervised is not None:
        supervised.close()
    broker.close()
    store.close()
    ended.set()


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
