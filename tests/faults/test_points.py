"""Kill -9 between any two effects, let another carry on: one stack, right outputs, right state.

``TIMES=20 pytest tests/faults`` dies twenty times at each point.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.refs import Ref
from orchestrator.faults import POINTS
from orchestrator.sandbox.scripted_heat import ScriptedHeat
from tests.integration.system import System

TIMES = int(os.environ.get("TIMES", "1"))


@pytest.fixture
def dying(servers: System, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    """A bridge and a worker; the first process to reach the point dies there."""
    before = dict(servers.environment)
    point = request.getfixturevalue("point")
    servers.environment |= {"ORCHESTRATOR_FAULT": point, "ORCHESTRATOR_FAULT_ONCE": str(tmp_path / "died")}
    if point.startswith("bridge"):
        servers.bridge()
        servers.environment = before
        servers.worker(concurrency=2)
    else:
        servers.worker(concurrency=2)
        servers.environment = before
        servers.bridge()
    yield servers
    for process in (*servers.bridges, *servers.workers):
        process.stop()
    servers.bridges.clear()
    servers.workers.clear()


def story(system: System, prefix: str) -> dict[str, Ref]:
    """A chain, a slow one, one with nothing to build, one that fails and one that fails with it."""
    monitored = {"collector": "1"}
    return {
        "child": system.put("node", f"{prefix}-child", parent_id=f"{prefix}-root"),
        "slow": system.put("node", f"{prefix}-slow", **monitored),
        "below": system.put("node", f"{prefix}-below", parent_id=f"{prefix}-bad"),
        "bad": system.put("node", f"{prefix}-bad"),
        "root": system.put("node", f"{prefix}-root"),
        "plan": system.put("plan", f"{prefix}-plan"),
    }


@pytest.mark.parametrize("time", range(TIMES))
@pytest.mark.parametrize("point", [point for point in POINTS if point != "worker-before-monitoring"])
def test_a_process_that_dies_there_leaves_nothing_lost_and_nothing_done_twice(
    point: str, time: int, dying: System, heat: ScriptedHeat, tmp_path: Path
) -> None:
    system, prefix = dying, f"{point}-{time}"
    refs = story(system, prefix)

    def carry_on() -> None:
        if not system.bridges[-1].alive:
            system.bridge()

    def reached(states: dict[str, tuple[str, int]]) -> bool:
        carry_on()
        return all(system.worker_state(refs[name], version) == state for name, (state, version) in states.items())

    def await_states(**states: tuple[str, int]) -> None:
        system.until(lambda: reached(states), 40, lambda: f"{ {name: system.state(refs[name]) for name in states} }")

    await_states(
        root=("CREATE_COMPLETED", 1),
        child=("CREATE_COMPLETED", 1),
        slow=("CREATE_COMPLETED", 1),
        bad=("CREATE_FAILED", 1),
        below=("CREATE_FAILED", 1),
        plan=("READ_COMPLETE", 1),
    )
    assert f"node:{prefix}-bad" in system.state(refs["below"])["error"]
    expected = f"node_{prefix}-root-id"
    assert heat.live()[f"node_{prefix}-child"].parameters["parent"] == expected

    system.put("node", f"{prefix}-root", version=2, value="changed")
    await_states(root=("MODIFY_COMPLETED", 2))
    assert heat.live()[f"node_{prefix}-root"].parameters["value"] == "changed"

    for name, ref in refs.items():
        version = 3 if name == "root" else 2
        parent = {"root": {}, "child": {"parent_id": f"{prefix}-root"}, "below": {"parent_id": f"{prefix}-bad"}}.get(name, {})
        system.put(ref.type, ref.id, version=version, marked=True, **parent)
    await_states(root=("DELETE_COMPLETED", 3), child=("DELETE_COMPLETED", 2), slow=("DELETE_COMPLETED", 2))
    for ref in refs.values():
        system.remove(ref)

    def left() -> list[str]:
        carry_on()
        return [key for key in system.below("/") if prefix in key]

    system.until(lambda: not left(), 40, lambda: str(left()))

    assert (tmp_path / "died").exists(), f"nobody came by {point}"
    assert not [name for name in heat.live() if prefix in name]
    requests = [r for r in heat.requests if prefix in r.stack]
    asked: Counter[Any] = Counter((r.method, r.stack, r.tag) for r in requests if r.method != "delete")
    assert {what: times for what, times in asked.items() if times > 1} == {}
    methods = Counter((r.method, r.stack.removeprefix(f"node_{prefix}-")) for r in requests if r.method != "delete")
    assert methods == {("create", name): 1 for name in ("root", "child", "slow", "bad")} | {("update", "root"): 1}
