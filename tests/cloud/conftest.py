"""The cloud, started once, and an orchestrator on it for each test.

Only ``make cloud`` (variable ``CLOUD``) runs these tests: they install Debian packages, and take
an hour. Everywhere else they are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

from . import cloud as clouds
from .cloud import RealCloud
from .installing import CannotInstall

WHY_NOT = "needs a cloud: run by `make cloud`, where root may install packages"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)
            if "CLOUD" not in os.environ:
                item.add_marker(pytest.mark.skip(reason=WHY_NOT))


SLOW_TEMPLATE = {
    **NODE_TEMPLATE,
    "template_file": (
        "heat_template_version: 2018-08-31\n"
        "parameters: {seconds: {type: number}}\n"
        "resources:\n"
        "  r: {type: OS::Heat::RandomString}\n"
        "  wait:\n"
        "    type: OS::Heat::TestResource\n"
        "    properties: {value: x, action_wait_secs: {create: {get_param: seconds}}}\n"
        "outputs: {id: {value: {get_resource: r}}}\n"
    ),
    "parameter_mappings": {"seconds": "Pseconds", "heat_timeout": "C30"},
}

TOKEN_LIFE = int(os.environ.get("CLOUD_TOKEN_LIFE", "60"))
"""Seconds for which a token of Keystone is valid: many end in mid-operation."""


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCloud]:
    try:
        with clouds.running(tmp_path_factory.mktemp("cloud"), expiration=TOKEN_LIFE) as started:
            yield started
    except CannotInstall as missing:
        pytest.skip(str(missing))


Start = Callable[..., AbstractContextManager[System]]


@pytest.fixture
def nodes(cloud: RealCloud, tmp_path: Path) -> Iterator[System]:
    """An orchestrator with the type ``node``, whose stack takes as many seconds as its body says."""
    # No brake: a test removes what it has built.
    settings = {"ORCHESTRATOR_HEAT_POLL_INTERVAL": "1", "ORCHESTRATOR_DELETIONS_AT_ONCE": "100000"}
    environment = {**cloud.environment(), **settings}
    with system(tmp_path / "system", environment, schemas=NODE_SCHEMAS) as running:
        running.put("heat_template", "node", **SLOW_TEMPLATE)
        yield running
