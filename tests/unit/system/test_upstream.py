"""Stories of an API server that is not the one we were recorded with: versions, tenants and names as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from orchestrator.clients.types import Types
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.records import Handled
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import parse_schemas

from tests import factories
from tests.factories import network, port

from .driver import System

N1, P1 = network(), port()


@pytest.fixture
def system() -> Iterator[System]:
    with System() as started:
        yield started


def parameters(system: System) -> list[tuple[str, Mapping[str, Any]]]:
    return [(r.name, r.request.parameters) for r in system.heat.requests if r.request]


def handled(system: System, ref: Ref) -> Handled:
    kv = system.store.get(system.keys.below(system.keys.handled, ref))
    assert kv is not None
    return Handled.from_json(kv.value)


# Versions --------------------------------------------------------------------------------------------


def test_an_update_that_is_written_as_version_0_reaches_heat_and_is_reported_as_version_0(
    system: System,
) -> None:
    system.put(N1, 1, name="a")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.put(N1, 0, name="b")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 0)) and system.idle())

    assert parameters(system) == [("network_n1", {"name": "a"}), ("network_n1", {"name": "b"})]


def test_a_resync_in_version_0_does_nothing_also_under_the_next_leader(system: System) -> None:
    system.put(N1, 1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.put(N1, 0)
    system.put(P1, 1)
    system.until(lambda: system.worker_state(P1) and system.idle())
    system.stop()
    system.put(N1, 0)
    system.start()
    system.put(P1, 2, name="x")
    system.until(lambda: system.reported(p1=("MODIFY_COMPLETED", 2)) and system.idle())

    assert [name for name, _ in parameters(system)].count("network_n1") == 1


def test_what_is_built_from_an_unversioned_resource_follows_its_new_body_after_a_restart(
    system: System,
) -> None:
    system.put(Ref("plan", "big"), 1, flavor="old")
    system.put(Ref("plan", "big"), 0, flavor="new")
    system.stop()
    system.start()
    system.put(Ref("server", "s1"), plan_id="big", ports=[])
    system.until(lambda: system.reported(s1=("CREATE_COMPLETED", 1)) and system.idle())

    assert dict(parameters(system))["server_s1"]["flavor"] == "new"


def test_the_same_version_with_another_body_is_built_and_marked(system: System) -> None:
    system.put(N1, 3, name="a")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 3)) and system.idle())
    system.put(N1, 3, name="b")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 3)) and system.idle())

    assert [values for _, values in parameters(system)] == [{"name": "a"}, {"name": "b"}]
    assert handled(system, N1).rewritten
    system.put(N1, 4, name="c")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 4)) and system.idle())
    assert not handled(system, N1).rewritten


def test_a_version_that_went_backwards_is_built_when_somebody_asks(system: System) -> None:
    system.put(N1, 5, name="a")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 5)) and system.idle())
    system.put(N1, 2, name="b")
    system.put(P1)
    system.until(lambda: system.worker_state(P1) and system.idle())
    assert system.worker_state(N1) == ("CREATE_COMPLETED", 5)
    system.store.put(system.keys.below(system.keys.retries, N1), "{}")
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 2)) and system.idle())

    assert [values for name, values in parameters(system) if name == "network_n1"] == [
        {"name": "a"},
        {"name": "b"},
    ]


def test_a_job_that_was_lost_with_the_same_version_rewritten_is_made_anew(system: System) -> None:
    """The report that is there is of the version's first body, and says nothing about the second."""
    system.put(N1, 1, name="a")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.outcome = lambda stack: None
    system.put(N1, 1, name="b")
    system.until(lambda: len(system.asked()) == 2)
    system.stop()
    for folder in (system.keys.jobs, system.keys.runs):
        for kv in system.store.list(folder)[1]:
            system.store.delete(kv.key)
    system.heat.finish("network_n1", outputs=[])
    system.outcome = lambda stack: {"outputs": []}
    system.start()
    system.until(lambda: system.reported(n1=("MODIFY_COMPLETED", 1)) and system.idle())

    assert parameters(system)[-1] == ("network_n1", {"name": "b"})


# Keys ------------------------------------------------------------------------------------------------


def templated() -> Keys:
    """``node`` as the API server may keep it: below the device that it is on, and outside the config prefix."""
    entries = [
        {**entry, "metadata": {**entry["metadata"], **metadata}} if entry["id"] == "node" else entry
        for metadata in [
            {
                "sync_key_template": "/v1/devices/{{device}}/nodes/{{id}}",
                "sync_skip_config_prefix": True,
            }
        ]
        for entry in factories.SCHEMA_LIST["schemas"]
    ]
    return Keys(Prefixes(), parse_schemas(entries))


def test_a_type_with_a_key_template_outside_the_config_prefix_is_built_and_deleted() -> None:
    a, b = Ref("node", "a"), Ref("node", "b")
    with System(keys=templated()) as system:
        # As in a process of its own, which has to find the places by itself.
        system.worker.types = Types.fixed(system.store, templated())
        for ref, device, uses in ((a, "d1", []), (b, "d2", ["a"])):
            system.keys.place(ref, {"device": device})
            value = factories.config_value(ref, 1, device=device, uses=uses)
            system.store.put(f"/v1/devices/{device}/nodes/{ref.id}", value)
        system.store.put("/v1/devices/d1", '"of another program"')
        system.until(lambda: system.worker_state(b) == ("CREATE_COMPLETED", 1) and system.idle())
        assert dict(parameters(system))["node_b"] == {"uses": ["cloud-node_a"], "reads": []}
        assert system.store.get("/state/v1/devices/d2/nodes/b")
        assert system.store.get("/esi-worker/heat_stacks/v1/devices/d1/nodes/a")
        system.stop()
        system.start()
        for key in ("/v1/devices/d2/nodes/b", "/v1/devices/d1/nodes/a"):
            system.store.delete(key)
        system.until(
            lambda: (
                system.asked()[-2:] == [("delete", "node_b"), ("delete", "node_a")]
                and system.idle()
            )
        )
        system.until(lambda: not [key for key in system.snapshot() if key != "/v1/devices/d1"])


def test_one_id_at_two_keys_is_built_from_the_first() -> None:
    a = Ref("node", "a")
    with System(keys=templated()) as system:
        system.keys.place(a, {"device": "d1"})
        system.store.put("/v1/devices/d1/nodes/a", factories.config_value(a, 1, device="d1"))
        system.until(lambda: system.worker_state(a) == ("CREATE_COMPLETED", 1) and system.idle())
        system.store.put(
            "/v1/devices/d2/nodes/a", factories.config_value(a, 1, device="d2", name="other")
        )
        system.store.delete("/v1/devices/d2/nodes/a")
        system.put(N1)
        system.until(lambda: system.worker_state(N1) and system.idle())

        assert system.asked() == [("create", "node_a"), ("create", "network_n1")]


# Tenants and names -----------------------------------------------------------------------------------


def test_another_tenant_moves_the_stack_and_nothing_is_told_of_the_old_one(system: System) -> None:
    system.put(N1, 1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    states: list[Any] = []
    system.put(N1, 2, tenant_id="t2")
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 2)) and system.idle())

    states = [
        json.loads(e.value)
        for e in system.store.history
        if e.key == "/state/v2.0/networks/n1" and e.value
    ]
    assert [(s["state"]["worker_state"], s["version"]) for s in states] == [
        ("CREATE_COMPLETED", 1),
        ("CREATE_COMPLETED", 2),
    ]
    assert [(r.method, r.tenant) for r in system.heat.requests] == [
        ("create", "t1"),
        ("delete", "t1"),
        ("create", "t2"),
    ]


def test_a_tenant_that_changes_there_and_back_leaves_one_stack(system: System) -> None:
    system.put(N1, 1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.put(N1, 2, tenant_id="t2")
    system.put(N1, 3, tenant_id="t1")
    system.until(
        lambda: (
            system.worker_state(N1) in (("MODIFY_COMPLETED", 3), ("CREATE_COMPLETED", 3))
            and system.idle()
        )
    )

    assert [tenant for tenant in ("t1", "t2") if "network_n1" in system.heat.stacks(tenant)] == [
        "t1"
    ]


def test_a_wrong_tenant_that_keystone_refuses_is_corrected_by_the_next_version(
    system: System,
) -> None:
    system.heat.refuse_project("t-wrong")
    system.put(N1, 1, tenant_id="t-wrong")
    system.put(P1, 1, network_id="n1")
    system.until(lambda: [run for run in system.runs().values() if run.reason])
    system.put(N1, 2)
    system.until(
        lambda: (
            system.reported(n1=("CREATE_COMPLETED", 2), p1=("CREATE_COMPLETED", 1))
            and system.idle()
        )
    )

    assert [(r.method, r.tenant, r.name) for r in system.heat.requests] == [
        ("create", "t1", "network_n1"),
        ("create", "t1", "port_p1"),
    ]


def test_a_resource_in_a_project_that_keystone_refuses_can_be_removed(system: System) -> None:
    system.heat.refuse_project("t-wrong")
    system.put(N1, 1, tenant_id="t-wrong")
    system.until(lambda: [run for run in system.runs().values() if run.reason])
    system.remove(N1)
    system.until(lambda: not system.snapshot())


def test_a_deletion_ends_when_keystone_says_that_the_project_is_gone(system: System) -> None:
    system.put(N1)
    system.until(lambda: system.reported(n1=("CREATE_COMPLETED", 1)) and system.idle())
    system.heat.refuse_project("t1")
    system.remove(N1)
    system.until(lambda: [run for run in system.runs().values() if run.reason])
    system.heat.gone_projects.add("t1")
    system.until(lambda: not system.snapshot())


def test_two_resources_with_one_stack_name_do_not_touch_each_other() -> None:
    schemas = [
        {"id": kind, "prefix": f"/v1/{kind}", "metadata": {"template_path": "Cnetwork"}}
        for kind in ("node", "node_b")
    ]
    one, two = Ref("node", "b_x"), Ref("node_b", "x")
    with System(keys=Keys(Prefixes(), parse_schemas(schemas))) as system:
        system.put(one)
        system.until(lambda: system.worker_state(one) == ("CREATE_COMPLETED", 1) and system.idle())
        system.put(two)
        system.until(lambda: system.worker_state(two) == ("CREATE_FAILED", 1))
        assert system.state(two)["error"].startswith(
            "its stack would be named node_b_x, as that of node:b_x is"
        )
        system.remove(two)
        system.until(lambda: not [key for key in system.snapshot() if "node_b/x" in key])
        assert system.asked() == [("create", "node_b_x")]
