"""What a measurement stands on: real etcd and Redis, the benchmark's Heat, and the ordinary commands."""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes, free_port

from . import measuring
from .measuring import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]

SCHEMAS: dict[str, Any] = {
    "schemas": [
        {
            "id": "node",
            "prefix": "/v1/nodes",
            "metadata": {"template_path": "Cnode"},
            "schema": {
                "type": "object",
                "properties": {
                    "parent_id": {"type": "string", "relation": "node"},
                    "parents": {"type": "array", "items": {"type": "string", "relation": "node"}},
                },
            },
        },
        {"id": "heat_template", "prefix": "/v2.0/heat_templates", "schema": {}},
    ]
}
TEMPLATE: dict[str, Any] = {
    "id": "node",
    "handler": "heat_worker",
    "watch": [],
    "template_file": (
        "heat_template_version: 2018-08-31\n"
        "description: {{ jinja_text }}\n"
        "parameters: {value: {type: string}, parent: {type: string}, parents: {type: json}}\n"
        "resources: {r: {type: OS::Heat::RandomString}}\n"
        "outputs:\n  id: {description: id, value: {get_resource: r}}\n"
    ),
    "parameter_mappings": {
        "value": "Pvalue",
        "parent": {"path": ["parent_id"], "output_key": "id"},
        "parents": {
            "for_field": "parents",
            "for_mapping": {"path": [{"type": "node", "id": ""}], "output_key": "id"},
        },
        "jinja_text": "Ca text",
    },
}
"""A small stack with a value of its own and the output of another: the work of every contender."""


def document(body: Mapping[str, Any], version: int = 1, *, marked: bool = False) -> str:
    """A config record as the API server writes it."""
    return json.dumps({"body": json.dumps(body), "version": version, "marked_for_deletion": marked})


@dataclass
class BenchHeat:
    """The benchmark's Heat, a process of its own."""

    process: Process
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """What python-heatclient needs to find it."""
        return {"OS_AUTH_TYPE": "none", "OS_ENDPOINT": f"{self.url}/v1/%(tenant_id)s"}

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", data)) as answer:
            return json.load(answer)

    def asked(self) -> list[tuple[float, str, str, str]]:
        """Each request that made or changed a stack: time, method, tenant, name."""
        return [tuple(entry) for entry in self.ask("_log")]

    def calls(self) -> dict[str, int]:
        return dict(self.ask("_calls"))


@dataclass
class Ground:
    """Servers that run; contenders are started on them."""

    processes: Processes
    etcd: servers.Etcd
    redis: servers.Redis
    heat: BenchHeat
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    parties: dict[str, list[Process]] = field(default_factory=dict)
    started: int = 0
    """Processes so far: makes names unique."""

    def environment(self) -> dict[str, str]:
        """Of the bridge and the workers: defaults, but for where things are."""
        return {
            **self.heat.environment(),
            "ORCHESTRATOR_ETCD_ENDPOINTS": self.etcd.endpoint,
            "ORCHESTRATOR_BROKER_URL": self.redis.url,
            "ORCHESTRATOR_SCHEMAS": str(self.folder / "schemas.json"),
            "PYTHONPATH": str(ROOT),
            **self.settings,
        }

    def start(
        self, party: str, command: Sequence[str], environment: Mapping[str, str], ready: str = ""
    ) -> Process:
        """Start a process that belongs to *party*, whose CPU time counts as its."""
        self.started += 1
        process = self.processes.start(
            f"{party}-{self.started}", [sys.executable, *command], env=dict(environment)
        )
        self.parties.setdefault(party, []).append(process)
        if ready:
            process.wait_until(lambda: ready in process.log_tail(50), timeout=60, what=ready)
        return process

    def bridge(self) -> Process:
        code = "from orchestrator.cli import main; main()"
        return self.start("bridge", ["-c", code, "bridge"], self.environment())

    def worker(self, slots: int = 4) -> Process:
        name = f"worker{self.started}"
        options = [
            f"--concurrency={slots}",
            f"--hostname={name}@%h",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=INFO",
        ]
        return self.start(
            "worker",
            ["-m", "celery", "-A", "tasks", "worker", *options],
            self.environment(),
            "ready.",
        )

    def worker_alone(self) -> None:
        """A warm worker, and etcd without a bridge: it can be filled."""
        self.push_template()
        bridge = self.bridge()
        self.worker()
        self.load(nodes("warm", 32), timeout=60).check()
        self.stop("bridge")
        assert not bridge.alive

    def stop(self, *parties: str) -> None:
        for party in parties or tuple(self.parties):
            for process in self.parties.pop(party, []):
                process.stop()

    def spent(self) -> dict[str, float]:
        """CPU seconds so far, by party."""
        ours = {
            party: sum(cpu_seconds(process.pid) for process in processes)
            for party, processes in self.parties.items()
        }
        servers_ = {
            "etcd": self.etcd.process.pid,
            "Redis": self.redis.process.pid,
            "Heat": self.heat.process.pid,
        }
        return {**ours, **{name: cpu_seconds(pid) for name, pid in servers_.items()}}

    def load(self, writes: Sequence[Sequence[Any]], timeout: float = 900) -> BenchLoad:
        """Have the generator write all this and wait for the states; it runs in a process of its own."""
        plan = json.dumps({"etcd": self.etcd.endpoint, "timeout": timeout, "writes": list(writes)})
        before = self.spent()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load"],
            input=plan,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the load generator failed:\n{done.stderr[-2000:]}")
        spent = {name: seconds - before.get(name, 0.0) for name, seconds in self.spent().items()}
        return BenchLoad(**json.loads(done.stdout), cpu=spent)

    def etcd_metric(self, name: str) -> float:
        """The sum of one of etcd's own metrics over its labels."""
        with urllib.request.urlopen(f"{self.etcd.url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.split("{")[0].split(" ")[0] == name
        )

    def redis_info(self) -> dict[str, Any]:
        with redis.Redis(port=self.redis.port) as client:
            return dict(client.info())

    def ask_etcd(self, path: str, body: Mapping[str, Any]) -> Any:
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.etcd.url}/v3/{path}", json.dumps(body).encode())
        ) as answer:
            return json.load(answer)

    def compact(self) -> None:
        """Forget history, as an operator's etcd does by itself."""
        every = base64.b64encode(b"\0").decode()
        revision = self.ask_etcd(
            "kv/range", {"key": every, "range_end": every, "count_only": True}
        )["header"]["revision"]
        self.ask_etcd("kv/compaction", {"revision": revision, "physical": True})

    def keys_left(self) -> int:
        """Keys that are neither configs nor the leader's."""
        every = base64.b64encode(b"\0").decode()
        found = self.ask_etcd(
            "kv/range", {"key": every, "range_end": every, "keys_only": True}
        ).get("kvs", ())
        keys = [base64.b64decode(kv["key"]).decode() for kv in found]
        return sum(
            not key.startswith("/config/") and not key.endswith("/leader") and "/warm-" not in key
            for key in keys
        )

    def forget(self, names: Iterable[str], *more: str) -> None:
        """Delete what another contender left of nodes: our bridge would take it for work that nobody did.

        :param more: folders besides those of the contract.
        """
        folders = (
            "/config/v1/nodes",
            "/state/v1/nodes",
            "/esi-worker/heat_stacks/v1/nodes",
            "/esi-worker/job_state/v1/nodes",
            *more,
        )
        self.load([[0, f"{folder}/{name}", None, 0] for name in names for folder in folders])

    def push_template(
        self, template_id: str = "node", template: Mapping[str, Any] = TEMPLATE
    ) -> None:
        self.load(
            [
                [
                    0,
                    f"/config/v2.0/heat_templates/{template_id}",
                    document({**template, "id": template_id}),
                    0,
                ]
            ]
        )


@dataclass(frozen=True)
class BenchLoad:
    """What the load generator saw, by state key; times by the wall clock. *cpu*: seconds by party."""

    started: float
    written: dict[str, float]
    reported: dict[str, float]
    complete: bool
    cpu: dict[str, float]

    @property
    def seconds(self) -> float:
        """From the first write to the last state."""
        return max(self.reported.values()) - min(self.written.values())

    @property
    def rate(self) -> float:
        return len(self.reported) / self.seconds

    def check(self) -> BenchLoad:
        """:raises RuntimeError: not everything was reported in time."""
        if not self.complete:
            missing = sorted(set(self.written) - set(self.reported))
            raise RuntimeError(f"{len(missing)} states never came, among them {missing[:3]}")
        return self


@contextmanager
def ground(duration: float = 0.0, link: str = "", **settings: str) -> Iterator[Ground]:
    """Servers on fresh data: etcd with fsync, Redis, and the benchmark's Heat."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    with Processes(folder) as processes:
        etcd, redis, port = servers.etcd(processes), servers.redis(processes), free_port()
        command = [
            "-m",
            "benchmarks.heat",
            "--port",
            str(port),
            "--duration",
            str(duration),
            "--link",
            link,
        ]
        process = processes.start("heat", [sys.executable, *command], env={"PYTHONPATH": str(ROOT)})
        process.wait_until(lambda: "serving" in process.log_tail(), timeout=30, what="serving")
        (folder / "schemas.json").write_text(json.dumps(SCHEMAS))
        running = Ground(processes, etcd, redis, BenchHeat(process, port), folder, dict(settings))
        yield running


@contextmanager
def orchestra(
    workers: int = 1, slots: int = 4, duration: float = 0.0, link: str = "", **settings: str
) -> Iterator[Ground]:
    """The whole system, warm: one job has gone through every slot's process."""
    with ground(0.0, link, **settings) as running:
        running.push_template()
        running.bridge()
        for _ in range(workers):
            running.worker(slots)
        running.load(nodes("warm", workers * slots * 8), timeout=60).check()
        running.heat.ask("_set", {"duration": duration})
        yield running


def nodes(
    prefix: str, count: int, tenants: int = 10, *, version: int = 1, every: float = 0.0
) -> list[list[Any]]:
    """Writes of *count* independent nodes, each of a tenant drawn at random, at random moments, one in *every*
    seconds on average."""
    drawn = random.Random(f"{measuring.SEED} {prefix}")
    writes: list[list[Any]] = []
    at = 0.0
    for i in range(count):
        name = f"{prefix}-{i}"
        writes.append(
            [
                at,
                f"/config/v1/nodes/{name}",
                node(name, f"t{drawn.randrange(tenants)}", version),
                version,
            ]
        )
        at += drawn.expovariate(1 / every) if every else 0.0
    return writes


def node(name: str, tenant: str, version: int = 1, **more: Any) -> str:
    return document({"id": name, "tenant_id": tenant, "value": f"v{version}", **more}, version)


def settle(seconds: float = 1.0) -> None:
    """Between two contenders: what the one before left to the operating system is over."""
    time.sleep(seconds)
