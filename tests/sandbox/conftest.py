"""Real servers, started once for all tests of this folder, below pytest's temporary folder.

Every test that uses one is an integration test. Stacks are kept apart by a project per test.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

from .heat_api import Project


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("sandbox")) as group:
        yield group


@pytest.fixture(scope="session")
def heat_server(processes: Processes) -> servers.Heat:
    pytest.importorskip("heat", reason="openstack-heat is not installed")
    return servers.heat(processes)


@pytest.fixture
def project(heat_server: servers.Heat) -> Project:
    """A project of this test's own."""
    return Project(heat_server, uuid.uuid4().hex)
