"""Release and forget: the records of a resource go in one transaction, and its stack stays."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.leaving import Leaving
from orchestrator.cli.verbs import requesting
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.clients.store import revision_of
from orchestrator.core.records import AuditRecord, LeavingMode, RetryAsked, Step
from orchestrator.core.refs import Json, Ref
from orchestrator.errors import HeatUnavailable

from tests.factories import TENANT, network, port

from .driver import System, complete

N1, P1 = network("n1"), port("p1")
BUILT = ("CREATE_COMPLETED", 1)


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def built(system: System) -> None:
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(n1=BUILT, p1=BUILT) and system.idle())


def leave(system: System, ref: Ref, how: LeavingMode = LeavingMode.RELEASE) -> AskedVerb:
    store, keys = system.store, system.keys
    asked = verb(how.value, "alice", "CHG-4711", str(ref))
    config = revision_of(store.get(keys.below(keys.config, ref)))
    requesting.ask(store, keys, asked, {ref: RetryAsked(leave=how, config=config)})
    return asked


def outcome(system: System, ref: Ref, asked: AskedVerb) -> str:
    found = system.store.get(system.keys.audit(ref, asked.id))
    assert found is not None
    return AuditRecord.from_json(found.value).outcome


def tombstone(system: System, ref: Ref) -> Json:
    found = system.store.get(system.keys.below(system.keys.left, ref))
    return json.loads(found.value) if found else None


def left(system: System, ref: Ref) -> list[str]:
    """The keys of a resource, but for what is kept on purpose."""
    kept = (system.keys.audits, system.keys.left)
    return [
        kv.key
        for kv in system.store.list("/")[1]
        if ref.id in kv.key and not kv.key.startswith(kept)
    ]


def quiet(system: System) -> None:
    """The bridge and the workers go round for a while."""
    for _ in range(30):
        system.work()


@pytest.mark.parametrize("how", list(LeavingMode))
def test_everything_of_a_resource_goes_in_one_transaction_and_its_stack_stays(
    system: System, how: LeavingMode
) -> None:
    built(system)
    before = system.asked()
    asked = leave(system, P1, how)
    system.until(lambda: outcome(system, P1, asked))
    quiet(system)

    assert outcome(system, P1, asked) == "carried out"
    assert not left(system, P1) and system.asked() == before
    assert "port_p1" in system.heat.stacks(TENANT)
    gone = {
        e.revision
        for e in system.store.history
        if e.value is None and e.key.endswith("/p1") and e.revision > 0
    }
    assert len({e for e in gone if e == max(gone)}) == 1
    stone = tombstone(system, P1)
    assert (stone["verb"], stone["by"], stone["why"]) == (how.value, "alice", "CHG-4711")
    assert (stone["stack"], stone["tenant_id"], stone["version"]) == ("port_p1", TENANT, 1)


def test_a_release_waits_until_heat_has_ended(system: System) -> None:
    system.outcome = lambda stack: None
    system.put(N1)
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))
    asked = leave(system, N1)
    quiet(system)
    system.clock.pass_(5.0)
    quiet(system)
    assert not outcome(system, N1, asked) and system.runs()

    system.outcome = complete
    system.until(lambda: outcome(system, N1, asked))
    assert outcome(system, N1, asked) == "carried out" and not left(system, N1)
    assert "network_n1" in system.heat.stacks(TENANT)


def test_what_heat_works_on_is_forgotten_at_once_and_reports_nothing_later(
    system: System,
) -> None:
    system.outcome = lambda stack: None
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: any(run.step is Step.IN_HEAT for run in system.runs().values()))
    asked = leave(system, N1, LeavingMode.FORGET)
    system.until(lambda: outcome(system, N1, asked))
    system.outcome = complete
    system.until(lambda: system.idle(), "the job that waited for it goes on")
    quiet(system)

    assert not left(system, N1) and "network_n1" in system.heat.stacks(TENANT)
    state = system.state(P1)
    assert state["state"]["worker_state"] == "CREATE_FAILED", "it needs an output of the network"
    assert "network:n1" in state["error"]


def test_with_heat_away_nothing_is_asked_of_it(system: System) -> None:
    built(system)
    for _ in range(500):
        system.heat.fail_next(HeatUnavailable("away"))
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: any(run.step is Step.RETRY for run in system.runs().values()))
    asked = leave(system, P1, LeavingMode.FORGET)
    system.until(lambda: outcome(system, P1, asked))

    assert outcome(system, P1, asked) == "carried out" and not left(system, P1)
    assert system.idle()


def test_a_config_that_was_written_meanwhile_stays(system: System) -> None:
    built(system)
    store, keys = system.store, system.keys
    asked = verb("release", "alice", None, str(P1))
    seen = revision_of(store.get(keys.below(keys.config, P1)))
    system.put(P1, 2, network_id="n1")
    requesting.ask(store, keys, asked, {P1: RetryAsked(leave=LeavingMode.RELEASE, config=seen)})
    system.until(lambda: outcome(system, P1, asked) and system.idle())

    assert outcome(system, P1, asked).startswith("not done: the config was written")
    assert system.worker_state(P1) == ("MODIFY_COMPLETED", 2)
    assert tombstone(system, P1) is None


def test_the_next_leader_carries_it_out_once(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(system)
    with monkeypatch.context() as dying:
        dying.setattr(Leaving, "leave", lambda *_: None)
        asked = leave(system, P1)
        quiet(system)
        system.stop()
    assert not outcome(system, P1, asked) and left(system, P1)
    system.start()
    system.until(lambda: outcome(system, P1, asked))
    system.stop()
    system.start()
    quiet(system)

    key = system.keys.below(system.keys.left, P1)
    assert len([e for e in system.store.history if e.key == key]) == 1
    assert not left(system, P1) and "port_p1" in system.heat.stacks(TENANT)


def test_a_resource_that_comes_back_takes_its_stack_over(system: System) -> None:
    built(system)
    asked = leave(system, P1)
    system.until(lambda: outcome(system, P1, asked))
    before = len(system.asked())
    system.put(P1, 1, network_id="n1")
    system.until(lambda: system.reported(p1=BUILT) and system.idle())

    assert system.asked()[before:] == [("update", "port_p1")]


def test_many_releases_do_not_look_like_a_mass_deletion(system: System) -> None:
    refs = [network(f"n{number}") for number in range(30)]
    for ref in refs:
        system.put(ref)
    system.until(lambda: all(system.worker_state(ref) == BUILT for ref in refs) and system.idle())
    asked = [leave(system, ref) for ref in refs]
    system.until(lambda: all(outcome(system, *pair) for pair in zip(refs, asked, strict=True)))
    quiet(system)

    assert system.store.get(system.keys.brake) is None
    assert len(system.heat.stacks(TENANT)) == 30
