"""``orchestrator drain``: a worker takes no more messages, and ends when it has nothing to do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from ...clients.store import Store
from ...core.keys import Keys
from ...core.records import CARRIED_OUT
from ...core.transactions import Transaction
from ...errors import InvalidInput
from ...settings import Settings
from ..exits import Exit
from ..options import Output
from ..output import Format, Section, emit, hint, show
from ..session import session
from .authors import As, AskedVerb, Why, verb
from .selecting import DryRun

if TYPE_CHECKING:
    from ...clients.queue import Queue

_ANSWER = 2.0
"""Seconds within which workers answer."""
_TRIES = 4
"""How often it is asked which workers there are, before none counts as meant."""
_BETWEEN = 0.5
_PATIENCE = 300.0

_Worker = Annotated[
    str,
    typer.Argument(
        help="A host, or one worker of it as Celery names it: worker@host.",
        metavar="WORKER",
    ),
]
_Keep = Annotated[
    bool,
    typer.Option(
        "--keep",
        help="Leave the process running, without messages, until you stop it.",
    ),
]
_Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        help="Seconds to wait until the worker has nothing to do.",
        min=0,
        metavar="SECONDS",
    ),
]


def drain(
    worker: _Worker,
    keep: _Keep = False,
    by: As = None,
    why: Why = None,
    dry_run: DryRun = False,
    timeout: _Timeout = _PATIENCE,
    output: Output = Format.TEXT,
) -> None:
    """Take workers out of service: they take no more messages, and end when they have nothing to
    do.

    A host names all workers on it.
    Other workers carry out what is sent from now on.
    A worker that is supervised (systemd, Kubernetes) is started again when it has ended, and takes
    messages again: use --keep, then stop the unit.
    A request that hangs is handed back when the worker ends.

    **Examples**

        orchestrator drain node-7 --keep --why "kernel update"
        orchestrator drain worker-1@node-7
    """
    with session() as doors:
        broker = _broker(doors.settings)
        try:
            nodes = _find(broker, worker)
            if dry_run:
                _tell(broker.carried_out(nodes, _ANSWER), nodes, output)
                return
            asked = verb("drain", by, why, " ".join(nodes))
            _record(doors.store, doors.keys, asked, "")
            left = _drain(broker, nodes, timeout)
            if not left and not keep:
                broker.end(nodes)
            outcome = _outcome(left, keep)
            _record(doors.store, doors.keys, asked, outcome)
        finally:
            broker.close()
    _tell(left, nodes, output)
    if left:
        hint(f"{outcome}. The workers take no more messages.")
        raise typer.Exit(Exit.TIMEOUT)


def _find(broker: Queue, worker: str) -> list[str]:
    """The workers that a command line names, asked a few times: busy ones answer late.

    :raises InvalidInput: none of them is meant.
    """
    for _ in range(_TRIES - 1):
        with suppress(InvalidInput):
            return choose(broker.nodes(_ANSWER), worker)
    return choose(broker.nodes(_ANSWER), worker)


def _broker(settings: Settings) -> Queue:
    """The broker. Celery takes a quarter of a second to import: no other command needs it."""
    found: Queue = import_module("orchestrator.clients.queue").Queue(
        settings.broker
    )
    return found


def choose(nodes: Sequence[str], worker: str) -> list[str]:
    """The workers that a command line names.

    :param nodes: those that answer.
    :raises InvalidInput: none of them is meant.
    """
    found = [
        node
        for node in nodes
        if worker in (node, node.rpartition("@")[2].partition(".")[0])
        or node.endswith(f"@{worker}")
    ]
    if found:
        return found
    known = ", ".join(nodes) or "none at all"
    raise InvalidInput(f"no worker {worker} answers; those that do: {known}")


def _drain(
    broker: Queue, nodes: Sequence[str], timeout: float
) -> dict[str, int]:
    """Stop the workers' consuming, and wait until they have carried out what they have.

    :returns: by worker, the messages that it still has when the time is over; -1: it does not
        answer.
    """
    end = time.monotonic() + timeout
    silent = broker.stop_consuming(nodes, _ANSWER)
    while True:
        told = broker.carried_out(nodes, _ANSWER)
        left = {node: told.get(node, -1) for node in nodes}
        left = {
            node: number
            for node, number in left.items()
            if number or node in silent
        }
        if not left or time.monotonic() >= end:
            return left
        silent = broker.stop_consuming(silent, _ANSWER) if silent else []
        time.sleep(_BETWEEN)


def _outcome(left: dict[str, int], keep: bool) -> str:
    if left:
        return f"not done: {', '.join(sorted(left))} still at work"
    if keep:
        return f"{CARRIED_OUT}: without messages, still running"
    return CARRIED_OUT


def _record(store: Store, keys: Keys, asked: AskedVerb, outcome: str) -> None:
    """The record of the verb, before it is carried out and after: nothing else of it is in etcd."""
    value = asked.record().to_json()
    if outcome:
        (value,) = asked.done(keys, None, outcome).values()
    store.commit(Transaction(puts={keys.audit(None, asked.id): value}))


def _tell(left: dict[str, int], nodes: Sequence[str], output: Format) -> None:
    if output is not Format.TEXT:
        emit(
            [{"worker": node, "messages": left.get(node, 0)} for node in nodes],
            output,
        )
        return
    rows = [(node, _words(left.get(node, 0))) for node in nodes]
    show([Section("", ("worker", "messages"), rows)])


def _words(number: int) -> str:
    if number < 0:
        return "does not answer"
    return str(number)
