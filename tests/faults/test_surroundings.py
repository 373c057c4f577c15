"""The surroundings fail: leaders paused and contending, etcd compacted, guarded, restarted, Heat stuck or forgetful."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from orchestrator.bridge.service import STOP_TIMEOUT
from orchestrator.clients.etcd import EtcdAccess, EtcdStore
from orchestrator.core.refs import Ref
from orchestrator.core.transactions import Transaction
from orchestrator.sandbox.processes import Process, free_port

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture
def nodes(tmp_path: Path, heat: ScriptedHeat) -> Iterator[System]:
    with system(tmp_path / "system", heat.environment(), schemas=NODE_SCHEMAS) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def built(system: System, *names: str, version: int = 1, timeout: float = 40) -> None:
    for name in names:
        ref = Ref("node", name)
        system.until(
            partial(system.worker_state, ref, version), timeout, partial(system.state, ref)
        )
        assert "COMPLETE" in str(system.worker_state(ref)), system.state(ref)


def leader(system: System) -> int:
    """The process id of the leading bridge, 0 when none leads."""
    kv = system.store.get(system.keys.leader)
    return int(json.loads(kv.value)["pid"]) if kv else 0


def process_of(system: System, pid: int) -> Process:
    return next(bridge for bridge in system.bridges if bridge.pid == pid)


def test_takeover_after_kill_9_is_within_the_lease_and_a_second(nodes: System) -> None:
    """Lease: 3 s. The standby is told by etcd: its key is the next thing that is written. The time is from the kill to
    the first state written by the standby."""
    nodes.bridge()
    built(nodes, nodes.put("node", "before").id)
    old = nodes.store.get(nodes.keys.leader)
    assert old is not None
    watch = nodes.store.watch([nodes.keys.leader], old.revision + 1)
    in_the_end = threading.Timer(60, watch.close)
    in_the_end.start()
    process_of(nodes, leader(nodes)).kill()
    killed = time.monotonic()
    after = nodes.put("node", "after").id
    gone, taken = islice((event for events in watch for event in events), 2)
    in_the_end.cancel()
    watch.close()
    built(nodes, after)

    assert time.monotonic() - killed < 3 + 1 + 1, "lease + 1 s, and a second for the job itself"
    assert gone.value is None
    assert taken.value not in (None, old.value)
    # The lease ends with two keys: the leader's, and the one that says that the bridge is alive.
    assert taken.revision > gone.revision


def test_a_leader_paused_past_its_lease_writes_nothing_when_it_wakes(
    nodes: System, heat: ScriptedHeat
) -> None:
    nodes.bridge()
    built(nodes, nodes.put("node", "before").id)
    old = leader(nodes)
    os.kill(old, signal.SIGSTOP)
    for i in range(20):
        nodes.put("node", f"meanwhile-{i}")
    built(nodes, *(f"meanwhile-{i}" for i in range(20)))
    new = leader(nodes)
    assert new not in (0, old)
    fence = nodes.store.get(nodes.keys.leader)
    os.kill(old, signal.SIGCONT)
    paused = process_of(nodes, old)
    paused.wait_until(
        lambda: (
            "Leadership lost" in paused.log_tail(200)
            or "State of etcd unknown" in paused.log_tail(200)
        ),
        20,
        "stepping down",
    )
    built(nodes, *(nodes.put("node", f"later-{i}").id for i in range(5)))
    now = nodes.store.get(nodes.keys.leader)
    assert fence is not None and now is not None and now.created == fence.created, (
        "the woken one took nothing over"
    )
    assert max(Counter(request.stack for request in heat.requests).values()) == 1


@pytest.mark.parametrize("role", ["leader", "standby"])
def test_a_bridge_ends_in_time_while_etcd_is_frozen(nodes: System, role: str) -> None:
    built(nodes, nodes.put("node", f"before-{role}").id)
    standby = nodes.bridge()
    standby.wait_until(lambda: "standing by" in standby.log_tail(50), 30, "standing by")
    process = standby if role == "standby" else process_of(nodes, leader(nodes))
    os.kill(nodes.etcd.process.pid, signal.SIGSTOP)
    try:
        os.kill(process.pid, signal.SIGTERM)
        process.wait_until(lambda: not process.alive, STOP_TIMEOUT + 6, "its end")
    finally:
        os.kill(nodes.etcd.process.pid, signal.SIGCONT)
    built(nodes, nodes.put("node", f"after-{role}").id)


def test_every_write_of_the_leader_is_refused_once_somebody_else_leads(nodes: System) -> None:
    """The fence itself: the leader's key is made anew under a live leader, whose next write must fail."""
    built(nodes, nodes.put("node", "before").id)
    bridge = nodes.bridges[0]
    os.kill(
        bridge.pid, signal.SIGSTOP
    )  # else it might step down, and lead again, between the next two lines
    nodes.store.delete(nodes.keys.leader)
    nodes.store.put(nodes.keys.leader, json.dumps({"host": "elsewhere", "pid": 1}))
    usurped = nodes.put("node", "after")
    os.kill(bridge.pid, signal.SIGCONT)
    bridge.wait_until(lambda: "Leadership lost" in bridge.log_tail(100), 20, "stepping down")
    assert nodes.state(usurped) is None and not nodes.below(nodes.keys.jobs)
    nodes.store.delete(nodes.keys.leader)
    built(nodes, "after")


def children(process: Process) -> set[int]:
    return set(
        map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    )


def test_a_worker_paused_past_its_lease_does_nothing_twice(
    nodes: System, heat: ScriptedHeat
) -> None:
    heat.script = lambda method, tenant, name: Script(duration=0.3)
    worker = nodes.workers[0]
    for i in range(20):
        nodes.put("node", f"n{i}")
    nodes.until(lambda: len(heat.requests) >= 3)
    paused = (worker.pid, *children(worker))
    for pid in paused:
        os.kill(pid, signal.SIGSTOP)
    nodes.worker()
    built(nodes, *(f"n{i}" for i in range(20)))
    for pid in paused:
        os.kill(pid, signal.SIGCONT)
    built(nodes, *(nodes.put("node", f"m{i}").id for i in range(10)))
    assert {
        what: n for what, n in Counter(request.stack for request in heat.requests).items() if n > 1
    } == {}
    nodes.await_quiet()


def test_a_child_that_takes_its_time_to_start_is_given_it(nodes: System) -> None:
    """On a machine that is busy: by Celery's default it is killed after four seconds, and so is the next."""
    worker = nodes.workers[0]
    before = children(worker)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    nodes.until(lambda: len(children(worker) - before) == len(before))
    new = children(worker) - before
    for pid in new:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(6)  # longer than the default
    for pid in new:
        os.kill(pid, signal.SIGCONT)
    built(nodes, nodes.put("node", "n").id)

    assert children(worker) == new


def test_history_compacted_while_the_bridge_is_down_loses_nothing(nodes: System) -> None:
    built(nodes, nodes.put("node", "gone").id, nodes.put("node", "stays").id)
    nodes.bridges[0].kill()
    nodes.remove(Ref("node", "gone"))
    for i in range(10):
        nodes.put("node", f"new-{i}")
    revision = nodes.put("node", "stays", 2) and nodes.store.list("/")[0]
    body = json.dumps({"revision": revision, "physical": True}).encode()
    urllib.request.urlopen(
        urllib.request.Request(f"{nodes.etcd.url}/v3/kv/compaction", body)
    ).close()
    nodes.bridge()
    built(nodes, *(f"new-{i}" for i in range(10)))
    built(nodes, "stays", version=2)
    nodes.until(lambda: not [key for key in nodes.below("/") if "gone" in key])


def test_after_one_restart_of_etcd_changes_are_seen_as_fast_as_before(nodes: System) -> None:
    def seen_in() -> float:
        started = time.monotonic()
        built(nodes, nodes.put("node", f"n{started}").id)
        return time.monotonic() - started

    before = min(seen_in() for _ in range(3))
    nodes.etcd.kill()
    nodes.etcd.restart()
    seen_in()  # the first finds the way back
    after = min(seen_in() for _ in range(3))
    assert after < before + 1.0


def test_a_stack_that_heat_never_finishes_ends_in_a_failed_state_that_says_what_to_do(
    tmp_path: Path, heat: ScriptedHeat
) -> None:
    heat.script = lambda method, tenant, name: Script(duration=1000 if "stuck" in name else 0)
    template = {
        **NODE_TEMPLATE,
        "parameter_mappings": {},
        "template_file": "heat_template_version: 2018-08-31",
    }
    limits: dict[str, Any] = {
        "ORCHESTRATOR_STACK_TIMEOUT": "1.5",
        "ORCHESTRATOR_TIMEOUT_MARGIN": "0.5",
    }
    with system(tmp_path / "system", heat.environment(), schemas=NODE_SCHEMAS, **limits) as nodes:
        nodes.put("heat_template", "node", **template)
        state = nodes.await_state(nodes.put("node", "stuck"), "CREATE_FAILED")
        assert "CREATE_IN_PROGRESS" in state["error"] and "look at Heat's engine" in state["error"]
        # The next version meets a stack that never gets ready: it does not wait for ever either.
        state = nodes.await_state(nodes.put("node", "stuck", 2), "MODIFY_FAILED", 2)
        assert "repair or delete the stack" in state["error"]
        nodes.await_quiet()


def test_an_update_that_heat_took_and_dropped_is_asked_again(
    nodes: System, heat: ScriptedHeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heat answers 202 and forgets: the stack rests with the tag of the operation before."""
    built(nodes, nodes.put("node", "one").id)
    dropped: list[str] = []
    honest = ScriptedHeat._update

    def forgetful(self: ScriptedHeat, stack: object, body: dict[str, str]) -> object:
        if not dropped:
            dropped.append(body["tags"])
            return 202, None, {}
        return honest(self, stack, body)  # type: ignore[arg-type]

    monkeypatch.setattr(ScriptedHeat, "_update", forgetful)
    nodes.put("node", "one", 2, value="new")
    built(nodes, "one", version=2, timeout=60)
    assert heat.live()["node_one"].parameters["value"] == "new"
    job_tag, owner = dropped[0].split(",")
    assert heat.live()["node_one"].tags == (f"{job_tag}-1", owner), "each try has a tag of its own"
    assert "dropped" in nodes.workers[0].log_tail(500)


def test_any_number_of_writes_while_a_job_runs_lead_to_one_more_with_the_newest(
    nodes: System, heat: ScriptedHeat
) -> None:
    heat.script = lambda method, tenant, name: Script(duration=4.0 if method == "create" else 0)
    one = nodes.put("node", "one", value="1")
    nodes.until(lambda: heat.requests)
    child = nodes.put("node", "child", parent_id="one")
    nodes.put("node", "one", 2, value="2")
    # Else a bridge that is slow today sees nothing but the last.
    nodes.until(lambda: any(":node:one:2:" in key for key in nodes.below(nodes.keys.jobs)))
    for version in range(3, 52):
        nodes.put("node", "one", version, value=str(version))
    # A create, by the contract's letter: there was no stack record yet when it was made. It adopts the stack.
    nodes.await_state(one, "CREATE_COMPLETED", 51)
    nodes.await_state(child, "CREATE_COMPLETED")
    taken = [(r.method, r.parameters["value"]) for r in heat.requests if r.stack == "node_one"]
    assert taken == [("create", "1"), ("update", "51")]
    nodes.await_quiet()
    assert "Job superseded" in nodes.bridges[0].log_tail(500)


def test_other_tenants_do_not_notice_when_heat_refuses_one(
    nodes: System, heat: ScriptedHeat
) -> None:
    """503 for one tenant: its circuit opens, few requests are made; another tenant's jobs run as ever."""
    calls: Counter[str] = Counter()
    away = [True]

    def refuse(method: str, tenant: str, path: str) -> tuple[int, str, str] | None:
        calls[tenant] += 1
        return (503, "ServiceUnavailable", "down") if tenant == "bad" and away[0] else None

    heat.refuse = refuse
    bad = [nodes.put("node", f"bad-{i}", tenant_id="bad") for i in range(50)]
    nodes.until(lambda: calls["bad"] >= 5)
    started = time.monotonic()
    built(nodes, *(nodes.put("node", f"good-{i}", tenant_id="good").id for i in range(20)))
    assert time.monotonic() - started < 10
    seen = calls["bad"]
    nodes.until(lambda: time.monotonic() - started > 5)
    assert calls["bad"] - seen < 20, "one try at a time while the circuit is open, not fifty"
    away[0] = False
    built(nodes, *(ref.id for ref in bad))


def test_a_job_that_takes_worker_after_worker_with_it_is_given_up(
    nodes: System, tmp_path: Path
) -> None:
    nodes.workers[0].stop()
    nodes.environment |= {"ORCHESTRATOR_FAULT": "worker-after-claim", "ORCHESTRATOR_LEASE_TTL": "2"}
    nodes.worker(concurrency=1)
    poison = nodes.put("node", "poison")
    state = nodes.await_state(poison, "CREATE_FAILED", timeout=90)
    assert "workers in a row" in state["error"]
    nodes.await_quiet()


def test_health_says_no_when_the_watch_is_deaf(tmp_path: Path, heat: ScriptedHeat) -> None:
    """A frozen etcd: the leader cannot hear it, and says so, or leads no more."""
    port = free_port()
    with system(
        tmp_path / "s",
        heat.environment(),
        schemas=NODE_SCHEMAS,
        workers=0,
        ORCHESTRATOR_HEALTH_PORT=str(port),
    ) as nodes:

        def health() -> tuple[int, dict[str, str]]:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
                    return reply.status, json.load(reply)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)
            except OSError:
                return 0, {}

        nodes.until(
            lambda: health() == (200, {"role": "leader", "fault": ""}), what=lambda: str(health())
        )
        nodes.store.put("/config/v1/nonsense/x", "{")
        metrics = f"http://127.0.0.1:{port}/metrics"
        nodes.until(
            lambda: (
                b'orchestrator_events_total{event="config_rejected"} 1.0'
                in urllib.request.urlopen(metrics).read()
            )
        )
        os.kill(nodes.etcd.process.pid, signal.SIGSTOP)
        try:
            nodes.until(
                lambda: health()[1].get("role") != "leader" or health()[0] == 503,
                60,
                lambda: str(health()),
            )
        finally:
            os.kill(nodes.etcd.process.pid, signal.SIGCONT)
        nodes.until(
            lambda: health() == (200, {"role": "leader", "fault": ""}), 60, lambda: str(health())
        )


def test_etcd_with_users_asks_for_ours_and_lets_us_in_again_after_a_restart(nodes: System) -> None:
    """Simple tokens die with the server: the next call authenticates anew."""
    base = nodes.etcd.url

    def call(path: str, document: dict[str, object]) -> None:
        urllib.request.urlopen(
            urllib.request.Request(base + path, json.dumps(document).encode())
        ).close()

    call("/v3/auth/user/add", {"name": "root", "password": "root-password"})
    call("/v3/auth/user/grant", {"user": "root", "role": "root"})
    call("/v3/auth/enable", {})
    with pytest.raises(Exception, match=r"user name is empty|refuses"):
        EtcdStore(EtcdAccess((nodes.etcd.endpoint,), user="root", password="wrong")).get("/x")
    store = EtcdStore(EtcdAccess((nodes.etcd.endpoint,), user="root", password="root-password"))
    assert store.commit(Transaction(puts={"/x": "1"})) > 0
    watch = store.watch(["/x"], store.list("/x")[0] + 1)
    batches = iter(watch)
    nodes.etcd.kill()
    nodes.etcd.process.restart()
    assert store.get("/x") is not None
    store.put("/x", "2")
    events = next(batch for batch in batches if batch)
    assert [event.value for event in events] == [b"2"]
    watch.close()
    store.close()


def test_a_frozen_redis_stops_neither_decisions_nor_the_lease(nodes: System) -> None:
    """Redis hangs without closing anything: what needs no broker goes on, and the rest after it wakes."""
    built(nodes, nodes.put("node", "before").id)
    leading = leader(nodes)
    os.kill(nodes.redis.process.pid, signal.SIGSTOP)
    try:
        waiting = nodes.put("node", "meanwhile")
        plans = [nodes.put("plan", f"plan-{i}") for i in range(3)]
        nodes.until(lambda: all(nodes.worker_state(plan) == "READ_COMPLETE" for plan in plans), 20)
        started = time.monotonic()
        nodes.until(lambda: time.monotonic() - started > 8)
        late = nodes.put("plan", "late")
        nodes.until(lambda: nodes.worker_state(late) == "READ_COMPLETE", 20)
        assert leader(nodes) == leading
    finally:
        os.kill(nodes.redis.process.pid, signal.SIGCONT)
    built(nodes, waiting.id, timeout=60)
