"""An orchestrator behind an upstream Gohan: a stand-in for that, and everything else real."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import parse_schemas
from orchestrator.sandbox.processes import free_port

from tests.gohan.server import Answer, Gohan, as_json, of_kinds
from tests.gohan.types import entry, own_entries
from tests.scripted.heat import ScriptedHeat

from .system import NODE_TEMPLATE, System, system

HEAT_TEMPLATE = entry("heat_template")
NODE = entry(
    "node",
    prefix="/v1",
    schema={"type": "object", "properties": {"parent_id": {"type": "string", "relation": "node"}}},
    template_path="Cnode",
)
LATER = entry("later", prefix="/v1", template_path="Cnode")
ENTRIES = [*own_entries(), HEAT_TEMPLATE, NODE]


@pytest.fixture
def behind(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[tuple[System, Gohan]]:
    """A Gohan with the type ``node``, and a system without any process yet that takes its list."""
    own = system(
        tmp_path / "system",
        scripted.environment(),
        bridges=0,
        workers=0,
        ORCHESTRATOR_SCHEMAS_TOKEN="admin_token",
        ORCHESTRATOR_SCHEMAS_INTERVAL="0.5",
    )
    with own as running:
        store = EtcdStore(EtcdAccess((running.etcd.endpoint,)))
        with Gohan(store, list(ENTRIES)) as gohan:
            running.keys = Keys(Prefixes(), parse_schemas([*ENTRIES, LATER]))
            running.environment["ORCHESTRATOR_SCHEMAS"] = f"{gohan.url}/gohan/v0.1/schemas"
            gohan.create("heat_template", "node", **NODE_TEMPLATE)
            yield running, gohan
        store.close()


def stored(running: System) -> Any:
    """What the leader has stored about the list in force; None when there is nothing."""
    found = running.store.get(running.keys.schema_list)
    return json.loads(found.value) if found else None


def trouble(running: System) -> Any:
    found = running.store.get(running.keys.schema_trouble)
    return json.loads(found.value) if found else None


def node(gohan: Gohan, resource_id: str, **body: Any) -> Ref:
    gohan.create("node", resource_id, tenant_id="t1", text="x", **body)
    return Ref("node", resource_id)


def test_the_api_server_may_be_down_at_every_start_once_its_list_was_read(
    behind: tuple[System, Gohan],
) -> None:
    running, gohan = behind
    first = running.bridge()
    running.until(lambda: stored(running))
    assert stored(running)["source"] == running.environment["ORCHESTRATOR_SCHEMAS"]
    assert "admin_token" not in json.dumps(stored(running))
    first.stop()
    gohan.stop()

    running.bridge()
    running.worker()
    ref = node(gohan, "n1")
    running.await_state(ref, "CREATE_COMPLETED")
    status = running.command("status", "-o", "json")

    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["schemas"]["types"] == len(ENTRIES)
    running.until(lambda: trouble(running))
    assert not trouble(running)["refused"]
    assert "does not answer" in trouble(running)["reason"]
    gohan.start()
    running.until(lambda: not trouble(running))


def test_only_the_bridge_asks_the_api_server(behind: tuple[System, Gohan]) -> None:
    running, gohan = behind
    running.environment["ORCHESTRATOR_SCHEMAS_INTERVAL"] = "3600"
    running.bridge()
    running.until(lambda: stored(running))
    running.until(lambda: len(gohan.asked) == 2)  # Before the first term, and at its beginning.

    running.worker()
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    assert running.command("get", "node").returncode == 0
    assert len(gohan.asked) == 2


def test_a_worker_that_starts_first_waits_for_the_list_of_the_bridge(
    behind: tuple[System, Gohan],
) -> None:
    running, gohan = behind
    running.worker()
    ref = node(gohan, "n1")
    running.bridge()
    running.await_state(ref, "CREATE_COMPLETED")


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "asks for a token (401); set ORCHESTRATOR_SCHEMAS_TOKEN"),
        ("wrong", "refuses the token of ORCHESTRATOR_SCHEMAS_TOKEN (401)"),
    ],
)
def test_a_bridge_without_the_right_token_does_not_start_and_says_what_to_set(
    behind: tuple[System, Gohan], token: str, says: str
) -> None:
    running, _ = behind
    result = running.command("bridge", ORCHESTRATOR_SCHEMAS_TOKEN=token)

    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert stored(running) is None


def page() -> Answer:
    return (
        200,
        {"Content-Type": "text/html"},
        b"<!DOCTYPE html><html><body>Please log in</body></html>",
    )


def cut_off() -> Answer:
    status, headers, body = as_json(200, {"schemas": ENTRIES})
    return status, {**headers, "Content-Length": str(len(body) + 10)}, body


def redirect() -> Answer:
    return 302, {"Location": "http://127.0.0.1:1/login"}, b""


ODD: list[tuple[Callable[[], Answer], str]] = [
    (page, "the answer is a page, not JSON"),
    (lambda: as_json(200, {"schemas": []}), "names no type of resources"),
    (lambda: as_json(200, {"networks": []}), 'a schema list looks like {"schemas"'),
    (lambda: as_json(200, {"schemas": list(own_entries())}), "names no type of resources"),
    (lambda: (200, {}, b'{"schemas": [{"id": "nod'), "ends in the middle"),
    (cut_off, "the answer ends in the middle"),
    (redirect, "redirects to another address (302)"),
    (lambda: (404, {}, b"404 page not found"), "answers 404"),
    (lambda: as_json(403, {}), "refuses the token of ORCHESTRATOR_SCHEMAS_TOKEN (403)"),
]


def test_no_bridge_starts_with_what_is_no_schema_list(behind: tuple[System, Gohan]) -> None:
    running, gohan = behind
    for odd, says in ODD:
        gohan.odd = odd
        result = running.command("bridge")
        assert (result.returncode, stored(running)) == (2, None), says
        assert says in result.stderr
        assert "admin_token" not in result.stderr


def test_what_is_no_schema_list_leaves_the_one_in_force_and_is_told(
    behind: tuple[System, Gohan],
) -> None:
    running, gohan = behind
    running.environment["ORCHESTRATOR_HEALTH_PORT"] = str(free_port())
    running.bridge()
    running.worker()
    running.until(lambda: stored(running))
    before = stored(running)
    for odd, says in ODD:
        gohan.odd = odd
        running.until(lambda says=says: says in (trouble(running) or {}).get("reason", ""))  # type: ignore[misc]
        assert trouble(running)["refused"]
    health = health_of(running)
    assert (health["fault"], health["role"]) == ("", "leader")
    assert "refuses the token" in health["note"]
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    assert stored(running) == before
    status = running.command("status")
    assert status.returncode == 1
    assert "A newer schema list is refused" in status.stdout

    gohan.odd = None

    running.until(lambda: not trouble(running))
    assert "note" not in health_of(running)
    assert running.command("status").returncode == 0


def health_of(running: System) -> Any:
    url = f"http://127.0.0.1:{running.environment['ORCHESTRATOR_HEALTH_PORT']}/health"
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def test_a_list_without_the_type_of_a_resource_that_exists_is_refused(
    behind: tuple[System, Gohan],
) -> None:
    """What a token gets whose role may not read the type."""
    running, gohan = behind
    running.bridge()
    running.worker()
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    gohan.tokens["admin_token"] = [*of_kinds(ENTRIES, "node"), "later"]
    gohan.entries.append(LATER)

    running.until(lambda: trouble(running))

    assert "it lacks type node, and etcd holds 1 resource of it (n1)" in trouble(running)["reason"]
    gohan.update("node", "n1", text="y")
    running.until(lambda: running.worker_state(Ref("node", "n1"), 0) == "MODIFY_COMPLETED")
    gohan.delete("node", "n1")
    running.until(lambda: trouble(running) is None)
    running.until(lambda: '"later"' in running.command("schemas", "show", "-o", "json").stdout)


def test_a_first_list_without_the_type_of_what_was_built_stops_the_start(
    behind: tuple[System, Gohan],
) -> None:
    """An etcd from before the list was kept there, or one whose record of it is gone."""
    running, gohan = behind
    bridge = running.bridge()
    running.worker()
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    bridge.stop()
    for key in (running.keys.schema_list, running.keys.schema_data):
        running.store.delete(key)

    result = running.command("bridge", ORCHESTRATOR_SCHEMAS="")

    assert result.returncode == 2
    assert "it lacks type node" in result.stderr
    assert "is ORCHESTRATOR_SCHEMAS right" in result.stderr


def test_a_new_type_is_taken_in_by_all_processes_without_a_restart(
    behind: tuple[System, Gohan],
) -> None:
    running, gohan = behind
    bridge, worker = running.bridge(), running.worker()
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    key = "/config/v1/laters/l1"
    running.store.put(
        key, json.dumps({"body": json.dumps({"id": "l1", "tenant_id": "t1"}), "version": 1})
    )
    rejected = json.loads(running.command("status", "-o", "json").stdout)["rejected"]
    assert [entry["key"] for entry in rejected] == [key]
    assert f"no resource type of the schema list of {gohan.url}" in rejected[0]["reason"]
    assert "let the token's role read it" in rejected[0]["reason"]

    gohan.entries.append(LATER)

    running.await_state(Ref("later", "l1"), "CREATE_COMPLETED")
    assert running.command("status").returncode == 0
    assert bridge.alive and worker.alive


def test_what_waits_for_a_type_and_what_failed_because_of_its_entry_goes_on_with_a_new_list(
    behind: tuple[System, Gohan],
) -> None:
    running, gohan = behind
    linked = {**NODE_TEMPLATE["parameter_mappings"], "value": "Flater+later_id:name"}
    gohan.create("heat_template", "linked", **{**NODE_TEMPLATE, "parameter_mappings": linked})
    of_linked = entry("linked", prefix="/v1", template_path="Clinked")
    gohan.entries[:] = [*ENTRIES, entry("broken", prefix="/v1", template_path="Xnode"), of_linked]
    running.keys = Keys(Prefixes(), parse_schemas([*gohan.entries, LATER]))
    running.bridge()
    running.worker()
    gohan.create("broken", "b1", tenant_id="t1", text="x")
    gohan.create("linked", "k1", tenant_id="t1", text="x", later_id="l1")
    broken, link = Ref("broken", "b1"), Ref("linked", "k1")
    assert "template_path of type broken" in running.await_state(broken, "CREATE_FAILED")["error"]
    running.until(lambda: running.record(running.keys.held, link))
    status = json.loads(running.command("status", "-o", "json").stdout)
    (held,) = status["held"]
    assert (
        f"refers to later:l1, whose type is not in the schema list of {gohan.url}" in held["reason"]
    )
    assert status["failed"][0]["root"] == {"resource_type": "schema", "resource_id": "broken"}

    gohan.entries[:] = [
        *ENTRIES,
        entry("broken", prefix="/v1", template_path="Cnode"),
        of_linked,
        LATER,
    ]
    gohan.create("later", "l1", tenant_id="t1", text="x", name="there")

    for ref in (broken, link, Ref("later", "l1")):
        running.await_state(ref, "CREATE_COMPLETED")
    assert running.command("status").returncode == 0


def test_a_reload_takes_the_list_in_at_once(behind: tuple[System, Gohan]) -> None:
    running, gohan = behind
    running.environment["ORCHESTRATOR_SCHEMAS_INTERVAL"] = "3600"
    assert "no bridge leads" in running.command("schemas", "reload").stderr
    running.bridge()
    running.until(lambda: stored(running))
    running.until(lambda: len(gohan.asked) == 2)
    gohan.entries.append(LATER)

    taken = running.command("schemas", "reload")
    again = running.command("schemas", "reload")
    gohan.odd = page
    refused = running.command("schemas", "reload")
    gohan.stop()
    down = running.command("schemas", "reload")

    assert (taken.returncode, again.returncode) == (0, 0), taken.stderr + again.stderr
    assert "It is new." in taken.stdout
    assert "It was the newest already." in again.stdout
    assert (refused.returncode, down.returncode) == (1, 4)
    assert "A newer list is refused" in refused.stdout
    assert "does not answer" in down.stdout
    shown = json.loads(running.command("schemas", "show", "-o", "json").stdout)
    assert "later" in [kind["type"] for kind in shown["types"]]
    assert shown["list"]["source"].startswith(gohan.url)


def test_a_type_that_moves_before_it_has_resources_is_found_by_an_old_worker(
    behind: tuple[System, Gohan],
) -> None:
    """A worker that has worked with the list before writes nothing where the type was."""
    running, gohan = behind
    gohan.entries.append(LATER)
    running.bridge()
    running.worker(concurrency=1)
    running.await_state(node(gohan, "n1"), "CREATE_COMPLETED")
    gohan.entries[-1] = entry("later", prefix="/v9", template_path="Cnode")
    running.keys = Keys(Prefixes(), parse_schemas(gohan.entries))
    before = stored(running)
    running.until(lambda: stored(running) != before)

    gohan.create("later", "l1", tenant_id="t1", text="x")

    running.await_state(Ref("later", "l1"), "CREATE_COMPLETED")
    assert [key for key in running.below("/") if "/v1/laters" in key] == []
    running.await_quiet()
