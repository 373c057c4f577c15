"""Real servers for the stories. A scripted Heat where a test needs to decide; the real one where Heat matters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

from tests.scripted.heat import ScriptedHeat

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
def scripted() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as heat:
        yield heat


@pytest.fixture
def nodes(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[System]:
    """The system on a scripted Heat, with the type ``node`` whose parent is another node."""
    with system(tmp_path / "system", scripted.environment(), schemas=NODE_SCHEMAS) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


@pytest.fixture(scope="module")
def real_heat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.HeatServer]:
    with Processes(tmp_path_factory.mktemp("heat")) as processes:
        yield servers.heat(processes)


@pytest.fixture(scope="module")
def real(
    tmp_path_factory: pytest.TempPathFactory, real_heat: servers.HeatServer
) -> Iterator[System]:
    """The system on a real Heat engine, with the project's own catalogue."""
    with system(tmp_path_factory.mktemp("real"), real_heat.environment()) as running:
        yield running
