"""Kill -9 between any two effects, let another carry on: one stack, right outputs, right state.

``TIMES=20 pytest tests/faults/test_points.py`` dies twenty times at each point.
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

from tests.integration.system import System
from tests.scripted.heat import ScriptedHeat

TIMES = int(os.environ.get("TIMES", "1"))


@pytest.fixture
def dying(servers: System, tmp_path: Path, point: str) -> Iterator[System]:
    """A bridge and a worker; the first process to reach the point dies there, once for each time that
    the file it leaves is taken away."""
    before = dict(servers.environment)
    servers.environment |= {
        "ORCHESTRATOR_FAULT": point,
        "ORCHESTRATOR_FAULT_ONCE": str(tmp_path / "died"),
    }
    servers.bridge()
    servers.worker(concurrency=2)
    yield servers
    servers.environment = before
    for process in (*servers.bridges, *servers.workers):
        process.stop()
    servers.bridges.clear()
    servers.workers.clear()


ELSEWHERE = {"bridge-before-rollout", "bridge-after-rollout"}
"""Nobody comes by these in a story without a roll-out: tests/integration/test_rollouts.py does."""


@pytest.mark.parametrize("point", [point for point in POINTS if point not in ELSEWHERE])
def test_a_process_that_dies_there_leaves_nothing_lost_and_nothing_done_twice(
    point: str, dying: System, heat: ScriptedHeat, tmp_path: Path
) -> None:
    for time in range(TIMES):
        (tmp_path / "died").unlink(missing_ok=True)
        PointStory(dying, heat, f"{point}-{time}").play()
        assert (tmp_path / "died").exists(), f"nobody came by {point}"


class PointStory:
    """A chain, a slow one, one with nothing to build, one that fails and one that fails with it: built,
    changed, deleted and removed, while somebody dies on the way."""

    def __init__(self, system: System, heat: ScriptedHeat, prefix: str) -> None:
        self.system, self.heat, self.prefix = system, heat, prefix
        self.follows = "follow" in prefix
        """Whether an output of the root changes, and its users are updated with it."""
        self.parents = {**self.PARENTS, "slow": "root"} if self.follows else self.PARENTS
        self.refs = {
            name: Ref("plan" if name == "plan" else "node", f"{prefix}-{name}")
            for name in self.PARENTS
        }

    PARENTS = {
        "child": "root",
        "slow": None,
        "below": "bad",
        "bad": None,
        "root": None,
        "plan": None,
    }

    def put(self, name: str, version: int = 1, **more: Any) -> None:
        parent = self.parents[name]
        kind, resource_id = self.refs[name]
        body: dict[str, Any] = {"parent_id": f"{self.prefix}-{parent}"} if parent else {}
        self.system.put(kind, resource_id, version, **body, **more)

    def play(self) -> None:
        for name in self.refs:
            self.put(name)
        self.await_states(
            root=("CREATE_COMPLETED", 1),
            child=("CREATE_COMPLETED", 1),
            slow=("CREATE_COMPLETED", 1),
            bad=("CREATE_FAILED", 1),
            below=("CREATE_FAILED", 1),
            plan=("READ_COMPLETE", 1),
        )
        assert f"node:{self.prefix}-bad" in self.system.state(self.refs["below"])["error"]
        assert self.stack("child").parameters["parent"] == f"node_{self.prefix}-root-id"
        if self.prefix.startswith("worker-before-monitoring"):
            self.await_monitoring()

        value = "output: changed" if self.follows else "changed"
        self.put("root", 2, value=value)
        self.await_states(root=("MODIFY_COMPLETED", 2))
        assert self.stack("root").parameters["value"] == value
        if self.follows:
            self.await_states(child=("MODIFY_COMPLETED", 1), slow=("MODIFY_COMPLETED", 1))
            users = [self.stack("child"), self.stack("slow")]
            assert [user.parameters["parent"] for user in users] == [value, value]

        for name in self.refs:
            self.put(name, 3 if name == "root" else 2, marked=True)
        self.await_states(
            root=("DELETE_COMPLETED", 3),
            child=("DELETE_COMPLETED", 2),
            slow=("DELETE_COMPLETED", 2),
        )
        for ref in self.refs.values():
            self.system.remove(ref)
        self.system.until(lambda: not self.left(), 40, lambda: str(self.left()))
        self.check_requests()

    def stack(self, name: str) -> Any:
        return self.heat.live()[f"node_{self.prefix}-{name}"]

    def await_states(self, **states: tuple[str, int]) -> None:
        def reached() -> bool:
            self.carry_on()
            return all(
                self.system.worker_state(self.refs[name], version) == state
                for name, (state, version) in states.items()
            )

        self.system.until(
            reached, 40, lambda: str({name: self.system.state(self.refs[name]) for name in states})
        )

    def await_monitoring(self) -> None:
        expected = {"server": "UP", "version": 1}
        self.system.until(
            lambda: self.system.record(self.system.keys.monitoring, self.refs["slow"]) == expected
        )

    def carry_on(self) -> None:
        """Whatever supervises the bridge starts it again; Celery does that for its children itself."""
        if not self.system.bridges[-1].alive:
            self.system.bridge()

    def left(self) -> list[str]:
        self.carry_on()
        return [key for key in self.system.below("/") if self.prefix in key]

    def check_requests(self) -> None:
        """Each operation was asked for once; nothing is left in Heat."""
        assert not [name for name in self.heat.live() if f"{self.prefix}-" in name]
        requests = [
            r for r in self.heat.requests if f"{self.prefix}-" in r.stack and r.method != "delete"
        ]
        methods = Counter(
            (r.method, r.stack.removeprefix(f"node_{self.prefix}-")) for r in requests
        )
        updated = ["root", "child", "slow"] if self.follows else ["root"]
        assert methods == {("create", name): 1 for name in ("root", "child", "slow", "bad")} | {
            ("update", name): 1 for name in updated
        }
