"""Servers for the fault tests: started once, and a story of its own ids for every death."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.sandbox.processes import Processes
from orchestrator.sandbox.servers import collector as collector_server

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script, ScriptedStack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


def _script(method: str, tenant: str, name: str) -> Script:
    """Some take a moment, so that polls have something to find; what is called bad is not built."""
    if "bad" in name and method == "create":
        return Script(outcome="FAILED", reason="scripted to fail")
    return Script(duration=0.4 if "slow" in name else 0.0)


@pytest.fixture(scope="module")
def heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedHeat]:
    """What is called slow has a monitoring target. A value ``output: …`` is also the output."""
    with (
        Processes(tmp_path_factory.mktemp("collector")) as processes,
        ScriptedHeat(script=_script) as scripted,
    ):
        collector = collector_server(processes)

        def outputs(stack: ScriptedStack) -> list[dict[str, str]]:
            value = (stack.parameters or {}).get("value") or ""
            if not value.startswith("output:"):
                value = f"{stack.name}-id"
            found = [{"output_key": "id", "output_value": value, "description": "The id."}]
            if stack.name.endswith("slow"):
                link = f"{collector.target('node', stack.name)}?version=1&key=server"
                found.append(
                    {
                        "output_key": "monitoring_link",
                        "output_value": link,
                        "description": "The target.",
                    }
                )
            return found

        scripted.outputs = outputs
        yield scripted


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, heat: ScriptedHeat) -> Iterator[System]:
    """etcd, Redis and the scripted Heat; no bridge and no worker yet."""
    folder = tmp_path_factory.mktemp("faults")
    settings: dict[str, Any] = {
        "ORCHESTRATOR_LEASE_TTL": "2",
        "ORCHESTRATOR_DELETION_PATIENCE": "1",
    }
    with system(
        folder, heat.environment(), schemas=NODE_SCHEMAS, bridges=0, workers=0, **settings
    ) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running
