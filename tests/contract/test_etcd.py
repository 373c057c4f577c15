"""What only a real etcd can do: die, come back, and be away."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.clients.etcd import EtcdAccess, EtcdStore, connection
from orchestrator.core.transactions import Transaction, absent
from orchestrator.errors import StoreUnavailable
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port

from .conftest import Listener, open_store
from .conftest import absent as absent_server

pytestmark = pytest.mark.integration


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[servers.Etcd]:
    """An etcd of this test's own."""
    with Processes(tmp_path) as processes:
        try:
            server = servers.etcd(processes)
        except servers.MissingServer as error:
            absent_server(error)
        yield server


def test_pages_that_grpc_does_not_take_are_asked_for_in_smaller_ones(mortal: servers.Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand bodies of the largest size that is allowed are half a gigabyte."""
    monkeypatch.setattr(connection, "CHANNEL_OPTIONS", [("grpc.max_receive_message_length", 1024 * 1024)])
    store = open_store(mortal)
    for n in range(40):
        store.put(f"/a/{n:02}", "x" * 200_000)

    revision, found = store.list("/a/")

    assert [kv.key for kv in found] == [f"/a/{n:02}" for n in range(40)]
    assert [kv.key for kv in store.scan("/a/", revision)] == [kv.key for kv in found]


def test_a_watch_loses_and_repeats_nothing_over_a_kill_of_etcd(mortal: servers.Etcd) -> None:
    store = open_store(mortal)
    listener = Listener(store.watch(["/a/", "/b/"], 2)).alive()
    first = [store.put(f"/{folder}/{n}", "1") for n in range(20) for folder in "ab"]
    mortal.kill()
    mortal.restart()
    second = [store.put(f"/{folder}/{n}", "2") for n in range(20) for folder in "ab"]
    listener.until(lambda seen: len(seen.events) >= 80, 30.0)
    listener.watch.close()

    assert listener.ended()
    assert listener.error is None
    assert sorted(event.revision for event in listener.events) == [*first, *second]
    for folder in ("/a/", "/b/"):
        revisions = [event.revision for event in listener.events if event.key.startswith(folder)]
        assert revisions == sorted(revisions)


def test_a_watch_sees_what_was_written_while_it_was_cut_off(mortal: servers.Etcd) -> None:
    """The second store's writes come between etcd's return and the watch's own return."""
    store, other = open_store(mortal), open_store(mortal)
    listener = Listener(store.watch(["/a/"], 2)).alive()
    mortal.kill()
    mortal.restart()
    revisions = [other.put("/a/x", str(n)) for n in range(50)]
    listener.until(lambda seen: len(seen.events) == 50, 30.0)
    listener.watch.close()

    assert [event.revision for event in listener.events] == revisions


def test_a_read_waits_for_etcd_to_come_back(mortal: servers.Etcd) -> None:
    store = open_store(mortal)
    at = store.put("/a", "1")
    mortal.kill()
    found: list[object] = []
    reader = threading.Thread(target=lambda: found.append(store.get("/a")))
    reader.start()
    mortal.restart()
    reader.join(30)

    assert [getattr(kv, "revision", kv) for kv in found] == [at]


def test_a_lease_survives_a_restart_of_etcd(mortal: servers.Etcd) -> None:
    store = open_store(mortal)
    lease = store.lease(20)
    store.commit(Transaction(puts={"/a": "1"}, leased=frozenset({"/a"})), lease)
    mortal.kill()
    mortal.restart()

    assert lease.alive
    assert store.get("/a") is not None
    lease.revoke()
    assert store.get("/a") is None


def test_a_write_to_an_etcd_that_is_away_says_so() -> None:
    store = EtcdStore(EtcdAccess(endpoints=(f"127.0.0.1:{free_port()}",)))

    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1"):
        store.put("/a", "1")


def test_a_write_goes_to_another_endpoint_when_the_first_refuses(etcd: servers.Etcd) -> None:
    store = EtcdStore(EtcdAccess(endpoints=(f"127.0.0.1:{free_port()}", etcd.endpoint)))

    assert store.put("/endpoints/a", "1") > 0


def test_a_write_is_never_performed_twice_over_a_kill_of_etcd(mortal: servers.Etcd) -> None:
    """Each key is made by a transaction that requires its absence: a repetition would come back as 0."""
    store = open_store(mortal)
    answers: dict[int, int | None] = {}
    stop = threading.Event()

    def write() -> None:
        for n in itertools.count():
            if stop.is_set():
                return
            try:
                answers[n] = store.commit(Transaction((absent(f"/w/{n}"),), puts={f"/w/{n}": "1"}))
            except StoreUnavailable:
                answers[n] = None

    writer = threading.Thread(target=write)
    writer.start()
    mortal.kill()
    mortal.restart()
    stop.set()
    writer.join(30)

    assert not writer.is_alive()
    assert 0 not in answers.values()
    written = {int(kv.key.removeprefix("/w/")) for kv in store.list("/w/")[1]}
    assert {n for n, answer in answers.items() if answer} <= written
