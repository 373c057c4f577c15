"""The bridge as a service of systemd: a real ``orchestrator bridge``, a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from orchestrator.sandbox.processes import Process

from tests.scripted.heat import ScriptedHeat

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

WATCHDOG = 0.6
"""Seconds of the watchdog: the bridge tells something every 0.2 s."""
LATER = 25
"""Datagrams: for longer than a leader's lease lasts here."""


class Manager:
    """systemd's side: the socket, and what was said on it."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address[0] == "@" else address)
        microseconds = f"{WATCHDOG * 1e6:.0f}"
        self.environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": microseconds}

    def next(self, timeout: float = 60.0) -> list[str]:
        """The lines of the next datagram.

        :raises TimeoutError: there was none.
        """
        self._socket.settimeout(timeout)
        return self._socket.recv(65536).decode().split("\n")

    def until(self, condition: Callable[[list[str]], bool]) -> list[list[str]]:
        """The datagrams up to the first that is as it should be.

        :raises AssertionError: none was.
        """
        said: list[list[str]] = []
        end = time.monotonic() + 90
        while time.monotonic() < end:
            said.append(self.next())
            if condition(said[-1]):
                return said
        raise AssertionError(f"not among {len(said)} datagrams, the last of which is {said[-1]}")

    def status(self, beginning: str) -> list[list[str]]:
        return self.until(
            lambda lines: any(line.startswith(f"STATUS={beginning}") for line in lines)
        )

    def drain(self) -> None:
        """Forget what lies in the socket."""
        self._socket.setblocking(False)
        try:
            while True:
                self._socket.recv(65536)
        except BlockingIOError:
            return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: the path of a socket has 107 bytes at the most."""
    with tempfile.TemporaryDirectory(prefix="notify-") as path:
        yield Path(path)


@pytest.fixture
def manager(folder: Path) -> Iterator[Manager]:
    found = Manager(f"{folder}/socket")
    yield found
    found.close()


@pytest.fixture
def scene(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[System]:
    """etcd and Redis, and nobody who uses them yet."""
    with system(
        tmp_path, scripted.environment(), schemas=NODE_SCHEMAS, bridges=0, workers=0
    ) as running:
        yield running


@contextmanager
def frozen(process: Process) -> Iterator[None]:
    """Stopped with SIGSTOP, and known to be."""
    os.killpg(process.pid, signal.SIGSTOP)
    state = Path(f"/proc/{process.pid}/stat")
    process.wait_until(
        lambda: state.read_text().rpartition(")")[2].split()[0] == "T", what="frozen"
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGCONT)


def fed(lines: list[str]) -> bool:
    return "WATCHDOG=1" in lines


def test_a_bridge_says_that_it_is_ready_that_it_leads_and_that_it_stops(
    scene: System, folder: Path
) -> None:
    """The socket is an abstract one here, and a file in the other tests."""
    manager = Manager(f"@{folder}/abstract")
    bridge = scene.bridge(**manager.environment)
    said = manager.status("leader")
    assert sum("READY=1" in lines for lines in said) == 1
    assert all(fed(lines) for lines in said)

    os.kill(bridge.pid, signal.SIGTERM)
    last = manager.until(lambda lines: "STOPPING=1" in lines)

    assert bridge.wait(20) == 0
    assert not any("READY=1" in lines for lines in last)
    manager.close()


def test_a_standby_is_ready_too_and_says_when_it_leads(scene: System, manager: Manager) -> None:
    leader = scene.bridge()
    scene.until(lambda: scene.store.get(scene.keys.leader))
    scene.bridge(**manager.environment)
    said = manager.until(lambda lines: "READY=1" in lines)
    assert said[-1][0] == "STATUS=standby"

    leader.stop()

    assert all(fed(lines) for lines in manager.status("leader"))


def test_the_watchdog_is_fed_while_etcd_is_frozen(scene: System, manager: Manager) -> None:
    bridge = scene.bridge(**manager.environment)
    manager.status("leader")

    with frozen(scene.etcd.process):
        manager.drain()
        said = [manager.next() for _ in range(LATER)]

    assert all(fed(lines) for lines in said)
    assert bridge.alive


def test_a_bridge_that_starts_while_etcd_is_away_is_ready(scene: System, manager: Manager) -> None:
    scene.etcd.process.kill()
    scene.bridge(**manager.environment)

    said = manager.until(lambda lines: "READY=1" in lines)
    said += [manager.next() for _ in range(LATER)]

    assert all(fed(lines) for lines in said)


def test_a_bridge_that_is_frozen_tells_nothing(scene: System, manager: Manager) -> None:
    bridge = scene.bridge(**manager.environment)
    manager.status("leader")

    with frozen(bridge):
        manager.drain()
        with pytest.raises(TimeoutError):
            manager.next(5 * WATCHDOG)


def test_the_watchdog_is_not_fed_while_the_loop_hangs(scene: System, manager: Manager) -> None:
    """A frozen Redis holds the loop up; here for longer than a restart would be waited for."""
    scene.put("heat_template", "node", **NODE_TEMPLATE)
    code = "from orchestrator.bridge import health; health.HANGS = 1.0; from orchestrator.cli import main; main()"
    environment = {**scene.environment, **manager.environment}
    bridge = scene.processes.start(
        "bridge", [sys.executable, "-c", code, "bridge"], env=environment
    )
    manager.until(lambda lines: lines == ["STATUS=leader", "WATCHDOG=1"])

    with frozen(scene.redis.process):
        scene.put("node", "a")
        hungry = manager.until(lambda lines: not fed(lines))[-1]
    manager.until(fed)

    assert hungry[0].startswith("STATUS=leader: the loop has not come round for")
    assert bridge.alive
