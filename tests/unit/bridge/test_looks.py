"""How often a tenant's stacks are looked at: by their age, and at once more often when a new one comes."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator.bridge.dispatching import LONGEST_LOOK, MOST_LOOKS_WAITING, Dispatcher
from orchestrator.clients.queue import LOOK
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import JobId, Ref
from tests.doubles import RecordingQueue


class Clock:
    """Both clocks of the dispatcher, and its timers: time passes when a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "time", lambda: self.now)

    def timer(self, seconds: float, function: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + seconds, len(self._timers), function))

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0][0] <= end:
            self.now, _, function = heapq.heappop(self._timers)
            function()
        self.now = end


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Prompt(RecordingQueue):
    """A broker whose looks are taken at once."""

    def looks_waiting(self) -> int:
        return 0


@pytest.fixture
def broker() -> RecordingQueue:
    return Prompt()


@pytest.fixture
def dispatcher(clock: Clock, broker: RecordingQueue) -> Dispatcher:
    return Dispatcher(broker, clock.timer, look_interval=1.0)


def job(name: str) -> JobId:
    return JobId(f"create:heat_worker:network:{name}:1:aaaaa")


def looks(broker: RecordingQueue) -> int:
    return sum(message.tasks == (LOOK,) for message in broker.sent)


def waits(dispatcher: Dispatcher, name: str, tenant: str = "t1") -> None:
    """Heat has taken the job. (The clock of the worker that says so is a day ahead: it does not matter.)"""
    dispatcher.moved(job(name), tenant, Run(Step.WAITING, stack=name, asked_at=time.time() + 86_400.0))


def test_young_stacks_are_looked_at_every_interval_however_many(
    dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue
) -> None:
    for n in range(500):
        waits(dispatcher, f"n{n}")
    clock.pass_(20.0)

    assert 20 <= looks(broker) <= 25


def test_old_stacks_are_looked_at_less_often(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "old")
    clock.pass_(300.0)
    before = looks(broker)
    clock.pass_(60.0)

    assert 8 <= looks(broker) - before <= 13, "every 5 to 7 s: a fiftieth of 300 to 360 s"


def test_the_pause_has_a_bound(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "ancient")
    clock.pass_(100_000.0)
    before = looks(broker)
    clock.pass_(20 * LONGEST_LOOK)

    assert 20 <= looks(broker) - before <= 25


def test_a_new_stack_does_not_wait_for_the_look_at_the_old_ones(
    dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "ancient")
    clock.pass_(100_000.0)
    waits(dispatcher, "new")
    before = looks(broker)
    clock.pass_(1.2)

    assert looks(broker) == before + 1
    clock.pass_(10.0)
    assert looks(broker) <= before + 14, "the look that was due before is not taken as well for ever"


def test_looks_end_when_nothing_waits_any_more(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "n1")
    clock.pass_(3.0)
    dispatcher.over(job("n1"), "t1")
    before = looks(broker)
    clock.pass_(60.0)

    assert looks(broker) == before


def test_tenants_are_looked_at_apart(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "n2", "t2")
    clock.pass_(100_000.0)
    before = len(broker.sent)
    waits(dispatcher, "n1", "t1")
    clock.pass_(30.0)

    by_tenant = [message.argument for message in list(broker.sent)[before:] if message.tasks == (LOOK,)]
    assert by_tenant.count("t1") > 20
    assert by_tenant.count("t2") <= 3


def test_while_a_look_waits_for_a_worker_there_is_no_second_one(clock: Clock) -> None:
    slow: Any = RecordingQueue()
    dispatcher = Dispatcher(slow, clock.timer, look_interval=1.0)
    waits(dispatcher, "n1")
    clock.pass_(30.0)
    assert looks(slow) == 1
    slow.take()
    clock.pass_(2.0)
    assert looks(slow) == 2


def test_targets_are_not_looked_at_while_many_looks_wait_for_workers(clock: Clock) -> None:
    slow: Any = RecordingQueue()
    dispatcher = Dispatcher(slow, clock.timer, look_interval=1.0)
    for n in range(10_000):
        clock.pass_(1.0)
        dispatcher.monitor([Ref("port", f"p{n}")])

    assert len(slow.sent) == MOST_LOOKS_WAITING + 1


# A Heat that takes long -------------------------------------------------------------------------------


def test_while_a_poll_goes_on_no_other_is_sent_for_its_tenant(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "n1", "t1")
    waits(dispatcher, "n2", "t2")
    dispatcher.polled("t1", under_way=True)
    clock.pass_(30.0)
    waits(dispatcher, "n3", "t1")
    clock.pass_(30.0)

    by_tenant = [message.argument for message in broker.sent if message.tasks == (LOOK,)]
    assert by_tenant.count("t1") == 0
    assert by_tenant.count("t2") > 20


def test_when_it_is_over_the_next_one_comes_as_usual(dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue) -> None:
    waits(dispatcher, "n1")
    dispatcher.polled("t1", under_way=True)
    clock.pass_(30.0)
    dispatcher.polled("t1", under_way=False)
    clock.pass_(1.0)

    assert looks(broker) == 1
    clock.pass_(20.0)
    assert 20 <= looks(broker) <= 27


def test_a_poll_that_outlives_all_that_waited_leaves_nothing_behind(
    dispatcher: Dispatcher, clock: Clock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")
    dispatcher.polled("t1", under_way=True)
    dispatcher.over(job("n1"), "t1")
    clock.pass_(30.0)
    dispatcher.polled("t1", under_way=False)
    clock.pass_(30.0)

    assert looks(broker) == 0
    assert dispatcher._lanes == {}


def test_a_tenant_of_which_nothing_is_known_may_be_told_of(dispatcher: Dispatcher, broker: RecordingQueue) -> None:
    dispatcher.polled("t9", under_way=False)
    dispatcher.polled("t9", under_way=True)
    dispatcher.polled("t9", under_way=False)

    assert looks(broker) == 0
