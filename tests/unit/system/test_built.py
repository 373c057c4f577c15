"""What a stack was built from is recorded with the request that Heat took."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from orchestrator.core.documents import digest_of
from orchestrator.core.mapping.evaluate import OutputOf
from orchestrator.core.records import Built
from orchestrator.core.refs import Ref

from tests.factories import HOT, network, port, templates

from .driver import System, WorkerDied

N1, P1 = network("n1"), port("p1")
CREATED = ("CREATE_COMPLETED", 1)


@pytest.fixture
def system() -> Iterator[System]:
    with System() as running:
        yield running


def built(system: System, ref: Ref) -> Built | None:
    found = system.store.get(system.keys.below(system.keys.built, ref))
    return Built.from_json(found.value) if found else None


def build(system: System) -> None:
    system.put(N1)
    system.put(P1, network_id="n1")
    system.until(lambda: system.reported(n1=CREATED, p1=CREATED) and system.idle())


def push(system: System, template_id: str, text: str) -> None:
    mappings = {"name": "Pname", "network": "Mnetwork:network_id:id"}
    body = {"id": template_id, "template_file": text, "parameter_mappings": mappings}
    system.store.put(f"/config/v2.0/heat_templates/{template_id}", json.dumps({"body": body}))


def test_the_outputs_that_were_read_and_the_templates_revision_are_recorded(
    system: System,
) -> None:
    build(system)
    network_job, port_job = system.jobs_made()
    of_port = built(system, P1)

    assert of_port is not None
    assert of_port.job == port_job
    assert of_port.template == "port"
    assert of_port.revision == templates()["port"].revision
    assert of_port.reads == {OutputOf(N1, "id"): digest_of("cloud-network_n1")}
    of_network = built(system, N1)
    assert of_network is not None
    assert (of_network.job, of_network.reads) == (network_job, {})
    assert of_network.parameters != of_port.parameters


def test_a_record_holds_no_value(system: System) -> None:
    build(system)
    found = system.store.get(system.keys.below(system.keys.built, P1))

    assert found is not None
    assert b"cloud" not in found.value


def test_a_deleted_stack_has_no_record(system: System) -> None:
    build(system)
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: system.reported(p1=("DELETE_COMPLETED", 2)) and system.idle())

    assert built(system, P1) is None


def test_a_request_that_heat_refused_changes_no_record(system: System) -> None:
    build(system)
    before = built(system, P1)
    push(system, "port", HOT + "# {{ nothing.here }}\n")
    system.put(P1, 2, network_id="n1")
    system.until(lambda: system.reported(p1=("MODIFY_FAILED", 2)) and system.idle())

    assert built(system, P1) == before


@pytest.mark.parametrize("template_changed", [False, True])
def test_of_a_request_whose_worker_died_the_template_is_only_recorded_if_it_is_certain(
    system: System, template_changed: bool
) -> None:
    """Heat has taken the request, and nobody has written it down. The next worker finds its tag."""
    build(system)
    system.put(P1, 2, network_id="n1")
    system.heat.fail_next(WorkerDied(), "update", performed=True)
    system.until(lambda: system.deaths == 1)
    if template_changed:
        push(system, "port", HOT + "# another\n")
    system.store.expire_abandoned()
    system.until(lambda: system.reported(p1=("MODIFY_COMPLETED", 2)) and system.idle())
    record = built(system, P1)

    assert record is not None
    assert [request for request in system.asked() if request == ("update", "port_p1")] == [
        ("update", "port_p1")
    ]
    assert record.job == system.jobs_made()[-1]
    assert record.revision == ("" if template_changed else templates()["port"].revision)
    assert record.reads == {OutputOf(N1, "id"): digest_of("cloud-network_n1")}


def test_a_record_that_an_earlier_release_left_of_a_deleted_stack_is_removed(
    system: System,
) -> None:
    build(system)
    key = system.keys.below(system.keys.built, P1)
    left = system.store.get(key)
    assert left is not None
    system.put(P1, 2, marked=True, network_id="n1")
    system.until(lambda: system.reported(p1=("DELETE_COMPLETED", 2)) and system.idle())
    system.remove(P1)
    system.until(lambda: system.state(P1) is None)
    system.store.put(key, left.value.decode())
    system.stop()
    system.start()
    system.lead_until(lambda: system.store.get(key) is None)
