"""The door to Celery, as seen by whoever sends: names of tasks and queues, options with their
reasons, and :class:`Queue`, which sends by name and imports no task.

A message carries ids only, and is no more than a hint: what is to be done stands in etcd, every task
checks there whether it is still wanted, and the bridge sends again what got lost. So messages are
acknowledged when a task starts (``acks_late`` would run every task twice after a broken connection,
FIELD fact 2), and no result is kept.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from celery import Celery
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.exceptions import ChannelError, OperationalError
from redis.exceptions import RedisError

from ..core.refs import RunId
from ..errors import BrokerUnavailable

SUBMIT = "orchestrator.submit"
"""Prepare a job's request and ask Heat. Argument: the run ids of some jobs."""
WAIT = "orchestrator.wait"
"""Look at the stack once; go on only if Heat is done. Argument: the same."""
RECORD = "orchestrator.record"
"""Write the outcome. Argument: the same."""
LOOK = "orchestrator.look"
"""Look which stacks of a tenant are done. Argument: tenant."""
MONITOR = "orchestrator.monitor"
"""Look at the monitoring targets of resources. Argument: a list of ``type:id``."""

JOBS, RESULTS, LOOKS = "orchestrator.jobs", "orchestrator.results", "orchestrator.looks"
"""Three queues, taken from in turn: a thousand jobs that begin must not delay the one that ends."""

PORTION = 8
"""Jobs in one message, at the most: claimed in one transaction, of which etcd takes 128 operations."""

_ROUTES = {SUBMIT: JOBS, WAIT: RESULTS, RECORD: RESULTS, LOOK: LOOKS, MONITOR: LOOKS}
_EPOCH = "orchestrator.epoch"
_SENDER = {"socket_timeout": 2, "socket_connect_timeout": 1, "max_retries": 1, "interval_start": 0, "interval_step": 0.1}
"""Seconds, and how often a connection is tried, on the side of whoever sends."""


def options(broker_url: str) -> dict[str, Any]:
    """Celery's configuration, for the workers and for whoever sends. The reasons and where they come
    from are in docs/celery.md."""
    return {
        "broker_url": broker_url,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # The anonymous exchange needs no binding in Redis, so a flushed Redis keeps routing.
        "task_queues": [KombuQueue(name, Exchange(""), routing_key=name) for name in (JOBS, RESULTS, LOOKS)],
        "task_routes": {task: {"queue": queue} for task, queue in _ROUTES.items()},
        "task_default_queue": JOBS,
        "task_create_missing_queues": False,
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": True,
        "worker_soft_shutdown_timeout": 10,
        "worker_proc_alive_timeout": 60,
        "task_soft_time_limit": 120,
        "task_time_limit": 150,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": 300,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
        "task_publish_retry": True,
        "task_publish_retry_policy": {"max_retries": 2, "interval_start": 0.05, "interval_step": 0.2, "interval_max": 0.5},
    }


class Queue:
    """The broker. Every method raises :class:`BrokerUnavailable`; the message may be sent all the same."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("orchestrator", set_as_current=False)
        self._app.conf.update(options(broker_url))
        # Whoever sends has other things to do: a Redis that hangs must not hold it for long.
        self._app.conf.broker_transport_options |= _SENDER

    def start(self, runs: Sequence[RunId]) -> None:
        """Send jobs as a chain: submit, wait, record. At most :data:`PORTION`."""
        # What chain() makes of three signatures, without its copies of each: half the time of sending.
        rest = [self._app.signature(name, args=(list(runs),), immutable=True) for name in (RECORD, WAIT)]
        with _renaming():
            self._app.send_task(SUBMIT, args=(list(runs),), chain=rest)

    def record(self, runs: Sequence[RunId]) -> None:
        """Send the last step of jobs whose stacks are done. At most :data:`PORTION`."""
        self._send(RECORD, list(runs))

    def look(self, tenant: str) -> None:
        """Send a look at a tenant's stacks."""
        self._send(LOOK, tenant)

    def monitor(self, refs: Sequence[str]) -> None:
        """Send a look at the monitoring targets of resources, ``type:id`` each."""
        self._send(MONITOR, list(refs))

    def _send(self, task: str, argument: str | list[str]) -> None:
        # Without Celery's `expires`: that is a time by our clock, and the workers' clocks may differ.
        with _renaming():
            self._app.send_task(task, args=(argument,))

    def depth(self) -> int:
        """Messages that no worker has taken yet."""
        with _renaming(), self._app.connection_or_acquire() as connection:
            return sum(_length(connection.default_channel, queue) for queue in (JOBS, RESULTS))

    def looks_waiting(self) -> int:
        """Looks, at stacks and at targets, that no worker has taken yet."""
        with _renaming(), self._app.connection_or_acquire() as connection:
            return _length(connection.default_channel, LOOKS)

    def lost_everything(self) -> bool:
        """Whether the broker has forgotten everything since this was last asked: it was flushed, or
        came back without its data. The first question of all also answers yes."""
        with _renaming(), self._app.connection_or_acquire() as connection:
            client = getattr(connection.default_channel, "client", None)
            return bool(client is not None and client.set(_EPOCH, secrets.token_hex(8), nx=True))

    def kind(self) -> str:
        """What the broker is, for people: ``redis 7.0.15, standalone``."""
        with _renaming(), self._app.connection_or_acquire() as connection:
            client = getattr(connection.default_channel, "client", None)
            if client is None:
                return str(connection.transport.driver_type)
            facts = client.info("server")
            return f"redis {facts.get('redis_version')}, {facts.get('redis_mode')}"

    def close(self) -> None:
        self._app.close()


def _length(channel: Any, queue: str) -> int:
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0  # an empty list is no key in Redis


@contextlib.contextmanager
def _renaming() -> Iterator[None]:
    try:
        yield
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerUnavailable(f"the broker does not answer: {error}") from error
