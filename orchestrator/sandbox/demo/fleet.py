"""Everything that runs in a demo: real servers, the bridge, a worker and the dashboard, on free
loopback ports."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.clients import catalogue
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Store
from orchestrator.core.keys import Keys, Prefixes
from orchestrator.core.refs import Ref
from orchestrator.errors import OrchestratorError
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes, free_port

from . import checking, documents
from .following import OVER, Follower

#: Slots of the worker: stacks under way are not bound to them.
CONCURRENCY = 4

#: Seconds for the bridge, the worker and the dashboard to be ready.
START = 60.0

#: Names of variables of somebody's shell that would lead the demo's processes elsewhere.
FOREIGN = ("ORCHESTRATOR_", "OS_", "CELERY_", "FLOWER_")


class NotSettled(OrchestratorError):
    """Something is still under way after the time that was given; the message says what."""


@dataclass(frozen=True, slots=True)
class Started:
    """One member of the demo that is ready: what it is, where, and how many seconds it took."""

    name: str
    what: str
    where: str
    seconds: float


class Demo:
    """A running demo; leaving the `with` block ends all of it.

    :param folder: for the logs and the servers' data.
    :param delay: how long each simulated operation takes in Heat, in seconds.
    :param flower: whether to start the dashboard.
    :param environment: more variables for the bridge, the worker and the dashboard.
    :param started: called with each member when it is ready, from several threads.
    """

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
        #: What was applied so far, by resource: its version and its document.
        self.wanted: dict[Ref, tuple[int, documents.Document]] = {}
        self.etcd: servers.Etcd
        self.redis: servers.Redis
        self.heat: servers.Heat
        self.collector: servers.Collector
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
            self._stack.enter_context(_loopback_without_proxy())
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
        self.heat = servers.Heat(None, heat_port, lambda: False)  # type: ignore[arg-type]  # its address, for the others
        with ThreadPoolExecutor(8) as pool:
            try:
                self._start_in(pool, heat_port)
            except BaseException:
                self.processes.stop()  # so that nobody in the pool waits for what will not come
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
            f"etcd {_get(f'{self.etcd.url}/version')['etcdserver']}",
            self.etcd.endpoint,
        )

    def _start_redis(self) -> tuple[str, str]:
        self.redis = servers.redis(self.processes)
        return (
            f"Redis {_redis_version(self.redis.process.command[0])}",
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
            _script("orchestrator", "orchestrator.cli"),
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
        self._run("worker", self.environment, *_celery("worker", *options))
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
            *_celery(
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
        unset = (
            [
                "env",
                *(
                    f"--unset={variable}"
                    for variable in foreign
                    if variable not in environment
                ),
            ]
            if foreign
            else []
        )
        return self.processes.start(
            name,
            [*unset, *command],
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
        server: servers.Server | None = {
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
            "flower": lambda: _answers(f"{self.flower_url}/healthcheck"),
        }
        process.wait_until(ready[name], START)

    def _leader(self) -> int | None:
        """The process that leads, as the follower saw it: etcd itself may be gone when we are told
        to end."""
        claims = self.follower.written(self.keys.leader)
        return json.loads(claims[-1][1]).get("pid") if claims else None

    # Working with it ------------------------------------------------------------------------------

    def apply(self, group: Sequence[documents.Document]) -> None:
        """Write these documents' configs, as the API server does."""
        documents.apply(self.store, self.keys, group)
        for document in group:
            version = (
                self.wanted[document.ref][0] + 1
                if document.ref in self.wanted
                else 1
            )
            self.wanted[document.ref] = (version, document)

    def builds(self, ref: Ref) -> bool:
        """Whether a resource becomes a stack."""
        return checking.builds(self.keys, ref)

    def under_way(self) -> list[str]:
        """What of the applied documents is not at its end yet, a sentence each."""
        open_ones = []
        rows = {row.ref: row for row in self.follower.rows()}
        for ref, (version, _) in self.wanted.items():
            row = rows.get(ref)
            if row is None or row.version != version or row.stage not in OVER:
                open_ones.append(
                    f"{ref} version {version}: {row.stage if row else 'not seen'}"
                )
            elif not checking.monitored(self.follower.records(ref), version):
                open_ones.append(
                    f"{ref} version {version}: no monitoring record yet"
                )
        return open_ones or [
            f"{job}: to be cleared up"
            for job in self.follower.unfinished_jobs()
        ]

    def settle(
        self, timeout: float = 180.0, watch_processes: bool = False
    ) -> None:
        """Return once every applied document is at its end, well or badly.

        :param watch_processes: an end of the bridge or of the worker is an error at once.
        :raises NotSettled: saying what is still under way.
        """
        deadline = time.monotonic() + timeout
        while open_ones := self.under_way():
            if time.monotonic() > deadline:
                raise NotSettled(
                    f"after {timeout:g} s still under way: "
                    + "; ".join(open_ones)
                )
            if watch_processes:
                self.look_after()
            self.follower.wait(0.5)

    def look_after(self) -> None:
        """:raises ProcessError: a member of the demo has ended, with the last lines of its log."""
        for process in self.processes:
            if not process.alive:
                process.wait_until(lambda: False, 0, "told to end")

    def problems(self) -> list[str]:
        """Every record that is not as it should be, and everything left over: empty when all is
        right."""
        return checking.problems(self.store, self.keys, self.heat, self.wanted)


def _celery(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "celery", "-A", "tasks", *arguments)


def _script(name: str, module: str) -> str:
    """The console script beside this Python; it need not be on PATH."""
    script = Path(sys.executable).with_name(name)
    if not script.exists():
        raise servers.MissingServer(
            f"There is no {script}: install the project into this environment (pip"
            " install -e '.[sandbox]')."
        )
    return str(script)


@contextlib.contextmanager
def _loopback_without_proxy() -> Iterator[None]:
    """Let no library ask a proxy for 127.0.0.1, in this process and its children."""
    before = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    excepted = [
        entry
        for entry in (before["no_proxy"] or before["NO_PROXY"] or "").split(",")
        if entry
    ]
    for name in before:
        os.environ[name] = ",".join(
            dict.fromkeys([*excepted, "127.0.0.1", "localhost"])
        )
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return json.load(reply)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError:
        return False


def _redis_version(program: str) -> str:
    """`7.0.15`, from `Redis server v=7.0.15 sha=…`."""
    said = subprocess.run(
        [program, "--version"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    ).stdout
    return next(
        (word[2:] for word in said.split() if word.startswith("v=")), ""
    )
