"""A changed template is rolled out over twelve stacks by the commands, while bridges die."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from orchestrator.cli.commands import app
from orchestrator.core.records import Built, Rollout, RolloutPhase
from orchestrator.core.refs import Ref
from typer.testing import CliRunner

from tests.scripted.heat import ScriptedHeat

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

NUMBER = 12
FAULTS: Sequence[Mapping[str, str]] = (
    {"ORCHESTRATOR_FAULT": "bridge-before-rollout"},
    {"ORCHESTRATOR_FAULT": "bridge-after-rollout"},
    {},
)
"""Where each bridge dies; the last one lives."""


@pytest.fixture
def nodes(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[System]:
    environment = scripted.environment()
    folder = tmp_path / "system"
    with system(folder, environment, schemas=NODE_SCHEMAS, bridges=0) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        running.bridge(**FAULTS[0])
        yield running


def changed(folder: Path, line: str) -> str:
    """A file with the template of the nodes and one more line."""
    body = {**NODE_TEMPLATE, "template_file": f"{NODE_TEMPLATE['template_file']}{line}\n"}
    file = folder / "changed.json"
    file.write_text(json.dumps({"type": "heat_template", "id": "node", "body": body}))
    return str(file)


def rollout(nodes: System) -> Rollout:
    found = nodes.store.get(nodes.keys.rollout("node"))
    assert found is not None
    return Rollout.from_json(found.value)


def built(nodes: System) -> Counter[str]:
    listed = nodes.store.list(nodes.keys.built)[1]
    return Counter(Built.from_json(kv.value).revision for kv in listed)


def revision(nodes: System, ref: Ref) -> str:
    """What the stack of a resource was built from."""
    found = nodes.store.get(nodes.keys.below(nodes.keys.built, ref))
    assert found is not None
    return Built.from_json(found.value).revision


def run(nodes: System, *arguments: str) -> Any:
    """What a command answers, run in this process."""
    command = ["rollout", *arguments, "-o", "json"]
    done = CliRunner().invoke(app, command, env=nodes.environment)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def await_phase(nodes: System, phase: RolloutPhase) -> None:
    """Until the roll-out is in this phase. A bridge that has died is followed by the next one."""

    def reached() -> bool:
        if not nodes.bridges[-1].alive:
            nodes.bridge(**FAULTS[len(nodes.bridges)])
        return rollout(nodes).phase is phase

    nodes.until(reached, 60, lambda: rollout(nodes).to_json())


def test_a_bad_template_stops_at_the_canaries_and_a_good_one_reaches_all_once(
    nodes: System, scripted: ScriptedHeat, tmp_path: Path
) -> None:
    refs = [nodes.put("node", f"n{number}") for number in range(NUMBER)]
    for ref in refs:
        nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.await_quiet()
    before = len(scripted.requests)

    bad = changed(tmp_path, "# {{ nothing.here }}")
    run(nodes, "start", "node", "-f", bad, "--canary", "2", "--auto-revert")
    await_phase(nodes, RolloutPhase.REVERTED)
    canaries = {ref.stack_name for ref in rollout(nodes).canaries}
    assert len(canaries) == 2
    assert {request.stack for request in scripted.requests[before:]} <= canaries
    assert len(built(nodes)) == 1

    nodes.await_quiet()
    assert len(nodes.bridges) == len(FAULTS)
    before = len(scripted.requests)
    good = changed(tmp_path, "# good")
    options = ("--canary", "2", "--waves", "50%,100%", "--max-parallel", "3")
    planned = run(nodes, "start", "node", "-f", good, *options, "--dry-run")["plan"]
    assert {change["id"] for change in planned["changes"]} == {ref.id for ref in refs}
    assert all(change["hot"].endswith("+# good") for change in planned["changes"])
    run(nodes, "start", "node", "-f", good, *options)
    await_phase(nodes, RolloutPhase.WAITING)
    canary = rollout(nodes).canaries[0]
    other = next(ref for ref in refs if ref not in rollout(nodes).canaries)
    new = nodes.put("node", "new")
    for ref in (canary, other):
        nodes.put("node", ref.id, 2)
        nodes.await_state(ref, "MODIFY_COMPLETED", version=2)
    nodes.await_state(new, "CREATE_COMPLETED")
    candidate, one_before = rollout(nodes).revision, rollout(nodes).before
    assert [revision(nodes, ref) for ref in (canary, other, new)] == [
        candidate,
        one_before,
        one_before,
    ]
    run(nodes, "promote", "node")
    await_phase(nodes, RolloutPhase.DONE)
    status = run(nodes, "status", "node")
    assert status["waves"][0]["complete"] == 2
    assert sum(wave["complete"] for wave in status["waves"]) == NUMBER + 1
    assert built(nodes) == {candidate: NUMBER + 1}
    asked = Counter(request.stack for request in scripted.requests[before:])
    twice = {ref.stack_name: 2 for ref in (canary, other, new)}
    assert asked == {ref.stack_name: 1 for ref in refs} | twice
