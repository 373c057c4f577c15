"""The door to Celery, as seen by whoever sends: names of tasks and queues, options with their
reasons, and :class:`Queue`, which sends by name and imports no task.

A message carries ids only, and is no more than a hint: what is to be done stands in etcd, every
task checks there whether it is still wanted, and the bridge sends again what got lost.
So messages are acknowledged when a task starts (``acks_late`` would run every task twice after a
broken connection, FIELD fact 2), and no result is kept.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from kombu import Exchange, pools
from kombu import Queue as KombuQueue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ..core.drift import SweepOrder
from ..core.refs import Json, RunId
from ..errors import BrokerUnavailable, SettingsError
from . import redis_transport
from .broker import BrokerAccess

SUBMIT = "orchestrator.submit"
"""Prepare a job's request and ask Heat. Argument: the run ids of some jobs."""
WAIT = "orchestrator.wait"
"""Poll the stack once; go on only if Heat is done. Argument: the same."""
RECORD = "orchestrator.record"
"""Write the outcome. Argument: the same."""
POLL = "orchestrator.poll"
"""Poll a tenant's stacks: which are done? Argument: tenant."""
MONITOR = "orchestrator.monitor"
"""Probe the monitoring targets of resources. Argument: a list of ``type:id``."""
SWEEP = "orchestrator.sweep"
"""Compare a tenant's stacks with our records. Argument: a tenant and its resources
(:class:`~orchestrator.core.drift.SweepOrder`)."""

SENT = JOBS, RESULTS, PERIODIC = (
    "orchestrator.jobs",
    "orchestrator.results",
    "orchestrator.periodic",
)
"""Three queues, taken from in turn: a thousand jobs that begin must not delay the one that ends.
The last one is for the tasks that the bridge sends at intervals."""

OLD_POLL = "orchestrator.look"
"""The name of :data:`POLL` until November 2026. Workers take it, so that a bridge of such a release
may run beside them during an upgrade. It goes with release 0.2."""
OLD_PERIODIC = "orchestrator.looks"
"""The name of :data:`PERIODIC` until then."""
QUEUES = (*SENT, OLD_PERIODIC)
"""The queues from which a worker takes."""

GROUP = 8
"""Jobs in one message, at the most: claimed in one transaction, of which etcd takes 128 operations.
"""

_ROUTES = {
    SUBMIT: JOBS,
    WAIT: RESULTS,
    RECORD: RESULTS,
    POLL: PERIODIC,
    MONITOR: PERIODIC,
    SWEEP: PERIODIC,
}
_EPOCH = "orchestrator.epoch"
_TRANSPORT: dict[str, Json] = {
    "visibility_timeout": 300,
    "unacked_restore_throttle": 1,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
"""Transport options. Times in seconds."""
_SENDER: dict[str, Json] = {
    "socket_timeout": 2,
    "socket_connect_timeout": 1,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
}
"""Seconds, and how often a connection is tried, on the side of whoever sends: it has other things
to do, and a Redis that hangs must not hold it for long."""


def options(access: BrokerAccess, **transport: Json) -> dict[str, Any]:
    """Celery's configuration, for the workers and for whoever sends.
    The reasons and where they come from are in docs/celery.md.

    :param transport: transport options other than the workers'.
    """
    redis_transport.install()
    return {
        "broker_url": access.address.kombu_url,
        "broker_use_ssl": access.ssl_options,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        # The anonymous exchange needs no binding in Redis, so a flushed Redis keeps routing.
        "task_queues": [
            KombuQueue(name, Exchange(""), routing_key=name) for name in QUEUES
        ],
        "task_routes": {
            task: {"queue": queue} for task, queue in _ROUTES.items()
        },
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
        "broker_transport_options": access.transport_options(
            **{**_TRANSPORT, **transport}
        ),
        "task_publish_retry": True,
        "task_publish_retry_policy": {
            "max_retries": 2,
            "interval_start": 0.05,
            "interval_step": 0.2,
            "interval_max": 0.5,
        },
    }


class Queue:
    """The broker.
    Every method raises :class:`BrokerUnavailable`; the message may be sent all the same."""

    def __init__(self, access: BrokerAccess) -> None:
        self._access = access
        self._app = _sender(access)

    def start(self, runs: Sequence[RunId]) -> None:
        """Send jobs as a chain: submit, wait, record. At most :data:`GROUP`."""
        # What chain() makes of three signatures, without its copies of each: half the time of
        # sending.
        rest = [
            self._app.signature(name, args=(list(runs),), immutable=True)
            for name in (RECORD, WAIT)
        ]
        with self._told():
            self._app.send_task(SUBMIT, args=(list(runs),), chain=rest)

    def record(self, runs: Sequence[RunId]) -> None:
        """Send the last step of jobs whose stacks are done. At most :data:`GROUP`."""
        self._send(RECORD, list(runs))

    def poll(self, tenant: str) -> None:
        """Send a poll of a tenant's stacks."""
        self._send(POLL, tenant)

    def monitor(self, refs: Sequence[str]) -> None:
        """Send a probe of the monitoring targets of resources, ``type:id`` each."""
        self._send(MONITOR, list(refs))

    def sweep(self, order: SweepOrder) -> None:
        """Send a comparison of a tenant's stacks with our records."""
        self._send(SWEEP, order.to_message())

    def _send(self, task: str, argument: Json) -> None:
        # Without Celery's `expires`: that is a time by our clock, and the workers' clocks may
        # differ.
        with self._told():
            self._app.send_task(task, args=(argument,))

    def depth(self) -> int:
        """Messages that no worker has taken yet."""
        with self._told(), self._app.connection_or_acquire() as connection:
            return sum(map(connection.default_channel.length, (JOBS, RESULTS)))

    def periodic_depth(self) -> int:
        """Polls, probes and sweeps that no worker has taken yet."""
        with self._told(), self._app.connection_or_acquire() as connection:
            return int(connection.default_channel.length(PERIODIC))

    def lost_everything(self) -> bool:
        """Whether the broker has forgotten everything since this was last asked: it was flushed, or
        came back without its data. The first call always returns True."""
        with self._told(), self._app.connection_or_acquire() as connection:
            client = connection.default_channel.client
            return bool(client.set(_EPOCH, secrets.token_hex(8), nx=True))

    def refuse_cluster(self) -> None:
        """Ask the broker what it is, before the first message.

        :raises SettingsError: it can never be used. A broker that does not answer may be right.
        """
        try:
            self.depth()
        except BrokerUnavailable as error:
            if redis_transport.CLUSTER in str(error):
                raise SettingsError(
                    [f"ORCHESTRATOR_BROKER_URL: {redis_transport.CLUSTER}"]
                ) from error

    def kind(self) -> str:
        """What the broker is, for people: ``redis 7.0.15, standalone``."""
        with self._told(), self._app.connection_or_acquire() as connection:
            facts = connection.default_channel.client.info("server")
            return (
                f"redis {facts.get('redis_version')}, {facts.get('redis_mode')}"
            )

    def answers(self, node: str, seconds: float) -> bool:
        """Whether a worker's main process takes messages, and answers one in time.

        :param node: Celery's name of it, such as ``worker@host``.
        """
        with self._told():
            return bool(
                self._app.control.ping(destination=[node], timeout=seconds)
            )

    # The workers, by Celery's remote control ------------------------------------------------------

    def nodes(self, seconds: float) -> list[str]:
        """Celery's names of the workers that answer in time, such as ``worker@host``."""
        with self._told():
            replies = self._app.control.ping(timeout=seconds)
            return sorted(node for reply in replies or () for node in reply)

    def stop_consuming(self, nodes: Sequence[str], seconds: float) -> list[str]:
        """Have workers take no more messages. What they have taken they carry out.

        :returns: those that have not said in time that they do.
        """
        silent = set[str]()
        with self._told():
            for queue in QUEUES:
                replies = self._app.control.cancel_consumer(
                    queue, destination=list(nodes), reply=True, timeout=seconds
                )
                silent |= set(nodes) - {n for reply in replies for n in reply}
        return sorted(silent)

    def carried_out(
        self, nodes: Sequence[str], seconds: float
    ) -> dict[str, int]:
        """How many messages each of these workers has taken and not carried out. One that does not
        answer in time is left out."""
        found: dict[str, int] = {}
        inspect = self._app.control.inspect(list(nodes), timeout=seconds)
        with self._told():
            for told in (inspect.active(), inspect.reserved()):
                for node, tasks in (told or {}).items():
                    found[node] = found.get(node, 0) + len(tasks)
        return found

    def end(self, nodes: Sequence[str]) -> None:
        """Have workers end as by SIGTERM: whoever supervises them may start them again."""
        with self._told():
            self._app.control.shutdown(destination=list(nodes))

    def close(self) -> None:
        self._app.close()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Whatever the broker's client raises is a broker that does not take messages."""
        try:
            yield
        except (OperationalError, RedisError, OSError) as error:
            raise BrokerUnavailable(
                self._reason("does not answer", error)
            ) from error
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            # kombu and redis-py raise AttributeError, KeyError, TypeError and others out of
            # connections that broke (docs/celery.md).
            # The name of the class shows a defect of ours, should it be one.
            self._begin_anew()
            raise BrokerUnavailable(
                self._reason("could not be used", error)
            ) from error

    def _reason(self, what: str, error: Exception) -> str:
        place = self._access.address.place
        cause = error.__cause__ or error  # kombu wraps what redis-py raised
        return f"the broker at {place} {what}: {type(cause).__name__}: {error}"

    def _begin_anew(self) -> None:
        """Leave connections whose state nobody knows; the next call opens others. kombu keeps them
        in pools of the process, and a pool that was emptied lets the next one wait for ever.
        """
        with contextlib.suppress(Exception):
            pools.reset()
        self._app = _sender(self._access)


def _sender(access: BrokerAccess) -> Celery:
    app = Celery("orchestrator", set_as_current=False)
    app.conf.update(options(access, **_SENDER))
    return app
