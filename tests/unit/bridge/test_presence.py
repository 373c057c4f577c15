"""A process says that it is alive: a leased key, kept true, written on change only."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

from orchestrator.bridge.dispatching import Dispatcher
from orchestrator.bridge.dispatching.circuit import OPENS_AFTER
from orchestrator.bridge.health import Health
from orchestrator.bridge.presence import presence
from orchestrator.clients.presence import Presence
from orchestrator.core.jobs import Action, Job
from orchestrator.core.records import (
    BridgeAlive,
    Cause,
    DelayKind,
    Run,
    Step,
    TenantDelay,
    WorkerAlive,
)
from orchestrator.core.refs import JobId, Ref
from tasks.alive import Alive, LastClaim

from tests import factories
from tests.doubles import ManualClock, MemoryStore, RecordingQueue

KEY = "/esi-worker/orchestrator/workers/worker@here"
KEYS = factories.keys()


def kept(store: MemoryStore, tell: Callable[[], str]) -> Presence:
    return Presence(store, KEY, tell, ManualClock().clock)


def value(store: MemoryStore) -> str | None:
    found = store.get(KEY)
    return found.value.decode() if found else None


def test_the_key_is_written_once_and_then_on_change_only() -> None:
    store, told = MemoryStore(), ["a"]
    alive = kept(store, lambda: told[0])

    alive.refresh()
    written = store.revision
    alive.refresh()
    assert (value(store), store.revision) == ("a", written)

    told[0] = "b"
    alive.refresh()
    assert (value(store), store.revision) == ("b", written + 1)


def test_the_key_goes_when_the_process_ends() -> None:
    store = MemoryStore()
    alive = kept(store, lambda: "a")
    alive.refresh()

    alive.close()

    assert value(store) is None


def test_the_key_comes_back_after_its_lease_was_lost() -> None:
    store = MemoryStore()
    alive = kept(store, lambda: "a")
    alive.refresh()
    [lease] = store._leases
    store.expire(lease)
    assert value(store) is None

    alive.refresh()

    assert value(store) == "a"


def test_an_etcd_that_does_not_answer_is_asked_again() -> None:
    store = MemoryStore()
    alive = kept(store, lambda: "a")
    store.fail_next(performed=False)

    alive.refresh()
    assert value(store) is None

    alive.refresh()
    assert value(store) == "a"


def test_the_last_claim_of_any_process_of_a_worker_is_seen_by_the_others() -> None:
    clock = ManualClock(1_000.0)
    alive = Alive(LastClaim(clock.clock), clock.clock)
    alive.begin("worker@here", 4)
    assert alive.record().claimed == 0.0

    child = multiprocessing.get_context("fork").Process(target=alive.claims.note)
    child.start()
    child.join()

    found = alive.record()
    assert (found.name, found.slots, found.claimed) == ("worker@here", 4, 1_000.0)
    assert WorkerAlive.from_json(found.to_json()) == found


def test_a_bridge_tells_which_tenants_are_delayed() -> None:
    store, clock = MemoryStore(), ManualClock(1_000.0)
    health = Health(clock.clock)
    delay = TenantDelay("t1", DelayKind.LIMIT.value, 990.0, 12, 32)
    health.delays, health.wait = (delay,) * 60, 1.25

    who = '{"id": "f00", "host": "here", "pid": 7}'
    presence(store, KEYS, who, health, clock.clock).refresh()

    record = store.get(KEYS.bridge("f00"))
    assert record is not None
    found = BridgeAlive.from_json(record.value)
    assert (found.host, found.pid, found.wait, found.more_delays) == ("here", 7, 1.2, 10)
    assert found.delays == (delay,) * 50


def test_records_of_a_newer_release_are_read() -> None:
    text = '{"id": "f00", "host": "h", "pid": 7, "version": "9", "since": 1.0, "mood": "good"}'
    assert BridgeAlive.from_json(text).host == "h"


# Delayed tenants -----------------------------------------------------------------------------------


def dispatcher(clock: ManualClock, limit: int = 2) -> Dispatcher:
    made = Dispatcher(
        RecordingQueue(),
        clock.timer,
        poll_interval=1.0,
        tenant_limit=limit,
        clock=clock.clock,
        chance=clock.chance,
    )
    for number in range(5):
        ref = Ref("network", f"n{number}")
        made.submit(
            Job(
                id=JobId(f"create:heat_worker:{ref}:1:{number:05}"),
                ref=ref,
                action=Action.CREATE,
                version=1,
                params=(),
                dependency=(),
                body={"id": ref.id, "tenant_id": "t1"},
            )
        )
    return made


def test_a_tenant_with_as_many_jobs_under_way_as_may_be_is_told_since_when_it_is_so() -> None:
    clock = ManualClock(1_000.0)
    made = dispatcher(clock)
    assert made.delays() == ()
    for _ in range(4):
        made.flush(lambda _: True)
        clock.pass_(1.0)
    assert made.tenants.in_flight == 2

    [first] = made.delays()
    clock.pass_(60.0)
    [later] = made.delays()

    assert (first.tenant, first.kind, first.waiting, first.under_way) == ("t1", "limit", 3, 2)
    assert later.since == first.since == 1_004.0


def test_a_tenant_whose_circuit_is_open_tells_since_when_why_and_the_next_try() -> None:
    clock = ManualClock(1_000.0)
    made = dispatcher(clock, limit=5)
    jobs = list(made.tenants.known["t1"].ready)
    for job in jobs[:OPENS_AFTER]:
        made.moved(job, "t1", Run(Step.CLAIMED))
        away = Run(Step.RETRY, delay=9.0, cause=Cause.UNAVAILABLE.value, reason="Heat is away")
        made.moved(job, "t1", away)
    clock.pass_(0.5)

    [found] = made.delays()

    assert (found.kind, found.since, found.reason) == ("circuit", 1_000.0, "Heat is away")
    assert found.waiting == 5
    assert found.next_try > 1_000.0
