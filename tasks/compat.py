"""What Celery 5.7.0 does otherwise than a worker of ours should, and how it is put right.

``orchestrator/clients/redis_transport.py`` does the same for kombu's transport. Each function names
the fault; a test shows it; remove it when the test passes without.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from celery import signals
from celery.app.amqp import AMQP
from celery.apps import worker as worker_program
from kombu import Connection

from orchestrator import log as logs
from orchestrator.events import EventName, count

log = logging.getLogger(__name__)


RECONNECT = 5.0
"""Seconds between two tries to reach a broker that is away, at most."""


class _SteadyConnection(Connection):  # type: ignore[misc]
    """Celery's consumer waits two seconds longer after every try, up to thirty: after an outage of
    four minutes it would be back half a minute late, and has no option for that.
    """

    def _ensure_connection(self, *args: Any, **options: Any) -> Any:
        options.setdefault("interval_start", 1)
        options.setdefault("interval_step", 1)
        options.setdefault("interval_max", RECONNECT)
        return super()._ensure_connection(*args, **options)


class SteadyAMQP(AMQP):  # type: ignore[misc]
    """For ``Celery(amqp=…)``."""

    Connection = _SteadyConnection


class _Told:
    """An error as a person reads it."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __repr__(self) -> str:
        return f"{type(self._error).__name__}: {self._error}"


class _Reasons(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_without_traceback, record.args))
        return True


def _without_traceback(argument: object) -> object:
    if isinstance(argument, BaseException):
        return _Told(argument)
    return argument


def tell_reasons() -> None:
    """Celery's consumer logs the ``repr`` of what it lost the connection by, and redis-py 8 answers
    ``server:ResponseError``: without a reason. And it warns at every loss that an option will have
    another default one day, though the option is set.
    """
    logging.getLogger("celery.worker.consumer.consumer").addFilter(_Reasons())
    # By its text: Celery's own filter shows all its warnings, and goes before any of ours.
    logging.getLogger("py.warnings").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return (
        "worker_cancel_long_running_tasks_on_connection_loss"
        not in record.getMessage()
    )


def log_as_documents() -> None:
    """With ``ORCHESTRATOR_LOG_FORMAT=json``: no line of the worker's program is another text.

    Celery prints a banner to standard output, and at its end sentences such as *worker: Warm
    shutdown (MainProcess)* to standard error, from a signal handler.
    """
    signals.celeryd_init.connect(_no_banner, weak=False)
    signals.celeryd_after_setup.connect(_instead_of_banner, weak=False)
    worker_program.safe_say = _say


def _no_banner(instance: Any = None, **_: Any) -> None:
    if instance is not None:
        instance.quiet = True


def _instead_of_banner(
    sender: str = "", instance: Any = None, **_: Any
) -> None:
    count(EventName.WORKER_STARTED)
    fields: dict[str, Any] = {"event": "worker_started", "hostname": sender}
    if instance is not None:
        fields["concurrency"] = instance.concurrency
        fields["broker"] = instance.app.connection().as_uri()
        fields["queues"] = sorted(instance.app.amqp.queues)
    log.info("Worker started", extra=fields)


def _say(message: str, *_: Any) -> None:
    """In a signal handler: a logger might be holding a lock that this thread waits for."""
    count(EventName.WORKER_SAYS)
    text = logs.line(logging.INFO, str(message), event="worker_says")
    stderr = 2
    if sys.__stderr__:
        stderr = sys.__stderr__.fileno()
    os.write(stderr, f"{text}\n".encode())
