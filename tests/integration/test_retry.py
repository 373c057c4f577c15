"""An operator tries a failed version once more, by the command."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .system import NODE_TEMPLATE, System


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


def test_the_retries_of_a_template_are_counted_across_a_leaders_death(
    nodes: System, scripted: ScriptedHeat
) -> None:
    mappings = {**NODE_TEMPLATE["parameter_mappings"], "heat_retries": "C1"}
    nodes.put("heat_template", "node", **{**NODE_TEMPLATE, "parameter_mappings": mappings})
    scripted.script = lambda method, tenant, name: Script(outcome="FAILED", reason="no host")
    ref = nodes.put("node", "n")
    counted = nodes.until(lambda: nodes.record(nodes.keys.failed, ref))
    assert counted["tries"] == 1 and nodes.state(ref) is None
    nodes.bridges[0].kill()
    nodes.bridge()

    error = nodes.await_state(ref, "CREATE_FAILED", timeout=60)["error"]
    assert "no host (the last of 2 tries); correct the configuration" in error
    assert [request.method for request in scripted.requests] == ["create", "update"]
    assert nodes.record(nodes.keys.failed, ref)["attempts"] == 2
