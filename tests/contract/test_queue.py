"""One behaviour of both queues: :class:`~tests.doubles.RecordingQueue` and Celery on a real Redis."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from orchestrator.clients.broker import BrokerAccess
from orchestrator.clients.queue import (
    JOBS,
    MONITOR,
    PERIODIC,
    POLL,
    RECORD,
    RESULTS,
    SUBMIT,
    SWEEP,
    WAIT,
    Queue,
)
from orchestrator.core.drift import SweepOrder
from orchestrator.core.refs import Ref, RunId
from orchestrator.errors import BrokerUnavailable
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import free_port
from redis import Redis

from tests.doubles import Message, RecordingQueue

JOB = (RunId("t1/create:heat_worker:network:n1:1:aaaaa"),)
TWO = (*JOB, RunId("t1/modify:heat_worker:network:n2:7:bbbbb"))


@dataclass
class Broker:
    """A queue, what arrived in it, and the loss of everything."""

    queue: Queue | RecordingQueue
    messages: Callable[[], list[Message]]
    flush: Callable[[], object]


@pytest.fixture(params=["recording", pytest.param("redis", marks=pytest.mark.integration)])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    if request.param == "recording":
        recording = RecordingQueue()
        yield Broker(recording, lambda: list(recording.sent), recording.lose)
        return
    server: servers.Redis = request.getfixturevalue("redis")
    with Redis(port=server.port) as client:
        client.flushall()
        queue = Queue(BrokerAccess(server.url))
        yield Broker(queue, lambda: [_message(raw) for raw in _raw(client)], client.flushall)
        queue.close()


def _raw(client: Redis) -> list[bytes | str]:
    return [
        raw for name in (JOBS, RESULTS, PERIODIC) for raw in reversed(client.lrange(name, 0, -1))
    ]


def _message(raw: bytes | str) -> Message:
    """A message as Celery's protocol 2 writes it."""
    envelope = json.loads(raw)
    args, kwargs, embed = json.loads(base64.b64decode(envelope["body"]))
    chain = [step["task"] for step in reversed(embed["chain"] or ())]
    (argument,) = args
    assert kwargs == {}
    assert [step["args"] for step in embed["chain"] or ()] == [args for _ in chain]
    tasks = (envelope["headers"]["task"], *chain)
    assert envelope["headers"]["expires"] is None, (
        "a time by the sender's clock, which the worker's may not share"
    )
    return Message(tasks, tuple(argument) if isinstance(argument, list) else argument)


def test_jobs_are_a_chain_of_three_tasks_with_their_ids_alone(broker: Broker) -> None:
    broker.queue.start(TWO)

    assert broker.messages() == [Message((SUBMIT, WAIT, RECORD), TWO)]


def test_the_other_messages_carry_ids_alone(broker: Broker) -> None:
    broker.queue.record(TWO)
    broker.queue.poll("t1")
    broker.queue.monitor(["port:a", "port:b"])
    broker.queue.sweep(SweepOrder("t1", (Ref("port", "a"),)))

    assert broker.messages() == [
        Message((RECORD,), TWO),
        Message((POLL,), "t1"),
        Message((MONITOR,), ("port:a", "port:b")),
        Message((SWEEP,), {"tenant": "t1", "resources": ["port:a"], "asked": ""}),
    ]


def test_messages_keep_their_order(broker: Broker) -> None:
    jobs = [RunId(f"t1/create:heat_worker:network:n{n}:1:aaaaa") for n in range(5)]
    for job in jobs:
        broker.queue.start([job])

    assert [message.argument for message in broker.messages()] == [(job,) for job in jobs]


def test_the_depth_counts_what_must_not_get_lost(broker: Broker) -> None:
    depths = [broker.queue.depth()]
    broker.queue.start(JOB)
    broker.queue.record(JOB)
    depths.append(broker.queue.depth())
    broker.queue.poll("t1")
    broker.queue.monitor(["port:a"])
    depths.append(broker.queue.depth())

    assert depths == [0, 2, 2]
    assert broker.queue.periodic_depth() == 2


def test_a_loss_of_everything_is_told_once(broker: Broker) -> None:
    answers = [broker.queue.lost_everything() for _ in range(3)]
    broker.queue.start(JOB)
    broker.flush()
    answers += [broker.queue.lost_everything() for _ in range(2)]

    assert answers == [True, False, False, True, False]
    assert broker.queue.depth() == 0


def test_after_a_loss_of_everything_messages_arrive_as_before(broker: Broker) -> None:
    broker.queue.start(JOB)
    broker.flush()
    broker.queue.start(JOB)

    assert broker.messages()[-1:] == [Message((SUBMIT, WAIT, RECORD), JOB)]
    assert broker.queue.depth() == 1


def _unavailable_recording() -> RecordingQueue:
    queue = RecordingQueue()
    queue.available = False
    return queue


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda queue: queue.start(JOB), id="start"),
        pytest.param(lambda queue: queue.record(JOB), id="record"),
        pytest.param(lambda queue: queue.poll("t1"), id="poll"),
        pytest.param(lambda queue: queue.monitor(["port:a"]), id="monitor"),
        pytest.param(lambda queue: queue.depth(), id="depth"),
        pytest.param(lambda queue: queue.periodic_depth(), id="periodic_depth"),
        pytest.param(lambda queue: queue.lost_everything(), id="lost_everything"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_unavailable_recording, id="recording"),
        pytest.param(lambda: Queue(BrokerAccess(f"redis://127.0.0.1:{free_port()}/0")), id="redis"),
    ],
)
def test_a_broker_that_is_away_says_so(
    make: Callable[[], Queue], call: Callable[[Queue], object]
) -> None:
    with pytest.raises(BrokerUnavailable):
        call(make())
