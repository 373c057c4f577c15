"""What only a real etcd can do: die, come back, and be away."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.clients.etcd import EtcdAccess, EtcdStore, connection, watch
from orchestrator.clients.store import Compacted, Event, HistoryChanged
from orchestrator.core.transactions import Transaction, absent
from orchestrator.errors import StoreUnavailable
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port

from ..chaos.cluster import Cluster, cluster
from .conftest import Listener, compact, eventually, open_store
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


def test_pages_that_grpc_does_not_take_are_asked_for_in_smaller_ones(
    mortal: servers.Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand bodies of the largest size that is allowed are half a gigabyte."""
    monkeypatch.setattr(
        connection, "CHANNEL_OPTIONS", [("grpc.max_receive_message_length", 1024 * 1024)]
    )
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


def test_a_proxy_in_the_environment_is_not_asked(
    etcd: servers.Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers may need one for Keystone. Nobody listens at this one."""
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "grpc_proxy",
        "all_proxy",
    ):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    store = open_store(etcd)

    assert store.put("/proxy/a", "1") > 0
    store.close()


def test_an_etcd_that_is_full_says_so_and_what_to_do(tmp_path: Path) -> None:
    """It is no fault of the request: it is tried again, and fails no resource."""
    with Processes(tmp_path) as processes:
        try:
            server = servers.etcd(processes, more=("--quota-backend-bytes=200000",))
        except servers.MissingServer as error:
            absent_server(error)
        store = open_store(server)
        with pytest.raises(
            StoreUnavailable, match=r"database space exceeded.*etcdctl alarm disarm"
        ):
            for n in range(2000):  # etcd counts what it has written to the disk, which is later.
                store.commit(Transaction(puts={f"/full/{n}": "x" * 50_000}))
        assert store.get("/full/0") is not None
        store.close()


# Watches -------------------------------------------------------------------------------------------

MEGABYTE = 2**20


def fill(store: EtcdStore, count: int) -> list[int]:
    """Write *count* values of a megabyte; their revisions."""
    return [store.put(f"/large/{n}", "x" * MEGABYTE) for n in range(count)]


def test_a_watch_that_missed_more_than_an_answer_takes_gets_it_in_pieces(
    mortal: servers.Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client takes 4 MiB. Without fragments, etcd sends all 20 MiB in one answer, again and again."""
    monkeypatch.setattr(
        connection, "CHANNEL_OPTIONS", [("grpc.max_receive_message_length", 4 * MEGABYTE)]
    )
    store = open_store(mortal)
    revisions = fill(store, 20)
    listener = Listener(store.watch(["/large/"], 2))
    later = store.put("/large/later", "1")
    listener.until(lambda seen: len(seen.events) > 20, 30.0)
    listener.watch.close()

    assert [event.revision for event in listener.events] == [*revisions, later]


def test_a_watch_whose_pieces_are_too_large_ends_so_that_all_is_listed_anew(
    mortal: servers.Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        connection, "CHANNEL_OPTIONS", [("grpc.max_receive_message_length", MEGABYTE)]
    )
    store = open_store(mortal)
    fill(store, 4)
    listener = Listener(store.watch(["/large/"], 2))

    assert listener.ended()
    assert isinstance(listener.error, Compacted)


def test_a_watch_that_breaks_again_and_again_is_silent(
    mortal: servers.Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a stream could be opened is no sign of life: /health would be well for ever."""
    monkeypatch.setattr(watch, "GIVEN_UP_AFTER", 3.0)
    monkeypatch.setattr(watch._Stream, "take", lambda self, reply: broken())
    store = open_store(mortal)
    listener = Listener(store.watch(["/a/"], 2))

    assert listener.ended(30.0)
    assert "brought nothing" in str(listener.error)
    assert listener.watch.silent_for > 3.0


def broken() -> list[Event]:
    raise StoreUnavailable("the stream broke")


@pytest.fixture
def talkative(tmp_path: Path) -> Iterator[servers.Etcd]:
    """An etcd that tells idle watches of its progress every half second, not every ten minutes."""
    with Processes(tmp_path) as processes:
        try:
            server = servers.etcd(
                processes, more=("--experimental-watch-progress-notify-interval=500ms",)
            )
        except servers.MissingServer as error:
            absent_server(error)
        yield server


def test_a_quiet_prefix_does_not_fall_behind_what_is_compacted(talkative: servers.Etcd) -> None:
    """Nothing below /quiet/ ever changes. After an hour or two, its watch would start in dropped history."""
    store = open_store(talkative)
    quiet = Listener(store.watch(["/quiet/"], 2)).alive()
    for n in range(20):
        last = store.put("/busy", str(n))
    resume = quiet.watch._from  # type: ignore[attr-defined]
    eventually(lambda: resume["/quiet/"] > last)
    compact(talkative, last)
    talkative.kill()
    talkative.restart()
    at = store.put("/quiet/a", "1")
    quiet.until(lambda seen: len(seen.events) == 1, 30.0)
    quiet.watch.close()

    assert quiet.error is None
    assert quiet.events[0].revision == at


# Backups -------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Cluster]:
    """An etcd of one member that can be restored from a backup."""
    try:
        with cluster(tmp_path, 1) as running:
            yield running
    except servers.MissingServer as error:
        absent_server(error)


@pytest.mark.parametrize("writes_after", [0, 50], ids=["shorter history", "longer history"])
def test_a_restored_backup_is_noticed(saved: Cluster, tmp_path: Path, writes_after: int) -> None:
    """Also when so much was written since that the revision is above the one that was seen last."""
    store, other = EtcdStore(EtcdAccess(saved.endpoints)), EtcdStore(EtcdAccess(saved.endpoints))
    store.put("/a", "1")
    saved.save(tmp_path / "backup")
    for n in range(20):
        last = store.put("/a", str(n))
    listener = Listener(store.watch(["/a"], last + 1)).alive()
    lease = store.lease(60)
    saved.restore(tmp_path / "backup")
    for n in range(writes_after):
        other.put("/b", str(n))

    assert listener.ended(30.0)
    assert isinstance(listener.error, HistoryChanged)
    assert store.generation == 1
    assert not lease.alive, "what hangs on it in the backup is nobody's any more"
    assert store.get("/a") is not None
    assert store.put("/a", "new") > 0


def test_a_process_that_only_renews_a_lease_notices_a_restore(
    saved: Cluster, tmp_path: Path
) -> None:
    """As a worker does that has nothing to do. Between two renewals gRPC connects anew by itself, and tells nobody."""
    store, other = EtcdStore(EtcdAccess(saved.endpoints)), EtcdStore(EtcdAccess(saved.endpoints))
    lease = store.lease(6)
    saved.save(tmp_path / "backup")
    last = store.put("/a", "1")
    saved.restore(tmp_path / "backup")
    while other.put("/b", "1") <= last:
        pass

    eventually(lambda: not lease.alive)
    assert store.generation == 1


def test_an_etcd_that_comes_back_with_its_data_is_no_restored_one(saved: Cluster) -> None:
    store = EtcdStore(EtcdAccess(saved.endpoints))
    last = store.put("/a", "1")
    listener = Listener(store.watch(["/a"], last + 1)).alive()
    saved.members[0].kill()
    saved.restart(saved.members[0])
    saved.compact()
    store.put("/a", "2")
    listener.until(lambda seen: len(seen.events) == 1, 30.0)
    listener.watch.close()

    assert store.generation == 0


def test_another_etcd_at_the_same_place_is_noticed(tmp_path: Path) -> None:
    """As when the endpoints are changed by a load balancer. It has another cluster id."""
    port = free_port()
    with Processes(tmp_path / "one") as processes:
        store = open_store(servers.etcd(processes, port=port))
        store.put("/a", "1")
    with Processes(tmp_path / "two") as processes:
        other = open_store(servers.etcd(processes, port=port))
        for n in range(20):
            other.put("/b", str(n))
        with pytest.raises(HistoryChanged):
            store.get("/a")
        assert store.get("/a") is None
