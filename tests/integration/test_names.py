"""Ids that are deleted and made anew at once, on a Heat that gives a name free late.

With convergence Heat shows a stack as DELETE_COMPLETE some seconds before it gives its name to
another; the sandbox's Heat does so on purpose.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from orchestrator.core.refs import Ref
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes

from .system import System, system

NETWORKS = [Ref("network", f"again-{number}") for number in range(12)]


@pytest.fixture(scope="module")
def convergence(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with Processes(tmp_path_factory.mktemp("heat")) as processes:
        heat = servers.heat(processes, convergence=True)
        with system(tmp_path_factory.mktemp("system"), heat.environment()) as running:
            yield running


def command(running: System, *words: str) -> None:
    """An operator's command.

    :raises AssertionError: it did not end with 0.
    """
    code = "from orchestrator.cli import main; main()"
    environment = {**os.environ, **running.environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"


def test_twelve_networks_are_deleted_and_made_anew_five_times(
    convergence: System, tmp_path: Path
) -> None:
    service = tmp_path / "service.yaml"
    body = {"tenant_id": "again", "name": "n"}
    documents = [{"type": ref.type, "id": ref.id, "body": body} for ref in NETWORKS]
    service.write_text(yaml.safe_dump_all(documents))

    incarnations = set()
    command(convergence, "apply", "-f", str(service), "--wait", "--timeout", "120")
    for _ in range(5):
        command(convergence, "delete", "-f", str(service), "--wait", "--timeout", "120")
        command(convergence, "apply", "-f", str(service), "--wait", "--timeout", "120")
        for ref in NETWORKS:
            state = convergence.state(ref)
            assert (state["state"]["worker_state"], state["error"]) == ("CREATE_COMPLETED", "")
            incarnations.add(state["state"]["heat_outputs"])
    assert len(incarnations) == 5 * len(NETWORKS), "each is a network of its own"
