"""The bridge as a process: its doors, what it tells about itself, and the terms that it leads."""

from __future__ import annotations

import logging
import threading

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.queue import Queue
from ..core.keys import Keys
from ..core.schemas import Schemas
from ..errors import TemporaryError
from ..settings import Settings
from .deadlines import Limits
from .health import CountEvents, Health, serve
from .leader import Leadership
from .leading import Leading
from .term import Term, Timing

log = logging.getLogger(__name__)


def run(settings: Settings, stopping: threading.Event) -> None:
    """The bridge until *stopping* is set.

    :raises InvalidInput: the catalogue or the schema list cannot be used.
    """
    templates = catalogue.load(settings.templates)
    keys = Keys(settings.prefixes, _schemas(settings, templates, stopping))
    store, broker = EtcdStore(settings.etcd), Queue(settings.broker_url)
    timing = Timing(
        look_interval=settings.heat_poll_interval,
        monitoring_interval=settings.monitoring_interval,
        patience=settings.deletion_patience,
        tenant_requests=settings.tenant_requests,
        total_requests=settings.total_requests,
        limits=Limits(settings.stack_timeout, settings.timeout_margin, settings.project_patience),
    )
    health = Health()
    count = CountEvents(health)
    for handler in logging.getLogger().handlers:
        handler.addFilter(count)
    server = serve(health, settings.health_address, settings.health_port) if settings.health_port else None

    def begin(leadership: Leadership) -> Term:
        return Term(store, keys, leadership, broker, templates.templates, timing, as_string=settings.state_as_string)

    Leading(store, keys, settings.lease_ttl, begin, health).run(stopping)
    for handler in logging.getLogger().handlers:
        handler.removeFilter(count)
    if server is not None:
        server.shutdown()
    broker.close()
    store.close()


def _schemas(settings: Settings, templates: catalogue.Catalogue, stopping: threading.Event) -> Schemas:
    while True:
        try:
            return schema_list.load(settings.schemas, templates)
        except TemporaryError as error:
            log.warning("Waiting for the schema list", extra={"event": "schemas_unavailable", "reason": str(error)})
            if stopping.wait(3.0):
                raise
