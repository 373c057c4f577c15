"""When something may be sent, and when the loop has to be woken for it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.bridge.dispatching import OPENS_AFTER, Dispatcher
from orchestrator.core.records import Cause, Run, Step
from orchestrator.testing import RecordingQueue
from tests.factories import job, network

from .test_looks import Clock

BUSY, BROKEN = "busy", "broken"


def created(name: str, tenant: str) -> Any:
    return job(network(name), tenant_id=tenant)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def broker() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def dispatcher(clock: Clock, broker: RecordingQueue) -> Dispatcher:
    """All but one of the requests to Heat that may be made at once are under way for another tenant."""
    queue: Any = broker
    made = Dispatcher(queue, clock.timer, look_interval=1.0, total_limit=2)
    made.submit(created("b0", BUSY))
    flush(made)
    return made


def flush(dispatcher: Dispatcher) -> None:
    dispatcher.flush(lambda job: True)


def open_circuit(dispatcher: Dispatcher) -> None:
    one = created("n1", BROKEN)
    dispatcher.submit(one)
    for attempt in range(OPENS_AFTER):
        dispatcher.moved(one.id, BROKEN, Run(Step.RETRY, attempt=attempt + 1, delay=1.0, cause=Cause.UNAVAILABLE.value))


def test_the_loop_is_woken_when_an_open_circuit_may_try_again(dispatcher: Dispatcher, clock: Clock) -> None:
    open_circuit(dispatcher)
    pause = dispatcher.next_flush()

    assert pause is not None
    assert 0.4 < pause < 1.6
    clock.pass_(pause)
    assert dispatcher.next_flush() == 0.0


def test_the_loop_is_not_woken_for_what_may_not_be_sent(dispatcher: Dispatcher, clock: Clock) -> None:
    """Every request that may be made at once is under way: an event says when one is over, no clock."""
    open_circuit(dispatcher)
    dispatcher.submit(created("b1", BUSY))
    flush(dispatcher)
    clock.pass_(60.0)

    assert dispatcher.next_flush() is None


def test_the_loop_is_not_woken_before_the_broker_is_tried_again(
    dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue
) -> None:
    broker.available = False
    open_circuit(dispatcher)
    clock.pass_(60.0)
    flush(dispatcher)

    assert dispatcher.next_flush() == pytest.approx(0.5)


def test_a_job_that_is_not_to_run_any_more_frees_its_place(dispatcher: Dispatcher, broker: RecordingQueue) -> None:
    """It was sent, and superseded before a worker took it: nobody will ever tell that it is over."""
    dispatcher.submit(created("b1", BUSY))
    dispatcher.submit(created("b2", BUSY))
    flush(dispatcher)
    before = len(broker.sent)
    flush(dispatcher)
    assert len(broker.sent) == before, "no more than two at once"

    dispatcher.forget(created("b0", BUSY).id, BUSY)
    flush(dispatcher)
    assert len(broker.sent) == before + 1
