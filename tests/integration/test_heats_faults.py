"""What a real Heat does wrong by itself: whose fault it is, and who notices.

Heat answers 500 to a template with a broken pattern, cannot compute an output, and loses its engine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from orchestrator.core.refs import Ref
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

TENANT = "t1"


def template(
    resources: str, outputs: str = "{}", parameters: str = "{}", **mappings: Any
) -> dict[str, Any]:
    text = f"heat_template_version: 2018-08-31\nparameters: {parameters}\nresources: {resources}\noutputs: {outputs}\n"
    return {
        **NODE_TEMPLATE,
        "template_file": text,
        "parameter_mappings": {"heat_timeout": "C5", **mappings},
    }


ALWAYS_500 = template(
    "{r: {type: OS::Heat::None}}",
    parameters='{value: {type: string, constraints: [{allowed_pattern: "[a-z"}]}}',
    value="Cx",
)
"""Heat 27 answers 500 to every create with this pattern."""

NO_OUTPUT = template(
    "{r: {type: OS::Neutron::Net}}",
    outputs='{id: {value: {str_split: [",", {get_attr: [r, mtu]}, 0]}}}',
)
"""Heat ends in CREATE_COMPLETE, and cannot split a number."""

CHILD = template(
    "{r: {type: OS::Heat::None}}",
    parameters='{parent: {type: string, default: ""}}',
    parent={"path": ["parent_id"], "output_key": "id"},
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[servers.HeatServer, System]]:
    pytest.importorskip("heat", reason="openstack-heat is not installed")
    with Processes(tmp_path_factory.mktemp("heat")) as processes:
        heat = servers.heat(processes, delay=4.0)
        kinds = [
            {
                **kind,
                "metadata": {"template_path": f"C{name}"},
                "id": name,
                "prefix": f"/v1/{name}s",
            }
            for name, kind in NODES.items()
        ]
        schemas = {"schemas": [*NODE_SCHEMAS["schemas"], *kinds]}
        with system(
            tmp_path_factory.mktemp("system"), heat.environment(), schemas=schemas
        ) as running:
            for name, text in TEMPLATES.items():
                running.put("heat_template", name, **{**text, "id": name})
            yield heat, running


TEMPLATES = {
    "node": NODE_TEMPLATE,
    "fault": ALWAYS_500,
    "parent": NO_OUTPUT,
    "child": CHILD,
    "net": template("{r: {type: OS::Neutron::Net}}"),
}
NODES: dict[str, Any] = {
    **{name: {"schema": {"type": "object"}} for name in ("fault", "parent", "net")},
    "child": {
        "schema": {
            "type": "object",
            "properties": {"parent_id": {"type": "string", "relation": "parent"}},
        }
    },
}


def troubled(running: System) -> list[str]:
    """The resources that ``status`` shows in trouble; it answers 1 for them."""
    done = running.command("status", "-o", "json")
    found = [f"{entry['type']}:{entry['id']}" for entry in json.loads(done.stdout)["trouble"]]
    assert done.returncode == (1 if found else 0)
    return found


def test_a_template_for_which_heat_always_answers_500_is_in_trouble_and_slows_nobody_down(
    real: tuple[servers.HeatServer, System],
) -> None:
    _, running = real
    faults = [running.put("fault", f"f{n}", tenant_id=TENANT) for n in range(4)]
    running.until(lambda: len(troubled(running)) == len(faults), 90)
    for n in range(5):
        ref = running.put("node", f"n{n}", tenant_id=TENANT, value="x")
        running.await_state(ref, "CREATE_COMPLETED", timeout=10)

    assert [running.state(ref) for ref in faults] == [None] * len(faults), "none has failed"


def test_whoever_needs_an_output_that_heat_cannot_compute_fails_and_says_why(
    real: tuple[servers.HeatServer, System],
) -> None:
    _, running = real
    parent = running.put("parent", "p", tenant_id=TENANT)
    child = running.put("child", "c", tenant_id=TENANT, parent_id="p")
    shown = running.await_state(parent, "CREATE_COMPLETED")
    assert "no attribute 'split'" in shown["state"]["heat_outputs"]

    failed = running.await_state(child, "CREATE_FAILED")
    assert "needs output 'id' of the stack of parent:p" in failed["error"]
    assert "no attribute 'split'" in failed["error"]


def test_an_engine_that_is_restarted_while_it_builds_fails_nothing(
    real: tuple[servers.HeatServer, System],
) -> None:
    heat, running = real
    ref = running.put("net", "cut", tenant_id=TENANT)
    running.until(lambda: is_in_heat(running, ref))
    heat.kill()
    heat.restart()

    assert running.await_state(ref, "CREATE_COMPLETED", timeout=60)["error"] == ""


def is_in_heat(running: System, ref: Ref) -> bool:
    runs = running.store.list(running.keys.runs)[1]
    return any(f":{ref}:" in kv.key and b'"waiting"' in kv.value for kv in runs)
