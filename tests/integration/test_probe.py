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


def test_settings_that_cannot_be_used_are_told(scene: System) -> None:
    done = probe(scene, "worker", ORCHESTRATOR_BROKER_URL="nonsense")

    assert done.returncode == 2
    assert "ORCHESTRATOR_BROKER_URL" in done.stderr
