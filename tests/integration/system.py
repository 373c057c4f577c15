"""The whole system for a test: real etcd, real Redis, real bridge and workers; Heat real or scripted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.clients.catalogue import load
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.core.schemas import parse_schemas
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes

T = TypeVar("T")

FAST = {
    "ORCHESTRATOR_HEAT_POLL_INTERVAL": "0.1",
    "ORCHESTRATOR_MONITORING_INTERVAL": "0.3",
    "ORCHESTRATOR_LEASE_TTL": "3",
    "ORCHESTRATOR_DELETION_PATIENCE": "2",
}

NODE_SCHEMAS: dict[str, Any] = {
    "schemas": [
        {"id": "plan", "prefix": "/v1/plans", "schema": {}},
        {
            "id": "node",
            "prefix": "/v1/nodes",
            "metadata": {"template_path": "Cnode"},
            "schema": {
                "type": "object",
                "properties": {"parent_id": {"type": "string", "relation": "node"}},
            },
        },
        {"id": "heat_template", "prefix": "/v2.0/heat_templates", "schema": {}},
    ]
}
"""A type of our own for what the catalogue cannot make: chains of any depth, cycles, broken templates."""

NODE_TEMPLATE: dict[str, Any] = {
    "id": "node",
    "handler": "heat_worker",
    "watch": [],
    "template_file": (
        "heat_template_version: 2018-08-31\n"
        "parameters: {value: {type: string, default: ''}, parent: {type: string, default: ''}}\n"
        "resources: {r: {type: OS::Heat::RandomString}}\n"
        "outputs: {id: {description: id, value: {get_resource: r}}}\n"
        "{{ jinja_text }}\n"
    ),
    "parameter_mappings": {
        "value": "Pvalue",
        "parent": {"path": ["parent_id"], "output_key": "id"},
        "jinja_text": "ACa_&Ptext",
        "heat_timeout": "C5",
    },
}
NODE_TEMPLATE["template_file"] = NODE_TEMPLATE["template_file"].replace(
    "{{ jinja_text }}", "# {{ jinja_text }}"
)


@dataclass
class System:
    """A running system; :meth:`put` and :meth:`remove` play the API server."""

    processes: Processes
    etcd: servers.Etcd
    redis: servers.Redis
    store: EtcdStore
    keys: Keys
    environment: dict[str, str]
    bridges: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    started: int = 0

    def command(
        self, *arguments: str, patience: float = 90.0, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run ``orchestrator`` with these arguments, and wait for it for *patience* seconds."""
        code = "from orchestrator.cli import main; main()"
        environment = {**os.environ, **self.environment, **more}
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=patience
        )

    def bridge(self, **more: str) -> Process:
        """Start one more bridge.

        :param more: variables of its environment alone.
        """
        name = self._name("bridge")
        code = "from orchestrator.cli import main; main()"
        process = self.processes.start(
            name, [sys.executable, "-c", code, "bridge"], env={**self.environment, **more}
        )
        self.bridges.append(process)
        return process

    def _name(self, what: str) -> str:
        self.started += 1
        return f"{what}-{self.started}"

    def worker(self, concurrency: int = 4, **more: str) -> Process:
        """Start one more worker, and wait until it takes messages.

        :param more: variables of its environment alone.
        """
        name = self._name("worker")
        options = [
            "--loglevel=INFO",
            f"--concurrency={concurrency}",
            f"--hostname={name}@%h",
            "--without-gossip",
            "--without-mingle",
        ]
        process = self.processes.start(
            name,
            [sys.executable, "-m", "celery", "-A", "tasks", "worker", *options],
            env={**self.environment, **more},
        )
        self.workers.append(process)
        process.wait_until(lambda: "ready." in process.log_tail(), timeout=30, what="ready")
        return process

    # What the API server does -----------------------------------------------------------------------

    def put(
        self, kind: str, resource_id: str, version: int = 1, *, marked: bool = False, **body: Any
    ) -> Ref:
        ref = Ref(kind, resource_id)
        document = {"id": resource_id, "tenant_id": "t1", **body}
        self.put_raw(
            ref,
            json.dumps(
                {"body": json.dumps(document), "version": version, "marked_for_deletion": marked}
            ),
        )
        return ref

    def put_raw(self, ref: Ref, value: str) -> None:
        self.store.put(self.keys.below(self.keys.config, ref), value)

    def remove(self, ref: Ref) -> None:
        self.store.delete(self.keys.below(self.keys.config, ref))

    # What is there ----------------------------------------------------------------------------------

    def record(self, folder: str, ref: Ref) -> Any:
        """The JSON value of a resource in a folder, None when there is none."""
        kv = self.store.get(self.keys.below(folder, ref))
        return json.loads(kv.value) if kv else None

    def state(self, ref: Ref) -> Any:
        return self.record(self.keys.state, ref)

    def worker_state(self, ref: Ref, version: int | None = None) -> str | None:
        """``CREATE_COMPLETED`` …; None while the version is not reported."""
        state = self.state(ref)
        return (
            state["state"]["worker_state"]
            if state and version in (None, state["version"])
            else None
        )

    def await_state(self, ref: Ref, expected: str, version: int = 1, timeout: float = 40) -> Any:
        """The state record, once it says *expected* of *version*."""
        self.until(
            lambda: self.worker_state(ref, version) == expected,
            timeout,
            lambda: f"{ref} v{version}: {self.state(ref)}",
        )
        return self.state(ref)

    def until(
        self, condition: Callable[[], T], timeout: float = 40, what: Callable[[], str] = lambda: ""
    ) -> T:
        """The condition's first true answer.

        :raises AssertionError: none came in time; with the ends of all logs.
        """
        end = time.monotonic() + timeout
        while True:
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > end:
                logs = "\n".join(
                    f"--- {p.name}\n{p.log_tail(25)}" for p in (*self.bridges, *self.workers)
                )
                raise AssertionError(f"not within {timeout} s: {what()}\n{logs}")
            time.sleep(0.05)  # between two checks of a condition, not instead of one

    def below(self, prefix: str) -> list[str]:
        """The keys below a prefix."""
        return [kv.key for kv in self.store.list(prefix, keys_only=True)[1]]

    def left_behind(self) -> list[str]:
        """The keys that should be gone with the resources: all but templates, and what is known of
        processes, types, durations and the verbs of persons."""
        keys = self.keys
        stay = (
            keys.leader,
            keys.schema_list,
            keys.identity,
            keys.revisions,
            keys.durations,
            keys.audits,
            keys.bridges,
            keys.workers,
        )
        found = self.below("/")
        return [key for key in found if not key.startswith(stay) and "heat_templates" not in key]

    def leftovers(self) -> list[str]:
        """Keys of jobs that are over: there should be none when nothing is under way."""
        return [
            key
            for folder in (self.keys.jobs, self.keys.job_states, self.keys.runs)
            for key in self.below(folder)
        ]

    def await_quiet(self, timeout: float = 60) -> None:
        """Until no job, job state or run is left."""
        self.until(lambda: not self.leftovers(), timeout, lambda: f"left: {self.leftovers()[:10]}")


@contextmanager
def system(
    folder: Path,
    heat: Mapping[str, str],
    *,
    schemas: Any = None,
    bridges: int = 1,
    workers: int = 1,
    concurrency: int = 4,
    etcd: servers.Etcd | None = None,
    endpoints: Sequence[str] = (),
    **settings: str,
) -> Iterator[System]:
    """Start everything.

    :param heat: the ``OS_*`` variables.
    :param etcd: one that runs already; *endpoints*: all of its members.
    :param schemas: a schema list of the test's own; default: the catalogue.
    :param settings: ``ORCHESTRATOR_…`` variables on top of :data:`FAST`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Processes(folder) as processes:
        etcd, redis = etcd or servers.etcd(processes), servers.redis(processes)
        endpoints = tuple(endpoints) or (etcd.endpoint,)
        environment = {
            **FAST,
            **heat,
            "ORCHESTRATOR_ETCD_ENDPOINTS": ",".join(endpoints),
            "ORCHESTRATOR_BROKER_URL": redis.url,
            **settings,
        }
        if schemas is not None:
            (folder / "schemas.json").write_text(json.dumps(schemas))
            environment["ORCHESTRATOR_SCHEMAS"] = str(folder / "schemas.json")
        types = parse_schemas(schemas) if schemas is not None else load().schemas
        store = EtcdStore(EtcdAccess(endpoints))
        running = System(processes, etcd, redis, store, Keys(Prefixes(), types), environment)
        try:
            for _ in range(bridges):
                running.bridge()
            for _ in range(workers):
                running.worker(concurrency)
            yield running
        finally:
            store.close()
            # To end in order takes a worker a second or two, one that hangs five. A test to which the
            # end matters has stopped its processes itself.
            for process in (*running.bridges, *running.workers):
                process.kill()
            if os.environ.get("KEEP_LOGS"):
                print(f"logs in {folder}")
