"""The processes of a chaos run: each bridge and worker behind proxies of its own to etcd and to Heat."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes

from tests.scripted.heat import ScriptedHeat

from .cluster import Cluster
from .etcd import Client, Recorder
from .generator import Generator
from .heat import WINDOW, Mood, outputs
from .proxy import Link, Loop
from .templates import TEMPLATES

LEASE = 3
HEAT_TIMEOUT = 4.0
SETTINGS = {
    "ORCHESTRATOR_HEAT_POLL_INTERVAL": "0.2",
    "ORCHESTRATOR_HEAT_TIMEOUT": str(HEAT_TIMEOUT),
    "ORCHESTRATOR_MONITORING_INTERVAL": "10",
    "ORCHESTRATOR_LEASE_TTL": str(LEASE),
    "ORCHESTRATOR_DELETION_PATIENCE": "2",
    # The generator means all its removals: nobody is there to confirm those that the brake would hold.
    "ORCHESTRATOR_DELETIONS_AT_ONCE": "1000000",
    "ORCHESTRATOR_LOG_FORMAT": "json",
}

_NODE = {"type": "string", "relation": "node"}
SCHEMAS: dict[str, Any] = {
    "schemas": [
        {
            "id": "node",
            "prefix": "/v1/nodes",
            "metadata": {"template_path": "Cnode"},
            "schema": {"type": "object", "properties": {"parent_id": _NODE}},
        },
        {
            "id": "link",
            "prefix": "/v1/links",
            "metadata": {"template_path": "Clink"},
            "schema": {"type": "object", "properties": {"left_id": _NODE, "right_id": _NODE}},
        },
        {"id": "heat_template", "prefix": "/v2.0/heat_templates", "schema": {}},
    ]
}


@dataclass(slots=True)
class ChaosProcess:
    """A bridge or a worker, and its ways to the outside. *down* while a fault keeps it so; *busy* serialises faults on it."""

    name: str
    process: Process
    links: dict[str, tuple[Link, ...]]
    down: bool = False
    paused: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)

    def all_links(self) -> list[Link]:
        return [link for links in self.links.values() for link in links]

    def kill(self) -> None:
        self.down = True
        self.process.kill()

    def stop(self, grace: float = 8.0) -> None:
        self.down = True
        self.process.stop(grace)

    def start(self) -> None:
        self.process.start()
        self.down = False

    def stands_by(self) -> bool:
        """Whether the last that a bridge has said of the lead is that another one has it."""
        said = [
            line
            for line in self.process.log_tail(2000).splitlines()
            if '"leading"' in line or '"standing_by"' in line
        ]
        return bool(said) and '"standing_by"' in said[-1]

    def pause(self) -> None:
        self.paused = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self.paused = False

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.process.alive:
                os.killpg(self.process.pid, number)


@dataclass(slots=True)
class ChaosSetting:
    """Everything that runs."""

    folder: Path
    etcd: Cluster
    redis: servers.Redis
    heat: ScriptedHeat
    mood: Mood
    client: Client
    recorder: Recorder
    generator: Generator
    bridges: list[ChaosProcess]
    workers: list[ChaosProcess]
    historian: ChaosProcess
    etcd_busy: threading.Lock = field(default_factory=threading.Lock)
    redis_busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def members(self) -> list[ChaosProcess]:
        return [*self.bridges, *self.workers, self.historian]

    @property
    def database(self) -> Path:
        """Where the historian writes."""
        return self.folder / "history.db"

    def leader(self) -> ChaosProcess | None:
        """The bridge that leads, by the pid in its key."""
        value = self.client.get("/esi-worker/orchestrator/leader")
        pid = json.loads(value)["pid"] if value else None
        return next((bridge for bridge in self.bridges if bridge.process.pid == pid), None)

    def flush_redis(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.redis.port), timeout=3) as connection,
        ):
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(64)


@contextmanager
def setting(
    folder: Path,
    seed: int,
    *,
    bridges: int,
    workers: int,
    resources: int,
    tenants: int,
    rate: float,
) -> Iterator[ChaosSetting]:
    """Start everything, and end it."""
    with ExitStack() as stack:
        loop = Loop()
        stack.callback(loop.close)
        processes = stack.enter_context(Processes(folder))
        etcd, redis = Cluster(processes, loop), servers.redis(processes)
        stack.callback(etcd.thaw)
        etcd.start()
        mood = Mood(seed)
        heat = stack.enter_context(ScriptedHeat(script=mood.script))
        heat.refuse, heat.odd = mood.refuse, mood.odd_answer
        heat.outputs, heat.window = outputs, WINDOW
        client = Client(etcd.endpoints)
        stack.callback(client.close)
        generator = Generator(
            Client(etcd.endpoints), seed, resources=resources, tenants=tenants, rate=rate
        )
        recorder = Recorder(etcd.endpoints, generator.heard)
        stack.callback(recorder.close)
        for template in TEMPLATES:
            value = {"body": json.dumps(template), "version": 1, "marked_for_deletion": False}
            client.put(f"/config/v2.0/heat_templates/{template['id']}", json.dumps(value))
        (folder / "schemas.json").write_text(json.dumps(SCHEMAS))
        start = _Starter(
            processes, loop, [member.port for member in etcd.members], redis.url, heat.port, folder
        )
        running = (
            [start.bridge(f"bridge{n + 1}") for n in range(bridges)],
            [start.worker(f"worker{n + 1}") for n in range(workers)],
            start.historian("historian1"),
        )
        for worker in running[1]:
            process = worker.process
            process.wait_until(
                lambda process=process: "ready." in process.log_tail(50),  # type: ignore[misc]
                60,
                "ready",
            )
        made = ChaosSetting(folder, etcd, redis, heat, mood, client, recorder, generator, *running)
        try:
            yield made
        finally:
            for member in made.members:
                if member.paused:
                    member.resume()


@dataclass(frozen=True, slots=True)
class _Starter:
    processes: Processes
    loop: Loop
    etcd: list[int]
    redis: str
    heat: int
    folder: Path

    def _member(self, name: str, command: list[str]) -> ChaosProcess:
        ways = {"etcd": self._ports_for(name), "heat": [self.heat]}
        links = {
            what: tuple(Link(self.loop, f"{name}-{what}", port) for port in ports)
            for what, ports in ways.items()
        }
        environment = {
            **SETTINGS,
            "PYTHONPATH": os.pathsep.join(
                filter(None, [str(servers.PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")])
            ),
            "PYTHONUNBUFFERED": "1",
            "ORCHESTRATOR_ETCD_ENDPOINTS": ",".join(link.address for link in links["etcd"]),
            "ORCHESTRATOR_BROKER_URL": self.redis,
            "ORCHESTRATOR_SCHEMAS": str(self.folder / "schemas.json"),
            "ORCHESTRATOR_HISTORY_DATABASE": str(self.folder / "history.db"),
            "OS_AUTH_TYPE": "none",
            "OS_ENDPOINT": f"http://{links['heat'][0].address}/v1/%(tenant_id)s",
        }
        process = self.processes.start(
            name, [sys.executable, *command], env=environment, cwd=servers.PACKAGE_ROOT
        )
        return ChaosProcess(name, process, links)

    def _ports_for(self, name: str) -> list[int]:
        """The members of etcd, beginning with another one for each process: it uses the first that answers."""
        first = int(name[-1]) % len(self.etcd)
        return self.etcd[first:] + self.etcd[:first]

    def bridge(self, name: str) -> ChaosProcess:
        return self._member(name, ["-c", "from orchestrator.cli import main; main()", "bridge"])

    def historian(self, name: str) -> ChaosProcess:
        return self._member(name, ["-c", "from orchestrator.cli import main; main()", "historian"])

    def worker(self, name: str) -> ChaosProcess:
        options = [
            "--loglevel=INFO",
            "--concurrency=4",
            f"--hostname={name}@%h",
            "--without-gossip",
            "--without-mingle",
        ]
        return self._member(name, ["-m", "celery", "-A", "tasks", "worker", *options])
