"""How often a tenant's stacks are polled: by their age, and at once more often when a new one comes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from orchestrator.bridge.dispatching import LONGEST_POLL_PAUSE, MOST_POLLS_WAITING, Dispatcher
from orchestrator.clients.queue import POLL, SUBMIT
from orchestrator.core.jobs import Job
from orchestrator.core.records import Cause, Poll, Run, Step
from orchestrator.core.refs import JobId, Ref

from tests import factories
from tests.doubles import ManualClock, RecordingQueue


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Prompt(RecordingQueue):
    """A broker whose polls are taken at once."""

    def periodic_depth(self) -> int:
        return 0


def dispatching(broker: RecordingQueue, clock: ManualClock) -> Dispatcher:
    return Dispatcher(
        broker, clock.timer, poll_interval=1.0, clock=clock.clock, chance=clock.chance
    )


@pytest.fixture
def broker() -> RecordingQueue:
    return Prompt()


@pytest.fixture
def dispatcher(clock: ManualClock, broker: RecordingQueue) -> Dispatcher:
    return dispatching(broker, clock)


def job(name: str) -> JobId:
    return JobId(f"create:heat_worker:network:{name}:1:aaaaa")


def created(name: str, tenant_id: str) -> Job:
    return factories.job(factories.network(name), tenant_id=tenant_id)


def polls(broker: RecordingQueue) -> int:
    return sum(message.tasks == (POLL,) for message in broker.sent)


def waits(dispatcher: Dispatcher, name: str, tenant: str = "t1") -> None:
    """Heat has taken the job. (The clock of the worker that says so is a day ahead: it does not matter.)"""
    dispatcher.moved(
        job(name), tenant, Run(Step.IN_HEAT, stack=name, asked_at=2_000_000.0 + 86_400.0)
    )


def test_young_stacks_are_polled_every_interval_however_many(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    for n in range(500):
        waits(dispatcher, f"n{n}")
    clock.pass_(20.0)

    assert 20 <= polls(broker) <= 25


def test_old_stacks_are_polled_less_often(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "old")
    clock.pass_(300.0)
    before = polls(broker)
    clock.pass_(60.0)

    assert 8 <= polls(broker) - before <= 13, "every 5 to 7 s: a fiftieth of 300 to 360 s"


def test_the_pause_has_a_bound(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "ancient")
    clock.pass_(100_000.0)
    before = polls(broker)
    clock.pass_(20 * LONGEST_POLL_PAUSE)

    assert 20 <= polls(broker) - before <= 25


def test_a_new_stack_does_not_wait_for_the_poll_of_the_old_ones(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "ancient")
    clock.pass_(100_000.0)
    waits(dispatcher, "new")
    before = polls(broker)
    clock.pass_(1.2)

    assert polls(broker) == before + 1
    clock.pass_(10.0)
    assert polls(broker) <= before + 14, (
        "the poll that was due before is not taken as well for ever"
    )


def test_polls_end_when_nothing_waits_any_more(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")
    clock.pass_(3.0)
    dispatcher.over(job("n1"), "t1")
    before = polls(broker)
    clock.pass_(60.0)

    assert polls(broker) == before


def test_tenants_are_polled_apart(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n2", "t2")
    clock.pass_(100_000.0)
    before = len(broker.sent)
    waits(dispatcher, "n1", "t1")
    clock.pass_(30.0)

    by_tenant = [
        message.argument for message in list(broker.sent)[before:] if message.tasks == (POLL,)
    ]
    assert by_tenant.count("t1") > 20
    assert by_tenant.count("t2") <= 3


def test_while_a_poll_waits_for_a_worker_there_is_no_second_one(clock: ManualClock) -> None:
    slow: Any = RecordingQueue()
    dispatcher = dispatching(slow, clock)
    waits(dispatcher, "n1")
    clock.pass_(30.0)
    assert polls(slow) == 1
    slow.take()
    clock.pass_(2.0)
    assert polls(slow) == 2


def test_targets_are_not_probed_while_many_polls_wait_for_workers(clock: ManualClock) -> None:
    slow: Any = RecordingQueue()
    dispatcher = dispatching(slow, clock)
    for n in range(10_000):
        clock.pass_(1.0)
        dispatcher.monitor([Ref("port", f"p{n}")])

    assert len(slow.sent) == MOST_POLLS_WAITING + 1


# A Heat that takes long -------------------------------------------------------------------------------


def test_while_a_poll_goes_on_no_other_is_sent_for_its_tenant(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1", "t1")
    waits(dispatcher, "n2", "t2")
    dispatcher.polled("t1", Poll(under_way=True))
    clock.pass_(30.0)
    waits(dispatcher, "n3", "t1")
    clock.pass_(30.0)

    by_tenant = [message.argument for message in broker.sent if message.tasks == (POLL,)]
    assert by_tenant.count("t1") == 0
    assert by_tenant.count("t2") > 20


def test_when_it_is_over_the_next_one_comes_as_usual(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")
    dispatcher.polled("t1", Poll(under_way=True))
    clock.pass_(30.0)
    dispatcher.polled("t1", None)
    clock.pass_(1.0)

    assert polls(broker) == 1
    clock.pass_(20.0)
    assert 20 <= polls(broker) <= 27


def test_a_poll_that_outlives_all_that_waited_leaves_nothing_behind(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")
    dispatcher.polled("t1", Poll(under_way=True))
    dispatcher.over(job("n1"), "t1")
    clock.pass_(30.0)
    dispatcher.polled("t1", None)
    clock.pass_(30.0)

    assert polls(broker) == 0
    assert dispatcher.tenants.known == {}


def test_a_tenant_of_which_nothing_is_known_may_be_told_of(
    dispatcher: Dispatcher, broker: RecordingQueue
) -> None:
    dispatcher.polled("t9", None)
    dispatcher.polled("t9", Poll(under_way=True))
    dispatcher.polled("t9", None)

    assert polls(broker) == 0


# A Heat that refuses polls ----------------------------------------------------------------------------


def refused(failures: int) -> Poll:
    return Poll(failures=failures, cause=Cause.PROJECT.value, reason="no role", since=1.0)


def refuse_polls(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue, seconds: int
) -> int:
    """Heat refuses each poll of t1 at once; how many there were."""
    before = failures = polls(broker)
    for _ in range(10 * seconds):
        clock.pass_(0.1)
        if polls(broker) > failures:
            failures = polls(broker)
            dispatcher.polled("t1", refused(failures), revision=failures)
    return failures - before


def test_polls_that_are_refused_come_at_growing_intervals(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")

    assert refuse_polls(dispatcher, clock, broker, 60) <= 8, "after 1, 2, 4, 8, 16 s"
    assert 4 <= refuse_polls(dispatcher, clock, broker, 300) <= 13, "after 30 s each"
    assert dispatcher.sizes()["polls_refused"] == 1


def test_refused_polls_open_the_circuit_of_their_tenant(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1", "t1")
    refuse_polls(dispatcher, clock, broker, 60)
    for tenant in ("t1", "t2"):
        for n in range(6):
            dispatcher.submit(created(f"{tenant}-{n}", tenant_id=tenant))
    clock.pass_(60.0)
    dispatcher.flush(lambda job: True)

    sent = [
        run for message in broker.sent if message.tasks[0] == SUBMIT for run in message.argument
    ]
    assert sum(run.startswith("t1/") for run in sent) == 1
    assert sum(run.startswith("t2/") for run in sent) == 6


def test_a_job_and_a_poll_of_a_refused_tenant_take_turns(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    """Each attempt costs Keystone tokens: there is one in a pause, of whatever kind."""
    waits(dispatcher, "n1")
    one = created("n2", tenant_id="t1")
    dispatcher.submit(one)
    count, jobs, attempts = polls(broker), 0, []
    for _ in range(6000):
        clock.pass_(0.1)
        dispatcher.flush(lambda job: True)
        if polls(broker) > count:
            count = polls(broker)
            attempts.append((clock.now, "poll"))
            dispatcher.polled("t1", refused(count), revision=count)
        if len(broker.sent) - count > jobs:
            jobs = len(broker.sent) - count
            attempts.append((clock.now, "job"))
            run = Run(
                Step.RETRY, attempt=jobs, delay=0.1, cause=Cause.PROJECT.value, reason="no role"
            )
            dispatcher.moved(one.id, "t1", run)

    late = attempts[10:]
    assert {kind for _, kind in late} == {"poll", "job"}, "neither keeps the other from trying"
    assert min(after - before for (before, _), (after, _) in pairwise(late)) > 5.0


def test_an_answered_poll_closes_the_circuit(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    waits(dispatcher, "n1")
    refuse_polls(dispatcher, clock, broker, 60)
    dispatcher.polled("t1", None)
    before = polls(broker)
    clock.pass_(20.0)

    assert polls(broker) - before >= 11, "as usual, of a stack that is a minute old"
    assert dispatcher.sizes()["polls_refused"] == 0
    for n in range(6):
        dispatcher.submit(created(f"n{n}", tenant_id="t1"))
    dispatcher.flush(lambda job: True)
    assert len(broker.sent) > polls(broker) + 1


def test_an_outage_is_polled_every_few_seconds(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    """It ends by itself, and then the ends of stacks are to be found soon."""
    waits(dispatcher, "n1")
    dispatcher.polled(
        "t1", Poll(failures=20, cause=Cause.UNAVAILABLE.value, reason="503", since=1.0), revision=1
    )
    clock.pass_(3.0)
    assert polls(broker) == 0
    clock.pass_(4.0)

    assert polls(broker) >= 1
    assert dispatcher.sizes()["polls_refused"] == 0


def test_what_is_told_of_polls_goes_with_the_last_stack_in_progress(dispatcher: Dispatcher) -> None:
    waits(dispatcher, "n1")
    dispatcher.polled("t1", refused(1), revision=7)
    assert dispatcher.abandoned_polls() == {}

    dispatcher.over(job("n1"), "t1")
    assert dispatcher.abandoned_polls() == {"t1": 7}
    assert dispatcher.abandoned_polls() == {}, "told once"
