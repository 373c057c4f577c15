"""Polls that Heat or Keystone refuse while stacks are in progress, in the whole system.

Each attempt costs Keystone tokens, and a wrong password may lock the account. So all processes
together make one attempt of a tenant in a pause, the pauses grow, and people are told.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from orchestrator.core.records import Poll
from orchestrator.core.refs import Ref
from orchestrator.sandbox.processes import free_port

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat
from tests.scripted.keystone import ScriptedKeystone
from tests.scripted.stacks import Script

FORBIDDEN = (403, "Forbidden", "You are not authorized to use index.")


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    """Its stacks take their time until a test lets them end."""
    with ScriptedHeat(script=lambda method, tenant, name: Script(duration=600.0)) as scripted:
        yield scripted


@pytest.fixture
def keystone(heat: ScriptedHeat) -> Iterator[ScriptedKeystone]:
    with ScriptedKeystone(f"{heat.url}/v1/%(tenant_id)s", lockout=5) as scripted:
        heat.keystone = scripted
        yield scripted


@pytest.fixture
def nodes(tmp_path: Path, keystone: ScriptedKeystone) -> Iterator[System]:
    """Two workers with two processes each."""
    health = {"ORCHESTRATOR_HEALTH_PORT": str(free_port())}
    with system(
        tmp_path,
        {**keystone.environment(), **health},
        schemas=NODE_SCHEMAS,
        workers=2,
        concurrency=2,
    ) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def poll(nodes: System) -> Poll:
    """What is told of the polls of t1."""
    found = nodes.store.get(nodes.keys.poll("t1"))
    return Poll.from_json(found.value) if found else Poll()


def is_in_heat(heat: ScriptedHeat, ref: Ref) -> bool:
    return ref.stack_name in heat.live()


def refused_tenants(nodes: System) -> float:
    """What the leader's metrics say."""
    url = f"http://127.0.0.1:{nodes.environment['ORCHESTRATOR_HEALTH_PORT']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    line = next(
        line
        for line in text.splitlines()
        if line.startswith('orchestrator_world{kind="polls_refused"}')
    )
    return float(line.split()[-1])


def in_trouble(nodes: System) -> list[str]:
    """The reasons that ``status`` gives, which then ends with 1."""
    done = nodes.command("status", "-o", "json")
    found = [str(entry["reason"]) for entry in json.loads(done.stdout)["trouble"]]
    assert done.returncode == (1 if found else 0)
    return found


def finish_all(heat: ScriptedHeat) -> None:
    heat.script = lambda method, tenant, name: Script()
    for stack in heat.live().values():
        stack.ends = 0.0


def test_refused_polls_come_rarely_and_are_told_and_end_by_themselves(
    nodes: System, heat: ScriptedHeat, keystone: ScriptedKeystone
) -> None:
    refs = [nodes.put("node", f"n{n}") for n in range(8)]
    for ref in refs:
        nodes.until(partial(is_in_heat, heat, ref))
    logins = len(keystone.logins)
    lists: list[str] = []

    def refuse(method: str, tenant: str, path: str) -> tuple[int, str, str] | None:
        if method == "GET" and path.rstrip("/").endswith("/stacks"):
            lists.append(path)
            return FORBIDDEN
        return None

    heat.refuse = refuse
    before = len(keystone.requests)
    nodes.until(lambda: poll(nodes).failures >= 4, 60)
    failures = poll(nodes).failures
    assert len(lists) <= 2 * failures + 2, "with the token, and with a new one"
    assert len(keystone.requests) - before <= 3 * failures + 3
    assert len(keystone.logins) - logins <= failures + 1, (
        "a process that had none yet logs in, and no other"
    )
    assert keystone.logins.count(False) == 0
    assert "no access to project t1" in poll(nodes).reason
    assert (
        in_trouble(nodes)
        == [f"the stacks in progress of project t1 cannot be polled: {poll(nodes).reason}"] * 8
    )
    nodes.until(lambda: refused_tenants(nodes) == 1)
    # The circuit is that of the jobs, too.
    assert "Circuit opened" in nodes.bridges[0].log_tail(2000)

    heat.refuse = lambda method, tenant, path: None
    finish_all(heat)
    for ref in refs:
        nodes.await_state(ref, "CREATE_COMPLETED", timeout=90)
    assert poll(nodes) == Poll()
    assert in_trouble(nodes) == []
    nodes.until(lambda: refused_tenants(nodes) == 0)
    assert len(heat.requests) == len(refs), "nothing was asked twice"


def test_a_password_that_changes_while_stacks_are_polled_is_tried_rarely(
    nodes: System, heat: ScriptedHeat, keystone: ScriptedKeystone
) -> None:
    refs = [nodes.put("node", f"n{n}") for n in range(8)]
    for ref in refs:
        nodes.until(partial(is_in_heat, heat, ref))
    keystone.logins.clear()

    keystone.change_password("another")
    nodes.until(lambda: poll(nodes).failures >= 3, 60)

    assert keystone.logins.count(False) == 1, "four processes, one try"
    assert not keystone.locked
    assert "rejects" in poll(nodes).reason
    assert len(in_trouble(nodes)) == 8
