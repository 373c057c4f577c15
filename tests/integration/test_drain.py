"""A worker is taken out of service by name, and the others go on."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from orchestrator.cli.commands import app
from orchestrator.cli.verbs.draining import choose
from typer.testing import CliRunner

from tests.scripted.heat import ScriptedHeat

from .system import System


@pytest.fixture
def run(nodes: System) -> Callable[..., tuple[int, Any]]:
    """Run ``orchestrator`` in this process; the exit code and the document."""

    def call(*arguments: str) -> tuple[int, Any]:
        told = CliRunner().invoke(app, [*arguments, "-o", "json"], env=nodes.environment)
        if told.exit_code:
            return told.exit_code, told.stderr
        return 0, json.loads(told.stdout)

    return call


def test_a_drained_worker_takes_nothing_more_and_ends(
    nodes: System, scripted: ScriptedHeat, run: Callable[..., tuple[int, Any]]
) -> None:
    nodes.worker(concurrency=1)
    drained, host = nodes.workers[0], socket.gethostname()
    gone = f"{drained.name}@{host}"
    assert run("drain", gone, "--dry-run") == (0, [{"worker": gone, "messages": 0}])
    both = [gone, f"{nodes.workers[1].name}@{host}"]
    assert choose([*both, "worker@elsewhere"], host) == both
    assert run("drain", gone, "--keep", "--why", "kernel update") == (
        0,
        [{"worker": gone, "messages": 0}],
    )
    assert drained.alive
    nodes.await_state(nodes.put("node", "a"), "CREATE_COMPLETED")
    assert run("drain", gone)[0] == 0
    drained.wait(timeout=30)
    nodes.await_state(nodes.put("node", "b"), "CREATE_COMPLETED")
    assert "Request sent to Heat" not in drained.log_tail()

    history = run("history", "--verbs")[1]
    assert [(one["verb"], one["outcome"], one["why"]) for one in history] == [
        ("drain", "carried out: without messages, still running", "kernel update"),
        ("drain", "carried out", ""),
    ]
    code, told = run("drain", "nobody")
    assert code == 2 and "no worker nobody answers" in told
