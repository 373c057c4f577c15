"""The historian as a process: its doors, and what follows from a signal."""

from __future__ import annotations

import logging
import threading

from ..clients import catalogue, schema_list
from ..clients.etcd import EtcdStore
from ..clients.types import Types
from ..events import EventName, count
from ..metrics.serving import metrics_page, serve
from ..settings import Settings
from . import sources
from .database.opening import DatabaseUnavailable
from .database.retention import Retention
from .database.writing import ChangeWriter
from .following import Historian
from .measuring import HistorianMetrics

log = logging.getLogger(__name__)

_RETRY = 5.0
"""Seconds between two tries to reach the database at the start."""


def run(settings: Settings, stopping: threading.Event) -> None:
    """The historian until *stopping* is set.

    :raises InvalidInput: the database, the catalogue or the schema list cannot be used.
    """
    address = sources.required(settings.history_database)
    metrics = HistorianMetrics()
    if port := settings.historian_metrics_port:
        setting = "ORCHESTRATOR_HISTORIAN_METRICS_PORT"
        pages = {"/metrics": metrics_page(metrics.shown.text)}
        serve(pages, settings.health_address, port, setting)
    recorder = ChangeWriter(address)
    if not _prepare(recorder, stopping):
        return
    templates = catalogue.load(settings.templates)
    source = schema_list.source(settings.schema_access, templates)
    store = EtcdStore(settings.etcd)
    # Only bridges ask an API server: without their list the historian waits.
    asks = schema_list.is_address(settings.schemas)
    own = None if asks else source.read
    types = Types(store, settings.prefixes, own)
    keep = Retention(settings.history_days, settings.history_rows)
    count(EventName.HISTORIAN_STARTED)
    log.info(
        "Historian started",
        extra={"event": "historian_started", "database": str(address)},
    )
    Historian(store, types, recorder, keep, metrics=metrics).run(stopping)
    count(EventName.HISTORIAN_STOPPED)
    log.info("Historian stopped", extra={"event": "historian_stopped"})
    store.close()
    recorder.close()


def _prepare(recorder: ChangeWriter, stopping: threading.Event) -> bool:
    """Bring the tables up to date, as soon as the database answers; False: told to stop."""
    while not stopping.is_set():
        try:
            applied = recorder.migrate()
        except DatabaseUnavailable as error:
            count(EventName.HISTORIAN_WAITS)
            fields = {"event": "historian_waits", "reason": str(error)[:500]}
            log.warning("Historian waits", extra={**fields, "seconds": _RETRY})
            stopping.wait(_RETRY)
            continue
        if applied:
            count(EventName.HISTORY_MIGRATED)
            log.info(
                "History database brought up to date",
                extra={"event": "history_migrated", "versions": applied},
            )
        return True
    return False
