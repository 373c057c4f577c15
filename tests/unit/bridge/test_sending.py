"""When something may be sent, and when the loop has to be woken for it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from orchestrator.bridge.dispatching import GATHERED_FOR, LONGEST_GATHERING, OPENS_AFTER, Dispatcher
from orchestrator.clients.queue import GROUP
from orchestrator.core.jobs import Job
from orchestrator.core.keys import job_of
from orchestrator.core.records import Cause, Run, Step
from orchestrator.core.refs import JobId, RunId

from tests.doubles import ManualClock, RecordingQueue
from tests.factories import job, network

BUSY, BROKEN = "busy", "broken"


def created(name: str, tenant: str) -> Any:
    return job(network(name), tenant_id=tenant)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def broker() -> RecordingQueue:
    return RecordingQueue()


@pytest.fixture
def dispatcher(clock: ManualClock, broker: RecordingQueue) -> Dispatcher:
    """All but one of the requests to Heat that may be made at once are under way for another tenant."""
    dispatcher = made(clock, broker, total_limit=2)
    dispatcher.submit(created("b0", BUSY))
    flush(dispatcher)
    return dispatcher


def flush(dispatcher: Dispatcher) -> None:
    dispatcher.flush(lambda job: True)


def open_circuit(dispatcher: Dispatcher) -> None:
    one = created("n1", BROKEN)
    dispatcher.submit(one)
    for attempt in range(OPENS_AFTER):
        dispatcher.moved(
            one.id,
            BROKEN,
            Run(Step.RETRY, attempt=attempt + 1, delay=1.0, cause=Cause.UNAVAILABLE.value),
        )


def test_the_loop_is_woken_when_an_open_circuit_may_try_again(
    dispatcher: Dispatcher, clock: ManualClock
) -> None:
    open_circuit(dispatcher)
    pause = dispatcher.next_flush()

    assert pause is not None
    assert 0.4 < pause < 1.6
    clock.pass_(pause)
    assert dispatcher.next_flush() == 0.0


def test_what_heat_failed_sleeps_for_its_own_time_when_a_circuit_closes(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    open_circuit(dispatcher)
    failed, away = created("n2", BROKEN), created("n3", BROKEN)
    for one, cause in ((failed, Cause.FAILED), (away, Cause.BUSY)):
        dispatcher.submit(one)
        dispatcher.moved(one.id, BROKEN, Run(Step.RETRY, delay=60.0, cause=cause.value))
    dispatcher.over(created("n1", BROKEN).id, BROKEN)
    clock.pass_(1.0)
    flush(dispatcher)
    assert [job_of(RunId(run)) for run in runs(broker)] == [away.id]

    clock.pass_(60.0)
    flush(dispatcher)
    assert [job_of(RunId(run)) for run in runs(broker)] == [away.id, failed.id]


def test_the_loop_is_not_woken_for_what_may_not_be_sent(
    dispatcher: Dispatcher, clock: ManualClock
) -> None:
    """Every request that may be made at once is under way: an event says when one is over, no clock."""
    open_circuit(dispatcher)
    dispatcher.submit(created("b1", BUSY))
    flush(dispatcher)
    clock.pass_(60.0)

    assert dispatcher.next_flush() is None


def test_the_loop_is_not_woken_before_the_broker_is_tried_again(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue
) -> None:
    broker.available = False
    open_circuit(dispatcher)
    clock.pass_(60.0)
    flush(dispatcher)

    assert dispatcher.next_flush() == pytest.approx(0.5)


def test_a_job_that_is_not_to_run_any_more_frees_its_place(
    dispatcher: Dispatcher, broker: RecordingQueue
) -> None:
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


# Several jobs in a message ---------------------------------------------------------------------------


def made(clock: ManualClock, broker: RecordingQueue, **limits: Any) -> Dispatcher:
    queue: Any = broker
    return Dispatcher(
        queue, clock.timer, poll_interval=1.0, clock=clock.clock, chance=clock.chance, **limits
    )


def sent(broker: RecordingQueue) -> list[int]:
    """How many jobs each message names."""
    return [len(message.argument) for message in broker.sent]


def runs(broker: RecordingQueue) -> list[str]:
    return [run for message in broker.sent for run in message.argument]


def test_what_is_ready_is_shared_between_a_few_messages(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    for n in range(8):
        dispatcher.submit(created(f"n{n}", "t"))
    flush(dispatcher)

    assert sent(broker) == [3, 3, 2]
    assert len(set(runs(broker))) == 8


def test_much_that_is_ready_of_many_tenants_is_sent_in_full_messages(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    for n in range(80):
        dispatcher.submit(created(f"n{n}", f"t{n % 10}"))
    flush(dispatcher)

    assert sent(broker) == [8] * 10


def test_much_is_sent_in_full_messages_up_to_the_limit(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker, tenant_limit=32)
    for n in range(200):
        dispatcher.submit(created(f"n{n}", "t"))
    flush(dispatcher)

    assert sent(broker) == [GROUP] * 4


def test_room_for_a_few_is_kept_until_there_is_room_for_a_message(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker, tenant_limit=32)
    jobs = [created(f"n{n}", "t") for n in range(200)]
    for one in jobs:
        dispatcher.submit(one)
    flush(dispatcher)
    for one in jobs[: GROUP - 1]:
        dispatcher.over(one.id, "t")
        flush(dispatcher)
    assert len(broker.sent) == 4

    dispatcher.over(jobs[GROUP - 1].id, "t")
    flush(dispatcher)
    assert sent(broker) == [GROUP] * 5


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_a_small_limit_is_kept_and_used(
    clock: ManualClock, broker: RecordingQueue, limit: int
) -> None:
    dispatcher = made(clock, broker, tenant_limit=limit)
    for n in range(20):
        dispatcher.submit(created(f"n{n}", "t"))
    flush(dispatcher)

    assert sum(sent(broker)) == limit


def test_tenants_take_turns_from_one_sending_to_the_next(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    """The total leaves room for a few messages only; it is not always the same tenant's."""
    dispatcher = made(clock, broker, total_limit=GROUP)
    for n in range(120):
        dispatcher.submit(created(f"n{n}", "abc"[n // 40]))
    served: list[str] = []
    while len(served) < 30:
        flush(dispatcher)
        message = broker.sent[len(served)]
        served.append(message.argument[0].split("/")[0])
        for run in message.argument:
            tenant, _, job_id = run.partition("/")
            dispatcher.over(JobId(job_id), tenant)

    assert Counter(served) == {"a": 10, "b": 10, "c": 10}


@pytest.mark.parametrize("limit", [1, 3, 7, 8, 9])
def test_a_small_limit_of_all_tenants_is_kept_and_used(
    clock: ManualClock, broker: RecordingQueue, limit: int
) -> None:
    dispatcher = made(clock, broker, total_limit=limit)
    for n in range(40):
        dispatcher.submit(created(f"n{n}", f"t{n % 4}"))
    flush(dispatcher)

    assert limit * 3 / 4 <= sum(sent(broker)) <= limit


def test_a_job_with_which_a_worker_died_is_sent_alone(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    for n in range(12):
        dispatcher.submit(created(f"n{n}", "t"), alone=n in (1, 2))
    flush(dispatcher)

    alone = [
        message.argument
        for message in broker.sent
        if len(message.argument) == 1 and message.argument[0].split(":")[3] in ("n1", "n2")
    ]
    assert len(alone) == 2
    assert len(set(runs(broker))) == 12


def test_a_job_that_has_come_further_keeps_company_again(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    suspect = created("n0", "t")
    dispatcher.submit(suspect, alone=True)
    flush(dispatcher)
    dispatcher.moved(suspect.id, "t", Run(Step.RETRY, attempt=1, delay=1.0))
    clock.pass_(1.0)
    for n in range(1, 8):
        dispatcher.submit(created(f"n{n}", "t"))
    flush(dispatcher)

    (company,) = (
        message.argument
        for message in broker.sent[1:]
        if any(":n0:" in run for run in message.argument)
    )
    assert len(company) > 1


def test_what_could_not_be_sent_keeps_its_place(clock: ManualClock, broker: RecordingQueue) -> None:
    dispatcher = made(clock, broker)
    jobs = [created(f"n{n}", "t") for n in range(8)]
    for one in jobs:
        dispatcher.submit(one)
    broker.available = False
    flush(dispatcher)
    broker.available = True
    clock.pass_(1.0)
    flush(dispatcher)

    assert runs(broker) == [f"t/{one.id}" for one in jobs]


def test_many_that_fail_together_open_the_circuit_once(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    """They were under way when it opened, so they say nothing about whether Heat is back."""
    dispatcher = made(clock, broker)
    jobs = [created(f"n{n}", "t") for n in range(20)]
    for one in jobs:
        dispatcher.submit(one)
    flush(dispatcher)
    for one in jobs:
        dispatcher.moved(
            one.id, "t", Run(Step.RETRY, attempt=1, delay=1.0, cause=Cause.UNAVAILABLE.value)
        )
    pause = dispatcher.next_flush()

    assert pause is not None
    assert pause < 1.6


def test_a_job_that_a_worker_takes_is_not_sent_again(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    """It was sent, though sending it raised; or by the leader before."""
    dispatcher = made(clock, broker, tenant_limit=1)
    one, two = created("n1", "t"), created("n2", "t")
    dispatcher.submit(one)
    dispatcher.submit(two)
    dispatcher.moved(one.id, "t", Run(Step.CLAIMED))
    dispatcher.moved(one.id, "t", Run(Step.IN_HEAT, stack="s", asked_at=clock.now))
    flush(dispatcher)

    assert runs(broker) == [f"t/{two.id}"], "the one place is for the other"


def test_a_tenant_that_comes_back_is_served(clock: ManualClock, broker: RecordingQueue) -> None:
    """All that was ready of it was taken by a worker meanwhile."""
    dispatcher = made(clock, broker)
    one, two = created("n1", "t"), created("n2", "t")
    dispatcher.submit(one)
    dispatcher.over(one.id, "t")
    dispatcher.submit(two)
    flush(dispatcher)

    assert runs(broker) == [f"t/{two.id}"]


def test_little_room_is_used_after_a_while(clock: ManualClock, broker: RecordingQueue) -> None:
    """Most requests hang; what is free is not kept for a whole message for ever."""
    dispatcher = made(clock, broker, tenant_limit=32)
    jobs = [created(f"n{n}", "t") for n in range(100)]
    for one in jobs:
        dispatcher.submit(one)
    flush(dispatcher)
    for one in jobs[: 4 * GROUP]:
        dispatcher.moved(one.id, "t", Run(Step.CLAIMED))
    for one in jobs[:3]:
        dispatcher.over(one.id, "t")
    flush(dispatcher)
    pause = dispatcher.next_flush()
    assert len(broker.sent) == 4
    assert pause is not None
    assert pause == pytest.approx(GATHERED_FOR)

    clock.pass_(pause)
    flush(dispatcher)
    assert sent(broker) == [GROUP] * 4 + [3]


def test_a_tenant_with_much_to_send_does_not_starve_among_many_with_little(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker, total_limit=64)
    under_way: list[tuple[JobId, str]] = []
    for n in range(64):
        dispatcher.submit(created(f"n{n}", f"small{n}"))
        flush(dispatcher)
    for n in range(40):
        dispatcher.submit(created(f"b{n}", "big"))
    big = 0
    for n in range(1200):
        for message in broker.sent:
            under_way += [
                (JobId(run.partition("/")[2]), run.partition("/")[0]) for run in message.argument
            ]
        big += sum(run.startswith("big/") for run in runs(broker))
        broker.sent.clear()
        dispatcher.submit(created(f"more{n}", f"other{n}"))
        dispatcher.over(*under_way.pop(0))
        clock.pass_(0.01)
        flush(dispatcher)

    assert big == 40


# Workers that are busy --------------------------------------------------------------------------------


def taken(dispatcher: Dispatcher, clock: ManualClock, name: str, *, after: float) -> Job:
    """A job is sent at once, and a worker takes it after some seconds."""
    one: Job = created(name, BUSY)
    dispatcher.submit(one)
    flush(dispatcher)
    clock.pass_(after)
    dispatcher.moved(one.id, BUSY, Run(Step.CLAIMED))
    return one


@pytest.fixture
def busy(clock: ManualClock, broker: RecordingQueue) -> Dispatcher:
    """Messages wait for the workers for a tenth of a second, and a job is under way."""
    dispatcher = made(clock, broker)
    for n in range(100):
        dispatcher.over(taken(dispatcher, clock, f"b{n}", after=0.1).id, BUSY)
    taken(dispatcher, clock, "b100", after=0.1)
    assert sent(broker) == [1] * 101, "alone, none waits for others"
    broker.sent.clear()
    return dispatcher


def test_while_workers_are_busy_a_message_is_filled(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    """By jobs of several tenants, if there are not enough of one."""
    for n in range(GROUP + 1):
        assert broker.sent == []
        busy.submit(created(f"n{n}", f"t{n}"))
        flush(busy)
        if n == GROUP - 1:
            assert sent(broker) == [GROUP]
            broker.sent.clear()

    assert broker.sent == [], "the ninth waits again"


def test_what_waits_for_others_goes_once_nothing_is_under_way(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    for n in range(3):
        busy.submit(created(f"n{n}", "t"))
    flush(busy)
    assert broker.sent == []

    busy.over(created("b100", BUSY).id, BUSY)
    flush(busy)
    assert sorted(runs(broker)) == [f"t/{created(f'n{n}', 't').id}" for n in range(3)]


def test_nobody_waits_for_others_longer_than_messages_wait_for_workers(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    one = created("n1", "t")
    busy.submit(one)
    flush(busy)
    assert busy.next_flush() == pytest.approx(0.1, rel=0.01)
    clock.pass_(0.05)
    flush(busy)
    assert broker.sent == []

    clock.pass_(0.05)
    flush(busy)
    assert runs(broker) == [f"t/{one.id}"]
    assert busy.next_flush() is None


def test_workers_that_take_nothing_for_long_do_not_keep_others_for_long(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    for n in range(10):
        taken(busy, clock, f"c{n}", after=60.0)
    busy.submit(created("n1", "t"))
    flush(busy)

    assert busy.next_flush() == pytest.approx(LONGEST_GATHERING)


def test_where_workers_take_at_once_nobody_waits(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    """However long Heat takes."""
    dispatcher = made(clock, broker)
    for n in range(10):
        taken(dispatcher, clock, f"b{n}", after=0.0)

    assert sent(broker) == [1] * 10


def test_what_waits_for_others_where_there_is_little_room(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    """Two reasons to wait, and a loop that turns only when there is something to do."""
    jobs = [created(f"n{n}", "t") for n in range(100)]
    for one in jobs:
        busy.submit(one)
    flush(busy)
    for one in jobs[:3]:
        busy.over(one.id, "t")
    flush(busy)
    waited, turns = 0.0, 0
    while len(broker.sent) == 4:
        pause = busy.next_flush()
        assert pause is not None, "nothing else would wake the loop"
        clock.pass_(pause)
        waited, turns = waited + pause, turns + 1
        flush(busy)

    assert sent(broker) == [GROUP] * 4 + [3]
    assert turns <= 3
    assert waited <= 0.1 + GATHERED_FOR + 0.001


def test_what_waits_for_others_keeps_its_place(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    jobs = [created(f"n{n}", f"t{n % 2}") for n in range(GROUP)]
    for one in jobs:
        busy.submit(one)
        flush(busy)

    (message,) = broker.sent
    for tenant in ("t0", "t1"):
        expected = [f"{tenant}/{one.id}" for one in jobs if one.tenant == tenant]
        assert [run for run in message.argument if run.startswith(tenant)] == expected


def test_what_is_to_be_alone_waits_for_nobody(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    one = created("n1", "t")
    busy.submit(one, alone=True)
    flush(busy)

    assert runs(broker) == [f"t/{one.id}"]


def test_a_job_that_tries_whether_heat_is_back_goes_alone(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    """Its requests may hang, and with them a worker's slot and whoever else is in the message."""
    open_circuit(busy)
    clock.pass_(2.0)
    for n in range(GROUP):
        busy.submit(created(f"m{n}", "t"))
    flush(busy)

    assert sorted(sent(broker)) == [1, GROUP]


def test_what_was_lost_is_sent_again_together_but_for_what_is_to_be_alone(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    dispatcher.begin()
    for n in range(20):
        dispatcher.submit(created(f"n{n}", f"t{n % 2}"), alone=n == 5)
    flush(dispatcher)
    broker.sent.clear()
    broker.lose()
    dispatcher.supervise()

    assert sorted(sent(broker)) == [1, 3, 8, 8]
    assert ("t1/" + created("n5", "t1").id,) in [message.argument for message in broker.sent]
    assert len(set(runs(broker))) == 20


# What is told of it ------------------------------------------------------------------------------------


def test_how_long_messages_wait_is_told(
    clock: ManualClock, broker: RecordingQueue, busy: Dispatcher
) -> None:
    assert busy.wait == pytest.approx(0.1, rel=0.01)
    busy.over(created("b100", BUSY).id, BUSY)
    busy.submit(created("n1", "t"))
    flush(busy)
    clock.pass_(7.0)

    assert busy.wait == pytest.approx(7.0), "no worker takes anything any more"


def test_how_much_waits_and_is_under_way_is_told(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker, tenant_limit=32)
    for n in range(100):
        dispatcher.submit(created(f"n{n}", "t"))
    flush(dispatcher)

    assert dispatcher.sizes() == {
        "ready": 68,
        "in_flight": 32,
        "paused": 0,
        "in_heat": 0,
        "asleep": 0,
        "circuits_open": 0,
        "polls_refused": 0,
    }


def test_a_request_that_heat_always_faults_keeps_none_of_the_tenants_others_waiting(
    clock: ManualClock, broker: RecordingQueue
) -> None:
    dispatcher = made(clock, broker)
    at_fault = [created(f"bad{n}", BROKEN) for n in range(4)]
    for one in at_fault:
        dispatcher.submit(one)
    flush(dispatcher)
    for attempt in (1, 2, 3):
        for one in at_fault:
            dispatcher.moved(one.id, BROKEN, Run(Step.CLAIMED))
            dispatcher.moved(
                one.id,
                BROKEN,
                Run(Step.RETRY, attempt=attempt, delay=30.0, cause=Cause.FAULT.value),
            )
    before = len(broker.sent)
    good = created("good", BROKEN)
    dispatcher.submit(good)
    sent = _sent_until(dispatcher, clock, broker, before, good.id)

    assert sent[-1] == good.id
    assert len(sent) <= 1 + len(at_fault), (
        "whoever Heat faults once more does not lengthen the pause"
    )


def _sent_until(
    dispatcher: Dispatcher, clock: ManualClock, broker: RecordingQueue, before: int, wanted: JobId
) -> list[JobId]:
    """What is sent, up to a job; those that are at fault are answered as before. It takes no time to speak of."""
    end = clock.now + 2.0
    while clock.now < end:
        flush(dispatcher)
        sent = [
            job_of(RunId(run)) for message in list(broker.sent)[before:] for run in message.argument
        ]
        if wanted in sent:
            return sent[: sent.index(wanted) + 1]
        for name in sent:
            dispatcher.moved(
                name, BROKEN, Run(Step.RETRY, attempt=9, delay=30.0, cause=Cause.FAULT.value)
            )
        clock.pass_(0.05)
    raise AssertionError(f"{wanted} is not sent; {sent}")
