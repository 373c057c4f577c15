"""A version that is there is asked of Heat again, because a person asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.bridge.reconciling import Reconciler
from orchestrator.core.records import Handled, RetryAsked
from orchestrator.core.refs import JobId, Ref

from tests.factories import HOT, TENANT, network, port

from .driver import System

N1, N2, P1 = network("n1"), network("n2"), port("p1")


@pytest.fixture
def system() -> Iterator[System]:
    """A network and a port on it, built."""
    with System() as running:
        running.put(N1)
        running.put(P1, network_id="n1")
        built = ("CREATE_COMPLETED", 1)
        running.until(lambda: running.reported(n1=built, p1=built) and running.idle())
        yield running


def last_job(system: System, ref: Ref) -> JobId:
    found = system.store.get(system.keys.below(system.keys.handled, ref))
    assert found is not None
    return Handled.from_json(found.value).job


def ask(system: System, ref: Ref, job: JobId | None = None) -> str:
    """Ask for a rebuild, as the command does. Returns the key of the request."""
    key = system.keys.below(system.keys.retries, ref)
    asked = RetryAsked(rebuild=job or last_job(system, ref))
    system.store.put(key, asked.to_json())
    return key


def dealt_with(system: System, key: str) -> bool:
    return system.idle() and system.store.get(key) is None


def test_the_version_that_is_there_is_asked_again_and_reported_again(system: System) -> None:
    before = len(system.asked())
    key = ask(system, N1)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and dealt_with(system, key))

    assert system.asked()[before:] == [("update", "network_n1")]
    assert system.worker_state(P1) == ("CREATE_COMPLETED", 1)


def test_a_changed_template_is_taken_in(system: System) -> None:
    text = HOT + "# another\n"
    body = {"id": "port", "template_file": text, "parameter_mappings": {"name": "Pname"}}
    system.store.put("/config/v2.0/heat_templates/port", json.dumps({"body": body}))
    key = ask(system, P1)
    system.until(lambda: system.reported(p1=("MODIFY_COMPLETED", 1)) and dealt_with(system, key))

    request = system.heat.requests[-1].request
    assert request is not None and request.template == text.rstrip()


def test_a_stack_that_heat_lost_is_built_anew(system: System) -> None:
    system.heat.remove("port_p1", tenant=TENANT)
    before = len(system.asked())
    key = ask(system, P1)
    system.until(lambda: system.reported(p1=("MODIFY_COMPLETED", 1)) and dealt_with(system, key))

    assert system.asked()[before:] == [("create", "port_p1")]


def test_a_version_that_went_backwards_is_settled(system: System) -> None:
    system.put(N1, 5)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 5)) and system.idle())
    system.put(N1, 2, note="an API server's restored database")
    key = ask(system, N1)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and dealt_with(system, key))


def test_a_request_that_is_read_twice_is_met_once(system: System) -> None:
    job = last_job(system, N1)
    key = ask(system, N1)
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and dealt_with(system, key))
    before = system.asked()
    ask(system, N1, job)
    system.until(lambda: dealt_with(system, key))

    assert system.asked() == before


@pytest.mark.parametrize("gone", ["marked", "removed"])
def test_what_is_to_be_deleted_is_not_built_again(system: System, gone: str) -> None:
    job = last_job(system, P1)
    if gone == "marked":
        system.put(P1, 2, marked=True, network_id="n1")
        system.until(lambda: system.reported(p1=("DELETE_COMPLETED", 2)) and system.idle())
    else:
        system.remove(P1)
        system.until(lambda: system.state(P1) is None and system.idle())
    before = system.asked()
    key = ask(system, P1, job)
    system.until(lambda: dealt_with(system, key))

    assert system.asked() == before


def test_a_rebuild_is_not_forgotten_when_the_leader_dies(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reconciler, "settle", lambda self, at_most: None)
    before = len(system.asked())
    key = ask(system, N1)
    system.until(lambda: N1 in system.term.world.again)
    system.stop()
    monkeypatch.undo()
    system.start()
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and dealt_with(system, key))

    assert system.asked()[before:] == [("update", "network_n1")]


def test_a_rebuild_that_is_held_is_not_forgotten_when_the_leader_dies(system: System) -> None:
    """The network's config is gone for a while. Its stack stays, because the port stands on it."""
    job = last_job(system, P1)
    system.remove(N1)
    key = ask(system, P1, job)
    held = system.keys.below(system.keys.held, P1)
    system.until(lambda: system.store.get(held) is not None and system.store.get(key) is None)
    system.stop()
    asked = len(system.asked())
    system.start()
    system.put(N1, 1)
    system.until(
        lambda: system.reported(p1=("MODIFY_COMPLETED", 1)) and system.idle(),
        "the port is built again",
    )

    assert ("update", "port_p1") in system.asked()[asked:]
