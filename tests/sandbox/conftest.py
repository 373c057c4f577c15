"""Real servers, started once for all tests of this folder, below pytest's temporary folder.

Every test that uses one is an integration test. Stacks are kept apart by a project per test.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.sandbox import servers
from orchestrator.sandbox.heat_server import DATABASE
from orchestrator.sandbox.processes import Processes

from ..factories import TENANT
from .heat_api import Project
from .playing import Engine
from .states import PLUGINS


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("sandbox")) as group:
        yield group


@pytest.fixture(scope="session")
def heat_server(processes: Processes) -> servers.HeatServer:
    pytest.importorskip("heat", reason="openstack-heat is not installed")
    return servers.heat(processes)


@pytest.fixture
def project(heat_server: servers.HeatServer) -> Project:
    """A project of this test's own."""
    return Project(heat_server, uuid.uuid4().hex)


ENGINES = ["convergence", "legacy"] if "STATES" in os.environ else ["convergence"]
"""Clouds run Heat with convergence. ``make states`` (variable ``STATES``) plays both modes, three minutes."""


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A Heat whose things wait and fail at a test's word, in one of its modes."""
    pytest.importorskip("heat", reason="openstack-heat is not installed")
    folder: Path = tmp_path_factory.mktemp(request.param)
    with Processes(folder) as group, pytest.MonkeyPatch.context() as patch:
        convergence = request.param == "convergence"
        heat = servers.heat(group, convergence=convergence, plugins=PLUGINS)
        for name, value in heat.environment().items():
            patch.setenv(name, value)
        database = folder / "heat" / DATABASE
        yield Engine(Project(heat, TENANT), database, folder, convergence)
