"""The members of a demo: real servers, the bridge, a worker and the dashboard, on free loopback
ports."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.clients import catalogue
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Store
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes, free_port

from . import programs
from .following import Follower

CONCURRENCY = 4
"""Slots of the worker: stacks under way are not bound to them."""

START = 60.0
"""Seconds for the bridge, the worker and the dashboard to be ready."""

FOREIGN = ("ORCHESTRATOR_", "OS_", "CELERY_", "FLOWER_")
"""Names of variables of somebody's shell that would lead the demo's processes elsewhere."""


@dataclass(frozen=True, slots=True)
class Started:
    """One member of the demo that is ready: what it is, where, and how many seconds it took."""

    name: str
    what: str
    where: str
    seconds: float


class Members:
    """Everything that runs in a demo; leaving the `with` block ends all of it."""

    def __init__(
        self,
        folder: Path,
        delay: float = 1.0,
        flower: bool = True,
        environment: Mapping[str, str] | None = None,
        started: Callable[[Started], None] = lambda member: None,
    ) -> None:
        self.folder = folder.resolve()
        self.delay = delay
        self.processes = Processes(self.folder)
        self.keys = Keys(Prefixes(), catalogue.load().schemas)
        self.etcd: servers.Etcd
        self.redis: servers.Redis
        self.heat: servers.HeatServer
        self.collector: servers.CollectorServer
        self.store: Store
        self.follower: Follower
        self._with_flower = flower
        self._more = dict(environment or {})
        self._started = started
        self._flower_port = free_port()
        self._stack = contextlib.ExitStack()

    # The members ----------------------------------------------------------------------------------

    @property
    def bridge(self) -> Process:
        return self.processes["bridge"]

    @property
    def worker(self) -> Process:
        return self.processes["worker"]

    @property
    def flower(self) -> Process:
        return self.processes["flower"]

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self._flower_port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be part of this demo, the commands of a person included."""
        return {
            "ORCHESTRATOR_ETCD_ENDPOINTS": self.etcd.endpoint,
            "ORCHESTRATOR_BROKER_URL": self.redis.url,
            "ORCHESTRATOR_MONITORING_INTERVAL": "2",
            **self.heat.environment(),
            **self._more,
        }

    @property
    def environment_file(self) -> Path:
        """The same as a file for a shell: `set -a; . FILE; set +a`."""
        return self.folder / "demo.env"

    # Start and end --------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        with self._stack:
            self._stack.enter_context(programs.loopback_without_proxy())
            self._stack.enter_context(self.processes)
            self._start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        """Start everything side by side.
        Heat takes longest by far, and nobody else needs it to be ready."""
        heat_port = free_port()
        # Its address, for the others.
        self.heat = servers.HeatServer(None, heat_port, lambda: False)  # type: ignore[arg-type]
        with ThreadPoolExecutor(8) as pool:
            try:
                self._start_in(pool, heat_port)
            except BaseException:
                # So that nobody in the pool waits for what will not come.
                self.processes.stop()
                raise

    def _start_in(self, pool: ThreadPoolExecutor, heat_port: int) -> None:
        heat = pool.submit(self._timed, "heat", self._start_heat, heat_port)
        first = (
            ("etcd", self._start_etcd),
            ("redis", self._start_redis),
            ("collector", self._start_collector),
        )
        for done in as_completed(
            [pool.submit(self._timed, name, start) for name, start in first]
        ):
            done.result()
        self.store = EtcdStore(EtcdAccess((self.etcd.endpoint,)))
        self._stack.callback(self.store.close)
        self.follower = Follower(self.store, self.keys)
        self.follower.start()
        self._stack.callback(self.follower.stop)
        self._write_environment()
        ours = [("bridge", self._start_bridge), ("worker", self._start_worker)]
        if self._with_flower:
            ours.append(("flower", self._start_flower))
        for done in as_completed(
            [
                heat,
                *(
                    pool.submit(self._timed, name, start)
                    for name, start in ours
                ),
            ]
        ):
            done.result()

    def _timed(
        self, name: str, start: Callable[..., tuple[str, str]], *arguments: Any
    ) -> None:
        begin = time.monotonic()
        what, where = start(*arguments)
        self._started(Started(name, what, where, time.monotonic() - begin))

    def _start_etcd(self) -> tuple[str, str]:
        self.etcd = servers.etcd(self.processes)
        return (
            f"etcd {programs.get(f'{self.etcd.url}/version')['etcdserver']}",
            self.etcd.endpoint,
        )

    def _start_redis(self) -> tuple[str, str]:
        self.redis = servers.redis(self.processes)
        return (
            f"Redis {programs.redis_version(self.redis.process.command[0])}",
            self.redis.url,
        )

    def _start_collector(self) -> tuple[str, str]:
        self.collector = servers.collector(self.processes)
        return "monitoring collector", f"{self.collector.url}/targets"

    def _start_heat(self, port: int) -> tuple[str, str]:
        self.heat = servers.heat(
            self.processes, port=port, delay=self.delay, name_window=0
        )
        return (
            f"Heat {importlib.metadata.version('openstack-heat')}",
            f"{self.heat.url}/v1/<project>",
        )

    def _start_bridge(self) -> tuple[str, str]:
        self._run(
            "bridge",
            self.environment,
            programs.script("orchestrator", "orchestrator.cli"),
            "bridge",
        )
        self.wait_ready("bridge")
        return "orchestrator bridge", "leads"

    def _start_worker(self) -> tuple[str, str]:
        name = f"demo-{self.redis.port}@%h"
        options = (
            f"--concurrency={CONCURRENCY}",
            f"--hostname={name}",
            "--loglevel=INFO",
        )
        self._run(
            "worker", self.environment, *programs.celery("worker", *options)
        )
        self.wait_ready("worker")
        return (
            f"Celery {importlib.metadata.version('celery')} worker",
            f"{CONCURRENCY} slots",
        )

    def _start_flower(self) -> tuple[str, str]:
        environment = {**self.environment, "FLOWER_UNAUTHENTICATED_API": "true"}
        self._run(
            "flower",
            environment,
            *programs.celery(
                "flower", "--address=127.0.0.1", f"--port={self._flower_port}"
            ),
        )
        self.wait_ready("flower")
        return f"Flower {importlib.metadata.version('flower')}", self.flower_url

    def _run(
        self, name: str, environment: Mapping[str, str], *command: str
    ) -> Process:
        """Start a Python program of ours.
        In the log folder, so that no `.env` of somebody's folder is read."""
        paths = [str(servers.PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
        python = {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONUNBUFFERED": "1",
        }
        foreign = [
            variable for variable in os.environ if variable.startswith(FOREIGN)
        ]
        unset = [
            f"--unset={variable}"
            for variable in foreign
            if variable not in environment
        ]
        return self.processes.start(
            name,
            ["env", *unset, *command],
            env={**python, **environment},
            cwd=self.folder,
        )

    def _write_environment(self) -> None:
        variables = self.environment | {
            name: os.environ[name]
            for name in ("no_proxy", "NO_PROXY")
            if name in os.environ
        }
        lines = [
            f"{name}={shlex.quote(value)}" for name, value in variables.items()
        ]
        path = f'PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
        self.environment_file.write_text(
            "\n".join(
                ["# For a shell: set -a; . THIS FILE; set +a", *lines, path, ""]
            )
        )

    # Breaking things ------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """kill -9 of one process and its children."""
        self.processes[name].kill()

    def restart(self, name: str, kill: bool = False) -> None:
        """Start one process again, after SIGTERM or kill -9; return when it is ready.
        Redis comes back without its data."""
        process = self.processes[name]
        if kill:
            process.kill()
        else:
            process.stop()
        server: servers.SandboxServer | None = {
            "etcd": self.etcd,
            "redis": self.redis,
            "heat": self.heat,
            "collector": self.collector,
        }.get(name)
        if server is not None:
            server.restart()
            return
        written = process.log.stat().st_size
        process.start()
        self.wait_ready(name, written)

    def wait_ready(self, name: str, written: int = 0) -> None:
        """Return once the bridge leads, the worker takes tasks, the dashboard answers.

        :param written: how long its log was before this start.
        """
        process = self.processes[name]

        def said(words: str) -> bool:
            with process.log.open(errors="replace") as log:
                log.seek(written)
                return words in log.read()

        ready: dict[str, Callable[[], bool]] = {
            "bridge": lambda: self._leader() == process.pid,
            "worker": lambda: said(" ready"),
            "flower": lambda: programs.answers(
                f"{self.flower_url}/healthcheck"
            ),
        }
        process.wait_until(ready[name], START)

    def _leader(self) -> int | None:
        """The process that leads, as the follower saw it: etcd itself may be gone when we are told
        to end."""
        claims = self.follower.written(self.keys.leader)
        return json.loads(claims[-1][1]).get("pid") if claims else None
