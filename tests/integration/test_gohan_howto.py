"""docs/howto/connect-gohan.md, followed to the letter: upstream's stand-in in front, a real Heat behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import parse_schemas
from orchestrator.sandbox import servers

from tests.gohan.server import Gohan
from tests.gohan.types import catalogue_entries, entry, own_entries

from .system import NODE_TEMPLATE, System, system

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "howto" / "connect-gohan.md").read_text()
EXAMPLE = ROOT / "templates" / "examples" / "load_balancer_service.yaml"
VERSIONED = ("network", "port", "load_balancer", "load_balancer_interface", "router", "vm")
"""Types with ``state_versioning``; all others are written with version 0 from the first update on."""
OUTCOME: dict[str, Any] = {
    name: {"title": name, "description": name, "type": "string", "default": "", "permission": []}
    for name in ("orchestration_state", "orchestration_error")
}
"""The two properties of step 6."""

MORE: list[dict[str, Any]] = [
    {"type": "router", "id": "rt-core", "body": {"name": "core"}},
    {
        "type": "router_interface",
        "id": "rti-back",
        "body": {"router_id": "rt-core", "subnet_id": "sub-back"},
    },
    {"type": "gateway", "id": "gw-edge", "body": {"name": "edge", "external_network": "public"}},
    {
        "type": "static_route",
        "id": "route-partner",
        "body": {
            "gateway_id": "gw-edge",
            "destination": "203.0.113.0/24",
            "nexthop": "192.0.2.254",
        },
    },
    {
        "type": "floating_ip",
        "id": "fip-web",
        "body": {"external_network": "public", "port_id": "port-web-a"},
    },
    {"type": "firewall", "id": "fw-closed", "body": {"name": "closed", "rules": []}},
    {"type": "qos_policy", "id": "qos-gold", "body": {"name": "gold", "max_kbps_egress": 100000}},
    {"type": "vm", "id": "vm1", "body": {"device_id": "d1", "text": "x"}},
    {"type": "appliance", "id": "a1", "body": {"text": "x"}},
]
"""What the example lacks, so that there is one of every type that is built."""
UNSEEN: list[dict[str, Any]] = [
    {"type": "secret", "id": "s1", "body": {"text": "x"}},
    {"type": "note", "id": "n1", "body": {"text": "x"}},
    {"type": "label", "id": "l1", "body": {"text": "x"}},
]
"""Types that are no resources: with ``nosync``, ``sync_plain`` and ``sync_property``."""


def entries() -> list[dict[str, Any]]:
    """The schemas of step 4: the catalogue's, and some of every dialect."""
    of_device: Any = {
        "sync_key_template": "/v1.0/devices/{{device_id}}/vms/{{id}}",
        "state_versioning": True,
    }
    outside: Any = {"sync_key_template": "/v1.0/appliances/{{id}}", "sync_skip_config_prefix": True}
    more = [
        entry("vm", prefix="/v1.0", template_path="Cnode", **of_device),
        entry("appliance", prefix="/v1.0", template_path="Cnode", **outside),
        entry("secret", prefix="/v1.0", nosync=True, template_path="Cnode"),
        entry("note", prefix="/v1.0", sync_plain=True),
        entry("label", prefix="/v1.0", sync_property="text"),
    ]
    found = [*own_entries(), *catalogue_entries(VERSIONED), *more]
    for listed in found:
        listed["schema"].setdefault("properties", {}).update(OUTCOME)
    return found


def blocks(language: str) -> list[str]:
    """The code blocks of the page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def settings_of_the_page() -> dict[str, str]:
    """Every variable that the page sets."""
    lines = (line for block in blocks("sh") for line in block.splitlines())
    return dict(line.split("=", 1) for line in lines if line.startswith("ORCHESTRATOR_"))


def documents(collector: str) -> list[dict[str, Any]]:
    """One resource at least of every type, in the order in which they may be made in a database."""
    found = [document for document in yaml.safe_load_all(EXAMPLE.read_text()) if document]
    for document in found:
        if document["type"] == "monitoring_collector":
            document["body"]["url"] = collector
    return [*found, *MORE, *UNSEEN]


@dataclass
class Behind:
    """The system behind a Gohan, and the resources that Gohan has."""

    running: System
    gohan: Gohan
    documents: list[dict[str, Any]]

    @property
    def built(self) -> list[Ref]:
        """The resources that become stacks."""
        types = self.running.keys.schemas
        kinds = {kind.id for kind in types if kind.is_resource and kind.template is not None}
        return [
            Ref(found["type"], found["id"]) for found in self.documents if found["type"] in kinds
        ]

    def key(self, ref: Ref) -> str:
        row = self.gohan.rows[ref]
        return f"/state_watch/state{row.kind.path(row.body)}"

    def report(self, ref: Ref) -> Mapping[str, Any]:
        """The worker state, version and error that were reported; nothing in them when there is none."""
        found = self.running.store.get(self.key(ref))
        if found is None:
            return {}
        document = json.loads(found.value)
        assert isinstance(document["state"], str)
        return {
            **json.loads(document["state"]),
            "version": document["version"],
            "error": document["error"],
        }

    def all_reported(self, worker_state: str, versions: Mapping[bool, int]) -> bool:
        """Whether every resource that is built is reported so.

        :param versions: the version to expect of types with ``state_versioning``, and of those without.
        """
        return not self.different(worker_state, versions)

    def different(
        self, worker_state: str, versions: Mapping[bool, int]
    ) -> list[tuple[Ref, Mapping[str, Any]]]:
        reports = [(ref, self.report(ref)) for ref in self.built]
        return [
            (ref, found)
            for ref, found in reports
            if found.get("worker_state") != worker_state
            or found["version"] != versions[ref.type in VERSIONED]
        ]

    def jobs(self) -> dict[str, str]:
        """The last job of every resource, by the record of what was handled."""
        listed = self.running.store.list(self.running.keys.handled)[1]
        return {kv.key: json.loads(kv.value)["job"] for kv in listed}

    def await_all(self, worker_state: str, versioned: int, unversioned: int) -> None:
        versions = {True: versioned, False: unversioned}
        self.running.until(
            lambda: self.all_reported(worker_state, versions),
            120,
            lambda: str(self.different(worker_state, versions)),
        )

    def get(self, ref: Ref) -> Any:
        """As a client of Gohan's API."""
        url = f"{self.gohan.url}{self.gohan.rows[ref].kind.url}/{ref.id}"
        request = urllib.request.Request(url, headers={"X-Auth-Token": "admin_token"})
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)[ref.type]


@pytest.fixture(scope="module")
def behind(
    tmp_path_factory: pytest.TempPathFactory, real_heat: servers.HeatServer
) -> Iterator[Behind]:
    """Steps 1 to 5; the API server is down whenever a process starts, but for the first bridge of all."""
    folder = tmp_path_factory.mktemp("gohan")
    with system(folder, real_heat.environment(), bridges=0, workers=0) as running:
        listed = entries()
        prefixes = Prefixes(state="/state_watch/state", monitoring="/state_watch/monitoring")
        running.keys = Keys(prefixes, parse_schemas(listed))
        store = EtcdStore(EtcdAccess((running.etcd.endpoint,)))
        with Gohan(store, listed) as gohan:
            (folder / "gohan.token").write_text("admin_token\n")
            page = settings_of_the_page()
            page["ORCHESTRATOR_SCHEMAS"] = page["ORCHESTRATOR_SCHEMAS"].replace(
                "http://gohan:9091", gohan.url
            )
            assert page["ORCHESTRATOR_SCHEMAS_TOKEN_FILE"] == "/etc/orchestrator/gohan.token"
            page["ORCHESTRATOR_SCHEMAS_TOKEN_FILE"] = str(folder / "gohan.token")
            running.environment |= page
            first = running.bridge()
            running.until(lambda: running.store.get(running.keys.schema_list))
            first.stop()
            gohan.stop()
            running.bridge()
            # The token is for bridges alone.
            del running.environment["ORCHESTRATOR_SCHEMAS_TOKEN_FILE"]
            running.worker()
            pushed = running.command("templates", "push")
            assert pushed.returncode == 0, pushed.stderr
            gohan.start()
            gohan.create("heat_template", "node", **NODE_TEMPLATE)
            collector = servers.collector(running.processes)
            yield Behind(running, gohan, documents(collector.url))
        store.close()


def test_everything_is_built_changed_resynchronised_and_deleted(behind: Behind) -> None:
    running, gohan = behind.running, behind.gohan
    for found in behind.documents:
        gohan.create(found["type"], found["id"], **{"tenant_id": "demo", **found["body"]})
    behind.await_all("CREATE_COMPLETED", 1, 1)
    assert {ref.type for ref in behind.built} == {
        kind.id for kind in running.keys.schemas if kind.is_resource and kind.template is not None
    }
    assert running.store.get("/state_watch/state/v1.0/devices/d1/vms/vm1")
    assert running.store.get("/v1.0/appliances/a1")
    for ref in behind.built:
        if ref.type in VERSIONED:
            row = gohan.rows[ref]
            running.until(lambda row=row: row.state_version == 1, 20)  # type: ignore[misc]
            assert json.loads(row.state)["worker_state"] == "CREATE_COMPLETED"
    door = gohan.rows["load_balancer_interface", "lbif-http"]
    running.until(lambda: '"interface"' in door.monitoring, 30, lambda: repr(door))

    before = behind.jobs()
    gohan.resync()
    # What is written last is dealt with last: once it is built, everything before was looked at.
    gohan.create("network", "marker", tenant_id="demo", name="marker")
    running.until(
        lambda: behind.report(Ref("network", "marker")).get("worker_state") == "CREATE_COMPLETED",
        60,
    )
    assert {key: job for key, job in behind.jobs().items() if "marker" not in key} == before

    for ref in behind.built:
        gohan.update(*ref, comment="changed")
    behind.await_all("MODIFY_COMPLETED", 2, 0)
    gohan.resync()
    gohan.update("network", "marker", name="again")
    running.until(lambda: behind.report(Ref("network", "marker")).get("version") == 2, 60)
    status = running.command("status", "-o", "json")
    assert status.returncode == 0, status.stdout
    assert {
        phase for phase, number in json.loads(status.stdout)["resources"].items() if number
    } == {"complete"}

    if shutil.which("node"):
        check_extension(behind)
    elif "CI" in os.environ:
        raise AssertionError("there is no node to run the extension with")

    gohan.delete("network", "marker")
    for found in reversed(behind.documents):
        gohan.delete(found["type"], found["id"])
    # Gohan sets no mark, and so many deletions could be a mistake.
    running.until(lambda: running.store.get(running.keys.brake), 30)
    confirmed = running.command("confirm", "deletions", "--yes", "--wait", "--timeout", "120")
    assert confirmed.returncode == 0, confirmed.stdout + confirmed.stderr
    running.until(lambda: not stacks_in_heat(running), 120, lambda: str(stacks_in_heat(running)))
    running.until(lambda: not running.left_behind(), 30, lambda: str(running.left_behind()))


def stacks_in_heat(running: System) -> list[str]:
    url = running.environment["OS_ENDPOINT"].replace("%(tenant_id)s", "demo") + "/stacks"
    with urllib.request.urlopen(url, timeout=10) as reply:
        return [stack["stack_name"] for stack in json.load(reply)["stacks"]]


# The extension -------------------------------------------------------------------------------------

RUNNER = """
var updates = [], handlers = [], rows = %(rows)s;
function gohan_register_handler(event, handler) { if (event === "notification") handlers.push(handler); }
function gohan_schemas() { return %(schemas)s; }
function gohan_log_warning(text) { updates.push({warning: text}); }
function gohan_db_transaction() { return {Commit: function () {}, Close: function () {}}; }
function gohan_db_fetch(tx, schema, id, tenant) {
  if (!rows[schema + ":" + id]) throw new Error("not found");
  return rows[schema + ":" + id];
}
function gohan_db_state_update(tx, schema, change) { updates.push({schema: schema, change: change}); return change; }
%(extension)s
%(events)s.forEach(function (event) { handlers.forEach(function (handler) { handler(event); }); });
console.log(JSON.stringify(updates));
"""
"""Gohan's functions for extensions, as far as the one of the page uses them (docs/js_extension.md)."""


def extension() -> str:
    """The JavaScript of the page."""
    (found,) = blocks("javascript")
    return str(found)


def check_extension(behind: Behind) -> None:
    """Step 6 on the reports that there are: GET shows how every resource fares."""
    for update in run_extension(behind):
        if "warning" in update:  # Pushed by us, so Gohan's database does not have it.
            assert update["warning"].startswith("orchestration state of heat_template ")
            continue
        row = behind.gohan.rows[update["schema"], update["change"]["id"]]
        row.body |= update["change"]
    for ref in behind.built:
        shown = behind.get(ref)
        assert (shown["orchestration_state"], shown["orchestration_error"]) == (
            "MODIFY_COMPLETED",
            "",
        ), ref


def run_extension(behind: Behind) -> list[Any]:
    """What it stores in Gohan's database, for every report that there is, and for one that is gone."""
    schemas = [
        {
            "ID": kind.id,
            "URL": kind.url,
            "Parent": "",
            "Metadata": kind.metadata,
            "Properties": [{"ID": name} for name in kind.entry["schema"]["properties"]],
        }
        for kind in behind.gohan.kinds.values()
    ]
    listed = behind.running.store.list("/state_watch/state/")[1]
    events: list[dict[str, Any]] = [
        {"action": "set", "key": kv.key, "data": json.loads(kv.value)} for kv in listed
    ]
    events.append(
        {"action": "delete", "key": "/state_watch/state/v2.0/networks/gone", "data": None}
    )
    script = RUNNER % {
        "rows": json.dumps(
            {f"{kind}:{name}": row.body for (kind, name), row in behind.gohan.rows.items()}
        ),
        "schemas": json.dumps(schemas),
        "extension": extension(),
        "events": json.dumps(events),
    }
    result = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    found: list[Any] = json.loads(result.stdout)
    assert len(found) == len(listed)
    return found


def test_the_extension_is_the_javascript_that_gohan_takes(tmp_path: Path) -> None:
    """Its interpreter, otto, knows ECMAScript 5 and no more."""
    text = re.sub(r"//.*|\"[^\"\n]*\"", "", extension())
    assert re.findall(r"=>|`|\b(?:let|const|class|import|export|async|await)\b|\.\.\.", text) == []
    if not shutil.which("node"):
        if "CI" in os.environ:
            raise AssertionError("there is no node to check the extension with")
        pytest.skip("there is no node to check the extension with")
    (tmp_path / "extension.js").write_text(extension())
    result = subprocess.run(
        ["node", "--check", str(tmp_path / "extension.js")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr


def test_the_page_configures_gohan_in_yaml_that_can_be_read() -> None:
    found: dict[str, Any] = {}
    for block in blocks("yaml"):
        found |= yaml.safe_load(block)

    assert found["watch"] == {"keys": ["/state_watch/state"], "events": ["state_watch/state"]}
    (listed,) = found["extensions"]
    assert re.search(listed["path"], f"sync://{found['watch']['events'][0]}")
    assert [policy["action"] for policy in found["policies"]] == ["read", "read"]
    assert {name: found[name]["type"] for name in OUTCOME} == dict.fromkeys(OUTCOME, "string")
