"""Credentials that are wrong, or become so, in the whole system: nothing fails, and no account is locked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from orchestrator.core.records import Run, Step
from orchestrator.core.refs import Ref

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat
from tests.scripted.keystone import ScriptedKeystone
from tests.scripted.stacks import Script


@pytest.fixture
def heat() -> Iterator[ScriptedHeat]:
    with ScriptedHeat() as scripted:
        yield scripted


@pytest.fixture
def keystone(heat: ScriptedHeat) -> Iterator[ScriptedKeystone]:
    """It locks the account after five wrong passwords."""
    with ScriptedKeystone(f"{heat.url}/v1/%(tenant_id)s", lockout=5) as scripted:
        heat.keystone = scripted
        yield scripted


@pytest.fixture
def nodes(tmp_path: Path, keystone: ScriptedKeystone) -> Iterator[System]:
    """No worker yet."""
    environment = keystone.environment()
    with system(tmp_path, environment, schemas=NODE_SCHEMAS, workers=0) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def retries(nodes: System) -> dict[str, Run]:
    """The jobs that wait for another try, by their keys."""
    listed = nodes.store.list(nodes.keys.runs)[1]
    runs = {kv.key: Run.from_json(kv.value) for kv in listed}
    return {key: run for key, run in runs.items() if run.step is Step.RETRY}


def built(nodes: System, *refs: Ref, version: int = 1) -> None:
    for ref in refs:
        nodes.until(partial(nodes.worker_state, ref, version), 60, partial(nodes.state, ref))
        assert nodes.state(ref)["error"] == ""


def log_of(nodes: System) -> str:
    return nodes.workers[-1].log_tail(2000)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"OS_PASSWORD": "wrong"}, "Keystone rejects user orchestrator"),
        ({"OS_CACERT": "/nowhere/ca.pem"}, "CA file"),
        ({"OS_CLOUD": "nowhere"}, "OS_CLOUD=nowhere"),
    ],
    ids=["password", "CA file", "cloud"],
)
def test_a_worker_with_wrong_credentials_fails_nothing(
    wrong: dict[str, str], words: str, nodes: System, keystone: ScriptedKeystone
) -> None:
    right = dict(nodes.environment)
    nodes.environment |= wrong
    worker = nodes.worker()
    ref = nodes.put("node", "one")
    nodes.until(lambda: retries(nodes), 30)
    assert all(words in run.reason for run in retries(nodes).values())
    assert nodes.state(ref) is None
    worker.stop()

    nodes.environment.clear()
    nodes.environment |= right
    nodes.worker()
    built(nodes, ref)
    assert keystone.logins.count(False) <= 1


def test_a_worker_says_at_its_start_that_the_credentials_are_wrong_and_tries_them_once(
    nodes: System, keystone: ScriptedKeystone
) -> None:
    nodes.environment["OS_PASSWORD"] = "wrong"
    nodes.worker(concurrency=4)
    nodes.until(lambda: "OpenStack check failed" in log_of(nodes), 30)
    refs = [nodes.put("node", f"n{i}", tenant_id=f"t{i % 2 + 1}") for i in range(12)]
    nodes.until(lambda: len(retries(nodes)) >= 4, 30)

    assert log_of(nodes).count("OpenStack check failed") == 1
    assert log_of(nodes).count("Credentials rejected") == 1
    assert keystone.logins == [False]
    assert [nodes.state(ref) for ref in refs] == [None] * len(refs)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_says_at_its_start_that_all_is_well(
    pool: str, nodes: System, keystone: ScriptedKeystone, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pool == "threads":
        nodes.environment["CELERY_CUSTOM_WORKER_POOL"] = "celery.concurrency.thread:TaskPool"
    command = ["--pool=custom"] if pool == "threads" else []
    start = nodes.processes.start

    def with_pool(name: str, arguments: Any, **more: Any) -> Any:
        return start(name, [*arguments, *command], **more)

    monkeypatch.setattr(nodes.processes, "start", with_pool)
    nodes.worker()

    nodes.until(lambda: "OpenStack check passed" in log_of(nodes), 30)
    assert "user orchestrator" in log_of(nodes)
    assert keystone.logins == [True]


def test_a_password_that_changes_under_running_stacks_fails_and_locks_nothing(
    nodes: System, heat: ScriptedHeat, keystone: ScriptedKeystone
) -> None:
    heat.script = lambda method, tenant, name: Script(duration=3.0)
    workers = [nodes.worker(), nodes.worker()]
    refs = [nodes.put("node", f"n{i}", tenant_id=f"t{i % 2 + 1}") for i in range(20)]
    nodes.until(lambda: len(heat.requests) >= 20, 30)
    keystone.change_password("rotated")
    later = [nodes.put("node", f"m{i}", tenant_id=f"t{i % 2 + 1}") for i in range(10)]
    nodes.until(lambda: retries(nodes), 30)
    # A while with the wrong password: jobs, polls and two workers would all like to log in.
    nodes.until(lambda: all(not s.in_progress for s in list(heat.stacks.values())), 30)
    assert not keystone.locked

    for worker in workers:
        worker.stop()
    nodes.environment |= keystone.environment()
    nodes.worker()
    built(nodes, *refs, *later)

    assert keystone.logins.count(False) <= 2
    assert len(heat.requests) == 30


def test_a_keystone_that_hangs_fails_nothing(
    nodes: System, heat: ScriptedHeat, keystone: ScriptedKeystone
) -> None:
    wake = threading.Event()
    keystone.arrived = lambda method, path: wake.wait(60)
    nodes.environment["ORCHESTRATOR_HEAT_TIMEOUT"] = "2"
    nodes.environment["ORCHESTRATOR_HEAT_DEADLINE"] = "2"
    nodes.worker()
    refs = [nodes.put("node", f"n{i}") for i in range(6)]
    nodes.until(
        lambda: any("does not answer" in run.reason for run in retries(nodes).values()),
        40,
        lambda: str([run.reason for run in retries(nodes).values()]),
    )
    wake.set()

    built(nodes, *refs)
    assert len(heat.requests) == 6
    assert "died" not in json.dumps([nodes.state(ref) for ref in refs])


def test_a_project_without_a_role_waits_and_the_others_go_on(
    nodes: System, keystone: ScriptedKeystone
) -> None:
    nodes.worker()
    waiting = nodes.put("node", "waiting", tenant_id="t3")
    nodes.until(lambda: retries(nodes), 30)
    (run,) = retries(nodes).values()
    assert "no access to project t3" in run.reason
    built(nodes, nodes.put("node", "other"))

    keystone.roles.add("t3")
    built(nodes, waiting)
    assert keystone.logins == [True] * len(keystone.logins)
