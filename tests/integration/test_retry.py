"""An operator tries a failed version once more, by the command."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.scripted.heat import ScriptedHeat

from .system import System


def orchestrator(nodes: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from orchestrator.cli import main; main()"
    environment = {**os.environ, **nodes.environment}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_refused_version_is_built_after_the_quota_was_raised_and_so_is_what_depends_on_it(
    nodes: System, scripted: ScriptedHeat
) -> None:
    scripted.refuse = lambda method, tenant, path: (
        (403, "RequestLimitExceeded", "quota") if method == "POST" else None
    )
    parent = nodes.put("node", "parent")
    child = nodes.put("node", "child", parent_id="parent")
    nodes.await_state(parent, "CREATE_FAILED")
    nodes.await_state(child, "CREATE_FAILED")
    assert nodes.record(nodes.keys.failed, child)["root"] == {
        "resource_type": "node",
        "resource_id": "parent",
    }

    refused = orchestrator(nodes, "retry", "node", "parent", "--wait", "--timeout", "30")
    assert refused.returncode == 1 and "quota" in refused.stdout
    assert nodes.record(nodes.keys.failed, parent)["attempts"] == 2

    scripted.refuse = lambda method, tenant, path: None
    done = orchestrator(nodes, "retry", "node", "parent", "--wait", "--timeout", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    nodes.await_state(parent, "CREATE_COMPLETED")
    nodes.await_state(child, "CREATE_COMPLETED")
    assert not nodes.below(nodes.keys.failed) and not nodes.below(nodes.keys.retries)
    assert orchestrator(nodes, "retry", "node", "parent").returncode == 2
