"""Processes die, Redis forgets, Heat is away: everything still completes, each stack created once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core.refs import Ref

from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system


def tree(nodes: System, roots: int = 4, depth: int = 4) -> list[Ref]:
    """Chains of nodes, children written before their parents."""
    refs = []
    for root in range(roots):
        for level in reversed(range(depth)):
            parent: dict[str, Any] = {"parent_id": f"r{root}-{level - 1}"} if level else {}
            refs.append(nodes.put("node", f"r{root}-{level}", **parent))
    return refs


def all_built_once(nodes: System, heat: ScriptedHeat, refs: list[Ref], timeout: float = 60) -> None:
    nodes.until(
        lambda: all(nodes.worker_state(ref) == "CREATE_COMPLETED" for ref in refs),
        timeout,
        lambda: str(
            {
                str(ref): nodes.worker_state(ref)
                for ref in refs
                if nodes.worker_state(ref) != "CREATE_COMPLETED"
            }
        ),
    )
    creates = Counter(request.stack for request in heat.requests if request.method == "create")
    assert creates == {ref.stack_name: 1 for ref in refs}
    nodes.await_quiet()
    parents = {request.stack: request.at for request in heat.requests}
    for ref in refs:
        root, _, level = ref.id.partition("-")
        if level != "0":
            assert parents[f"node_{root}-{int(level) - 1}"] < parents[ref.stack_name]


@pytest.fixture
def slow(scripted: ScriptedHeat) -> ScriptedHeat:
    scripted.script = lambda method, tenant, name: Script(duration=0.4)
    return scripted


def some_built(heat: ScriptedHeat, count: int) -> bool:
    return len(heat.requests) >= count


def test_the_bridge_is_killed_in_mid_run(slow: ScriptedHeat, nodes: System) -> None:
    refs = tree(nodes)
    nodes.until(lambda: some_built(slow, 5))
    nodes.bridges[0].kill()
    nodes.bridge()
    all_built_once(nodes, slow, refs)


def test_a_worker_is_killed_in_mid_run(slow: ScriptedHeat, nodes: System) -> None:
    refs = tree(nodes)
    nodes.until(lambda: some_built(slow, 3))
    nodes.workers[0].kill()
    nodes.worker()
    all_built_once(nodes, slow, refs)


def test_redis_is_restarted_with_its_data_gone(slow: ScriptedHeat, nodes: System) -> None:
    refs = tree(nodes)
    nodes.until(lambda: some_built(slow, 3))
    nodes.redis.kill()
    nodes.redis.restart()
    all_built_once(nodes, slow, refs)
    assert nodes.workers[0].alive, nodes.workers[0].log_tail()


def test_etcd_is_killed_and_restarted(slow: ScriptedHeat, nodes: System) -> None:
    refs = tree(nodes)
    nodes.until(lambda: some_built(slow, 3))
    nodes.etcd.kill()
    nodes.etcd.restart()
    all_built_once(nodes, slow, refs)


def test_a_standby_takes_over_at_once_from_a_bridge_that_stops(
    slow: ScriptedHeat, nodes: System
) -> None:
    standby = nodes.bridge()
    standby.wait_until(lambda: "standing by" in standby.log_tail(), 20, "standing by")
    refs = tree(nodes)
    nodes.until(lambda: some_built(slow, 3))
    nodes.bridges[0].stop()
    all_built_once(nodes, slow, refs)
    assert "Leadership acquired" in standby.log_tail(500)


def test_heat_is_away_for_a_while_and_nothing_fails(slow: ScriptedHeat, nodes: System) -> None:
    away = time.monotonic() + 4
    slow.refuse = lambda method, tenant, path: (
        (503, "ServiceUnavailable", "down") if time.monotonic() < away else None
    )
    refs = tree(nodes, roots=2, depth=3)
    runs = nodes.until(
        lambda: [kv for kv in nodes.store.list(nodes.keys.runs)[1] if b"retry" in kv.value]
    )
    assert b"503" in runs[0].value
    all_built_once(nodes, slow, refs)


def test_two_hundred_stacks_wait_in_heat_without_holding_a_slot(
    tmp_path: Path, scripted: ScriptedHeat
) -> None:
    """With 4 slots, 200 stacks of 3 s each run side by side; one after the other they would take 150 s."""
    scripted.script = lambda method, tenant, name: Script(duration=3.0)
    with system(
        tmp_path / "s", scripted.environment(), schemas=NODE_SCHEMAS, concurrency=4
    ) as nodes:
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        refs = [nodes.put("node", f"n{i}") for i in range(200)]
        nodes.until(
            lambda: sum(stack.in_progress for stack in list(scripted.stacks.values())) > 50, 30
        )
        nodes.until(lambda: all(nodes.worker_state(ref) == "CREATE_COMPLETED" for ref in refs), 60)


def test_a_heat_that_does_not_answer_at_once_is_asked_many_things_at_once(
    scripted: ScriptedHeat, nodes: System
) -> None:
    """No create is answered before sixteen have come, of four slots."""
    together = threading.Barrier(16)
    scripted.arrived = lambda method, tenant, path: method == "POST" and together.wait(30)
    refs = [Ref("node", f"n{n}-0") for n in range(32)]
    nodes.bridges[0].stop()
    for ref in refs:
        nodes.put(*ref)
    nodes.bridge()
    all_built_once(nodes, scripted, refs)

    assert not together.broken
