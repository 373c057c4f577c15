"""The steps as Celery tasks: the one place that knows both."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery, signals
from celery.exceptions import SoftTimeLimitExceeded

from orchestrator import log as logs
from orchestrator.clients import queue
from orchestrator.errors import TemporaryError
from orchestrator.settings import Settings

from . import compat, following, steps
from .context import PerProcess, WorkerContext

log = logging.getLogger(__name__)

TASKS: dict[str, Callable[[WorkerContext, Any], bool | int]] = {
    queue.SUBMIT: steps.submit,
    queue.WAIT: steps.wait,
    queue.RECORD: steps.record,
    queue.LOOK: steps.look,
    queue.MONITOR: following.monitor,
}
"""Explicit names: moving a function never breaks a message that is already queued."""


def make_app(settings: Settings) -> Celery:
    """The Celery application of the workers."""
    compat.install()
    app = Celery("tasks")
    app.conf.update(queue.options(settings.broker_url))
    context = PerProcess(settings)
    for name, step in TASKS.items():
        register(app, name, step, context)
    signals.setup_logging.connect(lambda **_: logs.configure(settings.log_level, settings.log_format), weak=False)
    signals.worker_process_init.connect(lambda **_: _warm_up(context), weak=False)
    signals.worker_process_shutdown.connect(lambda **_: context.close(), weak=False)
    signals.worker_shutdown.connect(lambda **_: context.close(), weak=False)
    return app


def _warm_up(context: Callable[[], WorkerContext]) -> None:
    try:
        context().warm_up()
    except Exception as error:  # the first job tells the same, where it can be seen and tried again
        log.warning("Not ready yet", extra={"event": "warm_up_failed", "reason": str(error)})


def register(
    app: Celery, name: str, step: Callable[[WorkerContext, Any], bool | int], context: Callable[[], WorkerContext]
) -> None:
    """Make a step a task; what it answers decides whether its chain goes on."""

    @app.task(name=name, bind=True, shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
    def run(task: Any, argument: Any) -> None:
        goes_on = False
        try:
            goes_on = bool(step(context(), argument))
        except TemporaryError as error:
            # Nothing is lost: the bridge sends again what stands in etcd and is not under way.
            log.warning("Task gives way", extra={"event": "task_gave_way", "task": name, "about": argument, "reason": str(error)})
        except SoftTimeLimitExceeded:
            log.error("Task ran out of time", extra={"event": "task_timeout", "task": name, "about": argument})
        if not goes_on:
            task.request.chain = None  # The rest of the chain is sent anew when its time has come.
