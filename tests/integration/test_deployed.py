"""The pods of ``deploy/k8s`` without a cluster: real processes with the commands, the environment
and the secrets of their manifests, and the probes that a kubelet would send."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from orchestrator.sandbox.processes import Process, free_port

from tests.deploy.kubernetes import K8S, Container, Manifests, enter, render

from .system import System, system

PROGRAMS = {
    "orchestrator": ["-c", "from orchestrator.cli import main; main()"],
    "celery": ["-m", "celery"],
    "python": [],
}


@dataclass(frozen=True, slots=True)
class Pod:
    """A running container."""

    container: Container
    process: Process
    environment: dict[str, str]
    port: str

    def passes(self, probe: str) -> bool:
        """What a kubelet would find, with the probe's own timeout."""
        asked: dict[str, Any] = self.container.spec[probe]
        timeout = asked["timeoutSeconds"]
        if "httpGet" in asked:
            return answer(f"http://127.0.0.1:{self.port}{asked['httpGet']['path']}", timeout) == 200
        command = program(asked["exec"]["command"])
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, timeout=timeout)
        return done.returncode == 0


def answer(url: str, timeout: float) -> int:
    """The status that an address answers with; 0 for none."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def program(command: list[str]) -> list[str]:
    """A command of the image, with the programs of this environment."""
    return [sys.executable, *PROGRAMS[command[0]], *command[1:]]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[System]:
    """etcd and Redis, and nobody who uses them yet."""
    with system(tmp_path / "system", {}, bridges=0, workers=0) as running:
        yield running


def run(scene: System, container: Container, manifests: Manifests, folder: Path) -> Pod:
    """Start what a container runs, with the addresses and the port of this test."""
    port = str(free_port())
    redis = {"url": scene.redis.url}
    environment = enter(container, manifests, folder / container.name, redis)
    environment["ORCHESTRATOR_ETCD_ENDPOINTS"] = scene.etcd.endpoint
    if "ORCHESTRATOR_HEALTH_PORT" in environment:
        environment["ORCHESTRATOR_HEALTH_PORT"] = port
    command = [word.replace("--port=5555", f"--port={port}") for word in container.spec["command"]]
    process = scene.processes.start(container.name, program(command), env=environment)
    return Pod(container, process, environment, port)


def test_no_pod_is_restarted_while_etcd_and_redis_are_away(scene: System, tmp_path: Path) -> None:
    copied = Path(copytree(K8S, tmp_path / "k8s"))
    manifests = render(copied, "alone/flower")
    pods = [run(scene, container, manifests, tmp_path) for container in manifests.containers()]
    by_name = {pod.container.name: pod for pod in pods}
    assert set(by_name) == {"bridge", "worker", "flower"}
    bridge = by_name["bridge"]
    bridge.process.wait_until(lambda: bridge.passes("readinessProbe"), what="ready")
    for name in ("bridge", "flower", "worker"):
        pod = by_name[name]
        pod.process.wait_until(partial(pod.passes, "livenessProbe"), what="live")

    scene.etcd.process.kill()
    scene.redis.process.kill()
    bridge.process.wait_until(lambda: not bridge.passes("readinessProbe"), what="not ready")

    assert [pod.container.name for pod in pods if not pod.passes("livenessProbe")] == []
    assert all(pod.process.alive for pod in pods)
