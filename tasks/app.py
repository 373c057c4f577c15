"""The steps as Celery tasks: the one place that knows both."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from billiard.process import current_process
from celery import Celery, signals
from celery.concurrency.prefork import TaskPool
from celery.exceptions import SoftTimeLimitExceeded

from orchestrator import log as logs
from orchestrator.clients import queue, redis_transport
from orchestrator.clients.heat import Heat, for_processes
from orchestrator.errors import CredentialsRejected, SettingsError
from orchestrator.events import EventName, count
from orchestrator.settings import Settings

from . import compat, following, messages, polls, steps, sweeping
from .alive import Alive, LastClaim
from .context import WorkerContext, open_context
from .leaving import Background, Undo, Work
from .measuring import WorkerMetrics
from .processes import PerProcess

log = logging.getLogger(__name__)

STEPS: dict[str, steps.TaskFunction] = {
    queue.SUBMIT: steps.submit,
    queue.WAIT: steps.wait,
    queue.RECORD: steps.record,
}
"""The tasks of a job's chain.
Explicit names: moving a function never breaks a message that is already queued."""

ROUNDS: dict[str, Callable[[WorkerContext, Any], int]] = {
    queue.POLL: steps.poll,
    queue.OLD_POLL: steps.poll,
    queue.MONITOR: following.monitor,
    queue.SWEEP: sweeping.sweep,
}
"""The tasks that the bridge sends at intervals; a round that fails is followed by the next."""

LEAVING: dict[str, Callable[[WorkerContext, Any], Undo]] = {
    queue.POLL: polls.goes_on,
    queue.OLD_POLL: polls.goes_on,
}
"""What is to be done when a task leaves its slot before its work is over."""


def make_app(settings: Settings) -> Celery:
    """The Celery application of the workers."""
    compat.tell_reasons()
    if settings.log_format == "json":
        compat.log_as_documents()
    redis_transport.inbox.queues = frozenset(queue.QUEUES)
    redis_transport.inbox.fault = messages.fault
    app = Celery("tasks", amqp=compat.SteadyAMQP)
    app.conf.update(queue.options(settings.broker))
    # What a task asks of Heat and Keystone ends before: these are for what hangs elsewhere.
    app.conf.update(
        task_soft_time_limit=settings.task_limit,
        task_time_limit=settings.task_limit + 30,
    )
    alive = Alive(LastClaim())
    metrics, shared = WorkerMetrics(), for_processes()
    context = PerProcess(
        lambda: open_context(settings, shared, metrics, alive.claims.note)
    )
    background = Background(metrics=metrics)
    for name in STEPS:
        _register(app, name, background, partial(_chains, context))
    for name in ROUNDS:
        _register(app, name, background, partial(_round, context))
    _connect_metrics(settings, metrics)
    _connect_signals(settings, context, background, alive)
    return app


def _connect_metrics(settings: Settings, metrics: WorkerMetrics) -> None:
    """Show what a worker measures, if a port is given for it."""
    port = settings.worker_metrics_port
    if not port:
        return

    def begin(**_: object) -> None:
        try:
            metrics.serve(settings.health_address, port)
        except SettingsError as error:
            logs.tell_refused(SettingsError(error.faults, settings.log_format))
            raise SystemExit(2) from None

    def note_slots(sender: Any, **_: object) -> None:
        metrics.slots.set(sender.controller.concurrency)

    def count_here(**_: object) -> None:
        metrics.count_as(getattr(current_process(), "index", 0))

    signals.worker_init.connect(begin, weak=False)
    signals.worker_ready.connect(note_slots, weak=False)
    signals.worker_process_init.connect(count_here, weak=False)


def _connect_signals(
    settings: Settings,
    context: PerProcess[WorkerContext],
    background: Background,
    alive: Alive,
) -> None:
    """What a worker does at its start and its end."""
    signals.celeryd_after_setup.connect(
        lambda sender, instance, **_: alive.begin(sender, instance.concurrency),
        weak=False,
    )
    signals.setup_logging.connect(
        lambda **_: logs.configure(settings.log_level, settings.log_format),
        weak=False,
    )
    signals.worker_init.connect(
        lambda **_: _refuse_cluster(settings), weak=False
    )
    signals.worker_init.connect(lambda **_: _preload(), weak=False)
    signals.worker_process_init.connect(
        lambda **_: _warm_up(context, alive), weak=False
    )
    signals.worker_ready.connect(
        lambda sender, **_: _begin_without_pool(context, alive, sender),
        weak=False,
    )
    signals.worker_process_shutdown.connect(
        lambda **_: _close(background, context, alive), weak=False
    )
    signals.worker_shutdown.connect(
        lambda **_: _close(background, context, alive), weak=False
    )


def _refuse_cluster(settings: Settings) -> None:
    """End before the first message if the broker can never be used."""
    broker = queue.Queue(settings.broker)
    try:
        broker.refuse_cluster()
    except SettingsError as error:
        logs.tell_refused(SettingsError(error.faults, settings.log_format))
        raise SystemExit(2) from None
    finally:
        broker.close()


def _close(
    background: Background, context: PerProcess[WorkerContext], alive: Alive
) -> None:
    background.close()
    alive.close()
    opened = context.take()
    if opened is not None:
        opened.close()


def _preload() -> None:
    """Import before the fork what each child would otherwise import for itself, whenever one is
    started."""
    with contextlib.suppress(
        Exception
    ):  # credentials that cannot be read: the children tell, and try again
        Heat().warm_up()


def _warm_up(context: Callable[[], WorkerContext], alive: Alive) -> None:
    try:
        context().warm_up()
    except CredentialsRejected:
        pass  # the check tells, once a worker
    except Exception as error:  # the first job tells the same, where it can be seen and tried again
        count(EventName.WARM_UP_FAILED)
        log.warning(
            "Worker not warmed up yet",
            extra={"event": "warm_up_failed", "reason": str(error)},
        )
    if getattr(current_process(), "index", 0) == 0:
        _begin_worker(context, alive)


def _begin_worker(context: Callable[[], WorkerContext], alive: Alive) -> None:
    """What one process does for all of its worker."""
    with contextlib.suppress(Exception):  # the first job tells what is wrong
        opened = context()
        alive.keep(opened.store, opened.types.none)
    _check_openstack(context)


def _begin_without_pool(
    context: Callable[[], WorkerContext], alive: Alive, consumer: Any
) -> None:
    """Of a worker with threads, which starts no processes.
    (One that forks must not open anything here.)"""
    if not issubclass(consumer.controller.pool_cls, TaskPool):
        _begin_worker(context, alive)


def _check_openstack(context: Callable[[], WorkerContext]) -> None:
    """Once a worker, by the first of its processes; beside it, for Keystone may take its time."""

    def check() -> None:
        with contextlib.suppress(Exception):  # etcd is away: every job tells so
            context().check_openstack()

    threading.Thread(target=check, name="openstack-check", daemon=True).start()


def _chains(context: Callable[[], WorkerContext], task: Any, runs: Any) -> Work:
    chain = _chain(task)
    return Work(
        task.name, runs, lambda: steps.run_chains(context(), chain, runs)
    )


def _round(context: Callable[[], WorkerContext], task: Any, about: Any) -> Work:
    carry_out, leaving = ROUNDS[task.name], LEAVING.get(task.name)
    named = _named(about)
    work = Work(task.name, named, lambda: carry_out(context(), about))
    if isinstance(about, list):
        return work
    # One poll and one sweep of a tenant at a time in a process.
    work = replace(work, kind=f"{task.name} {named}")
    if leaving is None:
        return work
    return replace(work, leaving=lambda: leaving(context(), about))


def _named(argument: Any) -> Any:
    """What a message is about, for the log: of a sweep, its tenant."""
    if isinstance(argument, dict):
        return argument.get("tenant")
    return argument


def _chain(task: Any) -> list[steps.TaskFunction]:
    """The step that a message asks for and those that its chain has after it.

    Celery would send a message for each; here the next one begins where the last one ended, with
    what it knows, in the same slot.
    What would have to wait ends the chain, and is sent anew when its time has come.
    """
    rest, task.request.chain = task.request.chain or [], None
    return [
        STEPS[name]
        for name in (
            task.name,
            *(signature["task"] for signature in reversed(rest)),
        )
    ]


def _register(
    app: Celery,
    name: str,
    background: Background,
    prepare: Callable[[Any, Any], Work],
) -> None:
    """Make a task of that name: *prepare* makes its work of Celery's task and of the message's
    argument."""

    # Celery has no types.
    @app.task(name=name, bind=True, shared=False)  # type: ignore[untyped-decorator]
    def run(task: Any, argument: Any) -> None:
        try:
            background.carry_out(prepare(task, argument))
        except SoftTimeLimitExceeded:
            count(EventName.TASK_TIMEOUT)
            log.error(
                "Task exceeded its time limit",
                extra={
                    "event": "task_timeout",
                    "task": name,
                    "about": _named(argument),
                },
            )
