"""Mistakes that would delete everything, on real servers: nothing is deleted, and all the rest goes on.

``BRAKE=5000`` builds as many resources as the reliability page names; usually it is fewer.
``WITHIN=1`` asks for what the page says of a machine at rest: a bridge that was restarted has built
something within a second of its lead.
"""

from __future__ import annotations

import base64
import json
import os
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients.store import HistoryChanged
from orchestrator.core.refs import Ref
from orchestrator.sandbox.processes import Process

from tests.chaos.cluster import Cluster, cluster
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

NUMBER = int(os.environ.get("BRAKE", "60"))
WATCHED = 60.0 if "BRAKE" in os.environ else 4.0
"""Seconds for which Heat must get no request to delete."""
PATIENCE = 60 + NUMBER / 10
WITHIN = float(os.environ.get("WITHIN", "5"))
"""Seconds from the lead of a bridge until something new is built: some are for a machine that is
shared."""


@pytest.fixture(scope="module")
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("etcd"), 1) as running:
        yield running


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, heat: ScriptedHeat, etcd: Cluster
) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    endpoints = [member.endpoint for member in etcd.members]
    with system(
        folder,
        heat.environment(),
        schemas=NODE_SCHEMAS,
        workers=2,
        etcd=etcd,  # type: ignore[arg-type]
        endpoints=endpoints,
        ORCHESTRATOR_HEALTH_PORT="0",
    ) as running:
        write(running)
        running.until(lambda: is_complete(running), PATIENCE)
        running.await_quiet(PATIENCE)
        yield running


# The API server's part ----------------------------------------------------------------------------


def refs() -> list[Ref]:
    return [Ref("node", f"n{number}") for number in range(NUMBER)]


def write(nodes: System) -> None:
    """Every tenth is the parent of the nine after it."""
    nodes.put("heat_template", "node", **NODE_TEMPLATE)
    for number in range(NUMBER):
        parent: dict[str, Any] = (
            {} if number % 10 == 0 else {"parent_id": f"n{number - number % 10}"}
        )
        nodes.put("node", f"n{number}", tenant_id=f"t{number % 7}", **parent)


def is_complete(nodes: System) -> bool:
    found = nodes.store.list(nodes.keys.state + "v1/nodes/n")[1]
    states = [json.loads(kv.value)["state"]["worker_state"] for kv in found]
    return len(states) == NUMBER and all(state.endswith("_COMPLETED") for state in states)


def delete_prefix(nodes: System, etcd: Cluster, prefix: str) -> None:
    """``etcdctl del --prefix``."""
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    body = {
        "key": base64.b64encode(prefix.encode()).decode(),
        "range_end": base64.b64encode(end.encode()).decode(),
    }
    url = f"http://{etcd.members[0].endpoint}/v3/kv/deleterange"
    with urllib.request.urlopen(
        urllib.request.Request(url, json.dumps(body).encode()), timeout=30
    ) as reply:
        assert int(json.load(reply)["deleted"]) >= NUMBER


# What must hold -----------------------------------------------------------------------------------


def deletions(heat: ScriptedHeat) -> list[str]:
    return [request.stack for request in heat.requests if request.method == "delete"]


def nothing_is_deleted(nodes: System, heat: ScriptedHeat, name: str) -> None:
    """For a while, during which an unrelated resource is built within a second."""
    before, end = len(deletions(heat)), time.monotonic() + WATCHED
    while time.monotonic() < end:
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        began = time.monotonic()
        other = nodes.put("node", f"{name}-{began:.3f}")
        nodes.await_state(other, "CREATE_COMPLETED")
        print(f"unrelated create: {time.monotonic() - began:.3f} s")
        nodes.put("node", other.id, 2, marked=True)
        nodes.await_state(other, "DELETE_COMPLETED", 2)
        nodes.remove(other)
        before += 1
        assert len(deletions(heat)) == before


def status(nodes: System) -> str:
    told = nodes.command("status")
    assert told.returncode == 1, told.stdout + told.stderr
    return told.stdout


def wait_for_held(nodes: System, held: int) -> str:
    def is_told() -> str:
        told = nodes.command("status", "-o", "json")
        found = json.loads(told.stdout)
        return told.stdout if len(found["unconfirmed"]) == held else ""

    return nodes.until(is_told, PATIENCE)


def restart(nodes: System, **more: str) -> Process:
    """The bridge ends and another begins, as when a setting was changed."""
    for bridge in nodes.bridges:
        bridge.stop()
    nodes.bridges.clear()
    return nodes.bridge(**more)


def builds_soon(nodes: System, bridge: Process, name: str) -> None:
    """What is written when a bridge begins to lead is built soon, whatever else there is."""
    started = time.monotonic()
    nodes.until(lambda: "Leadership acquired" in bridge.log_tail(200))
    leads = time.monotonic()
    other = nodes.put("node", f"{name}-first")
    nodes.await_state(other, "CREATE_COMPLETED")
    taken = time.monotonic() - leads
    print(f"lead: {leads - started:.3f} s; first create after it: {taken:.3f} s")
    nodes.put("node", other.id, 2, marked=True)
    nodes.await_state(other, "DELETE_COMPLETED", 2)
    nodes.remove(other)
    assert taken < WITHIN


def test_twenty_marked_deletions_go_at_once(nodes: System, heat: ScriptedHeat) -> None:
    extra = [nodes.put("node", f"extra{number}") for number in range(20)]
    for ref in extra:
        nodes.await_state(ref, "CREATE_COMPLETED")
    for ref in extra:
        nodes.put("node", ref.id, 2, marked=True)
    for ref in extra:
        nodes.await_state(ref, "DELETE_COMPLETED", 2)
        nodes.remove(ref)
    nodes.until(lambda: not any(nodes.state(ref) for ref in extra))


def test_everything_removed_by_one_command_deletes_nothing(
    nodes: System, heat: ScriptedHeat, etcd: Cluster
) -> None:
    delete_prefix(nodes, etcd, nodes.keys.config)
    nothing_is_deleted(nodes, heat, "gone")
    wait_for_held(nodes, NUMBER)
    told = status(nodes)
    assert "orchestrator confirm deletions" in told
    assert f"node  {NUMBER} " in told

    write(nodes)

    nodes.until(
        lambda: "unconfirmed" in (found := nodes.command("status", "-o", "json").stdout) and found,
        PATIENCE,
    )
    nodes.until(lambda: is_complete(nodes) and not nodes.store.get(nodes.keys.brake), PATIENCE)
    nodes.await_quiet(PATIENCE)
    assert not {stack for stack in deletions(heat) if stack.startswith("node_n")}


def test_a_wrong_prefix_stops_the_bridge(nodes: System, heat: ScriptedHeat) -> None:
    before = len(heat.requests)
    restart(nodes, ORCHESTRATOR_CONFIG_PREFIX="/confg")
    nodes.until(lambda: nodes.store.get(nodes.keys.identity_trouble))
    assert "ORCHESTRATOR_CONFIG_PREFIX is /confg, and was /config" in status(nodes).replace(
        "\n", " "
    )

    builds_soon(nodes, restart(nodes), "prefix")
    nothing_is_deleted(nodes, heat, "prefix")
    nodes.until(lambda: not nodes.store.get(nodes.keys.identity_trouble))
    assert not {
        request.stack for request in heat.requests[before:] if request.stack.startswith("node_n")
    }


def test_an_emptied_schema_list_deletes_nothing(nodes: System, heat: ScriptedHeat) -> None:
    emptied = Path(nodes.environment["ORCHESTRATOR_SCHEMAS"] + ".emptied")
    emptied.write_text(json.dumps({"schemas": []}))
    bridge = restart(nodes, ORCHESTRATOR_SCHEMAS=str(emptied))
    builds_soon(nodes, bridge, "list")
    nothing_is_deleted(nodes, heat, "list")
    assert "A newer schema list is refused" in status(nodes)
    builds_soon(nodes, restart(nodes), "list-again")
    nothing_is_deleted(nodes, heat, "list-again")


def test_an_older_backup_deletes_nothing(
    nodes: System, heat: ScriptedHeat, etcd: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    snapshot = tmp_path_factory.mktemp("backup") / "snapshot.db"
    etcd.save(snapshot)
    later = [nodes.put("node", f"later{number}") for number in range(5)]
    for ref in later:
        nodes.await_state(ref, "CREATE_COMPLETED")
    etcd.restore(snapshot)
    with pytest.raises(HistoryChanged):  # our own connection tells, too
        nodes.store.get(nodes.keys.leader)
    nodes.until(lambda: nodes.command("status").returncode == 0, PATIENCE)
    nothing_is_deleted(nodes, heat, "backup")


def test_what_is_confirmed_goes_in_order(nodes: System, heat: ScriptedHeat, etcd: Cluster) -> None:
    """The last story: nothing is left."""
    delete_prefix(nodes, etcd, f"{nodes.keys.config}v1/nodes/n")
    wait_for_held(nodes, NUMBER)
    builds_soon(nodes, restart(nodes), "held")
    wait_for_held(nodes, NUMBER)
    before = len(heat.requests)

    confirm = ("confirm", "deletions", "--yes", "--wait", "--timeout", str(PATIENCE))
    confirmed = nodes.command(*confirm, patience=2 * PATIENCE)

    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
    nodes.until(lambda: not nodes.below(f"{nodes.keys.stacks}v1/nodes/n"), PATIENCE)
    nodes.until(lambda: not nodes.store.get(nodes.keys.brake))
    asked = [request.stack for request in heat.requests[before:] if request.method == "delete"]
    assert sorted(asked) == sorted(f"node_{ref.id}" for ref in refs())
    assert_children_first(asked)


def assert_children_first(asked: Sequence[str]) -> None:
    place = {stack: number for number, stack in enumerate(asked)}
    for number in range(NUMBER):
        parent = number - number % 10
        if parent != number:
            assert place[f"node_n{number}"] < place[f"node_n{parent}"]
