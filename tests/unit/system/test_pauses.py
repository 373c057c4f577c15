"""Pauses: no worker sends a request to Heat for those whom they are for, and everything else goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from orchestrator.cli.verbs import pausing
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.core.records import AuditRecord, Pause, Pauses, Run, Step
from orchestrator.core.refs import JobId
from orchestrator.errors import HeatUnavailable

from tests.factories import TENANT, network, port

from .driver import System, complete

N1, N2, P1 = network("n1"), network("n2"), port("p1")
BUILT = ("CREATE_COMPLETED", 1)
EVERYTHING = Pause("2026-11-28T07:45:12Z", "alice")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def asked(name: str = "pause") -> AskedVerb:
    return verb(name, "alice", None)


def pause(system: System, wanted: Pause = EVERYTHING) -> None:
    pausing.write(system.store, system.keys, asked(), lambda p: p.adding(wanted))


def resume(system: System, wanted: Pause = EVERYTHING) -> None:
    pausing.write(system.store, system.keys, asked("resume"), lambda p: p.without([wanted.scope]))


def test_nothing_is_asked_of_heat_until_the_pause_is_over(system: System) -> None:
    pause(system)
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: len(system.jobs_made()) == 2 and system.term.sizes()["paused"] == 1)
    for _ in range(50):
        system.work()
    assert not system.asked() and not system.runs()

    resume(system)
    system.until(lambda: system.reported(n1=BUILT, p1=BUILT) and system.idle())
    assert system.asked() == [("create", "network_n1"), ("create", "port_p1")]


def test_a_message_that_is_in_the_broker_already_makes_no_request(system: System) -> None:
    system.put(N1)
    system.lead_until(lambda: system.queue.depth())
    pause(system)
    message = system.queue.take()
    assert message is not None
    system.carry_out(message)
    assert not system.asked() and not system.runs(), "the bridge does not know of the pause yet"
    system.until(lambda: system.term.sizes()["paused"] == 1)
    assert system.term.sizes()["in_flight"] == 0
    system.clock.pass_(120.0)
    for _ in range(10):
        system.work()
    assert not system.queue.depth(), "it does not count as lost"

    resume(system)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())
    assert system.asked() == [("create", "network_n1")]


def test_a_worker_that_knows_an_older_record_claims_nothing(system: System) -> None:
    """It has read that ports are paused. Then everything is."""
    ports = Pause("2026-11-28T07:45:12Z", "alice", kind="port")
    pause(system, ports)
    assert system.worker.pauses.refresh(system.store, system.keys)
    system.put(N1)
    system.lead_until(lambda: system.queue.depth())
    pause(system)
    message = system.queue.take()
    assert message is not None
    system.carry_out(message)

    assert not system.asked() and not system.runs()


@pytest.mark.parametrize(
    "scope", [Pause("", "alice", tenant="t2"), Pause("", "alice", kind="network", tenant="t2")]
)
def test_only_the_tenant_that_is_named_waits(system: System, scope: Pause) -> None:
    pause(system, scope)
    system.put(N1)
    system.put(N2, tenant_id="t2")
    system.until(lambda: system.reported(n1=BUILT) and system.term.sizes()["paused"] == 1)
    assert system.asked() == [("create", "network_n1")]
    resume(system, scope)
    system.until(lambda: system.reported(n2=BUILT) and system.idle())


def test_only_the_type_that_is_named_waits(system: System) -> None:
    ports = Pause("", "alice", kind="port")
    pause(system, ports)
    system.put(P1)
    system.put(N1)
    system.until(lambda: system.reported(n1=BUILT) and system.term.sizes()["paused"] == 1)
    assert system.asked() == [("create", "network_n1")]


def test_what_is_in_heat_ends_and_is_reported_during_a_pause(system: System) -> None:
    system.outcome = lambda stack: None
    system.put(N1)
    system.until(lambda: system.heat.working())
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))
    pause(system)
    system.outcome = complete
    system.until(lambda: system.reported(n1=BUILT) and system.idle())


def test_what_is_tried_again_waits_too(system: System) -> None:
    system.heat.fail_next(HeatUnavailable("away"), "create")
    system.put(N1)
    system.until(lambda: any(run.step is Step.RETRY for run in system.runs().values()))
    before = len(system.asked())
    pause(system)
    system.until(lambda: system.term.sizes()["paused"] == 1)
    for _ in range(20):
        system.work()
    assert len(system.asked()) == before
    resume(system)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())


def test_a_leader_that_begins_knows_of_the_pause(system: System) -> None:
    pause(system)
    system.put(N1)
    system.until(lambda: system.term.sizes()["paused"] == 1)
    system.stop()
    system.start()
    for _ in range(20):
        system.work()
    assert not system.asked() and not system.taken
    resume(system)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())


def test_a_pause_ends_at_its_time_and_that_is_recorded_once(system: System) -> None:
    until = datetime.fromtimestamp(system.clock.clock.now() + 60.0, UTC)
    timed = Pause("", "alice", until=until.strftime("%Y-%m-%dT%H:%M:%SZ"), verb="v1")
    pause(system, timed)
    pause(system, Pause("", "alice", tenant="t2"))
    system.put(N1)
    system.until(lambda: system.term.sizes()["paused"] == 1)
    system.stop()
    system.start()
    system.clock.pass_(61.0)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())

    left = system.store.get(system.keys.pauses)
    assert left is not None and [p.tenant for p in Pauses.from_json(left.value)] == ["t2"]
    key = system.keys.audit(None, "v1-ended")
    (told,) = [e.value for e in system.store.history if e.key == key]
    assert told is not None
    record = AuditRecord.from_json(told)
    assert (record.verb, record.by, record.outcome) == ("resume", "the bridge", "carried out")


def test_a_record_that_cannot_be_read_pauses_everything(system: System) -> None:
    system.store.put(system.keys.pauses, '{"pauses": [{"until": "soon"}]}')
    system.put(N1)
    system.until(lambda: system.term.sizes()["paused"] == 1)
    assert not system.asked()
    system.store.delete(system.keys.pauses)
    system.until(lambda: system.reported(n1=BUILT) and system.idle())


def test_a_pause_is_acknowledged_once_no_worker_makes_a_request(system: System) -> None:
    key = system.keys.run(TENANT, JobId("create:heat_worker:network:n1:1:aaaaa"))
    system.store.put(key, Run(Step.CLAIMED).to_json())
    store, keys = system.store, system.keys
    assert pausing.drained(store, keys, EVERYTHING, 0.0) == [keys.run_id(key)]
    assert not pausing.drained(store, keys, Pause("", "alice", kind="port"), 0.0)
    assert not pausing.drained(store, keys, Pause("", "alice", tenant="t2"), 0.0)
    waiting = threading.Timer(0.1, lambda: store.put(key, Run(Step.IN_HEAT).to_json()))
    waiting.start()
    assert not pausing.drained(store, keys, EVERYTHING, 10.0)
    waiting.join()


def test_one_pause_of_a_scope_replaces_the_other() -> None:
    first, second = Pause("a", "alice", tenant="t"), Pause("b", "bob", tenant="t")
    both = Pauses().adding(first).adding(EVERYTHING).adding(second)
    assert [p.by for p in both] == ["alice", "bob"]
    assert Pauses.from_json(both.to_json()) == both
    assert both.over("port", "t") == EVERYTHING
    assert Pauses((second,)).over("port", "u") is None
