"""Redis is away, paused or full: the bridge goes on, tells it once, and so does the worker."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from orchestrator.clients import redis_transport
from orchestrator.clients.broker import BrokerAccess
from orchestrator.clients.queue import Queue
from orchestrator.core.refs import RunId
from orchestrator.errors import BrokerUnavailable
from orchestrator.sandbox import servers
from orchestrator.sandbox.processes import Processes, free_port
from redis import Redis
from tasks.compat import RECONNECT

from tests.integration.system import NODE_SCHEMAS, NODE_TEMPLATE, System, system
from tests.scripted.heat import ScriptedHeat

JOB = (RunId("t1/create:heat_worker:node:n:1:aaaaa"),)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "servers") as group:
        yield group


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[System]:
    port = str(free_port())
    settings: dict[str, Any] = {
        "ORCHESTRATOR_LOG_FORMAT": "json",
        "ORCHESTRATOR_HEALTH_PORT": port,
    }
    folder = tmp_path / "system"
    with (
        ScriptedHeat() as heat,
        system(folder, heat.environment(), schemas=NODE_SCHEMAS, workers=0, **settings) as running,
    ):
        running.put("heat_template", "node", **NODE_TEMPLATE)
        running.worker()
        running.until(lambda: events(running, "term_begun"))
        yield running


def events(nodes: System, event: str) -> list[dict[str, object]]:
    """What the bridge has logged under an event."""
    lines = map(json.loads, nodes.bridges[0].log.read_text().splitlines())
    return [line for line in lines if line.get("event") == event]


def ask(nodes: System, path: str) -> str:
    url = f"http://127.0.0.1:{nodes.environment['ORCHESTRATOR_HEALTH_PORT']}{path}"
    with urllib.request.urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


# The first message -------------------------------------------------------------------------------------

FIRST = """
import sys, time
from pathlib import Path
from orchestrator.clients.broker import BrokerAccess
from orchestrator.clients.queue import Queue
from orchestrator.errors import BrokerUnavailable

queue = Queue(BrokerAccess(sys.argv[1]))
queue.lost_everything()
print("asked", flush=True)
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
try:
    queue.start([sys.argv[2]])
    print("sent")
except BrokerUnavailable as error:
    print("unavailable", error)
queue.start([sys.argv[2]])
print("sent again", queue.depth())
"""


@pytest.mark.parametrize("seconds", [3.0, 5.0, 7.0])
def test_the_first_message_of_a_process_may_meet_a_paused_redis(
    processes: Processes,
    seconds: float,
) -> None:
    """kombu 5.7.0: AttributeError: 'NoneType' object has no attribute 'client', if Redis goes on
    while the message is tried again. It is no OperationalError, and ended the bridge."""
    server = servers.redis(processes)
    command = [sys.executable, "-c", FIRST, server.url, JOB[0]]
    go = processes.folder / "go"
    sender = processes.start("sender", [*command, str(go)])
    sender.wait_until(lambda: "asked" in sender.log_tail(), 30, "connected")
    os.kill(server.process.pid, signal.SIGSTOP)
    again = threading.Timer(seconds, os.kill, (server.process.pid, signal.SIGCONT))
    again.start()
    go.touch()

    assert sender.wait(60) == 0, sender.log_tail()
    again.join()
    assert "sent again" in sender.log_tail()


def test_a_bridge_whose_first_message_meets_a_paused_redis_goes_on(nodes: System) -> None:
    os.kill(nodes.redis.process.pid, signal.SIGSTOP)
    again = threading.Timer(5.0, os.kill, (nodes.redis.process.pid, signal.SIGCONT))
    again.start()
    nodes.await_state(nodes.put("node", "first"), "CREATE_COMPLETED")
    again.join()

    assert nodes.bridges[0].alive
    assert len(events(nodes, "term_begun")) == 1
    assert len(events(nodes, "broker_unavailable")) <= 1


def test_a_bridge_may_start_while_redis_is_paused(nodes: System) -> None:
    os.kill(nodes.redis.process.pid, signal.SIGSTOP)
    try:
        nodes.bridges.pop().stop()
        nodes.bridge()
        nodes.until(lambda: events(nodes, "broker_unavailable"))
        waiting = nodes.put("node", "meanwhile")
        plan = nodes.put("plan", "needs-no-broker")
        nodes.await_state(plan, "READ_COMPLETE")
    finally:
        os.kill(nodes.redis.process.pid, signal.SIGCONT)
    nodes.await_state(waiting, "CREATE_COMPLETED")


# Whatever it raises ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        KeyError("fd"),
        ValueError("file descriptor cannot be a negative integer (-1)"),
        TypeError("'NoneType' object is not subscriptable"),
        AttributeError("'NoneType' object has no attribute 'client'"),
        ssl.SSLEOFError("EOF occurred in violation of protocol"),
        RuntimeError("set changed size during iteration"),
        IndexError("pop from empty list"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_the_client_raises_is_a_broker_that_does_not_take_messages(
    processes: Processes,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """Its class is in the text: should it be a defect of ours, it is not hidden."""
    queue = Queue(BrokerAccess(servers.redis(processes).url))

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(redis_transport.Channel, "_put", fail)
        with pytest.raises(BrokerUnavailable) as told:
            queue.start(JOB)
    assert type(error).__name__ in str(told.value)
    assert str(error) in str(told.value)
    queue.start(JOB)
    assert queue.depth() == 1
    queue.close()


# Told once ---------------------------------------------------------------------------------------------


def test_an_outage_is_told_once_and_health_shows_it(nodes: System) -> None:
    nodes.await_state(nodes.put("node", "before"), "CREATE_COMPLETED")
    assert json.loads(ask(nodes, "/health")) == {"role": "leader", "fault": ""}
    nodes.redis.kill()
    waiting = nodes.put("node", "meanwhile")
    nodes.until(lambda: events(nodes, "broker_unavailable"))
    started = time.monotonic()
    nodes.until(lambda: time.monotonic() - started > 5)  # ten tries

    assert len(events(nodes, "broker_unavailable")) == 1
    health = json.loads(ask(nodes, "/health"))
    assert health["fault"] == "", "a restart of the bridge would mend nothing"
    assert "Connection refused" in health["broker"]
    assert "orchestrator_broker_available 0.0" in ask(nodes, "/metrics")

    nodes.redis.restart()
    nodes.await_state(waiting, "CREATE_COMPLETED")
    nodes.until(lambda: events(nodes, "broker_available"))
    assert "broker" not in json.loads(ask(nodes, "/health"))
    assert "orchestrator_broker_available 1.0" in ask(nodes, "/metrics")
    assert nodes.workers[0].alive


def test_a_worker_is_back_within_seconds_of_a_long_outage(nodes: System) -> None:
    """By Celery's default it waits two seconds longer after every try, up to half a minute."""
    nodes.await_state(nodes.put("node", "before"), "CREATE_COMPLETED")
    nodes.redis.kill()
    worker = nodes.workers[0]
    nodes.until(lambda: worker.log.read_text().count("Cannot connect to") >= 7, 60)
    nodes.redis.restart()
    started = time.monotonic()
    nodes.await_state(nodes.put("node", "after"), "CREATE_COMPLETED")

    assert time.monotonic() - started < RECONNECT + 5
    assert "worker_cancel_long_running_tasks" not in worker.log.read_text()


def test_a_redis_that_is_full_is_told_and_survived(nodes: System) -> None:
    """maxmemory-policy noeviction: it refuses what it cannot keep."""
    nodes.await_state(nodes.put("node", "before"), "CREATE_COMPLETED")
    with Redis(port=nodes.redis.port) as client:
        client.config_set("maxmemory", "1")
        waiting = nodes.put("node", "meanwhile")
        nodes.until(lambda: events(nodes, "broker_unavailable"))
        assert "maxmemory" in str(events(nodes, "broker_unavailable")[0]["reason"])
        client.config_set("maxmemory", "0")
    nodes.await_state(waiting, "CREATE_COMPLETED")
    assert nodes.workers[0].alive
