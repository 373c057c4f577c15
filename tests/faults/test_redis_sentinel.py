"""Redis behind a real Sentinel: the master dies, is switched, freezes; jobs go on.

celery#10096 (a worker that does not consume any more after a failover), celery#7946 (ReadOnlyError
after a switch) and kombu#1108 (connections to Sentinels that stay open) are of this kind.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from orchestrator.core.refs import Ref
from orchestrator.sandbox.processes import free_port

from tests.faults.brokers import MASTER, GuardedBroker, flower, guarded
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

HALF_A_MINUTE = 30.0
PASSWORD = "p;w/d,@ %?#:ü"
SENTINEL_PASSWORD = 'other "%@;'


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[GuardedBroker]:
    with guarded(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def nodes(tmp_path: Path, heat: ScriptedHeat, redis: GuardedBroker) -> Iterator[System]:
    settings: dict[str, Any] = {
        "ORCHESTRATOR_BROKER_URL": f"sentinel://127.0.0.1:{redis.sentinel_port}/0",
        "ORCHESTRATOR_BROKER_MASTER_NAME": MASTER,
    }
    folder = tmp_path / "system"
    with system(folder, heat.environment(), schemas=NODE_SCHEMAS, **settings) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


class Load:
    """A new node every 50 ms, until told to stop."""

    def __init__(self, nodes: System) -> None:
        self._nodes = nodes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.refs: list[Ref] = []

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def left(self) -> list[Ref]:
        return [r for r in list(self.refs) if self._nodes.worker_state(r) != "CREATE_COMPLETED"]

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.refs.append(self._nodes.put("node", f"n{len(self.refs)}"))


def built(nodes: System, name: str, timeout: float = 40) -> None:
    nodes.await_state(nodes.put("node", name), "CREATE_COMPLETED", timeout=timeout)


def switched(nodes: System, redis: GuardedBroker) -> None:
    nodes.until(redis.in_step, HALF_A_MINUTE)
    old = redis.master
    redis.switch()
    nodes.until(lambda: redis.master is not old, HALF_A_MINUTE)


def all_live(nodes: System) -> None:
    for process in (*nodes.bridges, *nodes.workers):
        assert process.alive, process.log_tail(40)


def open_sockets(process: int) -> int:
    """How many sockets a process has, those that nobody listens to any more included."""
    found = 0
    for entry in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):
            found += entry.readlink().name.startswith("socket:")
    return found


def test_the_master_dies_under_load_and_all_jobs_complete(
    nodes: System, redis: GuardedBroker
) -> None:
    dashboard = flower(nodes)
    built(nodes, "before")
    dashboard.await_events(nodes)
    with Load(nodes) as load:
        nodes.until(lambda: len(load.refs) > 20)
        old = redis.master
        old.kill()
        killed = time.monotonic()
        nodes.until(lambda: redis.master is not old, HALF_A_MINUTE)
        written = len(load.refs)
        nodes.until(lambda: len(load.refs) > written + 20)
    nodes.until(lambda: not load.left(), HALF_A_MINUTE, lambda: f"left: {load.left()[:5]}")
    assert time.monotonic() - killed < HALF_A_MINUTE
    all_live(nodes)
    assert dashboard.process.alive
    built(nodes, "after")
    dashboard.await_events(nodes, HALF_A_MINUTE)
    assert "orchestrator.jobs" in dashboard.get("/broker")


def test_a_switch_of_masters_loses_nothing(nodes: System, redis: GuardedBroker) -> None:
    """The old master lives on as a replica, and answers READONLY (celery#7946)."""
    built(nodes, "before")
    with Load(nodes) as load:
        nodes.until(lambda: len(load.refs) > 20)
        switched(nodes, redis)
    nodes.until(lambda: not load.left(), HALF_A_MINUTE, lambda: f"left: {load.left()[:5]}")
    all_live(nodes)


def test_the_master_freezes_and_jobs_go_on_with_the_other(
    nodes: System, redis: GuardedBroker
) -> None:
    built(nodes, "before")
    old = redis.master
    os.kill(old.process.pid, signal.SIGSTOP)
    try:
        nodes.until(lambda: redis.master is not old, HALF_A_MINUTE)
        built(nodes, "meanwhile", HALF_A_MINUTE)
    finally:
        os.kill(old.process.pid, signal.SIGCONT)
    built(nodes, "after", HALF_A_MINUTE)
    all_live(nodes)


def test_failover_after_failover_leaves_no_connection_open(
    nodes: System, redis: GuardedBroker
) -> None:
    """kombu#1108: connections to Sentinels were never closed."""
    built(nodes, "before")
    before = open_sockets(nodes.workers[0].pid)
    for number in range(3):
        switched(nodes, redis)
        built(nodes, f"after-{number}", HALF_A_MINUTE)
    assert open_sockets(nodes.workers[0].pid) < before + 6


def test_a_dead_sentinel_users_and_passwords_do_no_harm(tmp_path: Path, heat: ScriptedHeat) -> None:
    """Of two Sentinels the first is dead; Redis and the Sentinel have passwords of their own."""
    with guarded(tmp_path / "redis", PASSWORD, SENTINEL_PASSWORD) as redis:
        dead = f"sentinel://127.0.0.1:{free_port()}"
        alive = f"sentinel://default:{quote(PASSWORD, safe='')}@127.0.0.1:{redis.sentinel_port}/3"
        secret = tmp_path / "sentinel-password"
        secret.write_text(SENTINEL_PASSWORD + "\n")
        settings: dict[str, Any] = {
            "ORCHESTRATOR_BROKER_URL": f"{dead};{alive}",
            "ORCHESTRATOR_BROKER_MASTER_NAME": MASTER,
            "ORCHESTRATOR_BROKER_SENTINEL_PASSWORD_FILE": str(secret),
        }
        folder = tmp_path / "system"
        with system(folder, heat.environment(), schemas=NODE_SCHEMAS, **settings) as nodes:
            nodes.put("heat_template", "node", **NODE_TEMPLATE)
            built(nodes, "before")
            redis.master.kill()
            built(nodes, "after", HALF_A_MINUTE)
            all_live(nodes)
            logs = "".join(p.log.read_text() for p in (*nodes.bridges, *nodes.workers))
            assert PASSWORD not in logs and quote(PASSWORD, safe="") not in logs
            assert SENTINEL_PASSWORD not in logs
        with redis.client(redis.master) as client:
            keyspace = client.info("keyspace")
            assert list(keyspace) == ["db3"], "every Sentinel of the URL means the same database"
