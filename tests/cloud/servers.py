"""The servers of the cloud, each on a loopback port and in a folder of its own."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.sandbox.processes import Processes, free_port
from orchestrator.sandbox.servers import PACKAGE_ROOT, SandboxServer

from .installing import program

PROGRAMS = Path(__file__).resolve().parent / "programs"
RABBIT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""The program itself: the one on PATH changes to a user of its own."""

_SMALL_DATABASE = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--performance-schema=OFF",
    "--max-connections=300",
    "--character-set-server=utf8mb3",
)

_RABBIT_CONFIGURATION = """\
listeners.tcp.default = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = 400MB
disk_free_limit.absolute = 50MB
"""


class Database(SandboxServer):
    """A MariaDB with small buffers."""

    def url(self, name: str) -> str:
        """Of a database, as SQLAlchemy takes it."""
        return f"mysql+pymysql://root@{self.address}/{name}?charset=utf8"


class Messages(SandboxServer):
    """A RabbitMQ."""

    @property
    def url(self) -> str:
        """As oslo.messaging takes it."""
        return f"rabbit://guest:guest@{self.address}/"


@dataclasses.dataclass(frozen=True)
class Api(SandboxServer):
    """An API behind waitress, with a log of requests."""

    log: Path = Path()

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def requests(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """The logged requests from the *start*-th byte of the log on."""
        with self.log.open() as lines:
            lines.seek(start)
            for line in lines:
                yield json.loads(line)

    def mark(self) -> int:
        """Where the log ends now."""
        return self.log.stat().st_size


def database(processes: Processes, names: tuple[str, ...]) -> Database:
    """Start MariaDB, with databases of these names."""
    folder, port = processes.folder / "mariadb", free_port()
    data = folder / "data"
    if not data.exists():
        data.mkdir(parents=True)
        options = ["--no-defaults", f"--datadir={data}", "--user=root", "--skip-test-db"]
        make = [program("mariadb-install-db"), *options, "--auth-root-authentication-method=normal"]
        subprocess.run(make, check=True, capture_output=True)
    first = folder / "first.sql"
    first.write_text("".join(f"CREATE DATABASE IF NOT EXISTS {name};\n" for name in names))
    command = [
        *(program("mariadbd"), "--no-defaults", "--user=root", f"--datadir={data}"),
        *(f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}"),
        *(f"--port={port}", "--bind-address=127.0.0.1", f"--init-file={first}"),
        *_SMALL_DATABASE,
    ]
    process = processes.start("mariadb", command)
    server = Database(process, port, lambda: _greets(port), timeout=60)
    server.wait()
    return server


def messages(processes: Processes) -> Messages:
    """Start RabbitMQ, and the port mapper that Erlang wants."""
    folder, port, mapper = processes.folder / "rabbitmq", free_port(), free_port()
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "rabbitmq.conf"
    settings.write_text(_RABBIT_CONFIGURATION.format(port=port))
    (folder / "plugins").write_text("[].\n")
    environment = {
        "HOME": str(folder),  # of Erlang's cookie
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"cloud{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONFIG_FILE": str(settings.with_suffix("")),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    processes.start("epmd", [program("epmd"), "-port", str(mapper), "-address", "127.0.0.1"])
    process = processes.start("rabbitmq", [str(RABBIT)], env=environment)
    server = Messages(process, port, lambda: _speaks_amqp(port), timeout=120)
    server.wait()
    return server


def api(
    processes: Processes, name: str, python: Path, settings: Path, env: Mapping[str, str] | None
) -> Api:
    """Start ``programs/<name>_api.py``."""
    port, log = free_port(), processes.folder / f"{name}-access.log"
    log.touch()
    command = [
        *(str(python), str(PROGRAMS / f"{name}_api.py"), "--config-file", str(settings)),
        *("--port", str(port), "--access-log", str(log)),
    ]
    process = processes.start(f"{name}-api", command, env=_environment(env))
    server = Api(process, port, lambda: _answers(port), timeout=120, log=log)
    server.wait()
    return server


def engine(processes: Processes, name: str, python: Path, settings: Path) -> SandboxServer:
    """Start a heat-engine, and wait until it takes requests."""
    own = settings.with_name(f"{name}.conf")
    own.write_text(f"[DEFAULT]\nhost = {name}\n")
    files = ["--config-file", str(settings), "--config-file", str(own)]
    command = [str(python.with_name("heat-engine")), *files]
    process = processes.start(name, command, env=_environment(None))
    ready = "Starting engine_worker"
    server = SandboxServer(process, 0, lambda: ready in process.log_tail(10_000), timeout=120)
    server.wait()
    return server


def _environment(env: Mapping[str, str] | None) -> dict[str, str]:
    """One in which the resource types of the sandbox can be imported."""
    return {"PYTHONPATH": str(PACKAGE_ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}


def _greets(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        return bool(connection.recv(64))


def _speaks_amqp(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        return bool(connection.recv(64))


def _answers(port: int) -> bool:
    """Whether anything but a server error comes back: versions come with 300, and 401 is an answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://127.0.0.1:{port}/", timeout=5)
    except urllib.error.HTTPError as error:
        return error.code < 500
    return True
