"""The liveness probe of the workers, as Kubernetes runs it: a process beside a real worker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from orchestrator import __version__
from orchestrator.core.records import WorkerAlive
from orchestrator.sandbox.processes import Process

from .system import NODE_SCHEMAS, System, system


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A worker, and no bridge: nobody has work for it."""
    folder = tmp_path_factory.mktemp("probe")
    heat = {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": "http://127.0.0.1:9/v1"}
    with system(folder, heat, schemas=NODE_SCHEMAS, bridges=0) as running:
        yield running


def probe(scene: System, name: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Ask about the worker of this name."""
    environment = {**os.environ, **scene.environment, **more}
    command = [sys.executable, "-m", "tasks.probe", f"{name}@{socket.gethostname()}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def answers(scene: System) -> bool:
    return "answers" in probe(scene, scene.workers[0].name).stdout


def test_a_worker_that_takes_messages_is_well(scene: System) -> None:
    done = probe(scene, scene.workers[0].name)

    assert (done.returncode, done.stderr) == (0, "")
    assert "answers" in done.stdout


def test_a_worker_that_is_frozen_needs_a_restart(scene: System) -> None:
    with frozen(scene.workers[0]):
        done = probe(scene, scene.workers[0].name)

    assert done.returncode == 1
    assert "has not answered" in done.stdout
    scene.until(lambda: answers(scene), what=lambda: "answers again")


def test_no_worker_is_restarted_because_redis_is_frozen(scene: System) -> None:
    """tests/integration/test_deployed.py has the same for one that is killed."""
    with frozen(scene.redis.process):
        away = probe(scene, scene.workers[0].name)

    assert (away.returncode, away.stderr) == (0, "")
    assert "nobody can tell" in away.stdout
    scene.until(lambda: answers(scene), what=lambda: "answers again")


def test_a_worker_says_that_it_is_alive_and_is_gone_at_once_when_it_ends(scene: System) -> None:
    def alive() -> dict[str, WorkerAlive]:
        _, found = scene.store.list(scene.keys.workers)
        return {kv.key: WorkerAlive.from_json(kv.value) for kv in found}

    first = scene.keys.worker(f"{scene.workers[0].name}@{socket.gethostname()}")
    scene.until(lambda: first in alive())
    second = scene.worker(2)
    key = scene.keys.worker(f"{second.name}@{socket.gethostname()}")
    scene.until(lambda: key in alive())

    assert (alive()[key].slots, alive()[key].version) == (2, __version__)
    assert alive()[key].pid == second.pid
    status = scene.command("status", "--all")
    assert status.returncode == 1 and "No bridge leads" in status.stdout
    assert f"{second.name}@" in status.stdout

    second.stop()
    scene.until(lambda: key not in alive(), timeout=10)
    assert first in alive()


def test_settings_that_cannot_be_used_are_told(scene: System) -> None:
    done = probe(scene, "worker", ORCHESTRATOR_BROKER_URL="nonsense")

    assert done.returncode == 2
    assert "ORCHESTRATOR_BROKER_URL" in done.stderr
