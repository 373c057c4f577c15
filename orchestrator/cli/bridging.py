"""``orchestrator bridge``."""

from __future__ import annotations

import logging
import signal
import threading
from importlib import import_module

import typer

from .. import log
from .. import settings as configuration
from ..errors import OrchestratorError, SettingsError
from .exits import Exit
from .session import exit_code


def bridge() -> None:
    """Follow the wanted configuration, make jobs of its changes and send them to the workers.

    Runs until it is told to stop (SIGTERM, Ctrl-C).
    Any number may run: one leads, the others stand by and take over when it is gone.
    Workers are started with `celery -A tasks worker`.
    """
    try:
        settings = configuration.load()
    except SettingsError as error:
        log.tell_refused(error)
        raise typer.Exit(Exit.INPUT) from error
    log.configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # Only this command needs the broker, so the others start without it.
    service = import_module("orchestrator.bridge.service")
    try:
        service.run(settings, stop)
    except OrchestratorError as error:
        if settings.log_format != "json":
            raise
        fields = {"event": "bridge_refused", "reason": str(error)}
        logging.getLogger(__name__).error("The bridge cannot run", extra=fields)
        raise typer.Exit(exit_code(error)) from error
    except Exception as error:
        # A daemon's defect belongs into its log with all that is known; whoever supervises it
        # starts it again.
        logging.getLogger(__name__).exception(
            "The bridge ended by a defect", extra={"event": "bridge_defect"}
        )
        raise typer.Exit(Exit.DEFECT) from error
