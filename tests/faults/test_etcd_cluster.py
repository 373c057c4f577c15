"""An etcd of three members, of which one is killed, frozen or cut off, or all go back to a backup.

The lease is 3 s here (``tests.integration.system.FAST``). A takeover is measured by a watch of the
test's own, on members that are well.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.clients.store import Event
from orchestrator.core.refs import Ref
from orchestrator.errors import StoreUnavailable
from orchestrator.sandbox.processes import Process, free_port

from tests.chaos.cluster import Cluster, cluster
from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

LEASE = 3.0


@pytest.fixture(scope="module")
def shared_heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def around(
    tmp_path_factory: pytest.TempPathFactory, etcd: Cluster, shared_heat: ScriptedHeat
) -> Iterator[System]:
    """Redis, a worker and Heat, for all tests of this module; each starts its own bridges."""
    folder = tmp_path_factory.mktemp("system")
    member = etcd.members[0].server
    with system(
        folder,
        shared_heat.environment(),
        schemas=NODE_SCHEMAS,
        bridges=0,
        etcd=member,
        endpoints=etcd.endpoints,
    ) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


@pytest.fixture
def nodes(around: System, etcd: Cluster) -> Iterator[System]:
    """No bridge runs yet; afterwards none does, and every member is well."""
    yield around
    for bridge in around.bridges:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(bridge.pid, signal.SIGCONT)
        bridge.kill()
    around.bridges.clear()
    for member in etcd.members:
        member.thaw()
    etcd.heal()
    etcd.wait()
    around.store.delete(around.keys.leader)  # The lease of one that was killed may last a minute.


def endpoints_from(etcd: Cluster, number: int) -> str:
    """All endpoints, beginning with one: a bridge uses the first that answers."""
    first = number % len(etcd.endpoints)
    listed = etcd.endpoints[first:] + etcd.endpoints[:first]
    return ",".join(listed)


def bridge(nodes: System, etcd: Cluster, first: int = 0, **settings: str) -> Process:
    """Start a bridge that is connected to one member."""
    before = dict(nodes.environment)
    nodes.environment |= {"ORCHESTRATOR_ETCD_ENDPOINTS": endpoints_from(etcd, first), **settings}
    try:
        return nodes.bridge()
    finally:
        nodes.environment = before


def leads(nodes: System, process: Process) -> None:
    nodes.until(
        lambda: leader(nodes) == process.pid,
        30,
        lambda: f"{leader(nodes)} leads, not {process.pid}",
    )


def leader(nodes: System) -> int:
    kv = nodes.store.get(nodes.keys.leader)
    return int(json.loads(kv.value)["pid"]) if kv else 0


def stands_by(process: Process) -> None:
    process.wait_until(lambda: "standing by" in process.log_tail(50), 30, "standing by")


_names = iter(range(1_000_000))


def built(nodes: System, timeout: float = 40) -> None:
    """A resource of its own is written now and gets built."""
    name = f"n{next(_names)}"
    ref = nodes.until(lambda: written(nodes, name), timeout)
    assert ref is not None
    nodes.await_state(ref, "CREATE_COMPLETED", timeout=timeout)


def written(nodes: System, name: str) -> Ref | None:
    """The resource; None when the answer of a member that is lost just now did not come. It may be
    written again."""
    try:
        return nodes.put("node", name)
    except StoreUnavailable:
        return None


class Leaders:
    """Who leads, as a member that is well tells it; *gaps* are seconds from one leader's key to the
    next."""

    def __init__(self, nodes: System, etcd: Cluster, first: int) -> None:
        listed = tuple(endpoints_from(etcd, first).split(","))
        self._store = EtcdStore(EtcdAccess(listed))
        revision, _ = self._store.list(nodes.keys.leader)
        self._watch = self._store.watch([nodes.keys.leader], revision + 1)
        self.events: list[tuple[float, Event]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for events in self._watch:
            self.events += [(time.monotonic(), event) for event in events]

    def close(self) -> None:
        self._watch.close()
        self._store.close()

    def taken_after(self, nodes: System, since: float) -> tuple[float, float]:
        """Seconds from *since* until the key was gone, and from then until it was taken."""

        def found() -> tuple[float, float] | None:
            gone = next(
                (at for at, event in self.events if at >= since and event.value is None), None
            )
            taken = next(
                (at for at, event in self.events if gone and at >= gone and event.value), None
            )
            return (gone - since, taken - gone) if gone and taken else None

        return nodes.until(found, 60, lambda: str(self.events))  # type: ignore[return-value]


@pytest.fixture
def leaders(nodes: System, etcd: Cluster) -> Iterator[Leaders]:
    """Listens on the second member."""
    listening = Leaders(nodes, etcd, 1)
    yield listening
    listening.close()


@contextlib.contextmanager
def compaction_every_second(etcd: Cluster) -> Iterator[None]:
    """All history is dropped, once a second."""
    over = threading.Event()

    def compact() -> None:
        while not over.wait(1.0):
            etcd.compact()

    thread = threading.Thread(target=compact)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_standby_takes_over_at_once_though_history_is_compacted_every_second(
    nodes: System, etcd: Cluster, leaders: Leaders
) -> None:
    first = bridge(nodes, etcd)
    leads(nodes, first)
    second = bridge(nodes, etcd)
    stands_by(second)
    with compaction_every_second(etcd):
        for _ in range(3):
            built(nodes)
        first.kill()
        gone, taken = leaders.taken_after(nodes, time.monotonic())
        leads(nodes, second)
        built(nodes)

    assert gone < LEASE + 1
    assert taken < 1


def test_a_standby_whose_member_is_cut_off_takes_over_within_the_lease_and_a_second(
    nodes: System, etcd: Cluster, leaders: Leaders
) -> None:
    """The member answers progress requests as ever. A read of the leader's key does not go through
    there."""
    cut = etcd.members[0] if etcd.members[0] is not etcd.leader() else etcd.members[2]
    first = bridge(nodes, etcd, 1)
    leads(nodes, first)
    second = bridge(nodes, etcd, etcd.members.index(cut))
    stands_by(second)
    etcd.cut_off(cut)
    first.kill()
    gone, taken = leaders.taken_after(nodes, time.monotonic())
    leads(nodes, second)
    built(nodes)

    assert gone < LEASE + 1
    assert taken < 1


@pytest.mark.parametrize("fault", ["freeze", "cut_off", "kill"])
def test_a_member_that_is_lost_costs_no_leadership(
    nodes: System, etcd: Cluster, fault: str
) -> None:
    """The bridge is connected to it, and goes on with another member.

    It does not lead etcd: how long etcd takes for an election, on a busy machine, nobody knows.
    """
    lost = etcd.follower()
    number = etcd.members.index(lost)
    first = bridge(nodes, etcd, number, ORCHESTRATOR_LEASE_TTL="5")
    leads(nodes, first)
    standby = bridge(nodes, etcd, number + 1, ORCHESTRATOR_LEASE_TTL="5")
    stands_by(standby)
    built(nodes)
    before = nodes.store.get(nodes.keys.leader)
    if fault == "kill":
        lost.kill()
    elif fault == "freeze":
        lost.freeze()
    else:
        etcd.cut_off(lost)
    started = time.monotonic()
    while time.monotonic() - started < 7.0:  # longer than the lease
        built(nodes)
    now = nodes.store.get(nodes.keys.leader)
    if fault == "kill":
        lost.running.start()

    assert before is not None and now is not None
    assert now.created == before.created, f"led all the time:\n{first.log_tail(30)}"


def test_a_backup_that_is_restored_under_running_processes_is_noticed(
    nodes: System, etcd: Cluster, shared_heat: ScriptedHeat, tmp_path: Path
) -> None:
    """The lease and the leader's key are in the backup. What it holds is right, and new configs are
    built."""
    port = free_port()
    first = bridge(nodes, etcd, 0, ORCHESTRATOR_HEALTH_PORT=str(port), ORCHESTRATOR_LEASE_TTL="60")
    leads(nodes, first)
    kept = nodes.put("node", "kept")
    nodes.await_state(kept, "CREATE_COMPLETED")
    etcd.save(tmp_path / "backup")
    lost = nodes.put("node", "lost")
    nodes.await_state(lost, "CREATE_COMPLETED")
    for n in range(150):
        nodes.put("plan", f"p{n}")
    etcd.restore(tmp_path / "backup")
    back = time.monotonic()
    with contextlib.suppress(Exception):
        nodes.store.get("/")  # the test's own store notices as well
    again = nodes.put("node", "lost")  # as the API server does that writes its configuration again
    fresh = nodes.put("node", "fresh")
    nodes.await_state(fresh, "CREATE_COMPLETED")
    took = time.monotonic() - back
    nodes.await_state(again, "CREATE_COMPLETED")
    nodes.until(
        lambda: health(port) == (200, {"role": "leader", "fault": ""}),
        30,
        lambda: str(health(port)),
    )

    assert took < 30, f"without a restart, and long before the lease ends:\n{first.log_tail(30)}"
    assert nodes.worker_state(kept) == "CREATE_COMPLETED"
    assert "etcd was restored or replaced" in first.log_tail(500)
    assert max(count(shared_heat, "node_kept").values()) == 1


def test_a_claim_that_a_backup_brings_back_is_given_up_by_the_worker_that_lives(
    nodes: System, etcd: Cluster, shared_heat: ScriptedHeat, tmp_path: Path
) -> None:
    """The run is claimed in the backup, on the lease of a worker that has long done the job, and
    lives on."""
    leads(nodes, bridge(nodes, etcd))
    asked, answer = threading.Event(), threading.Event()

    def slow(method: str, tenant: str, path: str) -> None:
        if method == "POST" and not asked.is_set():
            asked.set()
            answer.wait(30)

    shared_heat.refuse = slow
    ref = nodes.put("node", "claimed")
    assert asked.wait(30), "the worker asks Heat"
    etcd.save(tmp_path / "backup")
    answer.set()
    nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.await_quiet()
    etcd.restore(tmp_path / "backup")
    with contextlib.suppress(Exception):
        nodes.store.get("/")
    nodes.await_state(ref, "CREATE_COMPLETED")
    nodes.await_quiet()

    assert count(shared_heat, "node_claimed") == {"create": 1}


def count(heat: ScriptedHeat, stack: str) -> dict[str, int]:
    """How often Heat took what for a stack."""
    methods = [request.method for request in list(heat.requests) if request.stack == stack]
    return {method: methods.count(method) for method in methods}


def health(port: int) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, {}


def test_a_bridge_that_was_paused_hears_again_however_much_it_missed(
    nodes: System, etcd: Cluster
) -> None:
    """70 MB of configs in answers of a few MiB each; one answer with all of it is more than the
    client takes."""
    port = free_port()
    first = bridge(nodes, etcd, 0, ORCHESTRATOR_HEALTH_PORT=str(port), ORCHESTRATOR_LEASE_TTL="60")
    leads(nodes, first)
    built(nodes)
    os.killpg(first.pid, signal.SIGSTOP)
    large = "x" * 1_000_000
    for _ in range(70):
        nodes.store.put("/config/v1/nonsense/large", large)
    os.killpg(first.pid, signal.SIGCONT)
    built(nodes)

    assert health(port) == (200, {"role": "leader", "fault": ""})
    nodes.store.delete("/config/v1/nonsense/large")
    etcd.compact()


# Users and rights ---------------------------------------------------------------------------------


class GuardedCluster:
    """The same etcd with users, as docs/howto/run-in-production.md names them."""

    def __init__(self, etcd: Cluster) -> None:
        self._etcd = etcd
        self._token = ""
        self.call("user/add", name="root", password="root-password")
        self.call("user/grant", user="root", role="root")
        self.call("user/add", name="orch", password="orch-password")
        self.call("role/add", name="orch")
        self.call("user/grant", user="orch", role="orch")
        self.grant("/config/", "READ")
        for prefix in ("/state/", "/monitoring/", "/jobs/", "/esi-worker/"):
            self.grant(prefix)
        self.call("enable")
        self._token = self.call("authenticate", name="root", password="root-password")["token"]

    def call(self, path: str, **document: Any) -> Any:
        member = self._etcd.members[0]
        headers = {"Authorization": self._token} if self._token else {}
        url = f"http://{member.endpoint}/v3/auth/{path}"
        request = urllib.request.Request(url, json.dumps(document).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.load(reply)

    def grant(self, prefix: str, kind: str = "READWRITE") -> None:
        key, end = _base64(prefix), _base64(prefix[:-1] + "0")
        self.call("role/grant", name="orch", perm={"permType": kind, "key": key, "range_end": end})

    def revoke(self, prefix: str) -> None:
        key, end = _base64(prefix), _base64(prefix[:-1] + "0")
        self.call("role/revoke", role="orch", key=key, range_end=end)


def _base64(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def test_a_right_that_is_missing_for_a_moment_ends_nobody_and_fails_nothing(tmp_path: Path) -> None:
    ports = free_port(), free_port()
    user: dict[str, Any] = {
        "ORCHESTRATOR_ETCD_USER": "orch",
        "ORCHESTRATOR_ETCD_PASSWORD": "orch-password",
    }
    with (
        cluster(tmp_path / "etcd", 1) as etcd,
        ScriptedHeat() as heat,
        system(
            tmp_path / "system",
            heat.environment(),
            schemas=NODE_SCHEMAS,
            bridges=0,
            workers=0,
            etcd=etcd.members[0].server,
            endpoints=etcd.endpoints,
            **user,
        ) as nodes,
    ):
        nodes.put("heat_template", "node", **NODE_TEMPLATE)
        guarded = GuardedCluster(etcd)
        nodes.store = EtcdStore(EtcdAccess(etcd.endpoints, user="root", password="root-password"))
        first = bridge(nodes, etcd, 0, ORCHESTRATOR_HEALTH_PORT=str(ports[0]))
        leads(nodes, first)
        second = bridge(nodes, etcd, 0, ORCHESTRATOR_HEALTH_PORT=str(ports[1]))
        stands_by(second)
        nodes.worker()
        built(nodes)

        guarded.revoke("/esi-worker/")
        meanwhile = [nodes.put("node", f"meanwhile-{n}") for n in range(3)]
        for port in ports:
            nodes.until(
                lambda port=port: _forbidden(health(port)),  # type: ignore[misc]
                30,
                lambda port=port: str(health(port)),  # type: ignore[misc]
            )
        status = command(nodes, "status")
        assert status.returncode not in (0, 1) and "permission denied" in status.stderr, status
        assert all(process.alive for process in (*nodes.bridges, *nodes.workers))

        guarded.grant("/esi-worker/")
        for ref in meanwhile:
            nodes.await_state(ref, "CREATE_COMPLETED")
        for port in ports:
            nodes.until(
                lambda port=port: health(port)[0] == 200,  # type: ignore[misc]
                30,
                lambda port=port: str(health(port)),  # type: ignore[misc]
            )
        assert {"leader", "standby"} == {health(port)[1]["role"] for port in ports}
        assert not nodes.below("/esi-worker/orchestrator/failed/")
        nodes.store.close()


def _forbidden(answer: tuple[int, dict[str, str]]) -> bool:
    status, document = answer
    return (
        status == 503 and "permission denied" in document["fault"] and "role" in document["fault"]
    )


def command(nodes: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line, with the bridge's settings."""
    code = "from orchestrator.cli import main; main()"
    environment = {**os.environ, **nodes.environment}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
