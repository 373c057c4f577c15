"""Events are counted where they happen: a bridge that logs only errors counts all the others too."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from orchestrator.core.refs import Ref
from orchestrator.events import EventName
from orchestrator.sandbox.processes import free_port
from prometheus_client.parser import text_string_to_metric_families

from tests.promtool import promtool
from tests.scripted.heat import ScriptedHeat
from tests.scripted.stacks import Script

from .system import NODE_SCHEMAS, NODE_TEMPLATE, System, system

_COUNTED = re.compile(
    r'^orchestrator_(?:worker_)?events_total\{event="(\w+)"\} ([0-9.]+)$', re.MULTILINE
)


@pytest.fixture
def nodes(tmp_path: Path, scripted: ScriptedHeat) -> Iterator[System]:
    """No worker yet, a brake that holds from the third removal on, and only errors in the log."""
    with system(
        tmp_path / "system",
        scripted.environment(),
        schemas=NODE_SCHEMAS,
        workers=0,
        ORCHESTRATOR_LOG_LEVEL="ERROR",
        ORCHESTRATOR_HEALTH_PORT=str(free_port()),
        TEST_WORKER_PORT=str(free_port()),
        ORCHESTRATOR_SCHEMAS_INTERVAL="1",
        ORCHESTRATOR_DELETIONS_AT_ONCE="2",
        ORCHESTRATOR_DELETIONS_SHARE="0",
    ) as running:
        running.put("heat_template", "node", **NODE_TEMPLATE)
        yield running


def page(port: str) -> str:
    """``/metrics``; empty while nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def counted(nodes: System, port: str = "") -> dict[EventName, float]:
    """What a bridge has counted, or whoever answers at *port*."""
    text = page(port or nodes.environment["ORCHESTRATOR_HEALTH_PORT"])
    return {EventName[name.upper()]: float(times) for name, times in _COUNTED.findall(text)}


def await_count(nodes: System, *events: EventName, at_least: int = 1) -> None:
    nodes.until(
        lambda: all(counted(nodes).get(event, 0) >= at_least for event in events),
        60,
        lambda: f"{events}: {counted(nodes)}",
    )


def test_the_counters_move_though_the_log_takes_only_errors(
    nodes: System, scripted: ScriptedHeat
) -> None:
    await_count(nodes, EventName.LEADING, EventName.TERM_BEGUN)

    no_worker_has_taken_it_when_the_next_version_comes(nodes)
    nodes.worker(ORCHESTRATOR_LOG_LEVEL="INFO")
    configs_that_cannot_be_built(nodes)
    failed_and_repaired(nodes, scripted)
    worker_dies_with_a_job(nodes, scripted)
    heat_is_away(nodes, scripted)
    too_many_are_removed(nodes)
    another_list_of_types(nodes)
    redis_loses_its_data(nodes)
    etcd_is_away(nodes)
    another_bridge_stands_by(nodes)
    the_worker_has_counted_what_its_processes_did(nodes)
    promtool_accepts_what_the_programs_answer(nodes)

    levels = re.findall(r"^[0-9:.]{12} (\w+)", nodes.bridges[0].log.read_text(), re.MULTILINE)
    assert set(levels) == {"ERROR"}, "the brake is told as an error, and nothing else is told"


def no_worker_has_taken_it_when_the_next_version_comes(nodes: System) -> None:
    nodes.put("node", "first")
    await_count(nodes, EventName.JOB_MADE)
    nodes.put("node", "first", version=2)
    await_count(nodes, EventName.JOB_SUPERSEDED)


def configs_that_cannot_be_built(nodes: System) -> None:
    nodes.put_raw(Ref("node", "no-json"), "{")
    nodes.put("node", "orphan", parent_id="nobody")
    nodes.put_raw(Ref("node", "wrong"), json.dumps({"body": [1], "version": 1}))
    await_count(nodes, EventName.CONFIG_REJECTED, EventName.HELD, EventName.REFUSED)


def failed_and_repaired(nodes: System, scripted: ScriptedHeat) -> None:
    scripted.script = lambda method, tenant, name: Script(outcome="FAILED")
    # Both become jobs at once: the child is held until its parent is there.
    child = nodes.put("node", "child", parent_id="parent")
    nodes.put("node", "parent")
    nodes.await_state(child, "CREATE_FAILED")
    await_count(nodes, EventName.JOB_NOT_RUN)
    assert nodes.command("retry", "node", "parent").returncode == 0
    await_count(nodes, EventName.RETRY_ASKED)
    scripted.script = lambda method, tenant, name: Script()
    nodes.put("node", "parent", version=2)
    nodes.await_state(child, "CREATE_COMPLETED")
    await_count(nodes, EventName.ROOT_REPAIRED)
    nodes.put("node", "child", version=2, marked=True, parent_id="parent")
    nodes.await_state(child, "DELETE_COMPLETED", 2)
    nodes.remove(child)
    await_count(nodes, EventName.CLEANED)


def worker_dies_with_a_job(nodes: System, scripted: ScriptedHeat) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def arrived(method: str, tenant: str, path: str) -> None:
        asked.set()
        go_on.wait(60)

    before, scripted.arrived = scripted.arrived, arrived
    late = nodes.put("node", "late")
    assert asked.wait(30)
    nodes.workers[0].kill()
    scripted.arrived = before
    go_on.set()
    await_count(nodes, EventName.CLAIM_LOST)
    nodes.worker(
        ORCHESTRATOR_LOG_LEVEL="INFO",
        ORCHESTRATOR_WORKER_METRICS_PORT=nodes.environment["TEST_WORKER_PORT"],
    )
    nodes.await_state(late, "CREATE_COMPLETED")


def heat_is_away(nodes: System, scripted: ScriptedHeat) -> None:
    scripted.refuse = lambda method, tenant, path: (503, "ServiceUnavailable", "down")
    nodes.put("node", "later")
    await_count(nodes, EventName.CIRCUIT_OPEN)
    scripted.refuse = lambda method, tenant, path: None
    await_count(nodes, EventName.CIRCUIT_CLOSED)


def too_many_are_removed(nodes: System) -> None:
    refs = [nodes.put("node", f"built-{number}") for number in range(4)]
    for ref in refs:
        nodes.await_state(ref, "CREATE_COMPLETED")
    for ref in refs:
        nodes.remove(ref)
    await_count(nodes, EventName.DELETIONS_HELD)
    assert nodes.command("confirm", "deletions", "--yes").returncode == 0
    await_count(nodes, EventName.DELETION_CONFIRMED, EventName.DELETIONS_RELEASED)


def another_list_of_types(nodes: System) -> None:
    path = Path(nodes.environment["ORCHESTRATOR_SCHEMAS"])
    good = path.read_text()
    path.write_text("{")
    await_count(nodes, EventName.SCHEMAS_REFUSED)
    path.write_text(good)
    await_count(nodes, EventName.SCHEMAS_USABLE)
    more = json.loads(good)
    more["schemas"].append({"id": "note", "prefix": "/v1/notes", "schema": {}})
    path.write_text(json.dumps(more))
    await_count(nodes, EventName.SCHEMAS_CHANGED, EventName.SCHEMAS_IN_FORCE)
    await_count(nodes, EventName.TERM_BEGUN, at_least=2)


def redis_loses_its_data(nodes: System) -> None:
    nodes.redis.kill()
    unsent = nodes.put("node", "unsent")
    await_count(nodes, EventName.BROKER_UNAVAILABLE)
    nodes.redis.restart()
    await_count(nodes, EventName.BROKER_AVAILABLE, EventName.BROKER_LOST_DATA)
    nodes.await_state(unsent, "CREATE_COMPLETED")


def another_bridge_stands_by(nodes: System) -> None:
    port = str(free_port())
    nodes.bridge(ORCHESTRATOR_HEALTH_PORT=port)
    nodes.until(lambda: EventName.STANDING_BY in counted(nodes, port), 30)


def the_worker_has_counted_what_its_processes_did(nodes: System) -> None:
    port = nodes.environment["TEST_WORKER_PORT"]
    found, text = counted(nodes, port), page(port)
    assert found[EventName.JOB_DONE] >= 5
    assert EventName.JOB_RETRY in found, "Heat was away"
    for kind in ("read", "create", "delete"):
        assert _sample(text, "orchestrator_worker_heat_request_seconds_count", request=kind) > 0
    assert _sample(text, "orchestrator_worker_heat_answers_total", answer="failed") > 0
    assert _sample(text, "orchestrator_worker_slots") > 0


def promtool_accepts_what_the_programs_answer(nodes: System) -> None:
    ports = ("ORCHESTRATOR_HEALTH_PORT", "TEST_WORKER_PORT")
    for text in (page(nodes.environment[port]) for port in ports):
        promtool("check", "metrics", given=text)
    outcomes = 'orchestrator_outcomes_total{cause="dependency",outcome="failed"'
    assert outcomes in page(nodes.environment["ORCHESTRATOR_HEALTH_PORT"])


def _sample(text: str, name: str, **labels: str) -> float:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if (sample.name, sample.labels) == (name, labels):
                return float(sample.value)
    return 0.0


def etcd_is_away(nodes: System) -> None:
    terms = counted(nodes)[EventName.TERM_BEGUN]
    nodes.etcd.kill()
    await_count(nodes, EventName.TERM_ENDED)
    nodes.etcd.restart()
    nodes.until(lambda: counted(nodes)[EventName.TERM_BEGUN] > terms, 60)
