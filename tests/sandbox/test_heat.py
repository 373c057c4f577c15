"""A real Heat with simulated resource types: what it takes, what it refuses, and what it says about resources."""

from __future__ import annotations

import concurrent.futures
import ipaddress
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

from .heat_api import Project, outputs

pytestmark = pytest.mark.integration

SERVICE = """
heat_template_version: 2018-08-31
parameters:
  name: {type: string, default: web}
resources:
  net: {type: OS::Neutron::Net, properties: {name: {get_param: name}}}
  subnet: {type: OS::Neutron::Subnet, properties: {network: {get_resource: net}, cidr: 192.168.7.0/24}}
  group: {type: OS::Neutron::SecurityGroup, properties: {rules: [{protocol: tcp}]}}
  port:
    type: OS::Neutron::Port
    properties:
      network: {get_resource: net}
      security_groups: [{get_resource: group}]
      fixed_ips: [{subnet: {get_resource: subnet}, ip_address: 192.168.7.77}]
  server:
    type: OS::Nova::Server
    properties:
      image: an-image
      flavor: a-flavor
      metadata: {role: web}
      networks: [{port: {get_resource: port}}, {network: {get_resource: net}}]
outputs:
  net: {value: {get_resource: net}}
  net_name: {value: {get_attr: [net, name]}}
  subnets: {value: {get_attr: [net, subnets]}}
  subnet: {value: {get_resource: subnet}}
  gateway: {value: {get_attr: [subnet, gateway_ip]}}
  port_ip: {value: {get_attr: [port, fixed_ips, 0, ip_address]}}
  port_mac: {value: {get_attr: [port, mac_address]}}
  addresses: {value: {get_attr: [server, addresses]}}
  first_address: {value: {get_attr: [server, first_address]}}
"""


def net(name: str, more: str = "") -> str:
    """A template of one network."""
    return f"""
heat_template_version: 2018-08-31
resources:
  net: {{type: OS::Neutron::Net, properties: {{name: "{name}"{more}}}}}
outputs:
  id: {{value: {{get_resource: net}}}}
  show: {{value: {{get_attr: [net, show]}}}}
"""


def test_a_service_is_created_updated_and_deleted(project: Project) -> None:
    assert project.create("service", SERVICE)[0] == 201
    made = project.done("service")
    assert (made["stack_status"], made["stack_status_reason"]) == (
        "CREATE_COMPLETE",
        "Stack CREATE completed successfully",
    )
    before = outputs(made)
    assert before["net_name"] == "web"
    assert before["subnets"] == [before["subnet"]]
    assert before["gateway"] == "192.168.7.1"
    assert before["port_ip"] == before["first_address"] == "192.168.7.77"
    entries = before["addresses"][before["net"]]
    assert entries[0]["OS-EXT-IPS-MAC:mac_addr"] == before["port_mac"]
    assert ipaddress.ip_address(entries[1]["addr"]) in ipaddress.ip_network("192.168.7.0/24")
    assert entries[1]["addr"] not in ("192.168.7.1", "192.168.7.77")

    assert project.update("service", SERVICE, parameters={"name": "shop"})[0] == 202
    updated = project.done("service")
    assert updated["stack_status"] == "UPDATE_COMPLETE"
    assert outputs(updated) == {**before, "net_name": "shop"}, (
        "an update in place changes nothing else"
    )

    path = f"/stacks/service/{updated['id']}"
    assert project.request("DELETE", path)[0] == 204
    deadline = time.monotonic() + 20
    while project.request("GET", "/stacks/service")[0] != 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert project.request("GET", path)[1]["stack"]["stack_status"] == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("cidr: 192.168.7.0/24", "cidr: 192.168.7.0/24, colour: red", "Unknown Property colour"),
        ("cidr: 192.168.7.0/24", "cidr: [a, list]", "Value must be a string"),
        ("cidr: 192.168.7.0/24", "cidr: not-a-network", "Invalid net cidr"),
        ("cidr: 192.168.7.0/24", "ip_version: 5, cidr: 192.168.7.0/24", "is not an allowed value"),
        ("flavor: a-flavor", "name: no-flavor", "Property flavor not assigned"),
        ("image: an-image", "name: no-image", "Neither image nor bootable volume"),
        ("get_attr: [subnet, gateway_ip]", "get_attr: [subnet, colour]", "colour"),
        ("OS::Neutron::SecurityGroup", "OS::Neutron::NoSuchType", "could not be found"),
    ],
    ids=[
        "property",
        "type",
        "form",
        "choice",
        "required",
        "rule of the type",
        "attribute",
        "resource type",
    ],
)
def test_what_a_real_cloud_refuses_is_refused(
    project: Project, right: str, wrong: str, reason: str
) -> None:
    assert right in SERVICE
    status, document = project.create("wrong", SERVICE.replace(right, wrong))
    assert status == 400
    assert reason in document["error"]["message"]


def test_any_name_of_a_cloud_thing_is_accepted(project: Project) -> None:
    """Constraints that look a name up in a cloud have nothing to look into."""
    template = net("a", ", qos_policy: whatever")
    assert project.create("named", template)[0] == 201
    assert outputs(project.done("named"))["show"]["qos_policy_id"] == "whatever"


@pytest.mark.parametrize("place", ["name", "value_specs"])
def test_a_creation_fails_on_demand(project: Project, place: str) -> None:
    template = (
        net("fail-create") if place == "name" else net("a", ", value_specs: {note: fail-create}")
    )
    project.create("failing", template)
    stack = project.done("failing")
    assert stack["stack_status"] == "CREATE_FAILED"
    assert (
        "resources.net: The simulated cloud could not create OS::Neutron::Net"
        in stack["stack_status_reason"]
    )


def test_an_update_repairs_a_stack_whose_creation_failed(project: Project) -> None:
    """Heat takes the update, makes the failed resource anew and keeps the stack."""
    project.create("repaired", net("fail-create"))
    failed = project.done("repaired")
    assert project.update("repaired", net("good"))[0] == 202
    stack = project.done("repaired")
    assert (stack["stack_status"], stack["id"]) == ("UPDATE_COMPLETE", failed["id"])
    assert outputs(stack)["show"]["name"] == "good"


def test_an_update_fails_on_demand_and_the_next_one_repairs_it(project: Project) -> None:
    project.create("updated", net("a"))
    before = project.done("updated")
    project.update("updated", net("fail-update"))
    failed = project.done("updated")
    assert failed["stack_status"] == "UPDATE_FAILED"
    assert "could not update OS::Neutron::Net 'fail-update'" in failed["stack_status_reason"]
    project.update("updated", net("b"))
    repaired = project.done("updated")
    assert repaired["stack_status"] == "UPDATE_COMPLETE"
    assert outputs(repaired)["id"] == outputs(before)["id"]


def test_a_deletion_fails_once_on_demand(project: Project) -> None:
    project.create("stubborn", net("fail-delete-once"))
    identity = project.done("stubborn")["id"]
    project.delete("stubborn")
    assert project.done("stubborn")["stack_status"] == "DELETE_FAILED"
    status, document = project.update("stubborn", net("a"))
    assert (status, document["error"]["message"]) == (
        400,
        "Updating a stack when it is deleting is not supported.",
    )
    project.delete("stubborn")
    deadline = time.monotonic() + 20
    while (
        project.request("GET", f"/stacks/stubborn/{identity}")[1]["stack"]["stack_status"]
        != "DELETE_COMPLETE"
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_operation_is_slow_on_demand_and_keeps_others_out(project: Project) -> None:
    started = time.monotonic()
    project.create("slow", net("slow-1.5"))
    status, document = project.update("slow", net("a"))
    assert (status, document["error"]["type"]) == (409, "ActionInProgress")
    assert project.done("slow")["stack_status"] == "CREATE_COMPLETE"
    assert 1.5 <= time.monotonic() - started < 6


def test_projects_are_kept_apart(heat_server: servers.HeatServer, project: Project) -> None:
    project.create("mine", net("a"))
    identity = project.done("mine")["id"]
    other = Project(heat_server, uuid.uuid4().hex)
    for path in (f"/stacks/mine/{identity}", f"/stacks/{identity}", "/stacks/mine"):
        assert other.request("GET", path)[0] == 404
        assert other.request("DELETE", path)[0] == 404
    assert other.request("GET", "/stacks")[1]["stacks"] == []
    assert other.request("GET", "/stacks?global_tenant=True")[0] == 403
    assert other.create("mine", net("b"))[0] == 201, "a name is taken within its project only"
    assert outputs(other.done("mine"))["show"]["tenant_id"] == other.name
    assert outputs(project.show("mine"))["show"]["name"] == "a"


def test_many_stacks_at_once(project: Project) -> None:
    def make(number: int) -> dict[str, Any]:
        status, document = project.create(
            f"many-{number}", SERVICE.replace("192.168.7.", f"192.168.{number}.")
        )
        assert status == 201, document
        return project.done(f"many-{number}", timeout=60)

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        stacks = list(pool.map(make, range(20)))
    assert {stack["stack_status"] for stack in stacks} == {"CREATE_COMPLETE"}
    assert [outputs(stack)["first_address"] for stack in stacks] == [
        f"192.168.{number}.77" for number in range(20)
    ]


def test_every_kind_of_network_function_can_be_built(project: Project) -> None:
    template = (Path(__file__).parent / "every_type.yaml").read_text()
    assert project.create("every", template)[0] == 201
    stack = project.done("every")
    assert stack["stack_status"] == "CREATE_COMPLETE", stack["stack_status_reason"]
    found = outputs(stack)
    assert found["vip"] in [str(host) for host in ipaddress.ip_network("10.1.0.0/24")]
    assert found["behind_floating_ip"] == found["port_ip"]
    assert found["vpn_router"] == found["router"]
    assert project.delete("every")[0] == 204


def test_in_convergence_mode_an_update_overtakes_what_is_in_progress(tmp_path: Path) -> None:
    pytest.importorskip("heat")
    with Processes(tmp_path) as processes:
        project = Project(servers.heat(processes, convergence=True), "p")
        project.create("overtaken", net("slow-3"))
        assert project.update("overtaken", net("quick"))[0] == 202
        stack = project.done("overtaken")
        assert (stack["stack_status"], outputs(stack)["show"]["name"]) == (
            "UPDATE_COMPLETE",
            "quick",
        )


def test_stacks_outlive_a_kill_of_heat(tmp_path: Path) -> None:
    pytest.importorskip("heat")
    with Processes(tmp_path) as processes:
        server = servers.heat(processes, delay=0.3)
        project = Project(server, "p")
        started = time.monotonic()
        project.create("kept", SERVICE)
        before = outputs(project.done("kept"))
        assert time.monotonic() - started > 4 * 0.3, (
            "network, subnet, port and server come one after the other"
        )
        project.create("cut-off", net("slow-60"))
        server.kill()
        server.restart()
        assert outputs(project.show("kept")) == before
        cut = project.done("cut-off")
        assert (cut["stack_status"], cut["stack_status_reason"]) == (
            "CREATE_FAILED",
            "Engine went down during stack CREATE",
        )
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 2
