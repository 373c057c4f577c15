"""Real servers for the contract tests, each started once, and the doubles beside them."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import pytest
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Event, Lease, Store, Watch
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes
from tasks.together import GatheringStore

from tests.doubles import MemoryStore

PATIENCE = 15.0
"""Seconds for something to happen that the store promises."""


def absent(error: servers.MissingServer) -> NoReturn:
    """A missing server skips the test at home and fails it in CI."""
    if "CI" in os.environ:
        raise error
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("contract")) as group:
        yield group


@pytest.fixture(scope="session")
def etcd(processes: Processes) -> servers.Etcd:
    try:
        return servers.etcd(processes)
    except servers.MissingServer as error:
        absent(error)


@pytest.fixture(scope="session")
def redis(processes: Processes) -> servers.Redis:
    try:
        return servers.redis(processes)
    except servers.MissingServer as error:
        absent(error)


def open_store(etcd: servers.Etcd) -> EtcdStore:
    return EtcdStore(EtcdAccess(endpoints=(etcd.endpoint,)))


@dataclass
class Backend:
    """A store, a folder of this test's own, and what a test can do to time and history."""

    store: Store
    let_expire: Callable[[Lease], None]
    compact: Callable[[int], None]
    folder: str = field(default_factory=lambda: f"/{uuid.uuid4().hex}/")

    def key(self, name: str) -> str:
        return self.folder + name

    @property
    def revision(self) -> int:
        return self.store.list(self.folder, keys_only=True)[0]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("etcd", marks=pytest.mark.integration),
        pytest.param("gathering", marks=pytest.mark.integration),
    ]
)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Backend(memory, memory.expire, memory.compact)
        return
    server: servers.Etcd = request.getfixturevalue("etcd")
    opened = open_store(server)
    store = GatheringStore(opened, 1) if request.param == "gathering" else opened
    yield Backend(store, lambda lease: None, lambda revision: compact(server, revision))
    store.close()


def compact(server: servers.Etcd, revision: int) -> None:
    """By etcd's JSON gateway, so that nothing of ours is in between."""
    body = json.dumps({"revision": revision}).encode()
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        urllib.request.Request(f"{server.url}/v3/kv/compaction", body), timeout=5
    ).close()


class Listener:
    """Iterates a watch in a thread of its own, as the bridge does."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.events: list[Event] = []
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._batches = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        try:
            for batch in self.watch:
                self._note(batch)
        except Exception as error:
            self.error = error
        self._note(())

    def _note(self, batch: Sequence[Event]) -> None:
        with self._changed:
            self._batches += 1
            self.events += batch
            self._changed.notify_all()

    def until(self, ready: Callable[[Listener], bool], seconds: float = PATIENCE) -> Listener:
        with self._changed:
            assert self._changed.wait_for(lambda: ready(self), seconds), (
                f"not within {seconds} s; so far {self.events} {self.error!r}"
            )
        return self

    def alive(self) -> Listener:
        """The first sign of life came."""
        return self.until(lambda listener: listener._batches > 0)

    def ended(self, seconds: float = PATIENCE) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()


@pytest.fixture
def listen(backend: Backend) -> Iterator[Callable[..., Listener]]:
    """``listen(revision, *prefixes)`` watches until the test is over."""
    listeners: list[Listener] = []

    def start(revision: int, *prefixes: str) -> Listener:
        listeners.append(Listener(backend.store.watch(prefixes or [backend.folder], revision)))
        return listeners[-1]

    yield start
    for listener in listeners:
        listener.watch.close()


def eventually(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once the condition holds."""
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        pause.wait(0.02)
