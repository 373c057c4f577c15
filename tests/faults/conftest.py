"""Servers for the fault tests: started once, and a story of its own ids for every death."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.sandbox.scripted_heat import Script, ScriptedHeat
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


def _script(method: str, tenant: str, name: str) -> Script:
    """Some take a moment, so that looks have something to find; what is called bad is not built."""
    if "bad" in name and method == "create":
        return Script(outcome="FAILED", reason="scripted to fail")
    return Script(duration=0.4 if "slow" in name else 0.0)


@pytest.fixture(scope="module")
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat(script=_script) as scripted:
        yield scripted


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, heat: ScriptedHeat) -> Iterator[System]:
    """etcd, Redis and the scripted Heat; no bridge and no worker yet."""
    folder = tmp_path_factory.mktemp("faults")
    settings = {"ORCHESTRATOR_LEASE_TTL": "2", "ORCHESTRATOR_DELETION_PATIENCE": "1"}
    with system(folder, heat.environment(), schemas=NODE_SCHEMAS, bridges=0, workers=0, **settings) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running
