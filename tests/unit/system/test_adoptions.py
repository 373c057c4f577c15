"""Stacks that are in Heat already become a resource's, whatever their names are."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.finished import Finished
from orchestrator.cli.verbs import pausing, requesting
from orchestrator.cli.verbs.adopting import choose
from orchestrator.cli.verbs.authors import AskedVerb, verb
from orchestrator.core.records import AuditRecord, LeavingMode, Pause, RetryAsked
from orchestrator.core.refs import Json, Ref
from orchestrator.core.stacks import Stack, owner_of
from orchestrator.errors import InvalidInput
from orchestrator.views.reading import read_all

from tests.factories import TENANT, network, port

from .driver import System

N1, P1 = network("n1"), port("p1")
LEGACY = Stack("0f0e0d0c-0000-4000-8000-000000000000", "legacy", "CREATE_COMPLETE", "made by hand")
NETWORKS = Pause("2026-11-28T07:45:12Z", "alice", kind="network")


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        running.heat.put(TENANT, LEGACY)
        yield running


def pause(system: System) -> None:
    asked = verb("pause", "alice", None)
    pausing.write(system.store, system.keys, asked, lambda p: p.adding(NETWORKS))


def resume(system: System) -> None:
    asked = verb("resume", "alice", None)
    pausing.write(system.store, system.keys, asked, lambda p: p.without([NETWORKS.scope]))


def waiting(system: System) -> None:
    """The network is wanted, and nothing is sent for it."""
    pause(system)
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.term.sizes()["paused"] == 1)


def ask(system: System, name: str = "legacy", *, force: bool = False) -> AskedVerb:
    asked = verb("adopt", "alice", None, f"{N1} {name}")
    request = RetryAsked(adopt=name, status="CREATE_COMPLETE", force=force)
    requesting.ask(system.store, system.keys, asked, {N1: request})
    return asked


def outcome(system: System, asked: AskedVerb) -> str:
    found = system.store.get(system.keys.audit(N1, asked.id))
    assert found is not None
    return AuditRecord.from_json(found.value).outcome


def stack_record(system: System) -> Json:
    found = system.store.get(system.keys.below(system.keys.stacks, N1))
    return json.loads(found.value) if found else None


def adopted(system: System, name: str = "legacy") -> None:
    waiting(system)
    asked = ask(system, name)
    system.until(lambda: outcome(system, asked))
    assert outcome(system, asked) == "carried out"
    resume(system)
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 1), p1=("CREATE_COMPLETED", 1))
            and system.idle()
        )
    )


def test_a_stack_of_another_name_is_updated_and_gets_our_tags(system: System) -> None:
    adopted(system)

    assert system.asked() == [("update", "legacy"), ("create", "port_p1")]
    stack = system.heat.stacks(TENANT)["legacy"]
    assert stack.id == LEGACY.id and owner_of(stack) == "network:n1"
    record = stack_record(system)
    assert (record["stack_id"], record["stack_status"]) == ("legacy", "UPDATE_COMPLETE")
    assert record["output"][0]["output_value"] == "cloud-legacy", "the port was built with it"


def test_the_next_version_and_the_deletion_are_about_the_same_stack(system: System) -> None:
    adopted(system)
    before = len(system.asked())
    system.put(N1, 2)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())
    system.stop()
    system.start()
    system.put(P1, 2, marked=True, network_id="n1")
    system.put(N1, 3, marked=True)
    system.until(lambda: system.reported(n1=("DELETE_COMPLETED", 3)) and system.idle())

    asked = [name for _, name in system.asked()[before:]]
    assert asked == ["legacy", "port_p1", "legacy"]
    assert not system.heat.stacks(TENANT)


def test_an_id_that_is_made_anew_has_a_stack_of_its_own_name(system: System) -> None:
    adopted(system)
    before = len(system.asked())
    system.remove(N1)
    system.put(N1)
    system.until(lambda: ("create", "network_n1") in system.asked() and system.idle())

    asked = [one for one in system.asked()[before:] if one[1] != "port_p1"]
    assert asked == [("delete", "legacy"), ("create", "network_n1")]


def test_a_release_says_which_stack_was_left(system: System) -> None:
    adopted(system)
    found = system.store.get(system.keys.below(system.keys.config, N1))
    assert found is not None
    asked = verb("release", "alice", None, str(N1))
    request = RetryAsked(leave=LeavingMode.RELEASE, config=found.revision)
    requesting.ask(system.store, system.keys, asked, {N1: request})
    system.until(lambda: outcome(system, asked))
    left = system.store.get(system.keys.below(system.keys.left, N1))
    assert left is not None and json.loads(left.value)["stack"] == "legacy"


def test_a_job_that_was_sent_already_is_about_the_stack_when_a_worker_takes_it(
    system: System,
) -> None:
    system.put(N1)
    system.lead_until(lambda: system.queue.depth())
    asked = ask(system)
    system.lead_until(lambda: outcome(system, asked))
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    assert system.asked() == [("update", "legacy")]


def test_a_job_that_a_worker_has_is_in_the_way(system: System) -> None:
    system.outcome = lambda stack: None
    system.put(N1)
    system.until(lambda: system.heat.working())
    asked = ask(system)
    system.until(lambda: outcome(system, asked))
    assert outcome(system, asked).startswith("not done: a worker or Heat has a job on it")


def test_a_resource_that_has_a_stack_adopts_no_other(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    asked = ask(system)
    system.until(lambda: outcome(system, asked))
    assert outcome(system, asked) == (
        "not done: it has a stack, network_n1; release or delete it first"
    )
    nobody = verb("adopt", "alice", None)
    requesting.ask(system.store, system.keys, nobody, {P1: RetryAsked(adopt="x", status="x")})
    system.until(lambda: not system.store.list(system.keys.retries)[1])
    told = system.store.get(system.keys.audit(P1, nobody.id))
    assert told is not None and b"not in the configuration" in told.value


def test_a_version_that_failed_because_of_a_stack_that_was_there_adopts_it(
    system: System,
) -> None:
    system.heat.put(TENANT, Stack("s9", "network_n1", "CREATE_COMPLETE", ""))
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_FAILED", 1)) and system.idle())
    asked = ask(system, "network_n1", force=True)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and system.idle())

    assert outcome(system, asked) == "carried out"
    assert system.asked() == [("update", "network_n1")]


def test_the_next_leader_adopts_it_once(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting(system)
    with monkeypatch.context() as dying:
        dying.setattr(Finished, "remove", lambda self: None)
        asked = ask(system)
        system.lead_until(lambda: stack_record(system))
        system.stop()
    assert not outcome(system, asked)
    system.start()
    system.until(lambda: outcome(system, asked))
    system.stop()
    system.start()
    resume(system)
    system.until(lambda: system.reported(p1=("CREATE_COMPLETED", 1)) and system.idle())

    assert system.asked() == [("update", "legacy"), ("create", "port_p1")]


@pytest.mark.parametrize(
    ("stack", "ref", "why"),
    [
        ("nobody", N1, "Heat knows no stack nobody"),
        ("owned", N1, "is that of port:p9"),
        ("busy", N1, "is in UPDATE_IN_PROGRESS"),
        ("port_p1", N1, "has the name of that of port:p1"),
        ("legacy", network("n9"), "is not in the configuration"),
    ],
)
def test_what_cannot_be_adopted_is_refused_before_it_is_asked_for(
    system: System, stack: str, ref: Ref, why: str
) -> None:
    waiting(system)
    owned = ("orchestrator-owner-port:p9",)
    system.heat.put(TENANT, Stack("s1", "owned", "CREATE_COMPLETE", "", owned))
    system.heat.put(TENANT, Stack("s2", "busy", "UPDATE_IN_PROGRESS", ""))
    system.heat.put(TENANT, Stack("s3", "port_p1", "CREATE_COMPLETE", ""))
    found = read_all(system.store, system.keys)
    heat: Json = system.heat
    with pytest.raises(InvalidInput, match=why):
        choose(found, ref, heat, stack, force=False)
    by_id = choose(found, N1, heat, LEGACY.id, force=False)
    assert by_id.stack.name == "legacy"
