"""What operators do all day, on a real etcd, Redis, bridge, worker and Heat engine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from orchestrator.cli import drifting
from orchestrator.cli.verbs.authors import verb
from orchestrator.core.records import Depth, RetryAsked
from orchestrator.core.refs import Ref
from orchestrator.sandbox import servers
from orchestrator.views.reading import read_all

from .system import System, system


def stack(heat: servers.HeatServer, name: str, tenant: str = "t1") -> Any:
    """What the real Heat shows of a stack, None when there is none: one that is deleted may still have its name."""
    try:
        with urllib.request.urlopen(f"{heat.url}/v1/{tenant}/stacks/{name}", timeout=10) as reply:
            shown = json.load(reply)["stack"]
            return None if shown["stack_status"] == "DELETE_COMPLETE" else shown
    except urllib.error.HTTPError as error:
        assert error.code == 404
        return None


def outputs(shown: Any) -> dict[str, Any]:
    return {output["output_key"]: output["output_value"] for output in shown["outputs"]}


def test_a_network_its_subnet_and_a_port_are_built_in_order_updated_and_deleted(
    real: System, real_heat: servers.HeatServer
) -> None:
    """Everything arrives at once and backwards; outputs flow; deletion goes the other way round."""
    port = real.put("port", "p1", network_id="n1", fixed_ips=[{"subnet_id": "s1"}], name="p1")
    subnet = real.put("subnet", "s1", network_id="n1", cidr="10.1.0.0/24", name="s1")
    network = real.put("network", "n1", name="n1")

    for ref in (network, subnet, port):
        state = real.await_state(ref, "CREATE_COMPLETED")
        assert state["error"] == ""
        record = real.record(real.keys.stacks, ref)
        shown = stack(real_heat, ref.stack_name)
        assert (record["stack_id"], record["stack_status"], record["tenant_id"]) == (
            ref.stack_name,
            "CREATE_COMPLETE",
            "t1",
        )
        assert record["output"] == shown["outputs"]
        assert json.loads(state["state"]["heat_outputs"]) == shown["outputs"]
    network_id = outputs(stack(real_heat, "network_n1"))["id"]
    assert stack(real_heat, "subnet_s1")["parameters"]["network"] == network_id

    real.put("network", "n1", version=2, name="renamed")
    real.await_state(network, "MODIFY_COMPLETED", 2)
    shown = stack(real_heat, "network_n1")
    assert (shown["stack_status"], shown["parameters"]["name"], outputs(shown)["id"]) == (
        "UPDATE_COMPLETE",
        "renamed",
        network_id,
    )

    # All at once, what is used first: the network has to wait for its users.
    real.put("network", "n1", version=3, marked=True, name="renamed")
    real.put("subnet", "s1", version=2, marked=True, network_id="n1", cidr="10.1.0.0/24", name="s1")
    real.put(
        "port",
        "p1",
        version=2,
        marked=True,
        network_id="n1",
        fixed_ips=[{"subnet_id": "s1"}],
        name="p1",
    )
    real.await_state(network, "DELETE_COMPLETED", 3)
    assert real.worker_state(subnet, 2) == real.worker_state(port, 2) == "DELETE_COMPLETED"
    assert [stack(real_heat, ref.stack_name) for ref in (network, subnet, port)] == [
        None,
        None,
        None,
    ]

    for ref in (network, subnet, port):
        real.remove(ref)
    real.until(lambda: not real.left_behind(), what=lambda: str(real.left_behind()))


def resource_ids(heat: servers.HeatServer, name: str) -> dict[str, str]:
    """The things inside a stack, by the id that the cloud gave them."""
    shown = stack(heat, name)
    place = f"{heat.url}/v1/t1/stacks/{name}/{shown['id']}/resources"
    with urllib.request.urlopen(place, timeout=10) as reply:
        listed = json.load(reply)["resources"]
    return {one["resource_name"]: one["physical_resource_id"] for one in listed}


def rename(heat: servers.HeatServer, name: str, network: str) -> None:
    """Somebody else changes the parameter ``name`` of a stack, and keeps all else: our tags too."""
    shown = stack(heat, name)
    place = f"{heat.url}/v1/t1/stacks/{name}/{shown['id']}"
    body = json.dumps({"parameters": {"name": network}}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(place, body, headers, method="PATCH"), timeout=10)


def rename_later(real: System, heat: servers.HeatServer, name: str, network: str) -> None:
    """The same right after an update of ours, in another second: Heat tells times in seconds."""
    ours = stack(heat, name)["updated_time"]
    while stack(heat, name)["updated_time"] == ours:
        rename(heat, name, network)
        real.until(lambda: stack(heat, name)["stack_status"] == "UPDATE_COMPLETE")


def compare(real: System, ref: Ref, depth: Depth) -> set[tuple[str, str]]:
    """What differs of a stack, compared now."""
    found = read_all(real.store, real.keys)
    meant = drifting.DriftMeant(ref)
    drifting.ask(real.store, found, meant, depth, timeout=30.0)
    chosen = drifting.choose(read_all(real.store, real.keys), meant)
    return {(d.kind.value, d.name) for one in chosen for d in one.drift.deviations}


def test_a_stack_that_somebody_updated_is_found_and_corrected_and_nothing_is_replaced(
    real: System, real_heat: servers.HeatServer
) -> None:
    network = real.put("network", "drifting", name="ours")
    subnet = real.put("subnet", "drifting", network_id="drifting", cidr="10.2.0.0/24", name="ours")
    for ref in (network, subnet):
        real.await_state(ref, "CREATE_COMPLETED")
        assert compare(real, ref, Depth.OUTPUTS) == set()
        assert "outdated" not in str(real.store.get(real.keys.sweep("t1")))
    before = [resource_ids(real_heat, ref.stack_name) for ref in (network, subnet)]

    rename(real_heat, network.stack_name, "theirs")
    real.until(lambda: stack(real_heat, network.stack_name)["stack_status"] == "UPDATE_COMPLETE")
    assert compare(real, network, Depth.LISTS) == {("updated", "")}
    found = compare(real, network, Depth.OUTPUTS)
    assert found == {("updated", ""), ("parameter", "name"), ("output", "name")}
    assert "theirs" not in str(real.record(real.keys.drift, network))

    drifted = read_all(real.store, real.keys)
    chosen = drifting.choose(drifted, drifting.DriftMeant(network))
    drifting.correct(real.store, drifted, chosen, verb("drift correct", "alice", None))
    real.await_state(network, "MODIFY_COMPLETED")
    assert stack(real_heat, network.stack_name)["parameters"]["name"] == "ours"

    rename_later(real, real_heat, network.stack_name, "theirs again")
    assert compare(real, network, Depth.LISTS) == {("updated", "")}, "no sweep came between"
    network = real.put("network", "drifting", version=2, name="ours again")
    real.await_state(network, "MODIFY_COMPLETED", 2)
    assert [resource_ids(real_heat, ref.stack_name) for ref in (network, subnet)] == before
    for ref in (network, subnet):
        assert compare(real, ref, Depth.OUTPUTS) == set()
    for ref in (network, subnet):
        real.remove(ref)
    real.until(lambda: not real.left_behind(), what=lambda: str(real.left_behind()))


def test_removing_the_config_without_a_mark_deletes_the_stack_from_what_is_recorded(
    real: System, real_heat: servers.HeatServer
) -> None:
    network = real.put("network", "bare", name="bare")
    real.await_state(network, "CREATE_COMPLETED")
    real.remove(network)
    real.until(lambda: stack(real_heat, "network_bare") is None)
    real.until(
        lambda: not [key for key in real.below("/") if "bare" in key],
        what=lambda: str(real.below("/")),
    )


def test_what_heat_refuses_and_what_fails_in_heat_says_why_and_what_to_do(
    real: System, real_heat: servers.HeatServer
) -> None:
    refused = real.put("subnet", "refused", network_id="nf", cidr="not-a-cidr", name="refused")
    failing = real.put("network", "nf", name="fail-create-once")
    state = real.await_state(failing, "CREATE_FAILED")
    assert "fail-create" in state["error"] or "Resource CREATE failed" in state["error"]
    assert "next version" in state["error"]
    blocked = real.await_state(refused, "CREATE_FAILED")
    assert "network:nf" in blocked["error"] and "CREATE_FAILED" in blocked["error"]

    # The root is repaired by a newer config: an update of the CREATE_FAILED stack. The other follows by itself.
    real.put("network", "nf", version=2, name="fine")
    real.await_state(failing, "MODIFY_COMPLETED", 2)
    real.until(
        lambda: "cidr" in (real.state(refused)["error"] or ""),
        what=lambda: str(real.state(refused)),
    )
    assert real.worker_state(refused) == "CREATE_FAILED"
    real.put("subnet", "refused", version=2, network_id="nf", cidr="10.9.0.0/24", name="good")
    assert real.until(lambda: real.worker_state(refused, 2)) == "CREATE_COMPLETED"
    real.await_quiet()


def test_a_stack_of_somebody_else_is_taken_over_when_asked_and_an_update_builds_the_one_that_is_not(
    real: System, real_heat: servers.HeatServer
) -> None:
    template = {
        "heat_template_version": "2018-08-31",
        "resources": {"r": {"type": "OS::Heat::RandomString"}},
    }
    body = json.dumps({"stack_name": "network_adopted", "template": template}).encode()
    request = urllib.request.Request(
        f"{real_heat.url}/v1/t1/stacks", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        before = json.load(reply)["stack"]["id"]
    network = real.put("network", "adopted", name="mine")
    real.await_state(network, "CREATE_FAILED")
    assert stack(real_heat, "network_adopted")["updated_time"] is None, "it was left alone"
    real.store.put(real.keys.below(real.keys.retries, network), RetryAsked(force=True).to_json())
    real.await_state(network, "CREATE_COMPLETED")
    shown = stack(real_heat, "network_adopted")
    assert (shown["id"], shown["parameters"]["name"]) == (before, "mine")

    delete = urllib.request.Request(
        f"{real_heat.url}/v1/t1/stacks/network_adopted/{before}", method="DELETE"
    )
    urllib.request.urlopen(delete).close()
    real.until(lambda: stack(real_heat, "network_adopted") is None)
    real.put("network", "adopted", version=2, name="again")
    real.await_state(network, "MODIFY_COMPLETED", 2)
    shown = stack(real_heat, "network_adopted")
    assert (shown["stack_status"], shown["parameters"]["name"]) == ("CREATE_COMPLETE", "again")


def test_bridge_and_worker_are_killed_in_mid_run_and_every_stack_is_created_once(
    tmp_path: Path, real_heat: servers.HeatServer
) -> None:
    """On a system of its own, with the real engine: it finishes, and Heat began each stack exactly once."""
    with system(tmp_path / "own", real_heat.environment()) as own:
        networks = [
            own.put("network", f"k{i}", tenant_id="killed", name=f"slow-1-k{i}") for i in range(4)
        ]
        subnets = [
            own.put(
                "subnet",
                f"ks{i}",
                tenant_id="killed",
                network_id=f"k{i}",
                cidr=f"10.{i}.0.0/24",
                name=f"s{i}",
            )
            for i in range(4)
        ]
        own.until(lambda: stack(real_heat, "network_k0", "killed"))
        own.bridges[0].kill()
        own.workers[0].kill()
        own.bridge()
        own.worker()
        for ref in (*networks, *subnets):
            own.await_state(ref, "CREATE_COMPLETED", timeout=60)
            shown = stack(real_heat, ref.stack_name, "killed")
            url = f"{real_heat.url}/v1/killed/stacks/{ref.stack_name}/{shown['id']}/events"
            with urllib.request.urlopen(url, timeout=10) as reply:
                begun = [
                    e
                    for e in json.load(reply)["events"]
                    if e["resource_status"] == "CREATE_IN_PROGRESS"
                ]
            assert len([e for e in begun if e["physical_resource_id"] == shown["id"]]) == 1
        own.await_quiet()
