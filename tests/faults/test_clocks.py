"""Clocks that are set wrong: of the bridge, of one worker, of all. Nothing is late for it, and nothing is lost.

Each process runs under libfaketime, which shifts the time of day that it sees; the monotonic clock goes on as it is, as on a
machine whose clock is set wrong. Usually two of the shifts are tried; ``CLOCKS=all`` tries them all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import pytest
from orchestrator.core.refs import Ref

from tests.integration.system import System
from tests.scripted.heat import ScriptedHeat

SHIFTS = ["+3s", "-3s", "+60s", "-60s", "+1h", "-1h", "+1d", "-1d"]
TRIED = SHIFTS if os.environ.get("CLOCKS") == "all" else ["+1h", "-1d"]
WHO = ["bridge", "one worker", "bridge and workers"]


def shifted(by: str) -> dict[str, str]:
    """The environment of a process whose clock is wrong."""
    library = files("libfaketime") / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return {"LD_PRELOAD": str(library), "FAKETIME": by, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@contextmanager
def clocks(nodes: System, who: str, by: str) -> Iterator[None]:
    """A bridge and its workers, some of whose clocks are wrong."""
    wrong: dict[str, str] = shifted(by)
    right: dict[str, str] = {}
    bridge = nodes.bridge(**(wrong if "bridge" in who else right))
    workers = [nodes.worker(2, **(right if who == "bridge" else wrong))]
    if who == "one worker":
        workers.append(nodes.worker(2))
    try:
        yield
    finally:
        for process in (bridge, *workers):
            process.stop()
        nodes.bridges.clear()
        nodes.workers.clear()


@pytest.mark.parametrize("by", TRIED)
@pytest.mark.parametrize("who", WHO)
def test_a_clock_that_is_wrong_delays_and_loses_nothing(
    servers: System, heat: ScriptedHeat, who: str, by: str
) -> None:
    """Stacks that take a moment are found by polls, one attempt meets an outage, a target is followed, all goes again."""
    nodes, name = servers, f"{who}{by}".replace(" ", "-").replace("+", "p")
    root, child, slow = (Ref("node", f"{name}-{part}") for part in ("root", "child", "slow"))
    before = len(heat.requests)
    with clocks(nodes, who, by):
        nodes.put("node", root.id)
        nodes.put("node", child.id, parent_id=root.id)
        nodes.put("node", slow.id, parent_id=root.id)
        for ref in (root, child, slow):
            nodes.await_state(ref, "CREATE_COMPLETED")
        nodes.until(lambda: nodes.record(nodes.keys.monitoring, slow))
        nodes.put("node", slow.id, 2, parent_id=root.id, value="new")
        nodes.await_state(slow, "MODIFY_COMPLETED", 2)
        for ref in (slow, child, root):
            nodes.remove(ref)
        nodes.until(
            lambda: not [key for key in nodes.below("/") if name in key],
            what=lambda: str(nodes.below("/")),
        )
    asked = [(r.method, r.stack) for r in heat.requests[before:]]
    assert sorted(asked) == sorted(
        [("create", f"node_{ref.id}") for ref in (root, child, slow)]
        + [("update", f"node_{slow.id}")]
        + [("delete", f"node_{ref.id}") for ref in (root, child, slow)]
    )


def test_a_difference_of_clocks_is_told(servers: System) -> None:
    with clocks(servers, "one worker", "+1h"):
        for n in range(20):
            servers.put("node", f"told-{n}")
        bridge = servers.bridges[0]
        servers.until(lambda: "Clocks of worker and bridge differ" in bridge.log_tail(500))
        for n in range(20):
            servers.await_state(Ref("node", f"told-{n}"), "CREATE_COMPLETED")
            servers.remove(Ref("node", f"told-{n}"))
        servers.until(lambda: not [key for key in servers.below("/") if "told-" in key])
    line = next(
        line
        for line in bridge.log_tail(500).splitlines()
        if "Clocks of worker and bridge differ" in line
    )
    assert "seconds=3" in line
