"""Run for ever: stand by, lead a term, and after any trouble begin anew from what etcd holds."""

from __future__ import annotations

import gc
import logging
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.queue import Queue
from ..errors import StoreUnavailable
from ..settings import Settings
from .deadlines import Limits
from .health import CountEvents, Health, serve
from .leader import Leadership, LeadershipLost, campaign
from .schemas import SchemaKeeper
from .term import Term, Timing

log = logging.getLogger(__name__)


def run(settings: Settings, stopping: threading.Event) -> None:
    """The bridge until *stopping* is set.

    :raises InvalidInput: the catalogue or the schema list cannot be used.
    """
    templates = catalogue.load(settings.templates)
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
    source = schema_list.source(settings.schema_access, templates)
    types = SchemaKeeper(source, store, settings.prefixes, settings.schemas_interval, health)
    types.prepare(stopping)
    delay = 0.2
    while not stopping.is_set():
        leadership: Leadership | None = None
        term: Term | None = None  # what the one before knew must not be in memory beside what this one loads
        try:
            health.standing_by()
            leadership = campaign(store, types.keys, settings.lease_ttl, stopping)
            if leadership is None:
                break
            with _few_collections():
                term = Term(
                    store,
                    types.begin(leadership),
                    leadership,
                    broker,
                    templates.templates,
                    timing,
                    as_string=settings.state_as_string,
                    types=types,
                )
            delay = 0.2
            term.run(stopping, health)
        except LeadershipLost as error:
            log.warning("Leading no more", extra={"event": "leadership_lost", "reason": str(error)})
        except StoreUnavailable as error:
            log.warning("etcd is in doubt, beginning anew", extra={"event": "term_ended", "reason": str(error)})
            stopping.wait(delay * random.uniform(0.5, 1.5))
            delay = min(delay * 2, 5.0)
        finally:
            if leadership is not None:
                leadership.resign()
    for handler in logging.getLogger().handlers:
        handler.removeFilter(count)
    if server is not None:
        server.shutdown()
    broker.close()
    store.close()


@contextmanager
def _few_collections() -> Iterator[None]:
    """A term begins with a million objects that all stay. The garbage collector would go through them again
    and again while they are made, and stop the loop whenever it goes through everything later; so it
    leaves them alone until the next term begins."""
    gc.unfreeze()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
